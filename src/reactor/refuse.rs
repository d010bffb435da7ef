//! Requests that the server answers itself, and waits that it ends.

use crate::proto::http1::{Refusal, encode};
use crate::reactor::connection::{Connection, End, Phase};
use crate::reactor::deadlines::Wait;
use crate::reactor::exchange::Exchange;
use crate::reactor::finish::unfinished;
use crate::reactor::notice::{Delivery, Notice};
use crate::reactor::reactor::{Reactor, Slot};
use crate::reactor::request::Request;

impl Reactor {
    /// The client gets an error page, and the log a notice.
    pub(super) fn refuse(
        &mut self,
        key: usize,
        connection: Box<Connection>,
        refusal: Refusal,
        request: Option<Box<Request>>,
    ) {
        let peer = connection.peer;
        let is_head = request.as_ref().is_some_and(|request| request.is_head());
        self.send_page(key, connection, &refusal, is_head);
        self.notices.push(Notice::Refused { peer, refusal, request });
    }

    /// Takes a request back that the application did not answer, and sends the server's page.
    pub(super) fn finish_refused(&mut self, exchange: Exchange, refusal: &Refusal) {
        let (key, connection, request) = self.rejoin(exchange);
        let is_head = request.is_head();
        self.pool.give(request);
        self.send_page(key, connection, refusal, is_head);
    }

    /// Sends the server's own page, and nothing more on this connection. `is_head`: without its body.
    pub(super) fn send_page(
        &mut self,
        key: usize,
        mut connection: Box<Connection>,
        refusal: &Refusal,
        is_head: bool,
    ) {
        let mut response = Vec::new();
        let page = refusal.page();
        encode::error_response(&mut response, refusal.status(), refusal.reason(), &page, self.date.text());
        if is_head {
            response.truncate(response.len() - page.len());
        }
        connection.outbound.push(&response);
        connection.phase = Phase::Flushing(End::Close);
        self.deadlines.set(key, Wait::Send, self.now);
        self.put_back(key, connection);
        self.flush(key);
    }

    /// Ends the waits that were due by the time of which all has been told and read.
    pub(super) fn expire(&mut self) {
        while let Some((key, wait)) = self.deadlines.pop_due(self.told_until) {
            let Some(Slot::Here(connection)) = self.slots.get_mut(key) else { continue };
            let peer = connection.peer;
            match wait {
                Wait::Head if !connection.inbound.is_empty() => {
                    let Slot::Here(connection) = std::mem::replace(&mut self.slots[key], Slot::OUT) else {
                        continue;
                    };
                    self.refuse(key, connection, Refusal::Timeout, None);
                }
                Wait::Body | Wait::Send => {
                    let ticket = connection.ticket.take();
                    let request = unfinished(connection);
                    self.notices.push(Notice::Silent { peer, wait, request });
                    self.tell(ticket, Delivery::TimedOut);
                    self.remove(key);
                }
                Wait::Idle | Wait::First | Wait::Head | Wait::Linger | Wait::Farewell => self.remove(key),
            }
        }
    }
}
