//! A `wsgi.file_wrapper` around a real file: sent from where it stands to its end, without reading it.

use std::fs::File;
use std::os::fd::BorrowedFd;

use pyo3::intern;
use pyo3::prelude::*;

/// A file of the application as the server can send it.
pub struct Sendable<'py> {
    filelike: Bound<'py, PyAny>,
    fd: i32,
    /// Where the application left it, in bytes.
    pub offset: u64,
    /// Bytes from there to its end.
    pub left: u64,
}

impl<'py> Sendable<'py> {
    /// `None` where the object is not a regular file with a descriptor: then it must be read.
    pub fn new(filelike: &Bound<'py, PyAny>) -> Option<Self> {
        let py = filelike.py();
        let fd: i32 = filelike.call_method0(intern!(py, "fileno")).ok()?.extract().ok()?;
        let offset: u64 = filelike.call_method0(intern!(py, "tell")).ok()?.extract().ok()?;
        let status = nix::sys::stat::fstat(crate::sys::file::borrow(fd).ok()?).ok()?;
        let regular = status.st_mode & libc::S_IFMT == libc::S_IFREG;
        let left = u64::try_from(status.st_size).ok()?.saturating_sub(offset);
        regular.then(|| Self { filelike: filelike.clone(), fd, offset, left })
    }

    /// A handle of its own: the application closes the file when its iterable is closed, which may be long before
    /// the client has taken it all.
    pub fn open(&self) -> std::io::Result<File> {
        debug_assert!(!self.filelike.is_none());
        let fd: BorrowedFd<'_> = crate::sys::file::borrow(self.fd)?;
        Ok(File::from(fd.try_clone_to_owned()?))
    }
}
