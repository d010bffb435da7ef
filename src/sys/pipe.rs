//! Pipes that are close-on-exec at both ends, and reading and writing them where nothing may block or fail
//! loudly.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;

/// A pipe that blocks at neither end: (read end, write end).
pub fn nonblocking() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = unistd::pipe()?;
    for end in [&reader, &writer] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    Ok((reader, writer))
}

/// Puts one byte into a non-blocking pipe. A full pipe already wakes its reader and a pipe without a reader
/// has nobody to wake, so no failure matters.
pub fn poke(writer: impl AsFd) {
    while unistd::write(writer.as_fd(), &[0]) == Err(Errno::EINTR) {}
}

/// Takes everything that is in a non-blocking pipe and gives it to `each`, in order.
pub fn drain(reader: impl AsFd, mut each: impl FnMut(u8)) -> io::Result<()> {
    let mut buffer = [0; 256];
    loop {
        match unistd::read(reader.as_fd(), &mut buffer) {
            Ok(0) | Err(Errno::EAGAIN) => return Ok(()),
            Ok(count) => buffer[..count].iter().copied().for_each(&mut each),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until any of `descriptors` can be read or has ended: which ones, as bits by their place. Gives 0 after `timeout`
/// or when a signal has come.
pub fn wait_any(descriptors: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<u64> {
    let mut watched: Vec<_> = descriptors.iter().map(|&fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    let timeout = match timeout {
        // Rounded up: a wait that is too short would be repeated at once.
        Some(timeout) => {
            PollTimeout::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        }
        None => PollTimeout::NONE,
    };
    match poll(&mut watched, timeout) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(0),
        Err(error) => return Err(error.into()),
    }
    let readable = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
    Ok(watched
        .iter()
        .enumerate()
        .filter(|(_, fd)| readable(fd))
        .fold(0, |bits, (place, _)| bits | 1 << place))
}
