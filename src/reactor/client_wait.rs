//! What an exchange waits for before it can go on with its client. It stands apart from the exchange: whoever waits holds
//! the socket and nothing else, so the wait may be anybody's, a thread's or a host loop's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::net::Stream;
use crate::reactor::connection::Connection;
use crate::sys::socket::{self, Readiness};

/// A wait for the client of an exchange.
pub struct ClientWait {
    stream: Arc<Stream>,
    /// What the socket should become ready for.
    pub readiness: Readiness,
    /// How long that may take; `None` = for ever.
    pub patience: Option<Duration>,
}

impl ClientWait {
    /// `nanoseconds`: how long it may take; 0 = for ever.
    pub(super) fn new(stream: &Arc<Stream>, readiness: Readiness, nanoseconds: u64) -> Self {
        let patience = (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds));
        Self { stream: stream.clone(), readiness, patience }
    }

    /// Waits; `false` when the time was up first. Blocks: the caller must have let go of the interpreter.
    ///
    /// Errors: those of the socket; `Interrupted` when a signal has come.
    pub fn block(&self) -> io::Result<bool> {
        socket::wait(self.stream.as_fd(), self.readiness, self.patience)
    }
}

/// The client's socket, which stays open while somebody waits for it.
impl AsFd for ClientWait {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Where somebody still waits on the socket, closing it here would tell neither the peer nor him that it has ended.
impl Drop for Connection {
    fn drop(&mut self) {
        if Arc::strong_count(&self.stream) > 1 && !self.stream.is_handed_over() {
            self.stream.shutdown();
        }
    }
}
