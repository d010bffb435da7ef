//! How much memory a process has, as /proc tells. Elsewhere than on Linux nothing does.

use std::fs;
use std::io;

/// Bytes of a process's memory that are not on disk, shared with others or not. Costs the kernel next to nothing.
pub fn resident(pid: i32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: Option<u64> = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    // SAFETY: sysconf(3) has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.map(|pages| pages * page as u64).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Bytes that would come free if the process alone ended. The kernel looks at each of its pages for that: some
/// milliseconds for a large one.
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
        let (resident_before, private_before) = (resident(pid).unwrap(), private(pid).unwrap());
        let memory = vec![1_u8; 64 << 20];
        std::hint::black_box(&memory);
        assert!(resident(pid).unwrap() > resident_before + (32 << 20));
        assert!(private(pid).unwrap() > private_before + (32 << 20));
        assert!(resident(-1).is_err() && private(-1).is_err());
    }
}
