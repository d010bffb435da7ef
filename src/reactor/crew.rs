//! The threads that take turns at one reactor.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::reactor::shared::SharedReactor;

/// The threads of a worker.
pub struct Crew {
    reactor: Arc<SharedReactor>,
    stopped: AtomicBool,
}

impl Crew {
    /// A crew for `reactor`.
    pub fn new(reactor: Arc<SharedReactor>, _tick: Box<dyn Fn() + Send>) -> Self {
        Self { reactor, stopped: AtomicBool::new(false) }
    }

    /// A request was taken.
    pub fn took(&self) -> u64 {
        0
    }

    /// It was served.
    pub fn ended(&self, _began: u64) {}

    /// Waits until there may be something to do; false: the thread should end.
    pub fn rest(&self, most: Option<Duration>) -> io::Result<bool> {
        if !self.stopped.load(Ordering::SeqCst) {
            self.reactor.poll(most)?;
        }
        let stopped = self.stopped.load(Ordering::SeqCst);
        if stopped {
            self.reactor.wake();
        }
        Ok(!stopped)
    }

    /// Lets the threads end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.reactor.wake();
    }
}
