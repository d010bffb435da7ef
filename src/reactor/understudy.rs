//! A thread that sends what is unsent while its worker's thread is inside the application. PEP 3333 forbids to hold a
//! block back while the application computes the next one; with this thread to fall back on, blocks that follow each
//! other within a moment may share a system call. It never runs Python. It looks every few milliseconds while blocks
//! flow and is parked otherwise, so that an idle worker makes no system call and a short request pays nothing.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::net::Stream;
use crate::reactor::outbound::{Flushed, Outbound};
use crate::sys::clock;

/// How long a block may wait for the next one, in nanoseconds.
pub const MOMENT: u64 = 1_000_000;
/// Between two looks.
const TICK: Duration = Duration::from_millis(2);
/// Between two looks at a client that takes nothing.
const SLOW_TICK: Duration = Duration::from_millis(20);
/// Looks in vain before it parks.
const PATIENCE: u32 = 50;
/// Bytes sent at one look.
const TURN: usize = 1 << 20;

/// The worker's side of it. The thread starts with the first loan.
#[derive(Default)]
pub struct Understudy {
    shared: Arc<Shared>,
    thread: OnceLock<Option<Thread>>,
}

#[derive(Default)]
struct Shared {
    loan: Mutex<Option<Loan>>,
    parked: AtomicBool,
}

struct Loan {
    stream: Arc<Stream>,
    outbound: Outbound,
    /// When something was sent last, in nanoseconds.
    since: u64,
    failed: Option<io::Error>,
}

impl Loan {
    fn has_work(&self) -> bool {
        self.failed.is_none() && !self.outbound.is_empty()
    }
}

impl Understudy {
    /// Lends what is unsent on a connection until [`Understudy::take_back`]. `since`: when something was sent last, in
    /// nanoseconds; a moment later the understudy sends.
    pub fn lend(&self, stream: &Arc<Stream>, outbound: Outbound, since: u64) {
        *self.shared.lock() = Some(Loan { stream: stream.clone(), outbound, since, failed: None });
        let thread = self.thread.get_or_init(|| start(self.shared.clone()));
        if self.shared.parked.swap(false, Ordering::SeqCst)
            && let Some(thread) = thread
        {
            thread.unpark();
        }
    }

    /// Whether there is a thread to send what waits; starts it if there is none yet.
    pub fn is_there(&self) -> bool {
        self.thread.get_or_init(|| start(self.shared.clone())).is_some()
    }

    /// What is still unsent. Errors: the socket failed meanwhile.
    pub fn take_back(&self) -> io::Result<Outbound> {
        match self.shared.lock().take() {
            Some(Loan { failed: Some(error), .. }) => Err(error),
            Some(loan) => Ok(loan.outbound),
            None => Ok(Outbound::default()),
        }
    }
}

/// Where no thread can be started, no block waits.
fn start(shared: Arc<Shared>) -> Option<Thread> {
    let thread = thread::Builder::new().name("understudy".to_owned()).stack_size(128 * 1024);
    thread.spawn(move || shared.watch()).ok().map(|handle| handle.thread().clone())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Loan>> {
        self.loan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut vain = 0;
        loop {
            let pause = match self.look() {
                Look::Nothing => {
                    vain += 1;
                    TICK
                }
                Look::Sent => {
                    vain = 0;
                    TICK
                }
                Look::Blocked => SLOW_TICK,
            };
            if vain < PATIENCE {
                thread::sleep(pause);
                continue;
            }
            vain = 0;
            self.parked.store(true, Ordering::SeqCst);
            // A loan made before the flag was up has woken nobody.
            while self.parked.load(Ordering::SeqCst) && !self.has_work() {
                thread::park();
            }
            self.parked.store(false, Ordering::SeqCst);
        }
    }

    fn has_work(&self) -> bool {
        self.lock().as_ref().is_some_and(Loan::has_work)
    }

    fn look(&self) -> Look {
        let mut guard = self.lock();
        let Some(loan) = guard.as_mut().filter(|loan| loan.has_work()) else { return Look::Nothing };
        if clock::monotonic().saturating_sub(loan.since) < MOMENT {
            return Look::Sent;
        }
        match loan.outbound.flush_and_keep(&loan.stream, TURN) {
            Ok(Flushed::Blocked { .. }) => Look::Blocked,
            Ok(_) => Look::Sent,
            Err(error) => {
                loan.failed = Some(error);
                Look::Nothing
            }
        }
    }
}

enum Look {
    Nothing,
    Sent,
    Blocked,
}
