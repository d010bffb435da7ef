//! Which workers there are and how each is doing: bookkeeping without clock, kernel or Python. It decides
//! nothing.

use std::time::Duration;

use crate::scoreboard::{Snapshot, State};

/// How long a worker may take from loading the application to its first sign of life: a start of the application that
/// takes longer is not waited for.
const SILENT_START: Duration = Duration::from_secs(60);

/// A time: CLOCK_MONOTONIC since its origin.
pub type Time = Duration;

/// One worker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its process id.
    pub pid: i32,
    /// How many workers were forked before it, plus one.
    pub age: u64,
    /// Its place on the scoreboard.
    pub slot: usize,
    /// How many reloads had been asked for when it was forked.
    pub generation: u64,
    /// When it was forked.
    pub forked: Time,
    /// What it drew at random when it was forked: the larger, the longer it lives.
    pub lot: u32,
    /// What it was doing when the arbiter looked last.
    pub seen: Snapshot,
    /// When it was told to leave.
    pub leaving: Option<Time>,
    /// When it was sent SIGABRT for being late.
    pub aborted: Option<Time>,
    /// It was sent SIGKILL.
    pub killed: bool,
    /// It has lived for too long or is too large: it is to be replaced.
    pub worn: bool,
}

impl Child {
    /// A worker that was forked just now.
    pub fn new(pid: i32, age: u64, slot: usize, generation: u64, forked: Time, lot: u32) -> Self {
        let (seen, leaving, aborted) = (Snapshot::BOOTING, None, None);
        Self { pid, age, slot, generation, forked, lot, seen, leaving, aborted, killed: false, worn: false }
    }

    /// It serves, as far as it tells.
    pub fn booted(&self) -> bool {
        !matches!(self.seen.state, State::Booting | State::Empty)
    }

    /// When it counts as booted though it has shown no sign of life: it has loaded the application, and what a worker
    /// class of another maker does then it need not tell.
    pub fn settles_at(&self) -> Option<Time> {
        let waits = self.seen.state == State::Booting && self.seen.loaded > 0;
        waits.then(|| Time::from_nanos(self.seen.loaded) + SILENT_START)
    }

    /// It has had a request.
    pub fn has_served(&self) -> bool {
        self.seen.requests > 0 || self.seen.state == State::Busy
    }

    /// It has not been told to leave.
    pub fn stays(&self) -> bool {
        self.leaving.is_none()
    }

    /// It is to be replaced: by its own wish or because it is worn.
    pub fn retires(&self) -> bool {
        self.seen.retiring || self.worn
    }

    /// The moment from which `timeout` counts, if it does: the start of the current request or the latest
    /// beat. Worker classes of other makers fall silent while they leave: that is for `graceful_timeout`.
    pub fn watched_since(&self) -> Option<Time> {
        match self.seen.state {
            State::Busy => Some(Time::from_nanos(self.seen.busy_since.max(self.seen.beat))),
            State::Beating if self.stays() => Some(Time::from_nanos(self.seen.beat)),
            State::Empty | State::Booting | State::Idle | State::Beating => None,
        }
    }

    /// When its current request started.
    pub fn busy_since(&self) -> Option<Time> {
        (self.seen.state == State::Busy).then(|| Time::from_nanos(self.seen.busy_since))
    }
}

/// All worker processes, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Children {
    by_age: Vec<Child>,
}

impl Children {
    /// Adds the youngest.
    pub fn add(&mut self, child: Child) {
        self.by_age.push(child);
    }

    /// Removes one that is gone; `None` if it was never a worker.
    pub fn remove(&mut self, pid: i32) -> Option<Child> {
        let index = self.by_age.iter().position(|child| child.pid == pid)?;
        Some(self.by_age.remove(index))
    }

    /// Oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Child> {
        self.by_age.iter()
    }

    /// Oldest first.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Child> {
        self.by_age.iter_mut()
    }

    /// How many satisfy a condition.
    pub fn count(&self, condition: impl Fn(&Child) -> bool) -> usize {
        self.iter().filter(|child| condition(child)).count()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_age.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }
}
