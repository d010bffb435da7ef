//! Which of the threads waits for events, which wait to be called, and when one of them must be.

/// From this average on, requests are long enough that another thread is called as soon as one is taken: the call costs
/// a few microseconds. Nanoseconds.
const LONG: u64 = 200_000;
/// No request counts as longer than this: one that took seconds is forgotten after some twenty short ones.
const LONGEST: u64 = 10 * LONG;
/// While threads serve, who waits comes back after so many nanoseconds: the deadlines that they leave behind are later,
/// and need not wake anyone. The shortest useful ones are of this size.
const GLANCE: u64 = 1_000_000_000;

/// The threads at the reactor.
#[derive(Debug, Default)]
pub struct Watch {
    /// When the thread that waits for events, or is about to, comes back by itself (nanoseconds; `u64::MAX` = never,
    /// 0 = it has been woken already). `None`: nobody waits.
    until: Option<u64>,
    /// Threads that wait to be called.
    pub followers: usize,
    /// One of them has been, and is not awake yet.
    called: bool,
    /// Exchanges that threads hold.
    out: usize,
    /// How many waits have ended.
    pub waits: u64,
    /// How many exchanges have been given back.
    pub returns: u64,
    /// How long a request takes, as a moving average in nanoseconds.
    pace: u64,
    /// The loop of somebody else waits in the place of threads.
    pub hosted: bool,
    /// No thread is to wait any more.
    pub stopped: bool,
}

impl Watch {
    /// Somebody waits for events, or is about to.
    pub fn is_kept(&self) -> bool {
        self.until.is_some()
    }

    /// A thread will wait in a moment: the others need not.
    pub fn reserve(&mut self) {
        self.until.get_or_insert(0);
    }

    /// A thread waits from `now` on, until something is `due`, or at most until `most` (both in nanoseconds). Gives when
    /// it should come back; `None` = it may wait for ever.
    pub fn begin(&mut self, now: u64, due: Option<u64>) -> Option<u64> {
        let glance = (self.out > 0).then(|| now.saturating_add(GLANCE));
        // The call that ends the crew may have come since it looked, and been heard by the understudy.
        let stop = self.stopped.then_some(0);
        let until = due.into_iter().chain(glance).chain(stop).min();
        self.until = Some(until.unwrap_or(u64::MAX));
        until
    }

    /// It waits no more.
    pub fn end(&mut self) {
        self.until = None;
        self.waits += 1;
    }

    /// Whether the thread that waits must be woken, as something is due that it does not know of. Says so once.
    pub fn must_wake(&mut self, due: Option<u64>) -> bool {
        let late = self.until.zip(due).is_some_and(|(until, due)| until > 0 && due < until);
        if late {
            self.until = Some(0);
        }
        late
    }

    /// A thread starts to wait to be called.
    pub fn follow(&mut self) {
        self.followers += 1;
    }

    /// Whether one of those threads may stop waiting.
    pub fn is_called(&self) -> bool {
        self.called || self.stopped
    }

    /// Whether one of them has been called and is not awake yet.
    pub fn has_called(&self) -> bool {
        self.called
    }

    /// One of them does: it has been called, or waits no longer.
    pub fn unfollow(&mut self) {
        self.followers -= 1;
        self.called = false;
    }

    /// Calls one of them, if nobody waits for events and none has been called already: then the caller wakes one.
    pub fn call(&mut self) -> bool {
        let calls = self.until.is_none() && self.followers > 0 && !self.called;
        self.called |= calls;
        calls
    }

    /// A thread takes an exchange.
    pub fn take(&mut self) {
        self.out += 1;
    }

    /// It gives it back, after so many nanoseconds.
    pub fn give_back(&mut self, took: u64) {
        self.out -= 1;
        self.returns += 1;
        self.pace = self.pace - self.pace / 8 + took.min(LONGEST) / 8;
    }

    /// Whether threads of ours hold exchanges.
    pub fn is_busy(&self) -> bool {
        self.out > 0 && !self.hosted
    }

    /// Requests have lately been long, so the next one may well be.
    pub fn is_slow(&self) -> bool {
        self.pace >= LONG
    }
}
