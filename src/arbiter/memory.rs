//! Which workers have more memory for themselves than they may.

use crate::sys::memory;

/// Of these processes those with more than `limit` bytes of private memory: `(pid, bytes)`. One that is gone has none.
pub fn heavy(pids: &[i32], limit: u64) -> Vec<(i32, u64)> {
    // What is shared counts too: who has less in all needs no closer look.
    let may_be = |pid: &&i32| memory::resident(**pid).is_ok_and(|bytes| bytes > limit);
    let weighed = pids.iter().filter(may_be).filter_map(|pid| Some((*pid, memory::private(*pid).ok()?)));
    weighed.filter(|(_, bytes)| *bytes > limit).collect()
}
