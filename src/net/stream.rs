//! A client's connection as bytes in and out. What lies under it (plain TCP or Unix now, TLS later) stays here.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::sys::fork;
use crate::sys::socket::{self, Readiness};

/// One accepted connection; closed when dropped. No call of it blocks, but for the two that wait.
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
}

impl Stream {
    /// Wraps an accepted socket.
    pub fn plain(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Appends at most `most` received bytes to `buffer`; 0 is the end of the stream.
    pub fn receive(&self, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        socket::receive(self.fd.as_fd(), buffer, most)
    }

    /// Sends what the kernel takes of `bytes` now.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        socket::send(self.fd.as_fd(), bytes)
    }

    /// Sends what the kernel takes of several slices now.
    pub fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        socket::send_vectored(self.fd.as_fd(), slices)
    }

    /// Sends what the kernel takes of `file` now, from `offset`, at most `count` bytes; 0 says that the file is shorter.
    pub fn send_file(&self, file: BorrowedFd<'_>, offset: u64, count: usize) -> io::Result<usize> {
        socket::send_file(self.fd.as_fd(), file, offset, count)
    }

    /// Waits until something can be read; `false` when `timeout` passed first.
    pub fn wait_readable(&self, timeout: Option<Duration>) -> io::Result<bool> {
        socket::wait(self.fd.as_fd(), Readiness::Read, timeout)
    }

    /// Waits until something can be sent; `false` when `timeout` passed first.
    pub fn wait_writable(&self, timeout: Option<Duration>) -> io::Result<bool> {
        socket::wait(self.fd.as_fd(), Readiness::Write, timeout)
    }

    /// To be called before the last use ends: lets the peer see the end although processes that the application has
    /// forked may hold copies of the socket for as long as they live.
    pub fn end(&self) {
        if fork::has_forked() {
            self.shutdown_write();
        }
    }

    /// Tells the peer that nothing more will come.
    pub fn shutdown_write(&self) {
        socket::shutdown_write(self.fd.as_fd());
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
