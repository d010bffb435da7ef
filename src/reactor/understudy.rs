//! A thread that does what cannot wait while the threads of the worker are inside the application. It never runs Python.
//!
//! It sends: PEP 3333 forbids to hold a block back while the application computes the next one; with this thread to fall
//! back on, blocks that follow each other within a moment may share a system call. And it stands in at the reactor when no
//! thread comes by: see [`crate::reactor::stand_in`].
//!
//! It looks every few milliseconds while requests are served and is parked otherwise, so that an idle worker makes no
//! system call and a short request pays for looking at a flag.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::net::Stream;
use crate::reactor::loan::{Loan, Look};
use crate::reactor::shared::SharedReactor;
use crate::reactor::stand_in::{Sight, StandIn};
use crate::sys::{clock, signals};

/// Between two looks while blocks flow.
const TICK: Duration = Duration::from_millis(2);
/// Between two looks while requests are served.
const SLOWER_TICK: Duration = Duration::from_millis(4);
/// Between two looks at clients that take nothing.
const SLOW_TICK: Duration = Duration::from_millis(20);
/// Looks in vain before it parks.
const PATIENCE: u32 = 8;
/// Between two calls of the driver's tick, in nanoseconds, and how long it sleeps at most while exchanges are out.
const SECOND: u64 = 1_000_000_000;

/// Called about once a second while exchanges are out.
pub type Tick = Box<dyn Fn() + Send>;

/// The worker's side of it. The thread starts when it is needed for the first time.
#[derive(Default)]
pub struct Understudy {
    shared: Arc<Shared>,
    thread: OnceLock<Option<Thread>>,
}

#[derive(Default)]
struct Shared {
    loans: Mutex<Vec<Weak<Loan>>>,
    reactor: OnceLock<Weak<SharedReactor>>,
    tick: Mutex<Option<Tick>>,
    /// How often something was lent.
    lends: AtomicU32,
    /// One of the constants below.
    sleep: AtomicU8,
}

/// It sleeps until it is needed: so it begins.
const PARKED: u8 = 0;
/// It waits for events, until it is woken by [`SharedReactor::wake`].
const LEADING: u8 = 1;
/// It looks again after a short sleep, from which a loan may wake it.
const DOZING: u8 = 2;
const AWAKE: u8 = 3;

/// How the worker was while the understudy slept for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slept {
    Idle,
    Busy,
}

impl Understudy {
    /// The reactor at which it is to stand in.
    pub fn serve(&self, reactor: Weak<SharedReactor>) {
        let _ = self.shared.reactor.set(reactor);
    }

    /// What it calls about once a second while exchanges are out, on its own thread.
    pub fn on_tick(&self, tick: Tick) {
        *self.shared.tick.lock().unwrap_or_else(PoisonError::into_inner) = Some(tick);
    }

    /// Whether there is a thread to send what waits; starts it if there is none yet.
    pub fn is_there(&self) -> bool {
        self.thread.get_or_init(|| start(self.shared.clone())).is_some()
    }

    /// A place for what is unsent on a connection. It is looked after for as long as the caller keeps it.
    pub fn open_loan(&self, stream: &Arc<Stream>) -> Arc<Loan> {
        let loan = Arc::new(Loan::new(stream));
        self.shared.loans().push(Arc::downgrade(&loan));
        loan
    }

    /// Something has been lent.
    pub fn lent(&self) {
        self.shared.lends.fetch_add(1, Ordering::SeqCst);
        self.rouse(DOZING);
    }

    /// A thread goes into the application. Cheap unless the understudy sleeps for good.
    pub fn watch(&self) {
        self.rouse(PARKED);
    }

    /// The reactor is gone, and with it the need.
    pub fn end(&self) {
        if self.thread.get().is_some() {
            self.rouse(DOZING);
        }
    }

