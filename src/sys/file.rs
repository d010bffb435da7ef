//! Temporary files and memory without a name, which vanish with their descriptor whatever happens to the process; and
//! writing to logs.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::MsgFlags;
use nix::sys::stat::{SFlag, fstat};

/// Opens an unlinked temporary file in `directory`, or in the system's own place for such files when it is `None`.
pub fn unnamed(directory: Option<&Path>) -> io::Result<File> {
    match directory {
        Some(directory) => tempfile::tempfile_in(directory),
        None => tempfile::tempfile(),
    }
}

/// Memory of `size` bytes, zero at first, that is reached by a descriptor; `name` is for tools that list it.
pub fn anonymous(name: &str, size: u64) -> io::Result<OwnedFd> {
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    {
        let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
        let memory = File::from(nix::sys::memfd::memfd_create(name, flags)?);
        memory.set_len(size)?;
        Ok(memory.into())
    }
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    {
        let _ = (name, size);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A descriptor that Python gave us by its number.
///
/// Errors: `EBADF` if it is not open.
pub fn borrow<'a>(fd: i32) -> io::Result<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number is not -1. That it stays open is up to the Python object it came from, which the caller
    // keeps; a descriptor closed behind its back gives EBADF or another file, but breaks no memory.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD)?;
    Ok(fd)
}

/// What kind of file a log is written to: it decides what "written whole" takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A file, a device: takes everything, or fails.
    Plain,
    /// Takes up to [`PIPE_WHOLE`] bytes whole, or none while it is full.
    Pipe,
    /// A stream socket, as systemd gives.
    Socket,
}

/// Bytes that a pipe takes whole, whoever else writes to it (PIPE_BUF).
pub const PIPE_WHOLE: usize = 4096;

/// A descriptor for writing to the same file as `fd`, and what it is. A pipe is opened anew if that may be, so that
/// writing to it never waits; whoever shares `fd` notices nothing.
pub fn for_log(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Nature)> {
    let kind = SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT;
    let nature = match kind {
        SFlag::S_IFIFO => Nature::Pipe,
        SFlag::S_IFSOCK => Nature::Socket,
        _ => Nature::Plain,
    };
    if nature == Nature::Pipe {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        if let Ok(reopened) = nix::fcntl::open(path.as_str(), flags, nix::sys::stat::Mode::empty()) {
            return Ok((reopened, nature));
        }
    }
    Ok((fd.try_clone_to_owned()?, nature))
}

/// Writes some of `bytes` without waiting. `WouldBlock`: nothing can be written for now.
pub fn write_some(fd: BorrowedFd<'_>, nature: Nature, bytes: &[u8]) -> io::Result<usize> {
    let attempt = || match nature {
        Nature::Plain => nix::unistd::write(fd, bytes),
        Nature::Socket => {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            nix::sys::socket::send(fd.as_raw_fd(), bytes, flags)
        }
        // A pipe that could not be opened anew would wait.
        Nature::Pipe if !wait_writable(fd, PollTimeout::ZERO)? => Err(Errno::EAGAIN),
        Nature::Pipe => nix::unistd::write(fd, bytes),
    };
    loop {
        match attempt() {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Waits until something can be written, or `milliseconds` have passed: then false. A signal ends the wait early.
pub fn wait_for_room(fd: BorrowedFd<'_>, milliseconds: u16) -> io::Result<bool> {
    match wait_writable(fd, PollTimeout::from(milliseconds)) {
        Err(Errno::EINTR) => Ok(false),
        result => Ok(result?),
    }
}

fn wait_writable(fd: BorrowedFd<'_>, timeout: PollTimeout) -> nix::Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    // An error or a hang-up is for the write to tell.
    nix::poll::poll(&mut fds, timeout).map(|ready| ready > 0)
}
