//! Threads that take turns at one reactor: one waits for events, and the others wait to be called. While requests are
//! short nobody is called: the thread that found some serves them all and waits again, as a thread that is alone would.
//! When requests have lately been long, another thread is called as soon as one is taken. Where that guess was wrong, the
//! understudy sees after a few milliseconds that nobody waits.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use crate::reactor::exchange::Exchange;
use crate::reactor::reactor::Reactor;
use crate::reactor::shared::SharedReactor;
use crate::sys::clock;

/// The threads of a worker, each of which serves requests.
pub struct Crew {
    reactor: Arc<SharedReactor>,
}

/// What a thread without work gets.
pub enum Turn {
    /// A request.
    Serve(Exchange),
    /// Nothing yet, but there are notices, or the time is up.
    Look,
    /// The crew ends.
    Stop,
}

impl Crew {
    /// Threads for this reactor.
    pub fn new(reactor: Arc<SharedReactor>) -> Self {
        Self { reactor }
    }

    /// Waits for a request, for something to log, or for at most `most`. Blocks: the caller must have let go of the
    /// interpreter. Errors: those of waiting for events.
    pub fn rest(&self, most: Option<Duration>) -> io::Result<Turn> {
        loop {
            let mut state = self.reactor.lock();
            if state.watch.stopped {
                return Ok(Turn::Stop);
            }
            if !state.watch.is_kept() {
                state.watch.reserve();
                drop(state);
                self.reactor.poll(most)?;
            } else if state.has_work() {
                state.stir();
                let unsent = state.take_unsent();
                drop(state);
                self.reactor.flush(unsent);
            } else {
                self.follow(state, most);
            }
            if let Some(exchange) = self.reactor.next_exchange() {
                return Ok(Turn::Serve(exchange));
            }
            if most.is_some() || self.reactor.lock().has_notices() {
                return Ok(Turn::Look);
            }
        }
    }

    /// Waits to be called.
    fn follow(&self, mut state: MutexGuard<'_, Reactor>, most: Option<Duration>) {
        let calls = &self.reactor.calls;
        let idle = |state: &mut Reactor| !state.watch.is_called();
        state.watch.follow();
        let mut state = match most {
            Some(most) => {
                calls.wait_timeout_while(state, most, idle).unwrap_or_else(PoisonError::into_inner).0
            }
            None => calls.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
        };
        state.watch.unfollow();
        state.now = clock::monotonic();
    }

    /// All threads return [`Turn::Stop`] when they rest the next time.
    pub fn stop(&self) {
        self.reactor.lock().watch.stopped = true;
        self.reactor.calls.notify_all();
        self.reactor.wake();
    }
}
