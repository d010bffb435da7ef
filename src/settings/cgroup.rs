//! The limits that control groups put on this process, read below a root directory: CPU quota and memory, in versions
//! 1 and 2. A group is limited by every group around it too. What cannot be read limits nothing. Also the files that count
//! processes of the group which were ended for want of memory.

use std::fs;
use std::path::{Path, PathBuf};

/// What the groups leave to the process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Limits {
    /// CPUs, possibly a fraction.
    pub(super) cpus: Option<f64>,
    /// Bytes.
    pub(super) memory: Option<u64>,
}

/// One line of /proc/self/mountinfo that mounts control groups.
#[derive(Debug, PartialEq, Eq)]
struct Mount<'a> {
    /// The group that is at the top of the mount.
    root: &'a str,
    /// Where it is mounted.
    point: &'a str,
    /// The controllers of a mount of version 1; none in version 2.
    controllers: Option<Vec<&'a str>>,
}

/// The limits of the calling process, its root directory being `root`.
pub(super) fn limits(root: &Path) -> Limits {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (groups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let mut limits = Limits::default();
    for mount in mounts.lines().filter_map(mount) {
        let Some(group) = groups.lines().find_map(|line| group(line, &mount)) else { continue };
        for directory in levels(root, &mount, group) {
            limits.cpus = least(limits.cpus, quota(&directory, &mount));
            limits.memory = least(limits.memory, memory(&directory, &mount));
        }
    }
    limits
}

/// The files with a line `oom_kill NUMBER` for the calling process's own group: how many of its processes the kernel has
/// ended for want of memory, its own or the machine's. None where there are no such groups.
pub fn oom_counters(root: &Path) -> Vec<PathBuf> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (groups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let mut files = Vec::new();
    for mount in mounts.lines().filter_map(mount) {
        let Some(group) = groups.lines().find_map(|line| group(line, &mount)) else { continue };
        let name = match mount.controllers {
            None => "memory.events",
            Some(_) => "memory.oom_control",
        };
        files.extend(levels(root, &mount, group).first().map(|own| own.join(name)));
    }
    files.retain(|file| file.exists());
    files
}

fn least<T: PartialOrd>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other < one { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// `36 25 0:31 / /sys/fs/cgroup/cpu rw,... shared:9 - cgroup cgroup rw,cpu,cpuacct`
fn mount(line: &str) -> Option<Mount<'_>> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let controllers = match after.next()? {
        "cgroup2" => None,
        "cgroup" => Some(after.nth(1)?.split(',').collect()),
        _ => return None,
    };
    Some(Mount { root, point, controllers })
}

/// The process's group below such a mount, by a line of /proc/self/cgroup: `4:cpu,cpuacct:/a/b`, or `0::/a/b`.
fn group<'a>(line: &'a str, mount: &Mount<'_>) -> Option<&'a str> {
    let mut parts = line.splitn(3, ':');
    let (number, names, path) = (parts.next()?, parts.next()?, parts.next()?);
    let here = match &mount.controllers {
        None => number == "0" && names.is_empty(),
        Some(mounted) => names.split(',').any(|name| !name.is_empty() && mounted.contains(&name)),
    };
    here.then_some(path)
}

/// The directories of a group and of those around it, as far as the mount shows them.
fn levels(root: &Path, mount: &Mount<'_>, group: &str) -> Vec<PathBuf> {
    let top = root.join(mount.point.trim_start_matches('/'));
    // A group outside of what is mounted is seen as the top.
    let inner = Path::new(group).strip_prefix(mount.root).unwrap_or(Path::new(""));
    inner.ancestors().map(|part| top.join(part)).collect()
}

fn quota(directory: &Path, mount: &Mount<'_>) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
    match mount.controllers {
        None => cpus(&read("cpu.max")?),
        Some(_) => cpus(&format!("{} {}", read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?)),
    }
}

/// A quota and its period in microseconds; a quota that is no number above 0 (`max`, `-1`) is none.
fn cpus(text: &str) -> Option<f64> {
    let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>().ok());
    let (quota, period) = (numbers.next()??, numbers.next()??);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn memory(directory: &Path, mount: &Mount<'_>) -> Option<u64> {
    let name = match mount.controllers {
        None => "memory.max",
        Some(_) => "memory.limit_in_bytes",
    };
    // Version 1 writes "none" as the largest number of pages.
    const NONE: u64 = 1 << 62;
    let bytes = fs::read_to_string(directory.join(name)).ok()?.trim().parse().ok()?;
    (bytes < NONE).then_some(bytes)
}
