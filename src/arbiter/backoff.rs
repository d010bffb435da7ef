//! How long to wait before the next worker is forked when workers keep dying young: not at all, then 0.1 s,
//! doubling to 8 s, and anew once a worker has lived a while. After one that has served the wait is a second at most: what
//! ends it is some of its requests, and others are waiting.

use std::time::Duration;

use super::children::Time;

/// A worker that lives longer has not died of starting.
pub const YOUNG: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(8);
const LONGEST_SERVED: Duration = Duration::from_secs(1);

/// The state of waiting.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    until: Time,
}

impl Backoff {
    /// A worker died young, after it `served` or not. Gives the wait that follows, unless it is none or had begun already.
    pub fn died_young(&mut self, served: bool, now: Time) -> Option<Duration> {
        self.fail(now, 0, if served { LONGEST_SERVED } else { LONGEST })
    }

    /// No worker could be forked. There is always a wait after it, which is returned unless it had begun
    /// already.
    pub fn fork_failed(&mut self, now: Time) -> Option<Duration> {
        self.fail(now, 1, LONGEST)
    }

    /// No fork before this moment.
    pub fn until(&self) -> Time {
        self.until
    }

    fn fail(&mut self, now: Time, least: u32, longest: Duration) -> Option<Duration> {
        if now < self.until {
            return None;
        }
        if now > self.until + YOUNG {
            self.failures = 0;
        }
        self.failures = self.failures.max(least);
        let delay = match self.failures {
            0 => Duration::ZERO,
            failures => FIRST.saturating_mul(1 << (failures - 1).min(16)).min(longest),
        };
        self.failures += 1;
        self.until = now + delay;
        (!delay.is_zero()).then_some(delay)
    }
}
