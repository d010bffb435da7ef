//! A client's connection as bytes in and out. What lies under it (plain TCP or Unix now, TLS later) stays here.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys::fork;
use crate::sys::socket;

/// One accepted connection; ended when dropped. No call of it blocks.
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
    /// Somebody else has a handle on the socket and goes on with it.
    handed_over: AtomicBool,
    /// It came from a worker whose application had forked.
    shared: AtomicBool,
}

/// A process that the application has forked may hold the socket open: without the shutdown the peer would not learn that
/// the connection has ended. In such a process, the connection is the parent's and must be left alone.
impl Drop for Stream {
    fn drop(&mut self) {
        if self.is_shared() && !self.is_handed_over() {
            self.shutdown();
        }
    }
}

impl Stream {
    /// Wraps an accepted socket.
    pub fn plain(fd: OwnedFd) -> Self {
        Self { fd, handed_over: AtomicBool::new(false), shared: AtomicBool::new(false) }
    }

    /// A process that an application has forked may hold the socket too.
    pub fn share(&self) {
        self.shared.store(true, Ordering::Relaxed);
    }

    /// Whether such a process may hold it.
    pub fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed) || fork::has_forked()
    }

    /// Somebody else goes on with the socket: dropping this leaves the connection as it is.
    pub fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Relaxed);
    }

    /// Whether somebody else may go on with the socket.
    pub fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Relaxed)
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

    /// Tells the peer that nothing more will come.
    pub fn shutdown_write(&self) {
        socket::shutdown_write(self.fd.as_fd());
    }

    /// Ends the connection, whoever else holds it, unless this is a process that the application has forked.
    pub fn shutdown(&self) {
        if !fork::is_forked_child() {
            socket::shutdown(self.fd.as_fd());
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
