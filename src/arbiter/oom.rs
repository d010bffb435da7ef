//! Whether the kernel has ended processes for want of memory: what the control group counts, before and after.

use std::fs;
use std::path::{Path, PathBuf};

use crate::settings;

/// The counters of the group in which the arbiter and its workers run.
pub struct Casualties {
    files: Vec<PathBuf>,
    known: u64,
}

impl Casualties {
    /// Counts from now on. The system's files are looked for below `root`.
    pub fn watch(root: &Path) -> Self {
        let mut casualties = Self { files: settings::oom_counters(root), known: 0 };
        casualties.known = casualties.count();
        casualties
    }

    /// Whether there are more than when it was asked last.
    pub fn grew(&mut self) -> bool {
        let now = self.count();
        now > std::mem::replace(&mut self.known, now)
    }

    fn count(&self) -> u64 {
        self.files.iter().filter_map(|file| fs::read_to_string(file).ok()).map(|text| killed(&text)).sum()
    }
}

/// `oom_kill 3`, one line among others.
fn killed(text: &str) -> u64 {
    let number = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    text.lines().find_map(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_when_the_kernel_has_counted_another() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
        write("proc/self/cgroup", "0::/a\n");
        let events = "sys/fs/cgroup/a/memory.events";
        write(events, "low 0\noom 1\noom_kill 1\noom_group_kill 9\n");
        let mut casualties = Casualties::watch(root.path());
        assert!(!casualties.grew());
        write(events, "low 0\noom 2\noom_kill 3\noom_group_kill 9\n");
        assert!(casualties.grew());
        assert!(!casualties.grew());
        fs::remove_file(root.path().join(events)).unwrap();
        assert!(!casualties.grew());
    }

    #[test]
    fn without_control_groups_nothing_grows() {
        let root = tempfile::tempdir().unwrap();
        assert!(!Casualties::watch(root.path()).grew());
    }
}
