//! Connections that go from one worker of the service to another: those that a leaving worker cannot keep, and requests
//! that would wait for a thread here while another worker has one free. Taking them is like accepting, one more listener.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::Token;
use mio::unix::SourceFd;

use crate::net::{Moved, Passed, Past, Taken, accepted_by};
use crate::reactor::accept::Accepting;
use crate::reactor::connection::{Connection, Phase};
use crate::reactor::deadlines::Wait;
use crate::reactor::exchange::Exchange;
use crate::reactor::reactor::{Reactor, Slot, WATCHED};
use crate::reactor::whole::Arrival;
use crate::sys::epoll;
use crate::sys::socket::{self, Readiness};

/// The token of the socket from which connections are taken.
pub(super) const HANDOFF: Token = Token(WATCHED + 65);

/// Idle connections that are taken over before new ones get their turn.
const TAKEN_AT_ONCE: usize = 16;

/// How long a leaving worker waits for room before it looks again, in nanoseconds: at first, and at most.
const SHORT_PAUSE: u64 = 1_000_000;
const LONG_PAUSE: u64 = 32_000_000;

/// What is under way between this worker and the others.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Somebody may have put connections in.
    pub waiting: bool,
    /// How many may still be taken in this turn.
    pub budget: usize,
    /// Others were asked in this turn to look who waits.
    pub called: bool,
    /// New connections come first.
    last: bool,
    /// When those that a leaving worker could not pass on are offered again, in nanoseconds.
    pub again: Option<u64>,
    pause: u64,
}

impl Offers {
    pub fn begin_turn(&mut self) {
        self.budget = TAKEN_AT_ONCE;
        self.called = false;
    }

    /// The turn takes long.
    pub fn go_on(&mut self) {
        self.budget = self.budget.max(1);
    }

    /// Whether they come before new connections this time: both in turn.
    pub fn take_turn(&mut self) -> bool {
        self.last = !self.last;
        self.last
    }

    /// There is no room: ours are offered again after a while.
    pub fn postpone(&mut self, now: u64) {
        self.pause = (self.pause * 2).clamp(SHORT_PAUSE, LONG_PAUSE);
        self.again = Some(now + self.pause);
    }

    /// There is room.
    pub fn flow(&mut self) {
        self.pause = 0;
    }
}

/// What was taken.
pub(super) enum Offer {
    /// A connection that waits for a request: its key, and when what has come of it had come; 0 = that is not known.
    Waiting(usize, u64),
    /// One with a complete request.
    Whole(Exchange),
    /// None: somebody may wait at the listeners of whom this worker was not told.
    Call,
}

impl Exchange {
    /// It had come by then already; 0 = that is not known.
    fn since(self, came_at: u64) -> Self {
        if came_at == 0 { self } else { Self { came_at, ..self } }
    }
}

impl Connection {
    /// Whether another worker could go on with it: it waits for a request.
    pub(super) fn is_portable(&self) -> bool {
        matches!(self.phase, Phase::Head(_))
            && self.outbound.is_empty()
            && !self.stays
            && !self.stream.is_handed_over()
    }
}

impl Reactor {
    /// Watches for connections that others pass on. Errors: those of epoll.
    pub(super) fn watch_offers(&self) -> io::Result<()> {
        match self.common.slot.handoff() {
            Some(handoff) => epoll::watch_listener(&self.registry, handoff.receiver(), HANDOFF),
            None => Ok(()),
        }
    }

    pub(super) fn forget_offers(&mut self) {
        self.offers.waiting = false;
        if let Some(handoff) = self.common.slot.handoff() {
            // A failure would only mean more wake-ups.
            let _ = self.registry.deregister(&mut SourceFd(&handoff.receiver().as_raw_fd()));
        }
    }

    /// Takes connections over until one has a complete request.
    pub(super) fn take_over(&mut self) -> Option<Exchange> {
        let (mut found, mut called) = (None, false);
        while self.offers.waiting && self.offers.budget > 0 && self.accepting == Accepting::Yes {
            if !self.has_room() {
                self.pause(Accepting::Full);
                break;
            }
            self.offers.budget -= 1;
            match self.receive_offer() {
                Ok(Some(Offer::Waiting(key, came_at))) => {
                    found = self.read(key).map(|exchange| exchange.since(came_at));
                }
                Ok(Some(Offer::Whole(exchange))) => found = Some(exchange),
                // Nobody waits behind them.
                Ok(Some(Offer::Call)) => (called, self.offers.budget) = (true, self.offers.budget + 1),
                Ok(None) => {}
                Err(error) => self.taking_failed(error),
            }
            if found.is_some() {
                // The others may have a hand free for the next one.
                self.offers.budget = 0;
            }
        }
        if called && self.accepting == Accepting::Yes {
            self.look_outside();
        }
        found
    }

