//! Watching a listener in mio's own epoll, but level-triggered and exclusively: one new connection wakes one worker.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use mio::{Registry, Token};

/// Adds `listener` to the epoll set behind `registry`: level-triggered, with EPOLLEXCLUSIVE, reported as `token`.
#[cfg(target_os = "linux")]
pub fn watch_listener(registry: &Registry, listener: BorrowedFd<'_>, token: Token) -> io::Result<()> {
    let mut event =
        libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLEXCLUSIVE) as u32, u64: token.0 as u64 };
    // SAFETY: both descriptors are open for the length of the call, and `event` is a valid epoll_event.
    let result = unsafe {
        libc::epoll_ctl(registry.as_raw_fd(), libc::EPOLL_CTL_ADD, listener.as_raw_fd(), &mut event)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Where there is no EPOLLEXCLUSIVE, mio's own registration: the driver accepts until nothing is left.
#[cfg(not(target_os = "linux"))]
pub fn watch_listener(registry: &Registry, listener: BorrowedFd<'_>, token: Token) -> io::Result<()> {
    registry.register(&mut mio::unix::SourceFd(&listener.as_raw_fd()), token, mio::Interest::READABLE)
}
