//! What `--workers auto` finds below a root directory, and what it makes of it.

use std::fs;

use super::*;

const MIB: u64 = 1 << 20;

/// A root directory with these files.
fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn found(files: &[(&str, &str)]) -> Machine {
    Machine::read(root(files).path(), 8)
}

const V2: (&str, &str) = (
    "proc/self/mountinfo",
    "24 1 8:1 / / rw - ext4 /dev/sda rw\n30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
);
const V1: (&str, &str) = (
    "proc/self/mountinfo",
    "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n\
     32 30 0:28 /docker/1f /sys/fs/cgroup/memory rw shared:6 - cgroup cgroup rw,memory\n",
);

#[test]
fn without_control_groups_the_machine_is_all_there_is() {
    let machine = found(&[("proc/meminfo", "MemTotal:  4194304 kB\nMemFree: 1 kB\n")]);
    assert_eq!(machine, Machine { processors: 8, quota: None, memory: Some(4096 * MIB) });
    assert_eq!(found(&[]), Machine { processors: 8, quota: None, memory: None });
}

#[test]
fn a_group_of_version_2_limits() {
    let machine = found(&[
        V2,
        ("proc/self/cgroup", "0::/a/b\n"),
        ("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n"),
        ("sys/fs/cgroup/a/b/memory.max", "536870912\n"),
        ("proc/meminfo", "MemTotal:  4194304 kB\n"),
    ]);
    assert_eq!(machine, Machine { processors: 8, quota: Some(1.5), memory: Some(512 * MIB) });
}

#[test]
fn the_tightest_of_nested_groups_counts() {
    let machine = found(&[
        V2,
        ("proc/self/cgroup", "0::/a/b\n"),
        ("sys/fs/cgroup/a/cpu.max", "200000 100000\n"),
        ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
        ("sys/fs/cgroup/a/memory.max", "max\n"),
        ("sys/fs/cgroup/memory.max", "268435456\n"),
    ]);
    assert_eq!(machine, Machine { processors: 8, quota: Some(2.0), memory: Some(256 * MIB) });
}

#[test]
fn no_limit_is_no_limit() {
    let machine = found(&[
        V2,
        ("proc/self/cgroup", "0::/\n"),
        ("sys/fs/cgroup/cpu.max", "max 100000\n"),
        ("sys/fs/cgroup/memory.max", "max\n"),
    ]);
    assert_eq!(machine, Machine { processors: 8, quota: None, memory: None });
    let machine = found(&[
        V1,
        ("proc/self/cgroup", "4:cpu,cpuacct:/x\n5:memory:/docker/1f\n"),
        ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ]);
    assert_eq!(machine, Machine { processors: 8, quota: None, memory: None });
}

#[test]
fn groups_of_version_1_limit_each_by_its_controller() {
    let machine = found(&[
        V1,
        ("proc/self/cgroup", "6:name=systemd:/y\n5:memory:/docker/1f\n4:cpu,cpuacct:/x\n"),
        ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "50000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"),
        // The mount begins at the group: inside a container its path is not repeated.
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
    ]);
    assert_eq!(machine, Machine { processors: 8, quota: Some(0.5), memory: Some(256 * MIB) });
}

#[test]
fn a_group_outside_of_the_mount_is_seen_as_its_top() {
    let machine =
        found(&[V2, ("proc/self/cgroup", "0::/../../other\n"), ("sys/fs/cgroup/cpu.max", "100000 100000\n")]);
    assert_eq!(machine.quota, Some(1.0));
}

#[test]
fn nonsense_limits_nothing() {
    let machine = found(&[
        V2,
        ("proc/self/cgroup", "0::/\nnonsense\n\n"),
        ("sys/fs/cgroup/cpu.max", "0 0 0\n"),
        ("sys/fs/cgroup/memory.max", "much\n"),
        ("proc/meminfo", "MemTotal: much\n"),
    ]);
    assert_eq!(machine, Machine { processors: 8, quota: None, memory: None });
}

#[test]
fn one_request_at_a_time_wants_two_workers_for_each_cpu_and_one_more() {
    let machine = |processors, quota, memory| Machine { processors, quota, memory };
    for (machine, one, several) in [
        (machine(1, None, None), "3 (2 x 1 CPU + 1)", "1 (one for each of 1 CPU)"),
        (machine(4, None, Some(4096 * MIB)), "9 (2 x 4 CPUs + 1)", "4 (one for each of 4 CPUs)"),
        (machine(2, Some(8.0), None), "5 (2 x 2 CPUs + 1)", "2 (one for each of 2 CPUs)"),
        (
            machine(8, Some(0.5), None),
            "2 (2 x 0.5 CPUs + 1; the quota leaves 0.5 CPUs of 8)",
            "1 (one for each of 0.5 CPUs; the quota leaves 0.5 CPUs of 8)",
        ),
        (
            machine(8, Some(1.5), None),
            "4 (2 x 1.5 CPUs + 1; the quota leaves 1.5 CPUs of 8)",
            "2 (one for each of 1.5 CPUs; the quota leaves 1.5 CPUs of 8)",
        ),
        (
            machine(2, None, Some(256 * MIB)),
            "2 (2 x 2 CPUs + 1; 256 MiB of memory allow 2 of 128 MiB each)",
            "2 (one for each of 2 CPUs)",
        ),
        (
            machine(1, None, Some(64 * MIB)),
            "1 (2 x 1 CPU + 1; 64 MiB of memory allow 1 of 128 MiB each)",
            "1 (one for each of 1 CPU)",
        ),
    ] {
        assert_eq!(machine.sum(Pace::One), one);
        assert_eq!(machine.sum(Pace::Several), several);
        assert!(one.starts_with(&format!("{} ", machine.workers(Pace::One))));
        assert!(several.starts_with(&format!("{} ", machine.workers(Pace::Several))));
    }
}

#[test]
fn the_counters_of_the_own_group_are_found() {
    let counters = |files: &[(&str, &str)]| {
        let root = root(files);
        let found = oom_counters(root.path());
        let below = |path: &std::path::PathBuf| path.strip_prefix(root.path()).unwrap().display().to_string();
        found.iter().map(below).collect::<Vec<_>>()
    };
    let events = ("sys/fs/cgroup/a/b/memory.events", "oom 0\noom_kill 0\n");
    let outer = ("sys/fs/cgroup/a/memory.events", "oom_kill 1\n");
    assert_eq!(counters(&[V2, ("proc/self/cgroup", "0::/a/b\n"), events, outer]), [events.0]);
    let control = ("sys/fs/cgroup/memory/x/memory.oom_control", "oom_kill_disable 0\noom_kill 0\n");
    let groups = ("proc/self/cgroup", "4:cpu,cpuacct:/x\n5:memory:/docker/1f/x\n");
    assert_eq!(counters(&[V1, groups, control]), [control.0]);
    // The group at the top of everything counts nothing.
    assert_eq!(counters(&[V2, ("proc/self/cgroup", "0::/\n")]), [] as [&str; 0]);
    assert_eq!(counters(&[]), [] as [&str; 0]);
}
