//! What serves one request at a time: a thread has one for its life, a greenlet takes one for its request.

use super::access::Pen;
use crate::scoreboard::Lane;
use crate::wsgi::Bridge;

/// One request at a time goes through it. See [`super::Service::hand`].
pub struct Hand {
    pub(super) bridge: Bridge,
    /// Where the request stands on the scoreboard; `None`: so many run at once that there is no place for it.
    pub(super) lane: Option<Lane>,
    /// Formats lines of the access log, unless the logger does.
    pub(super) pen: Option<Pen>,
}
