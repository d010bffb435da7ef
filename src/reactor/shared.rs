//! The reactor as the threads of a worker share it. Its state is in a lock that is held for moments; waiting for events
//! happens outside of that, by one thread at a time. So a thread that comes from the application can give its exchange
//! back and take the next one while another waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use mio::{Events, Poll, Registry, Waker};

use crate::net::Listener;
use crate::proto::http1::Refusal;
use crate::reactor::connection::End;
use crate::reactor::exchange::{Common, Exchange};
use crate::reactor::notice::{Notice, Rest};
use crate::reactor::reactor::{Reactor, WAKE};
use crate::reactor::settings::ReactorSettings;
use crate::reactor::understudy::Tick;
use crate::scoreboard::Slot;

/// Events fetched by one wait.
const EVENTS: usize = 256;

/// Every socket of a worker, for any thread of it.
///
/// Who holds the [`SharedReactor::lock`] must neither wait nor call Python.
pub struct SharedReactor {
    state: Mutex<Reactor>,
    /// Held by whoever waits. Taken before the state's lock, never while that is held.
    poller: Mutex<Poller>,
    /// Threads that would like to wait, while the understudy does.
    wanted: AtomicUsize,
    common: Arc<Common>,
    /// For the threads that wait to be called, together with the state's lock.
    pub(super) calls: Condvar,
    registry: Registry,
    waker: Waker,
}

pub(super) struct Poller {
    poll: Poll,
    pub(super) events: Events,
}

impl Poller {
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Rest> {
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
    /// A reactor on `listeners`, of the worker with that `slot`. Once `leaving` is true, responses end their connections
    /// unless another worker takes them. Errors: those of making an epoll instance.
    pub fn new(
        settings: ReactorSettings,
        listeners: Vec<Listener>,
        slot: Slot,
        leaving: Arc<AtomicBool>,
    ) -> io::Result<Arc<Self>> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, WAKE)?;
        let state = Reactor::new(registry.try_clone()?, settings, listeners, slot, leaving)?;
        let common = state.common.clone();
        let shared = Arc::new(Self {
            state: Mutex::new(state),
            poller: Mutex::new(Poller { poll, events: Events::with_capacity(EVENTS) }),
            calls: Condvar::new(),
            wanted: AtomicUsize::new(0),
            common,
            registry,
            waker,
        });
        shared.common.understudy.serve(Arc::downgrade(&shared));
        Ok(shared)
    }

    /// The state, for a moment. The lock may be taken by a thread that is attached to an interpreter.
    pub fn lock(&self) -> MutexGuard<'_, Reactor> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to happen, until the next deadline or for at most `most`; then sends what can be sent.
    /// Everything that became readable is then to be had from [`SharedReactor::next_exchange`]. Blocks, also while
    /// another thread waits: the caller must have let go of the interpreter.
    pub fn poll(&self, most: Option<Duration>) -> io::Result<Rest> {
        let mut poller = self.lead();
        let timeout = self.lock().begin_wait(most);
        let rest = poller.wait(timeout);
        let mut state = self.lock();
        state.watch.end();
        let rest = rest?;
        state.take_in(&poller.events);
        let (unsent, spent) = (state.take_unsent(), std::mem::take(&mut state.spent));
        drop(state);
        drop(spent);
        self.flush(unsent);
        Ok(rest)
    }

    /// The right to wait. The understudy gives it up at once.
    fn lead(&self) -> MutexGuard<'_, Poller> {
        self.try_lead().unwrap_or_else(|| {
            self.wanted.fetch_add(1, Ordering::SeqCst);
            self.wake();
            let poller = self.poller.lock().unwrap_or_else(PoisonError::into_inner);
            self.wanted.fetch_sub(1, Ordering::SeqCst);
            poller
        })
    }

    /// The right to wait, if nobody does.
    pub(super) fn try_lead(&self) -> Option<MutexGuard<'_, Poller>> {
        match self.poller.try_lock() {
            Ok(poller) => Some(poller),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether somebody would like to wait.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
    }

    /// Sends on these connections. Each is a turn of its own, so that nobody waits long for the state.
    pub(super) fn flush(&self, unsent: Vec<usize>) {
        for key in unsent {
            self.lock().flush(key);
        }
    }

    /// `tick` is called about once a second while exchanges are out, on a thread that is not Python's.
    pub fn on_tick(&self, tick: Tick) {
        self.common.understudy.on_tick(tick);
    }

    /// The loop of somebody else watches the descriptor and calls [`SharedReactor::poll`]: nobody stands in for it.
    pub fn be_hosted(&self) {
        self.lock().watch.hosted = true;
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
        let spent = std::mem::take(&mut state.spent);
        drop(state);
        if wakes {
            self.wake();
        }
        drop(spent);
    }

    /// The worker leaves: whether nobody is left here, nor where other workers that leave have put what they could not
    /// keep. Passes on what can be.
    pub fn is_deserted(&self) -> bool {
        let mut state = self.lock();
        let deserted = state.is_deserted();
        self.settle(state);
        deserted
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

impl Drop for SharedReactor {
    fn drop(&mut self) {
        self.common.understudy.end();
    }
}