    /// Wakes it from a sleep that is as deep as that, or deeper.
    fn rouse(&self, depth: u8) {
        if self.shared.sleep.load(Ordering::Relaxed) <= depth {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        let sleep = self.shared.sleep.swap(AWAKE, Ordering::SeqCst);
        if !self.is_there() {
            return;
        }
        match sleep {
            AWAKE => {}
            LEADING => {
                if let Some(reactor) = self.shared.reactor() {
                    reactor.wake();
                }
            }
            _ => {
                if let Some(Some(thread)) = self.thread.get() {
                    thread.unpark();
                }
            }
        }
    }
}

/// Where no thread can be started, no block waits.
fn start(shared: Arc<Shared>) -> Option<Thread> {
    let thread = thread::Builder::new().name("understudy".to_owned()).stack_size(128 * 1024);
    // Signals are the main thread's: they interrupt it, and CPython's handlers run there.
    let held = signals::hold();
    let handle = thread.spawn(move || shared.live());
    drop(held);
    handle.ok().map(|handle| handle.thread().clone())
}

impl Shared {
    fn loans(&self) -> MutexGuard<'_, Vec<Weak<Loan>>> {
        self.loans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reactor(&self) -> Option<Arc<SharedReactor>> {
        self.reactor.get()?.upgrade()
    }

    fn live(&self) {
        let mut stand_in = StandIn::default();
        let mut vain = 0;
        let mut ticked = clock::monotonic();
        while let Some(reactor) = self.reactor() {
            self.sleep.store(AWAKE, Ordering::SeqCst);
            let lends = self.lends.load(Ordering::SeqCst);
            let sent = self.send();
            let sight = stand_in.look(&reactor);
            let now = clock::monotonic();
            if sight == Sight::Nothing {
                ticked = now;
            } else if now.saturating_sub(ticked) >= SECOND {
                ticked = now;
                self.tick();
            }
            let pause = match (sent, sight) {
                (Look::Sent, _) => TICK,
                (Look::Blocked, Sight::Nothing | Sight::Attended) => SLOW_TICK,
                _ => SLOWER_TICK,
            };
            let busy = sent != Look::Nothing || matches!(sight, Sight::Passed | Sight::Deserted);
            vain = if busy { 0 } else { vain + 1 };
            if sight == Sight::Deserted && sent != Look::Sent && stand_in.is_patient() {
                self.lead(&reactor, &mut stand_in, sent);
            } else if vain < PATIENCE {
                drop(reactor);
                // While blocks flow none of them wakes it.
                let sleep = if pause == TICK { AWAKE } else { DOZING };
                self.sleep.store(sleep, Ordering::SeqCst);
                // What was lent before this is up has woken nobody.
                let pause = if self.lends.load(Ordering::SeqCst) == lends { pause } else { TICK };
                thread::park_timeout(pause);
            } else {
                vain = 0;
                if self.park(reactor) == Slept::Idle {
                    ticked = clock::monotonic();
                }
            }
        }
    }

    /// Waits for events in the threads' place.
    fn lead(&self, reactor: &SharedReactor, stand_in: &mut StandIn, sent: Look) {
        let most = if sent == Look::Blocked { SLOW_TICK } else { Duration::from_nanos(SECOND) };
        self.sleep.swap(LEADING, Ordering::SeqCst);
        // What was lent before this is up has woken nobody.
        if self.has_loans() == (sent == Look::Blocked) {
            stand_in.wait(reactor, most);
        }
    }

    /// Sleeps until it is needed, or at most until the next tick.
    fn park(&self, reactor: Arc<SharedReactor>) -> Slept {
        self.sleep.swap(PARKED, Ordering::SeqCst);
        // What was lent or taken before this is up has woken nobody.
        let busy = reactor.lock().watch.is_busy();
        let needed = self.has_loans() || StandIn::is_needed(&reactor);
        drop(reactor);
        match (needed, busy) {
            (true, _) => {}
            (false, true) => thread::park_timeout(Duration::from_nanos(SECOND)),
            (false, false) => {
                thread::park();
                return Slept::Idle;
            }
        }
        Slept::Busy
    }

    fn has_loans(&self) -> bool {
        self.loans().iter().filter_map(Weak::upgrade).any(|loan| loan.has_work())
    }

    /// Sends of every loan what may not wait any longer.
    fn send(&self) -> Look {
        let loans: Vec<_> = {
            let mut loans = self.loans();
            loans.retain(|loan| loan.strong_count() > 0);
            loans.iter().filter_map(Weak::upgrade).collect()
        };
        loans.iter().map(|loan| loan.look()).max().unwrap_or(Look::Nothing)
    }

    fn tick(&self) {
        if let Some(tick) = &*self.tick.lock().unwrap_or_else(PoisonError::into_inner) {
            tick();
        }
    }
}
