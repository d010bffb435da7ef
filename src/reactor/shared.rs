//! The reactor as the threads of a worker share it. Its state is in a lock that is held for moments; waiting for events
//! happens outside of that, by one thread at a time. So a thread that comes from the application can give its exchange
//! back and take the next one while another waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::{Events, Poll, Registry, Waker};

use crate::net::Listener;
use crate::proto::http1::Refusal;
use crate::reactor::connection::End;
use crate::reactor::exchange::Exchange;
use crate::reactor::notice::{Notice, Rest};
use crate::reactor::reactor::{Reactor, WAKE};
use crate::reactor::settings::ReactorSettings;

/// Events fetched by one wait.
const EVENTS: usize = 256;

/// Every socket of a worker, for any thread of it.
///
/// Who holds the [`SharedReactor::lock`] must neither wait nor call Python.
pub struct SharedReactor {
    state: Mutex<Reactor>,
    /// Held by whoever waits. Taken before the state's lock, never while that is held.
    poller: Mutex<Poller>,
    /// For the threads that wait to be called, together with the state's lock.
    pub(super) calls: Condvar,
    registry: Registry,
    waker: Waker,
}

struct Poller {
    poll: Poll,
    events: Events,
}

impl Poller {
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Rest> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(Rest::Interrupted)
            }
            other => other.map(|()| Rest::Undisturbed),
        }
    }
}

impl SharedReactor {
    /// A reactor on `listeners`. Once `leaving` is true, responses end their connections. Errors: those of making an
    /// epoll instance.
    pub fn new(
        settings: ReactorSettings,
        listeners: Vec<Listener>,
        leaving: Arc<AtomicBool>,
    ) -> io::Result<Arc<Self>> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, WAKE)?;
        let state = Reactor::new(registry.try_clone()?, settings, listeners, leaving)?;
        Ok(Arc::new(Self {
            state: Mutex::new(state),
            poller: Mutex::new(Poller { poll, events: Events::with_capacity(EVENTS) }),
            calls: Condvar::new(),
            registry,
            waker,
        }))
    }

    /// The state, for a moment. The lock may be taken by a thread that is attached to an interpreter.
    pub fn lock(&self) -> MutexGuard<'_, Reactor> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to happen, until the next deadline or for at most `most`; then sends what can be sent.
    /// Everything that became readable is then to be had from [`SharedReactor::next_exchange`]. Blocks, also while
    /// another thread waits: the caller must have let go of the interpreter.
    pub fn poll(&self, most: Option<Duration>) -> io::Result<Rest> {
        let mut poller = self.poller.lock().unwrap_or_else(PoisonError::into_inner);
        let timeout = self.lock().begin_wait(most);
        let rest = poller.wait(timeout);
        let mut state = self.lock();
        state.watch.end();
        let rest = rest?;
        state.take_in(&poller.events);
        Ok(rest)
    }

    /// The next complete request. `None` when [`SharedReactor::poll`] must be called again.
    pub fn next_exchange(&self) -> Option<Exchange> {
        let mut state = self.lock();
        let exchange = state.next_exchange();
        if exchange.is_some() {
            self.leave_behind(state);
        }
        exchange
    }

    /// This thread is busy for now: whoever waits must know what there is to do.
    fn leave_behind(&self, mut state: MutexGuard<'_, Reactor>) {
        let wakes = state.must_wake();
        let calls = state.watch.is_slow() && state.watch.call();
        drop(state);
        if wakes {
            self.wake();
        }
        if calls {
            self.calls.notify_one();
        }
    }

    /// Takes a served request back.
    pub fn finish(&self, mut exchange: Exchange, end: End) {
        // Outside of the lock, because it may set free what belongs to Python.
        let end = if exchange.reclaim().is_err() { End::Cut } else { end };
        let mut state = self.lock();
        state.finish(exchange, end);
        self.settle(state);
    }

    /// Takes a request back that the application did not answer: the client gets the server's page. Nothing of a
    /// response may have been sent. The caller logs it.
    pub fn finish_refused(&self, mut exchange: Exchange, refusal: &Refusal) {
        match exchange.reclaim() {
            Ok(()) => {
                let mut state = self.lock();
                state.finish_refused(exchange, refusal);
                self.settle(state);
            }
            Err(_) => self.finish(exchange, End::Cut),
        }
    }

    /// A thread stays busy though its exchange is taken back by another, until [`SharedReactor::come_free`].
    pub fn stay_busy(&self) {
        self.lock().watch.take();
    }

    /// Such a thread is free again, after so many nanoseconds.
    pub fn come_free(&self, took: u64) {
        self.lock().watch.give_back(took);
    }

    /// Whoever waits may have to know of a deadline, or of something that can be done at once.
    fn settle(&self, mut state: MutexGuard<'_, Reactor>) {
        let wakes = state.must_wake();
        drop(state);
        if wakes {
            self.wake();
        }
    }

    /// What happened that a log may want to know, since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.lock().take_notices()
    }

    /// Makes whoever waits for events return, or the next one who would.
    pub fn wake(&self) {
        // It fails only where the event is there already.
        let _ = self.waker.wake();
    }
}

/// The epoll instance: readable when [`SharedReactor::poll`] would find something. For loops of others to watch.
impl AsFd for SharedReactor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registry.as_fd()
    }
}
