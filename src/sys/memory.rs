//! How much memory a process has, as /proc tells. Elsewhere than on Linux nothing does.

use std::fs;
use std::io;

/// Memory of a process, as the kernel counts it anyway.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// Bytes that are in memory, shared with others or not.
    pub all: u64,
    /// Those that belong to no file. What was not written to since a fork may be shared.
    pub anonymous: u64,
}

/// What of a process is in memory. Costs the kernel next to nothing.
pub fn resident(pid: i32) -> io::Result<Resident> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    // SAFETY: sysconf(3) has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    let mut fields = text.split(' ').skip(1).map(|pages| pages.parse::<u64>().ok());
    let pages = fields.next().flatten().zip(fields.next().flatten());
    let resident = |(all, of_files): (u64, u64)| Resident {
        all: all * page,
        anonymous: all.saturating_sub(of_files) * page,
    };
    pages.map(resident).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Bytes that would come free if the process alone ended. The kernel looks at each of its pages for that: some
/// milliseconds for a large one. Not everybody may ask: a container's root needs CAP_SYS_PTRACE for other users' processes.
pub fn private(pid: i32) -> io::Result<u64> {
    fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).map(|text| sum(&text))
}

/// `Private_Dirty:      1234 kB`
fn sum(text: &str) -> u64 {
    let size = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
    let private =
        text.lines().filter(|line| line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"));
    private.filter_map(size).sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_pages_are_those_that_nobody_shares() {
        let text = "55d0-7ffe ---p 00000000 00:00 0  [rollup]\nRss:  900 kB\nShared_Dirty:  300 kB\n\
                    Private_Clean:  100 kB\nPrivate_Dirty:  500 kB\nPrivate_Hugetlb:  0 kB\n";
        assert_eq!(sum(text), 600 * 1024);
        assert_eq!(sum(""), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_has_what_it_has_written() {
        let pid = std::process::id() as i32;
        let (before, private_before) = (resident(pid).unwrap(), private(pid).unwrap());
        let memory = vec![1_u8; 64 << 20];
        std::hint::black_box(&memory);
        let after = resident(pid).unwrap();
        assert!(after.all > before.all + (32 << 20) && after.anonymous > before.anonymous + (32 << 20));
        assert!(private(pid).unwrap() > private_before + (32 << 20));
        assert!(resident(-1).is_err() && private(-1).is_err());
    }
}
