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
    Closed {
        /// The peer; `None` on a Unix socket.
        peer: Option<SocketAddr>,
        /// Why it ends.
        why: Closed,
        /// The request whose body was still coming.
        request: Option<Box<Request>>,
    },
    /// The peer sent no more of a body, or took no more of a response, in time.
    Silent {
        /// The peer; `None` on a Unix socket.
        peer: Option<SocketAddr>,
        /// What was waited for.
        wait: Wait,
        /// The request whose body was still coming.
        request: Option<Box<Request>>,
    },
    /// The worker leaves, and this request will not be served: its body was still coming.
    Abandoned {
        /// Who sent it; `None` on a Unix socket.
        peer: Option<SocketAddr>,
        /// As much of it as has come.
        request: Box<Request>,
    },
    /// The response that has this ticket has been sent, or never will be: see [`crate::reactor::Exchange::follow`].
    Sent {
        /// The ticket.
        ticket: u64,
        /// What became of it.
        delivery: Delivery,
        /// When, by the monotonic clock in nanoseconds.
        at: u64,
    },
    /// A large body could not be stored, so the application reads it from the socket.
    Unstored(io::Error),
    /// No connection can be accepted for a while: descriptors or memory have run out.
    Exhausted(io::Error),
}

/// What became of a response after its request was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The kernel has all of it.
    Whole,
    /// The connection failed before its end.
    Broken,
    /// The peer took no more of it in time.
    TimedOut,
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
