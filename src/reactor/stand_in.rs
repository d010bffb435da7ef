//! What the understudy does at the reactor while every thread is inside the application: it sends, reads, and ends what
//! takes too long. It takes no new connections, and a request that is complete waits for a thread.
//!
//! At first it looks in without waiting, every few milliseconds, so that a thread that comes back finds the way free.
//! When that has gone on for a while it waits for events as a thread would, until one wants to.

use std::time::Duration;

use crate::reactor::shared::SharedReactor;

/// Looks in that lead to nothing but the same, before it waits for events.
const GLANCES: u32 = 25;

/// Looks after which every thread counts as busy with one long request: then others may have what comes meanwhile.
/// Before that, passing a connection on could cost more than the wait.
const STUCK: u32 = 3;

/// What the understudy remembers of one look to the next.
#[derive(Default)]
pub struct StandIn {
    /// How many waits had ended.
    waits: u64,
    /// How often no thread had come by, one look after the other.
    deserted: u32,
    /// How many exchanges had been given back.
    returns: u64,
    /// How often none had been meanwhile, one look after the other.
    stuck: u32,
}

/// What it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// No thread is in the application.
    Nothing,
    /// A thread waits for events.
    Attended,
    /// One has, since the last look, or soon will.
    Passed,
    /// No thread has come by.
    Deserted,
}

impl StandIn {
    /// Whether nobody would see to what happens now.
    pub fn is_needed(reactor: &SharedReactor) -> bool {
        let state = reactor.lock();
        state.watch.is_busy() && !state.watch.is_kept()
    }

    /// Looks who is at the reactor. If no thread has come by, calls one that is free; if there is none, does without
    /// waiting what can be done.
    pub fn look(&mut self, reactor: &SharedReactor) -> Sight {
        let sight = self.see(reactor);
        match sight {
            Sight::Deserted => {
                self.deserted += 1;
                self.lead(reactor, Duration::ZERO);
            }
            _ => self.deserted = 0,
        }
        sight
    }

    fn see(&mut self, reactor: &SharedReactor) -> Sight {
        let mut state = reactor.lock();
        let watch = &mut state.watch;
        let moved = std::mem::replace(&mut self.returns, watch.returns) != watch.returns;
        self.stuck = if moved { 0 } else { self.stuck.saturating_add(1) };
        if !watch.is_busy() {
            return Sight::Nothing;
        }
        if watch.is_kept() {
            return Sight::Attended;
        }
        if std::mem::replace(&mut self.waits, watch.waits) != watch.waits || watch.has_called() {
            return Sight::Passed;
        }
        let calls = watch.call();
        drop(state);
        if calls {
            reactor.calls.notify_one();
            return Sight::Passed;
        }
        Sight::Deserted
    }

    /// Whether it should wait for events now.
    pub fn is_patient(&self) -> bool {
        self.deserted >= GLANCES
    }

    /// Waits for events, for at most `most`, and does what is to be done.
    pub fn wait(&mut self, reactor: &SharedReactor, most: Duration) {
        self.lead(reactor, most);
    }

    fn lead(&self, reactor: &SharedReactor, most: Duration) {
        // Otherwise a thread is about to wait.
        let Some(mut poller) = reactor.try_lead() else { return };
        let timeout = reactor.lock().begin_stand_in(most);
        if poller.wait(timeout).is_err() {
            return;
        }
        let mut state = reactor.lock();
        state.take_in_for_others(&poller.events);
        let passes = (self.stuck >= STUCK || self.is_patient()) && state.has_others();
        if passes {
            state.call_others_once();
        }
        let unsent = state.take_unsent();
        drop(state);
        if passes {
            pass_ready(reactor);
        }
        reactor.flush(unsent);
        while !reactor.is_wanted() && reactor.lock().read_ahead(passes) {}
        // Nothing may happen for long that would let them go later.
        if passes {
            pass_ready(reactor);
        }
    }
}

/// Other workers may have the complete requests, until a thread wants to have them.
fn pass_ready(reactor: &SharedReactor) {
    let mut index = 0;
    while !reactor.is_wanted() && reactor.lock().pass_ready(&mut index) {}
}
