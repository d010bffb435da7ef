//! Errors of the system as Python's `OSError`, with the `errno` from which Python chooses the subclass.

use std::io;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

/// The exception for `error`.
pub fn os_error(error: &io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(errno) => PyOSError::new_err((errno, nix::errno::Errno::from_raw(errno).desc())),
        None if error.kind() == io::ErrorKind::TimedOut => {
            os_error(&io::Error::from_raw_os_error(libc::ETIMEDOUT))
        }
        None => PyOSError::new_err(error.to_string()),
    }
}
