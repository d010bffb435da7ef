//! What changes while an embedded server runs. Its lock is held for moments: nothing here waits, calls Python or takes
//! another lock.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crate::reactor::Exchange;
use crate::sys::alarm::Alarm;
use crate::sys::clock;
use crate::worker::hand::Hand;
use crate::worker::leave::Leave;

/// How often the arbiter hears that the host's loop goes round while requests run, in nanoseconds, unless `timeout` is
/// shorter than two of these. Gunicorn's greenlet does it as often.
const BEAT: u64 = 1_000_000_000;

pub(super) struct State {
    pub alarm: Alarm,
    /// How often the loop must go round while requests run, in nanoseconds.
    beat: u64,
    pub leave: Leave,
    /// Those that serve nothing now.
    pub hands: Vec<Hand>,
    /// How many hands were made.
    pub made: usize,
    /// Requests that have come while no hand was free.
    pub ready: VecDeque<Exchange>,
    /// Requests given to the host that have not ended.
    pub given: usize,
    /// Those of them that the host has not begun to run.
    pub waiting: usize,
    pub news: News,
    pub closed: bool,
    /// The arbiter is gone.
    pub orphaned: bool,
}

/// What is to be told to the logger.
#[derive(Default)]
pub(super) struct News {
    /// The arbiter is gone, and nobody has said so.
    pub orphaned: bool,
    /// Log files may have been reopened.
    pub reopened: bool,
    /// Lines of the access log have been left behind.
    pub lines: bool,
    /// When lines that nobody reads are to be offered again, in nanoseconds.
    pub lines_again: Option<u64>,
    /// The host has a call for it.
    pub given: bool,
}

impl State {
    /// `timeout`: after how many nanoseconds without a beat the arbiter loses patience; 0 = never. Errors: those of the
    /// alarm clock.
    pub fn new(timeout: u64) -> io::Result<Self> {
        Ok(Self {
            alarm: Alarm::new()?,
            beat: if timeout == 0 { BEAT } else { BEAT.min(timeout / 2) },
            leave: Leave::default(),
            hands: Vec::new(),
            made: 0,
            ready: VecDeque::new(),
            given: 0,
            waiting: 0,
            news: News::default(),
            closed: false,
            orphaned: false,
        })
    }

    /// Whether the descriptor must show that something can be done at once: nothing is left to be done, or requests
    /// wait for a hand that is free now.
    pub fn is_urgent(&self, connections: usize) -> bool {
        !self.ready.is_empty() || (self.leave.has_begun() && connections == 0 && self.given == 0)
    }

    /// Sets the alarm for `due`, and for what else there is. `serving`: requests run.
    pub fn set_alarm(&mut self, due: Option<u64>, serving: bool) -> io::Result<()> {
        let now = clock::monotonic();
        let beat = serving.then(|| now + self.beat);
        let end = self.leave.until().filter(|&end| end > now);
        // Whoever is to offer them has a call for it already.
        let again = self.news.lines_again.filter(|_| !self.news.given);
        let due = due.into_iter().chain(beat).chain(end).chain(again);
        due.min().map_or(Ok(()), |due| self.alarm.set(due))
    }
}

impl News {
    /// Whether there is any that the host has no call for yet. `notices`: there are some of the reactor's.
    pub fn give(&mut self, notices: bool) -> bool {
        let again = self.lines_again.is_some_and(|again| again <= clock::monotonic());
        let any = notices || again || self.orphaned || self.reopened || self.lines;
        any && !std::mem::replace(&mut self.given, true)
    }

    /// The access log was written; `again`: some of it is to be offered again after so long.
    pub fn written(&mut self, again: Option<Duration>) {
        self.lines = false;
        self.lines_again = again.map(|again| clock::monotonic() + again.as_nanos() as u64);
    }
}
