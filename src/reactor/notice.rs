//! What happens in the loop and a log may want to know. The loop itself has no log.

use std::io;
use std::net::SocketAddr;

use crate::proto::http1::Refusal;
use crate::reactor::deadlines::Wait;
use crate::reactor::request::Request;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Something happened, or the time was up.
    Undisturbed,
    /// A signal handler ran in this thread.
    Interrupted,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Notice {
    /// A request got an error page from the server itself.
    Refused {
        /// Who sent it; `None` on a Unix socket.
        peer: Option<SocketAddr>,
        /// Why.
        refusal: Refusal,
        /// The request, if its head was complete.
        request: Option<Box<Request>>,
    },
    /// The peer closed the connection, or it failed.
    Closed(Option<SocketAddr>, Closed),
    /// The peer sent no more of a body, or took no more of a response, in time.
    Silent(Option<SocketAddr>, Wait),
    /// A large body could not be stored, so the application reads it from the socket.
    Unstored(io::Error),
    /// No connection can be accepted for a while: descriptors or memory have run out.
    Exhausted(io::Error),
}

/// Why a connection ends without an answer.
#[derive(Debug)]
pub enum Closed {
    /// The peer closed it between two requests.
    Idle,
    /// The peer closed it within a request.
    Premature,
    /// The socket failed.
    Failed(io::Error),
    /// The body could not be stored.
    Storage(io::Error),
}

impl Closed {
    /// What the failure of a read means. `between_requests`: nothing of a request had come.
    pub(super) fn of(error: io::Error, between_requests: bool) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if between_requests => Self::Idle,
            io::ErrorKind::UnexpectedEof => Self::Premature,
            _ => Self::Failed(error),
        }
    }
}
