//! What follows a response: the rest of it is sent, then the connection waits for its next request or ends.

use crate::proto::http1::Scan;
use crate::reactor::connection::{Connection, End, Phase, Progress};
use crate::reactor::deadlines::Wait;
use crate::reactor::exchange::Exchange;
use crate::reactor::notice::{Closed, Delivery, Notice};
use crate::reactor::outbound::Flushed;
use crate::reactor::reactor::{Reactor, Slot};
use crate::reactor::request::Request;
use crate::sys::clock;

/// Bytes sent on one connection before the others get their turn.
pub(super) const FLUSH_TURN: usize = 1 << 20;

impl Reactor {
    /// Takes a served request back, and with it what was left to the understudy.
    pub(super) fn finish(&mut self, exchange: Exchange, end: End) {
        let (key, mut connection, request) = self.rejoin(exchange);
        // A request whose body was not read to its end leaves bytes of it on the connection.
        let end = if request.decoder.is_some() && end == End::Keep { End::Close } else { end };
        let lingers = request.decoder.is_some();
        self.pool.give(request);
        match end {
            End::Cut => {
                self.tell(connection.ticket, Delivery::Broken);
                self.bury(&mut connection);
                self.remove(key);
            }
            _ if !connection.outbound.is_empty() => {
                connection.phase = Phase::Flushing(end);
                self.deadlines.set(key, Wait::Send, self.now);
                self.put_back(key, connection);
                self.flush(key);
            }
            _ => {
                self.tell(connection.ticket.take(), Delivery::Whole);
                match end {
                    End::Keep => self.await_next(key, connection),
                    _ => self.close(key, connection, lingers),
                }
            }
        }
    }

    /// Takes an exchange apart. The connection learns what its socket has told meanwhile.
    pub(super) fn rejoin(&mut self, exchange: Exchange) -> (usize, Box<Connection>, Box<Request>) {
        let Exchange { key, mut connection, request, taken_at, .. } = exchange;
        self.now = clock::monotonic();
        self.watch.give_back(self.now.saturating_sub(taken_at));
        if let Some(Slot::Out { readable, hangup }) = self.slots.get(key) {
            connection.readable |= readable;
            connection.hangup |= hangup;
        }
        (key, connection, request)
    }

    /// Tells what became of a response that somebody follows.
    pub(super) fn tell(&mut self, ticket: Option<u64>, delivery: Delivery) {
        if let Some(ticket) = ticket {
            let at = clock::monotonic();
            self.notices.push(Notice::Sent { ticket, delivery, at });
        }
    }

    /// The worker leaves: what it will not answer any more.
    pub fn abandon(&mut self) -> Vec<Notice> {
        let ahead = self.ready.drain(..);
        let mut notices: Vec<_> = ahead
            .map(|exchange| Notice::Abandoned { peer: exchange.peer(), request: exchange.request })
            .collect();
        let mut ended = Vec::new();
        for (key, slot) in &mut self.slots {
            let Slot::Here(connection) = slot else { continue };
            if let Some(request) = unfinished(connection) {
                notices.push(Notice::Abandoned { peer: connection.peer, request });
                ended.push(key);
            }
        }
        // A thread that is still in the application keeps the understudy reading.
        ended.into_iter().for_each(|key| self.remove(key));
        notices
    }

    /// The worker has left: what is still open is closed.
    pub fn shut(&mut self) {
        self.drain();
        self.stop_leaving();
        let here = |slot: &Slot| matches!(slot, Slot::Here(_));
        let open: Vec<_> = self.slots.iter().filter(|(_, slot)| here(slot)).map(|(key, _)| key).collect();
        open.into_iter().for_each(|key| self.remove(key));
    }

    /// The connection is free for its next request, which may have come already.
    fn await_next(&mut self, key: usize, mut connection: Box<Connection>) {
        connection.phase = Phase::Head(Scan::default());
        if connection.inbound.is_empty() && !connection.readable {
            return self.park(key, connection, Wait::Idle, Progress::None);
        }
        self.put_back(key, connection);
        self.queue(key);
        self.offer_if_leaving(key);
    }

    /// Everything is sent: the connection ends. Where the peer may still be sending, closing at once could destroy
    /// the response before the peer has read it (RFC 9112, section 9.6).
    fn close(&mut self, key: usize, mut connection: Box<Connection>, lingers: bool) {
        let quiet = !lingers && connection.inbound.is_empty() && !connection.readable;
        if quiet || connection.stream.is_handed_over() {
            return self.remove(key);
        }
        connection.stream.shutdown_write();
        connection.inbound = Vec::new();
        connection.phase = Phase::Lingering;
        connection.readable = true;
        if self.register(key, &mut connection).is_err() {
            return self.remove(key);
        }
        self.deadlines.set(key, Wait::Linger, self.now);
        self.put_back(key, connection);
        self.queue(key);
    }

    /// Sends what the kernel takes, and goes on to what follows when nothing is left.
    pub(super) fn flush(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let Slot::Here(connection) = slot else { return };
        let Connection { outbound, stream, phase, .. } = &mut **connection;
        let Phase::Flushing(end) = *phase else {
            // It is told to go on with its request. If that fails, so does the next read.
            let _ = outbound.flush(stream, FLUSH_TURN);
            return;
        };
        let flushed = outbound.flush_and_keep(stream, FLUSH_TURN);
        outbound.release_into(&mut self.spent);
        match flushed {
            Ok(Flushed::All) => self.flushed(key, end),
            Ok(Flushed::More) => {
                self.deadlines.set(key, Wait::Send, self.now);
                self.resume.push(key);
            }
            Ok(Flushed::Blocked { progress }) => self.blocked(key, progress),
            Err(error) => {
                let (peer, why) = (connection.peer, Closed::Failed(error));
                let ticket = connection.ticket.take();
                self.notices.push(Notice::Closed { peer, why, request: None });
                self.tell(ticket, Delivery::Broken);
                self.remove(key);
            }
        }
    }

    fn blocked(&mut self, key: usize, progress: bool) {
        let Slot::Here(mut connection) = std::mem::replace(&mut self.slots[key], Slot::OUT) else { return };
        if self.register(key, &mut connection).is_err() {
            self.tell(connection.ticket, Delivery::Broken);
            self.bury(&mut connection);
            return self.remove(key);
        }
        self.put_back(key, connection);
        if progress {
            self.deadlines.set(key, Wait::Send, self.now);
        }
    }

    fn flushed(&mut self, key: usize, end: End) {
        let Slot::Here(mut connection) = std::mem::replace(&mut self.slots[key], Slot::OUT) else { return };
        self.deadlines.clear(key);
        self.tell(connection.ticket.take(), Delivery::Whole);
        match end {
            End::Keep => self.await_next(key, connection),
            // What is closed late was sent slowly: the peer may have sent more meanwhile.
            End::Close | End::Cut => self.close(key, connection, true),
        }
    }
}

/// Takes out the request whose body is still coming. The connection must end then.
pub(super) fn unfinished(connection: &mut Connection) -> Option<Box<Request>> {
    match &mut connection.phase {
        Phase::Body(request) => Some(std::mem::take(request)),
        _ => None,
    }
}
