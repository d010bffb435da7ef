//! The settings that decide about workers, as the plan needs them.

use std::time::Duration;

/// They may change with every reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many workers there should be.
    pub workers: usize,
    /// How long a worker may be busy with one request (`timeout`); `None`: for ever.
    pub timeout: Option<Duration>,
    /// How long workers may take to leave (`graceful_timeout`).
    pub graceful_timeout: Duration,
    /// The arbiter was daemonized (`daemon`): it obeys SIGWINCH.
    pub daemon: bool,
    /// How many workers a reload starts beyond `workers` (`reload_surge`); 0: a quarter of them.
    pub reload_surge: usize,
    /// How long workers live.
    pub lifetime: Option<Lifetime>,
    /// Bytes of private memory that a worker may have (`max_worker_memory`).
    pub memory: Option<u64>,
    /// How long the service goes on when TERM has told it to end (`shutdown_delay`).
    pub shutdown_delay: Duration,
}

/// How long a worker lives before it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// At least (`max_worker_lifetime`).
    pub least: Duration,
    /// And at most so much longer (`max_worker_lifetime_jitter`).
    pub jitter: Duration,
}

impl Limits {
    /// How many workers there may be beyond `workers` while a reload goes on; at least 1.
    pub fn surge(&self) -> usize {
        match self.reload_surge {
            0 => (self.workers / 4).max(1),
            surge => surge,
        }
    }
}

impl Lifetime {
    /// The life of a worker that drew this lot: 0 is the shortest, the largest number the longest.
    pub fn drawn(&self, lot: u32) -> Duration {
        self.least + self.jitter.mul_f64(f64::from(lot) / f64::from(u32::MAX))
    }
}
