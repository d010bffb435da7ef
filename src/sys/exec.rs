//! Descriptors that a program hands to the one that takes its place, or that it starts beside itself.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// From now on the descriptor stays open when a program is executed.
pub fn pass_on(fd: impl AsFd) -> io::Result<()> {
    set_flags(fd, FdFlag::empty())
}

/// From now on the descriptor is closed when a program is executed.
pub fn keep(fd: impl AsFd) -> io::Result<()> {
    set_flags(fd, FdFlag::FD_CLOEXEC)
}

/// Takes over a descriptor that this program was executed with, by its number, which nobody else may use from then on. It
/// is closed when a program is executed. Fails with `EBADF` if it is not open.
pub fn inherit(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: F_GETFD has no preconditions; what is not open is an error.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the program that executed this one has left it to whoever calls here.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    keep(&fd)?;
    Ok(fd)
}

fn set_flags(fd: impl AsFd, flags: FdFlag) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}
