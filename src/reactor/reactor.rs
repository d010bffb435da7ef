//! The state of the loop: takes events, accepts, hands out complete requests, sends what is left of responses, and ends
//! what takes too long. It knows nothing of Python and never waits: that is [`crate::reactor::SharedReactor`]'s part.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use slab::Slab;

use crate::net::{Address, Listener};
use crate::proto::http1::Refusal;
use crate::reactor::accept::Accepting;
use crate::reactor::connection::{Connection, Phase, Progress, Step};
use crate::reactor::date::DateCache;
use crate::reactor::deadlines::{Deadlines, Wait};
use crate::reactor::exchange::{Common, Exchange};
use crate::reactor::handoff::Offers;
use crate::reactor::leaving::Leaving;
use crate::reactor::notice::{Closed, Notice};
use crate::reactor::outbound::Payload;
use crate::reactor::request::{Pool, Request};
use crate::reactor::settings::ReactorSettings;
use crate::reactor::understudy::Understudy;
use crate::reactor::watch::Watch;
use crate::scoreboard;
use crate::sys::clock;

pub(super) enum Slot {
    Here(Box<Connection>),
    /// Somebody holds it, an [`Exchange`] usually. What its socket has told meanwhile.
    Out {
        /// There may be something to read.
        readable: bool,
        /// As in [`Connection::hangup`].
        hangup: bool,
    },
}

impl Slot {
    pub const OUT: Self = Self::Out { readable: false, hangup: false };
}

/// Tokens from here on are listeners, then the caller's own descriptors; below are connections.
pub(super) const LISTENERS: usize = usize::MAX - 1024;
pub(super) const WATCHED: usize = usize::MAX - 512;
/// The token of [`crate::reactor::SharedReactor::wake`].
pub(super) const WAKE: Token = Token(WATCHED + 64);

/// How long the peer may take to see the end of a refused request (RFC 9112, section 9.6), in nanoseconds.
const LINGER: u64 = 2_000_000_000;

/// How long after its last response a kept connection of a leaving worker may still send a request, in nanoseconds.
/// That one is answered with `Connection: close`. Gunicorn's threaded worker gives as much.
pub(super) const FAREWELL: u64 = 2_000_000_000;

/// Every socket of a worker, and what each waits for.
pub struct Reactor {
    pub(super) registry: Registry,
    pub(super) common: Arc<Common>,
    pub(super) listeners: Vec<Listener>,
    /// Where the listeners are, or were.
    pub(super) addresses: Vec<Address>,
    pub(super) slots: Slab<Slot>,
    pub(super) deadlines: Deadlines,
    pub(super) pool: Pool,
    pub(super) date: DateCache,
    /// Connections that may have something to read.
    pub(super) readable: VecDeque<usize>,
    /// Connections that had their turn and may have more to read: they come after the events of the next poll.
    pub(super) later: Vec<usize>,
    /// Connections whose turn of sending ended before the kernel was full.
    pub(super) resume: Vec<usize>,
    /// Listeners on which somebody waits, as bits.
    pub(super) acceptable: u64,
    /// Since when somebody may have waited there, in nanoseconds.
    pub(super) knocked_at: u64,
    /// Nobody would have let them in since then.
    pub(super) stood_in: bool,
    /// Whoever comes new is next: a wait has ended, or the last request came from a kept connection.
    pub(super) newcomers_next: bool,
    /// How many connections may still be accepted in this turn.
    pub(super) burst: usize,
    pub(super) accepting: Accepting,
    pub(super) offers: Offers,
    pub(super) leaving: Leaving,
    /// The caller's descriptors that became readable, as bits.
    pub(super) woken: u64,
    pub(super) watch: Watch,
    pub(super) notices: Vec<Notice>,
    /// Complete requests that were read while no thread was free.
    pub(super) ready: VecDeque<Exchange>,
    /// How many of them may be taken before others get their turn with the next wait.
    pub(super) ahead: usize,
    /// What was sent, or never will be: its owner is Python, so it is not dropped under a lock.
    pub(super) spent: Vec<Payload>,
    /// When the events of the last turn were fetched.
    pub(super) polled_at: u64,
    /// Whatever had come by then has been told of by events.
    pub(super) told_until: u64,
    /// The time, read after whatever may take long: a wait, or a request that was served.
    pub(super) now: u64,
}

