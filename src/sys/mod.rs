//! System calls. With `wsgi/ffi.rs` the only place of `unsafe`: everything here takes borrowed descriptors and slices,
//! goes round on EINTR, and gives `io::Result`.

pub mod account;
pub mod alarm;
pub mod clock;
pub mod epoll;
pub mod exec;
pub mod file;
pub mod fork;
pub mod memory;
pub mod mmap;
pub mod pipe;
pub mod random;
pub mod rights;
pub mod signals;
pub mod socket;
pub mod watch;

use std::io;

/// Runs a system call again while it is interrupted by signals; -1 becomes the error that `errno` tells.
fn retry(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        let result = call();
        if result >= 0 {
            return Ok(result as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
