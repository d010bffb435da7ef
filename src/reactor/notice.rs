//! What happens in the loop and a log may want to know. The loop itself has no log.

use std::io;
use std::net::SocketAddr;

use crate::proto::http1::Refusal;
use crate::reactor::connection::Closed;
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
    /// No connection can be accepted for a while: descriptors or memory have run out.
    Exhausted(io::Error),
}