impl Reactor {
    /// A reactor on `listeners`, whose sockets are watched through `registry`, of the worker with that `slot`. Once
    /// `leaving` is true, responses end their connections unless another worker takes them. Errors: those of watching
    /// the listeners.
    pub(super) fn new(
        registry: Registry,
        settings: ReactorSettings,
        listeners: Vec<Listener>,
        slot: scoreboard::Slot,
        leaving: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let lasts = |wait| match wait {
            Wait::Idle => settings.keepalive,
            Wait::First | Wait::Head => settings.header_timeout,
            Wait::Body => settings.body_timeout,
            Wait::Send => settings.send_timeout,
            Wait::Linger => LINGER,
            Wait::Farewell => FAREWELL,
        };
        let mut reactor = Self {
            registry,
            deadlines: Deadlines::new(lasts),
            common: Arc::new(Common { settings, understudy: Understudy::default(), leaving, slot }),
            addresses: listeners.iter().map(|listener| listener.address().clone()).collect(),
            listeners,
            slots: Slab::new(),
            pool: Pool::default(),
            date: DateCache::default(),
            readable: VecDeque::new(),
            later: Vec::new(),
            resume: Vec::new(),
            acceptable: 0,
            knocked_at: 0,
            stood_in: false,
            newcomers_next: false,
            burst: 0,
            accepting: Accepting::Stopped,
            offers: Offers::default(),
            leaving: Leaving::default(),
            woken: 0,
            watch: Watch::default(),
            notices: Vec::new(),
            ready: VecDeque::new(),
            ahead: 0,
            spent: Vec::new(),
            polled_at: clock::monotonic(),
            told_until: 0,
            now: clock::monotonic(),
        };
        reactor.accept_again()?;
        reactor.common.slot.takes();
        Ok(reactor)
    }

    /// Also waits for `fd` to become readable or to be closed; [`Reactor::take_woken`] tells. `which` is below 64.
    pub fn watch(&mut self, fd: BorrowedFd<'_>, which: usize) -> io::Result<()> {
        self.registry.register(&mut SourceFd(&fd.as_raw_fd()), Token(WATCHED + which), Interest::READABLE)
    }

    /// The watched descriptors that have woken the loop since the last call, as bits.
    pub fn take_woken(&mut self) -> u64 {
        std::mem::take(&mut self.woken)
    }

    /// What happened that a log may want to know.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Whether [`Reactor::take_notices`] would give any.
    pub fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    /// The monotonic clock in nanoseconds, as it was after the last wait or the last request.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// When the events of the last turn were fetched: whatever is read in this turn had come by then.
    pub fn polled_at(&self) -> u64 {
        self.polled_at
    }

    /// Whether the socket of an exchange has told that there is something to read.
    #[cfg(test)]
    pub(super) fn is_readable_out(&self, key: usize) -> bool {
        matches!(self.slots[key], Slot::Out { readable: true, .. })
    }

    /// Open connections, those of exchanges included.
    pub fn open_connections(&self) -> usize {
        self.slots.len()
    }