    fn taking_failed(&mut self, error: io::Error) {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => self.run_out(error),
            _ => self.offers.waiting = false,
        }
    }

    /// Takes one connection. `None`: it has ended, or nobody can tell what it is.
    pub(super) fn receive_offer(&mut self) -> io::Result<Option<Offer>> {
        let common = self.common.clone();
        let Some(handoff) = common.slot.handoff() else { return Err(io::ErrorKind::WouldBlock.into()) };
        match handoff.take()? {
            Taken::Connection(moved) => Ok(self.take_in_moved(moved)),
            Taken::Call => Ok(Some(Offer::Call)),
            Taken::Unknown => Ok(None),
        }
    }

    fn take_in_moved(&mut self, moved: Moved) -> Option<Offer> {
        let fd = moved.stream.as_fd();
        let (Ok(peer), Ok(listener)) = (socket::peer(fd), accepted_by(&self.addresses, fd)) else {
            return None;
        };
        let mut connection = Box::new(Connection::new(moved.stream, peer, listener));
        connection.requests = moved.past.requests;
        if !self.is_draining() {
            self.make_room();
        }
        let came_at = moved.past.came_at.min(self.now);
        if let Some(layout) = moved.whole {
            let arrival = Arrival { layout, file: moved.file, bytes: moved.bytes };
            let exchange = self.take_up(connection, arrival);
            return exchange.map(|exchange| Offer::Whole(exchange.since(came_at)));
        }
        connection.inbound = moved.bytes;
        let key = self.slots.insert(Slot::Here(connection));
        if moved.past.head_since > 0 {
            self.deadlines.set(key, Wait::Head, moved.past.head_since.min(self.now));
        }
        Some(Offer::Waiting(key, came_at))
    }

    /// Passes a connection on, if that is possible.
    pub(super) fn offer(&mut self, key: usize) -> Passed {
        let common = self.common.clone();
        let (Some(handoff), Some(Slot::Here(connection))) = (common.slot.handoff(), self.slots.get_mut(key))
        else {
            return Passed::Never;
        };
        if !connection.is_portable() {
            return Passed::Never;
        }
        let began = !connection.inbound.is_empty();
        let past = Past {
            requests: connection.requests,
            head_since: self.deadlines.since(key).filter(|_| began).unwrap_or(0),
            came_at: if began || connection.queued { self.polled_at } else { 0 },
        };
        let passed = handoff.pass(&connection.stream, past, &[&connection.inbound]);
        match passed {
            Passed::Yes => {
                if let Slot::Here(connection) = std::mem::replace(&mut self.slots[key], Slot::OUT) {
                    self.part_with(key, &connection);
                }
            }
            Passed::Never => {
                connection.stays = true;
                if connection.is_idle() && self.is_draining() {
                    self.deadlines.start(key, Wait::Farewell, self.now);
                }
            }
            Passed::Full => {}
        }
        passed
    }

    /// Another worker has the connection: it is forgotten here, and the socket left as it is.
    pub(super) fn part_with(&mut self, key: usize, connection: &Connection) {
        if connection.registered {
            // The kernel would go on telling of a socket that others hold.
            let fd = connection.stream.as_fd().as_raw_fd();
            let _ = self.registry.deregister(&mut SourceFd(&fd));
        }
        connection.stream.hand_over();
        self.common.slot.hand();
        self.remove(key);
    }

    /// Whether workers beside this one take connections.
    pub(super) fn has_others(&self) -> bool {
        let own = u64::from(!self.is_draining() && !self.common.is_leaving());
        self.common.slot.handoff().is_some_and(|handoff| handoff.takers() > own)
    }

    /// The kernel may have called this worker alone for somebody, and he is not let in for now: another looks, if there is
    /// one and somebody waits.
    pub(super) fn call_others(&self) {
        let Some(handoff) = self.common.slot.handoff().filter(|_| self.has_others()) else { return };
        let listeners = self.listeners.iter().map(|listener| listener.as_fd());
        let waits = |fd| socket::wait(fd, Readiness::Read, Some(Duration::ZERO)).unwrap_or(false);
        if listeners.chain([handoff.receiver()]).any(waits) {
            handoff.call();
        }
    }

    /// The same while every thread of this worker is in the application: once, as the wait that is over has brought no more.
    pub(super) fn call_others_once(&mut self) {
        if !std::mem::replace(&mut self.offers.called, true) {
            self.call_others();
        }
    }

    /// Passes on a connection that has something to read.
    pub(super) fn pass_readable(&mut self, key: usize) -> bool {
        self.offer(key) == Passed::Yes
    }
}
