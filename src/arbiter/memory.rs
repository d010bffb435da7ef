//! Which workers have more memory for themselves than they may.

use crate::sys::memory;

/// Of these processes those with more than `limit` bytes of private memory: `(pid, bytes)`. One that is gone has none.
pub fn heavy(pids: &[i32], limit: u64) -> Vec<(i32, u64)> {
    let weigh = |pid: &i32| weigh(*pid, limit).map(|bytes| (*pid, bytes));
    pids.iter().filter_map(weigh).filter(|(_, bytes)| *bytes > limit).collect()
}

/// A process's private memory in bytes; `None` where it cannot be more than `limit`.
fn weigh(pid: i32, limit: u64) -> Option<u64> {
    // Who has less in all, with what is shared, needs no closer look.
    let resident = memory::resident(pid).ok().filter(|resident| resident.all > limit)?;
    Some(memory::private(pid).unwrap_or(resident.anonymous))
}
