//! One turn of the loop, around the wait itself: how long it may last, what it has brought, and what is left for the
//! next one.

use std::time::Duration;

use mio::Events;

use crate::reactor::accept::Accepting;
use crate::reactor::handoff::HANDOFF;
use crate::reactor::reactor::{LISTENERS, Reactor, Slot, WAKE, WATCHED};
use crate::sys::clock;

impl Reactor {
    /// Takes in what a wait has brought. Everything that became readable is then to be had from
    /// [`Reactor::next_exchange`], what can be sent from [`Reactor::take_unsent`].
    pub(super) fn take_in(&mut self, events: &Events) {
        self.burst = self.common.settings.accept_burst;
        self.offers.begin_turn();
        // The kernel has called this worker and no other for who came: a kept connection can go to another, if what is
        // served first takes long, but somebody outside cannot.
        self.newcomers_next = true;
        self.fetched(events);
        if !std::mem::take(&mut self.stood_in) {
            self.knocked_at = self.now;
        }
        self.acceptable |= self.dispatch(events);
        self.pass_on();
        self.go_on();
        self.ahead = self.ready.len();
        self.rested();
    }

    /// As [`Reactor::take_in`], by who takes no connections.
    pub(super) fn take_in_for_others(&mut self, events: &Events) {
        self.fetched(events);
        let acceptable = self.dispatch(events);
        if acceptable != 0 {
            self.knock(self.now);
            self.acceptable |= acceptable;
        }
        self.pass_on();
        self.go_on();
    }

    fn fetched(&mut self, events: &Events) {
        self.now = clock::monotonic();
        self.polled_at = self.now;
        // With as many events as there was room for others wait in the kernel.
        if events.iter().count() < events.capacity() {
            self.told_until = self.now;
        }
    }

    /// Goes on with what had its turn, while another thread waits for events.
    pub(super) fn stir(&mut self) {
        self.now = clock::monotonic();
        self.go_on();
        self.ahead = self.ready.len();
    }

    fn go_on(&mut self) {
        self.readable.extend(self.later.drain(..));
    }

    /// The connections on which something may be sent now.
    pub(super) fn take_unsent(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.resume)
    }

    /// Reads from one of the readable connections; a request that is complete waits for a thread. With `passes` another
    /// worker gets the connection, if there is one that takes it. `false`: all that had come was read, and the waits that
    /// were due are over.
    pub(super) fn read_ahead(&mut self, passes: bool) -> bool {
        let Some(key) = self.readable.pop_front() else {
            self.expire();
            return false;
        };
        if passes && self.pass_readable(key) {
            return true;
        }
        let exchange = self.read(key);
        self.ready.extend(exchange);
        true
    }

    /// Whether something can be done without waiting.
    pub(super) fn has_work(&self) -> bool {
        !self.readable.is_empty() || !self.later.is_empty() || !self.resume.is_empty()
    }

    /// When there is something to do of which no socket tells, in nanoseconds of the monotonic clock; 0 = now.
    pub fn next_due(&self) -> Option<u64> {
        // The understudy may have heard of the caller's descriptors, and it was told only once.
        if self.has_work() || !self.ready.is_empty() || self.woken != 0 {
            return Some(0);
        }
        let resume = match self.accepting {
            Accepting::Exhausted(until) => Some(until),
            _ => None,
        };
        self.deadlines.next_due().into_iter().chain(resume).chain(self.offers.again).min()
    }

    /// A thread waits for events from now on: how long it may, at most `most`; `None` = for ever.
    pub(super) fn begin_wait(&mut self, most: Option<Duration>) -> Option<Duration> {
        if !self.watch.hosted {
            self.rise();
        }
        self.let_siblings_accept();
        let now = clock::monotonic();
        let until = self.watch.begin(now, self.next_due());
        let left = until.map(|until| Duration::from_nanos(until.saturating_sub(now)));
        left.into_iter().chain(most).min()
    }

    /// The understudy waits for events from now on: how long it may, at most `most`. Nobody could take a connection.
    pub(super) fn begin_stand_in(&mut self, most: Duration) -> Option<Duration> {
        if most.is_zero() || self.has_work() {
            return Some(Duration::ZERO);
        }
        self.rest();
        let now = clock::monotonic();
        // Not when there may be descriptors again: it would look for ever.
        let due = self.deadlines.next_due().into_iter().chain(self.offers.again).min();
        let due = due.map(|due| Duration::from_nanos(due.saturating_sub(now)));
        due.into_iter().chain([most]).min()
    }

    /// Whether the thread that waits must be woken.
    pub(super) fn must_wake(&mut self) -> bool {
        self.watch.is_kept() && {
            let due = self.next_due();
            self.watch.must_wake(due)
        }
    }

    /// Gives the listeners on which somebody waits, as bits.
    fn dispatch(&mut self, events: &Events) -> u64 {
        let mut acceptable = 0;
        for event in events {
            match event.token().0 {
                _ if event.token() == WAKE => {}
                _ if event.token() == HANDOFF => self.offers.waiting = true,
                token if token >= WATCHED => self.woken |= 1 << (token - WATCHED),
                token if token >= LISTENERS => acceptable |= 1 << (token - LISTENERS),
                key => self.notify(key, event),
            }
        }
        acceptable
    }

    fn notify(&mut self, key: usize, event: &mio::event::Event) {
        let broken = event.is_error() || event.is_write_closed();
        let ended = event.is_read_closed() || broken;
        let connection = match self.slots.get_mut(key) {
            Some(Slot::Here(connection)) => connection,
            Some(Slot::Out { readable, hangup }) => {
                *hangup |= ended;
                *readable |= event.is_readable() || ended;
                return;
            }
            // Normal: it was closed earlier in this turn.
            None => return,
        };
        connection.hangup |= ended;
        if event.is_readable() || connection.hangup {
            connection.readable = true;
            if !std::mem::replace(&mut connection.queued, true) {
                self.readable.push_back(key);
            }
        }
        if (event.is_writable() || broken) && !connection.outbound.is_empty() {
            self.resume.push(key);
        }
    }
}
