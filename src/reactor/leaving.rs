//! How a worker leaves: it lets in who waits outside and would be let in by nobody else, and then nobody. Its connections
//! go to other workers; where nobody takes them they end, when they have had the time for one more request.

use std::io;

use crate::net::{Listener, Passed};
use crate::reactor::accept::Accepting;
use crate::reactor::connection::{Connection, Phase};
use crate::reactor::deadlines::Wait;
use crate::reactor::handoff::Offer;
use crate::reactor::reactor::{Reactor, Slot};
use crate::sys::clock;

/// Connections that wait to be accepted at most: no kernel keeps more unless it is told to.
const BACKLOG: usize = 4096;

/// How long connections come that only the leaving worker can take, in nanoseconds. The kernel keeps those to itself whose
/// clients have said nothing yet, for a second.
const LAST_CALL: u64 = 1_200_000_000;

/// How often it looks for them, in nanoseconds.
const CALL_TICK: u64 = 20_000_000;

/// What a leaving worker still does.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Listeners at which nobody else would accept what waits there, with their numbers.
    doors: Vec<(usize, Listener)>,
    /// When they are closed at the latest, in nanoseconds.
    until: u64,
    /// Nobody takes connections: they have been given the time for one more request.
    farewell: bool,
}

impl Reactor {
    /// Takes no new connections from now on but those that nobody else would take. The kept ones go to other workers, or else
    /// end: those that were quiet for a while at once, the others when they have had the time for one more request.
    pub fn drain(&mut self) {
        if self.is_draining() {
            return;
        }
        self.pause(Accepting::Stopped);
        let others = self.common.has_takers();
        let doors = std::mem::take(&mut self.listeners).into_iter().enumerate();
        self.leaving.doors = doors.filter(|(_, listener)| !others || listener.is_own()).collect();
        let own = self.leaving.doors.iter().filter(|(_, listener)| listener.is_own());
        own.for_each(|(_, listener)| listener.expect_stop());
        self.leaving.until = clock::monotonic() + LAST_CALL;
        self.pass_on();
    }

    /// The worker leaves: passes on what waits for a request, as far as there is room. If nobody takes any more, what is
    /// here has the time for one more request, and so has what others have passed on and nobody would take.
    pub(super) fn pass_on(&mut self) {
        self.offers.again = None;
        if !self.is_draining() {
            // A thread that is in the application does not know yet.
            if self.common.is_leaving() && self.common.has_takers() {
                self.drain();
            }
            return;
        }
        self.common.slot.takes_no_more();
        self.let_in();
        if self.common.has_takers() {
            if std::mem::take(&mut self.leaving.farewell) {
                self.forget_offers();
            }
            self.pass_all();
        } else {
            if !std::mem::replace(&mut self.leaving.farewell, true) {
                self.bid_farewell();
                // Without it what waits is seen in the next turn.
                let _ = self.watch_offers();
            }
            self.take_the_rest();
        }
        self.close_doors();
    }

    /// The worker ends, whatever it had still to do: others may have what waits for a request.
    pub fn leave_to_others(&mut self) {
        if self.common.has_takers() {
            self.drain();
            self.pass_on();
        }
    }

    /// The worker leaves: whether nothing is left to be done.
    pub(super) fn is_deserted(&mut self) -> bool {
        self.pass_on();
        self.slots.is_empty() && self.leaving.doors.is_empty()
    }

    /// Whether requests run.
    pub fn is_serving(&self) -> bool {
        self.watch.is_busy()
    }

    /// Whether bodies of requests or responses are on their way.
    pub fn is_transferring(&self) -> bool {
        let moves = |connection: &Connection| matches!(connection.phase, Phase::Flushing(_) | Phase::Body(_));
        self.slots.iter().any(|(_, slot)| matches!(slot, Slot::Here(connection) if moves(connection)))
    }

    /// Closes what is open.
    pub(super) fn stop_leaving(&mut self) {
        self.leaving.doors.clear();
    }

    fn let_in(&mut self) {
        let doors = std::mem::take(&mut self.leaving.doors);
        for (index, listener) in &doors {
            for _ in 0..BACKLOG {
                match listener.accept() {
                    Ok((stream, peer)) => {
                        let connection = Box::new(Connection::new(stream, peer, *index));
                        let key = self.slots.insert(Slot::Here(connection));
                        self.queue(key);
                    }
                    Err(error) if matches!(error.raw_os_error(), Some(libc::ECONNABORTED | libc::EPROTO)) => {
                    }
                    Err(_) => break,
                }
            }
        }
        self.leaving.doors = doors;
    }

    /// Closes the doors when it is time, or when nobody is left to wait for.
    fn close_doors(&mut self) {
        if self.leaving.doors.is_empty() {
            return;
        }
        let now = clock::monotonic();
        let idle = self.slots.is_empty() && !self.common.has_takers();
        if !idle && now < self.leaving.until {
            let tick = now + CALL_TICK;
            self.offers.again = Some(self.offers.again.map_or(tick, |again| again.min(tick)));
            return;
        }
        // Moments count: the kernel resets who has come since.
        self.let_in();
        for (_, listener) in self.leaving.doors.drain(..).filter(|(_, listener)| listener.is_own()) {
            listener.stop();
        }
    }

    fn bid_farewell(&mut self) {
        while let Some(key) = self.deadlines.oldest(Wait::Idle) {
            let since = self.deadlines.since(key).unwrap_or_default();
            self.deadlines.set(key, Wait::Farewell, since);
        }
        let silent = |connection: &Connection| connection.is_idle() && !connection.queued;
        for key in self.which(silent) {
            self.deadlines.start(key, Wait::Farewell, self.now);
        }
    }

    fn pass_all(&mut self) {
        for key in self.which(Connection::is_portable) {
            if self.offer(key) == Passed::Full {
                return self.offers.postpone(self.now);
            }
            self.offers.flow();
        }
    }

    /// Connections that are here and of which that is true.
    fn which(&self, fits: impl Fn(&Connection) -> bool) -> Vec<usize> {
        let fits = |slot: &Slot| matches!(slot, Slot::Here(connection) if fits(connection));
        self.slots.iter().filter(|(_, slot)| fits(slot)).map(|(key, _)| key).collect()
    }

    /// Takes what others have passed on to workers that are leaving too.
    fn take_the_rest(&mut self) {
        if self.common.slot.handoff().is_none() {
            return;
        }
        loop {
            match self.receive_offer() {
                Ok(Some(Offer::Waiting(key, _))) => self.queue(key),
                Ok(Some(Offer::Whole(exchange))) => self.ready.push_back(exchange),
                Ok(Some(Offer::Call) | None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // No descriptors: it would be told of all the time.
                    self.forget_offers();
                    self.leaving.farewell = false;
                    return self.offers.postpone(self.now);
                }
            }
        }
    }

    /// The connection waits for a request: if the worker leaves, somebody else may have it.
    pub(super) fn offer_if_leaving(&mut self, key: usize) {
        if self.is_draining() && self.common.has_takers() && self.offer(key) == Passed::Full {
            self.offers.postpone(self.now);
        }
    }
}
