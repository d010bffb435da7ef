//! What serves one request at a time: a thread has one for its life, a greenlet takes one for its request.

use std::sync::Arc;

use super::access::Pen;
use super::service::Desk;
use super::watch::Watch;
use crate::scoreboard::Lane;
use crate::wsgi::Bridge;

/// One request at a time goes through it. See [`super::service::Service::hand`].
pub struct Hand {
    pub(super) bridge: Bridge,
    /// Where the request stands on the scoreboard; `None`: so many run at once that there is no place for it.
    pub(super) lane: Option<Lane>,
    /// Formats lines of the access log, unless the logger does.
    pub(super) pen: Option<Pen>,
    /// Sees to it that the request ends in time, if it must.
    pub(super) watch: Option<Arc<Watch>>,
}

impl Hand {
    /// What the lines of its requests are made with.
    pub(super) fn desk(&mut self) -> Desk<'_> {
        Desk {
            objects: self.bridge.objects.as_ref(),
            responder: self.bridge.responder().get(),
            pen: self.pen.as_mut(),
            lane: self.lane.as_ref(),
        }
    }
}
