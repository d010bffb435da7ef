//! Shared memory in which each worker says what it is doing, since when, and on which requests; the arbiter
//! reads it.
//!
//! A worker writes to its own slot only and the arbiter to any, all through atomics: whatever is read at
//! whatever moment, the worst is an outdated or mixed-up request line in a log, never undefined behaviour.
//! Marking a request costs neither an allocation nor a system call, unless the arbiter sleeps without a
//! deadline and has to be woken.
//!
//! A slot is about the worker as a whole: what `timeout` and the arbiter's decisions need. Its lanes are about the
//! requests that it serves at the same time, one each: what the logs need.
//!
//! ```text
//! Empty --claim--> Booting --booted--> Idle <--busy/end----> Busy     (one request at a time)
//!                     |                 |`-----watch/quiet-> Beating  (several at a time)
//!                     |                 `--beat--> Beating (a worker class that has its own loop,
//!                     `--loaded, then beat---------^        or a native one on its way to the interpreter)
//! ```

mod board;
mod bytes;
mod lane;
mod lines;
mod request;
mod slot;
#[cfg(test)]
mod tests;

pub use board::Board;
pub use lane::{LANES, Lane, Running};
pub use request::RequestLine;
pub use slot::Slot;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody uses the slot.
    Empty,
    /// The worker imports the application, or has not shown a sign of life since; it cannot be late.
    Booting,
    /// The worker waits for requests.
    Idle,
    /// The worker serves a request, the only one at a time.
    Busy,
    /// The worker says now and then that it lives; it is late when it has not said so for too long.
    Beating,
}

impl State {
    const ALL: [State; 5] = [State::Empty, State::Booting, State::Idle, State::Busy, State::Beating];

    fn from_word(word: u64) -> State {
        usize::try_from(word).ok().and_then(|index| Self::ALL.get(index).copied()).unwrap_or(State::Empty)
    }
}

/// A slot as the arbiter saw it at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What the worker is doing.
    pub state: State,
    /// The worker has served `max_requests`, or is stuck, and wants a replacement.
    pub retiring: bool,
    /// A request of the worker does not end: there is no use in waiting for it.
    pub stuck: bool,
    /// The worker leaves later than after `graceful_timeout` if it still has requests, and the service goes on.
    pub finishes: bool,
    /// The worker takes connections that others pass on.
    pub takes: bool,
    /// Start of the current request, if `Busy`: CLOCK_MONOTONIC in nanoseconds.
    pub busy_since: u64,
    /// The latest `beat`, 0 if none: CLOCK_MONOTONIC in nanoseconds.
    pub beat: u64,
    /// Requests counted.
    pub requests: u64,
    /// Connections that it has passed on.
    pub handed: u64,
    /// Requests that it has left unanswered.
    pub cut: u64,
    /// When the worker had loaded the application, 0 if it has not: CLOCK_MONOTONIC in nanoseconds.
    pub loaded: u64,
    /// When a worker that `finishes` had finished; 0 before that. CLOCK_MONOTONIC in nanoseconds.
    pub done: u64,
}

impl Snapshot {
    /// What is known of a worker that was forked just now.
    pub const BOOTING: Self = Self {
        state: State::Booting,
        retiring: false,
        stuck: false,
        finishes: false,
        takes: false,
        busy_since: 0,
        beat: 0,
        requests: 0,
        handed: 0,
        cut: 0,
        loaded: 0,
        done: 0,
    };
}
