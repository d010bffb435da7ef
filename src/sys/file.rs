//! Temporary files without a name: they vanish with their descriptor, whatever happens to the process.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Opens an unlinked temporary file in `directory`, or in the system's own place for such files when it is `None`.
pub fn unnamed(directory: Option<&Path>) -> io::Result<File> {
    match directory {
        Some(directory) => tempfile::tempfile_in(directory),
        None => tempfile::tempfile(),
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

/// Writes all of `bytes`, in one call where the system takes them whole.
pub fn write_whole(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
