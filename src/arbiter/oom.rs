//! Whether the kernel has ended processes for want of memory: what the control group counts, before and after.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::children::Time;
use crate::settings;

/// Who was ended together with another one is collected soon after it.
const TOGETHER: Duration = Duration::from_secs(10);

/// The counters of the group in which the arbiter and its workers run.
pub struct Casualties {
    files: Vec<PathBuf>,
    known: u64,
    /// How many of them nobody has claimed, and when they were counted.
    unclaimed: u64,
    counted: Time,
}

impl Casualties {
    /// Counts from now on. The system's files are looked for below `root`.
    pub fn watch(root: &Path) -> Self {
        let files = settings::oom_counters(root);
        let known = count(&files);
        Self { files, known, unclaimed: 0, counted: Time::ZERO }
    }

    /// Whether a worker that was killed may be one of those that have come since this was asked last. Each counts for one.
    pub fn claim(&mut self, now: Time) -> bool {
        let count = count(&self.files);
        if count > self.known {
            (self.unclaimed, self.counted) = (count - self.known, now);
        } else if now > self.counted + TOGETHER {
            self.unclaimed = 0;
        }
        self.known = count;
        let claimed = self.unclaimed > 0;
        self.unclaimed -= u64::from(claimed);
        claimed
    }
}

fn count(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|file| fs::read_to_string(file).ok()).map(|text| killed(&text)).sum()
}

/// `oom_kill 3`, one line among others.
fn killed(text: &str) -> u64 {
    let number = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    text.lines().find_map(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system that has counted so many.
    fn counting(root: &Path, number: u64) {
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
        write("proc/self/cgroup", "0::/a\n");
        let text = format!("low 0\noom 7\noom_kill {number}\noom_group_kill 9\n");
        write("sys/fs/cgroup/a/memory.events", &text);
    }

    #[test]
    fn each_that_the_kernel_has_counted_is_claimed_once() {
        let root = tempfile::tempdir().unwrap();
        let second = Time::from_secs;
        counting(root.path(), 1);
        let mut casualties = Casualties::watch(root.path());
        assert!(!casualties.claim(second(100)));
        counting(root.path(), 3);
        // Two workers were killed together, a third one by somebody else.
        assert_eq!([101, 102, 103].map(|at| casualties.claim(second(at))), [true, true, false]);
        counting(root.path(), 5);
        // The other one was no worker.
        assert_eq!([200, 300].map(|at| casualties.claim(second(at))), [true, false]);
        fs::remove_dir_all(root.path().join("sys")).unwrap();
        assert!(!casualties.claim(second(400)));
    }

    #[test]
    fn without_control_groups_nobody_is_counted() {
        let root = tempfile::tempdir().unwrap();
        assert!(!Casualties::watch(root.path()).claim(Time::from_secs(1)));
    }
}