    /// The connection may have more to read, but the others come first.
    pub(super) fn queue(&mut self, key: usize) {
        if let Some(Slot::Here(connection)) = self.slots.get_mut(key)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.later.push(key);
        }
    }

    /// The next complete request, from the connections that became readable, then from newly accepted ones. `None`
    /// when there must be a new wait for events; everything that had come by then has been read, so the waits that were
    /// due are over.
    pub(super) fn next_exchange(&mut self) -> Option<Exchange> {
        let exchange = self.find_exchange();
        self.taken(exchange)
    }

    /// The next complete request, from connections that are there already.
    pub fn next_known(&mut self) -> Option<Exchange> {
        let exchange = self.read_next();
        self.taken(exchange)
    }

    fn taken(&mut self, exchange: Option<Exchange>) -> Option<Exchange> {
        // The quietest connection had something to read, perhaps, and that is over.
        if self.has_room() {
            self.room_again();
        }
        let Some(mut exchange) = exchange else {
            self.expire();
            return None;
        };
        exchange.taken_at = self.now;
        self.watch.take();
        if !self.watch.hosted {
            self.common.understudy.watch();
        }
        Some(exchange)
    }

    fn find_exchange(&mut self) -> Option<Exchange> {
        // A turn of the loop can be long: who comes new has a place after each of those who are here.
        let place = std::mem::take(&mut self.newcomers_next);
        if place {
            self.burst = self.burst.max(1);
            self.offers.go_on();
        }
        // And before the understudy may rest again for want of hands.
        if place || self.ahead > 0 {
            let newcomer = self.accept();
            if newcomer.is_some() {
                return newcomer;
            }
        }
        let ahead = self.ahead > 0;
        self.ahead = self.ahead.saturating_sub(1);
        let read = if ahead { self.ready.pop_front() } else { None };
        let kept = read.or_else(|| self.read_next());
        self.newcomers_next = kept.is_some();
        kept.or_else(|| self.accept())
    }

    fn read_next(&mut self) -> Option<Exchange> {
        while let Some(key) = self.readable.pop_front() {
            if let Some(exchange) = self.read(key) {
                return Some(exchange);
            }
        }
        None
    }

    pub(super) fn read(&mut self, key: usize) -> Option<Exchange> {
        // The key may be that of an earlier connection, and what the socket of one that is out has told must stay.
        let slot = self.slots.get_mut(key).filter(|slot| matches!(slot, Slot::Here(_)))?;
        let Slot::Here(mut connection) = std::mem::replace(slot, Slot::OUT) else { return None };
        connection.queued = false;
        match connection.advance(&mut self.pool, &self.common.settings) {
            Step::Ready(request) => return Some(self.hand_out(key, connection, request)),
            Step::Unstored(request, error) => {
                self.notices.push(Notice::Unstored(error));
                return Some(self.hand_out(key, connection, request));
            }
            Step::Wait(wait, progress) => self.park(key, connection, wait, progress),
            Step::Again => {
                if matches!(connection.phase, Phase::Body(_)) {
                    self.deadlines.set(key, Wait::Body, self.now);
                }
                self.put_back(key, connection);
                self.queue(key);
            }
            Step::Close(why, request) => {
                let (peer, stored) = (connection.peer, !matches!(why, Closed::Storage(_)));
                self.notices.push(Notice::Closed { peer, why, request });
                if stored {
                    self.remove(key);
                } else {
                    self.send_page(key, connection, &Refusal::Internal, false);
                }
            }
            Step::Refuse(refusal, request) => self.refuse(key, connection, refusal, request),
        }
        None
    }

    pub(super) fn hand_out(
        &mut self,
        key: usize,
        connection: Box<Connection>,
        request: Box<Request>,
    ) -> Exchange {
        self.deadlines.clear(key);
        let common = self.common.clone();
        let (came_at, taken_at) = (self.polled_at, self.now);
        Exchange {
            key,
            connection,
            request,
            common,
            came_at,
            taken_at,
            loan: None,
            lent: false,
            sent_at: 0,
            stays: false,
        }
    }

    /// The connection waits for its socket.
    pub(super) fn park(
        &mut self,
        key: usize,
        mut connection: Box<Connection>,
        wait: Wait,
        progress: Progress,
    ) {
        let lost = self.is_draining() && (connection.stays || !self.common.has_takers());
        let wait = if lost && connection.is_idle() { Wait::Farewell } else { wait };
        if self.register(key, &mut connection).is_err() {
            return self.remove(key);
        }
        match (wait, progress) {
            // A head must come as a whole in time; a body only must not stop coming.
            (Wait::Body, Progress::Some) => self.deadlines.set(key, wait, self.now),
            _ => self.deadlines.start(key, wait, self.now),
        }
        self.put_back(key, connection);
        if wait == Wait::Idle {
            // It can be done without, if somebody else wants to come.
            self.room_again();
        }
        self.offer_if_leaving(key);
    }

    pub(super) fn register(&mut self, key: usize, connection: &mut Connection) -> io::Result<()> {
        if !connection.registered {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let fd = connection.stream.as_fd().as_raw_fd();
            self.registry.register(&mut SourceFd(&fd), Token(key), interest)?;
            connection.registered = true;
        }
        Ok(())
    }

    pub(super) fn put_back(&mut self, key: usize, connection: Box<Connection>) {
        self.slots[key] = Slot::Here(connection);
    }

    /// Forgets a connection; its socket was closed when the caller dropped it.
    pub(super) fn remove(&mut self, key: usize) {
        self.deadlines.clear(key);
        if let Slot::Here(mut connection) = self.slots.remove(key) {
            self.bury(&mut connection);
        }
        self.room_again();
    }

    /// Drops a connection, but not what it would have sent.
    pub(super) fn bury(&mut self, connection: &mut Connection) {
        std::mem::take(&mut connection.outbound).give_up(&mut self.spent);
    }
}
