//! Pipes that are close-on-exec at both ends, and reading and writing them where nothing may block or fail
//! loudly.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
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
