//! A worker's own place on the board: what it tells of itself as a whole.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use super::board::{Board, UNSENT, WRITTEN_SOON};
use super::lane::{LANES, Lane};
use super::{State, lines};
use crate::net::Handoff;

/// Words of a slot without its lanes: two cache lines of 64 bytes.
pub const WORDS: usize = 16;

// These words.
pub const STATE: usize = 0;
pub const BUSY_SINCE: usize = 1;
pub const BEAT: usize = 2;
pub const REQUESTS: usize = 3;
pub const FLAGS: usize = 4;
pub const LOADED: usize = 5;
/// One bit for each lane that the worker has opened.
pub const OPENED: usize = 6;
pub const HANDED: usize = 7;
pub const CUT: usize = 8;
pub const DONE: usize = 9;

// Bits of `FLAGS`.
pub const RETIRING: u64 = 1;
pub const LATE: u64 = 2;
pub const STUCK: u64 = 4;
pub const TAKES: u64 = 8;
pub const DISMISSED: u64 = 16;
pub const FINISHES: u64 = 32;

/// A worker's own place on the board. Cheap to clone.
#[derive(Clone)]
pub struct Slot {
    board: Arc<Board>,
    index: usize,
}

impl Slot {
    pub(super) fn new(board: Arc<Board>, index: usize) -> Self {
        Self { board, index }
    }

    /// The place that is some worker's already.
    pub fn of(board: &Arc<Board>, index: usize) -> Self {
        Self::new(Arc::clone(board), index)
    }

    /// Number of the slot, for the arbiter's `Board::snapshot`.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The worker has loaded the application and enters its loop, which says when it serves: a native one by
    /// `booted`, one of another maker by its first beat. `now`: CLOCK_MONOTONIC in nanoseconds.
    pub fn loaded(&self, now: u64) {
        self.words()[LOADED].store(now, SeqCst);
        self.board.wake();
    }

    /// The worker serves: Booting -> Idle. Wakes the arbiter, which may be waiting to let an old worker go.
    pub fn booted(&self) {
        if self.state() == State::Booting {
            self.change(State::Idle);
            self.board.wake();
        }
    }

    /// Opens the place of a request; `None` if there are not so many. Two places with the same `index` are the same one:
    /// it is for one thread at a time.
    pub fn lane(&self, index: usize) -> Option<Lane> {
        if index >= LANES {
            return None;
        }
        self.words()[OPENED].fetch_or(1 << index, SeqCst);
        Some(Lane::new(Arc::clone(&self.board), self.index, index))
    }

    /// The worker starts a request, the only one at a time: Idle -> Busy. `timeout` counts from `now`, which is
    /// CLOCK_MONOTONIC in nanoseconds.
    pub fn busy(&self, now: u64) {
        self.words()[BUSY_SINCE].store(now, Relaxed);
        self.change(State::Busy);
        self.board.wake_if_asleep();
    }

    /// That request is done: Busy -> Idle.
    pub fn end(&self) {
        // Without a locked instruction, and nobody waits for a worker to become idle.
        self.words()[STATE].store(State::Idle as u64, Release);
    }

    /// Lines that the worker will write to the access log soon, or the arbiter for it: about 4 KiB of them are kept. The
    /// first `known` bytes are those of the last call.
    pub fn keep_lines(&self, lines: &[u8], known: usize) {
        lines::store(self.board.lines(self.index, WRITTEN_SOON), lines, known);
    }

    /// Lines for the arbiter to write if the worker is killed, of responses that it is still sending: all of them, of
    /// which about 4 KiB are kept.
    pub fn keep_unsent(&self, lines: &[u8]) {
        lines::store(self.board.lines(self.index, UNSENT), lines, 0);
    }

    /// Whether the arbiter has found that the worker takes too long.
    pub fn is_late(&self) -> bool {
        self.words()[FLAGS].load(SeqCst) & LATE != 0
    }

    /// Whether the arbiter has told the worker to leave. Its signal may be heard much later: by Python, when what runs has
    /// come back from a call that nothing interrupts. Whether anybody takes its connections was told before.
    pub fn is_dismissed(&self) -> bool {
        self.words()[FLAGS].load(Acquire) & DISMISSED != 0
    }

    /// The worker finishes what runs when it leaves and the service goes on: it has `timeout` for that where that is longer
    /// than `graceful_timeout`. To be said before it has booted.
    pub fn finishes(&self) {
        self.words()[FLAGS].fetch_or(FINISHES, SeqCst);
    }

    /// A worker that finishes what runs has done so: from now on it has `graceful_timeout` to end. `now`: CLOCK_MONOTONIC in
    /// nanoseconds.
    pub fn done(&self, now: u64) {
        if self.words()[FLAGS].load(Relaxed) & FINISHES != 0 {
            self.words()[DONE].store(now, SeqCst);
            self.board.wake();
        }
    }

    /// Whether it does: its class does, and no request is [`Slot::stuck`].
    pub fn may_finish(&self) -> bool {
        self.words()[FLAGS].load(Relaxed) & (FINISHES | STUCK) == FINISHES
    }

    /// When the service was told to end, if it was: CLOCK_MONOTONIC in nanoseconds.
    pub fn ending_since(&self) -> Option<u64> {
        self.board.ending_since()
    }

    /// Where workers pass connections to each other; `None` in a server that has no siblings.
    pub fn handoff(&self) -> Option<&Handoff> {
        self.board.handoff()
    }

    /// The worker takes connections of others from now on. To be said before it has booted.
    pub fn takes(&self) {
        self.words()[FLAGS].fetch_or(TAKES, SeqCst);
    }

    /// The worker leaves, and takes none any more: the arbiter hears of it at once, as it may not know yet.
    pub fn takes_no_more(&self) {
        if self.words()[FLAGS].fetch_and(!TAKES, SeqCst) & TAKES != 0 {
            self.board.wake();
        }
    }

    /// The worker has passed one connection on. To be called by one thread at a time.
    pub fn hand(&self) {
        self.add(HANDED, 1);
    }

    /// The worker leaves without having answered so many requests. To be called by one thread at a time.
    pub fn cut(&self, requests: usize) {
        self.add(CUT, requests as u64);
    }

    fn add(&self, which: usize, count: u64) {
        let word = &self.words()[which];
        word.store(word.load(Relaxed) + count, Relaxed);
    }

    /// Whether the service was told to end, and no other program goes on with it. The worker may still be given requests.
    pub fn is_service_ending(&self) -> bool {
        self.board.ending_since().is_some() && !self.handoff().is_some_and(Handoff::has_takers)
    }

    /// One more request is on its way to the application. To be called by one thread at a time: under the interpreter's
    /// lock.
    pub fn count(&self) {
        let requests = &self.words()[REQUESTS];
        // Without a locked instruction.
        requests.store(requests.load(Relaxed) + 1, Relaxed);
    }

    /// The worker has counted its requests by itself: there were so many, if not more are known of.
    pub fn count_up_to(&self, requests: u64) {
        self.words()[REQUESTS].fetch_max(requests, Relaxed);
    }

    /// How many have been counted.
    pub fn counted(&self) -> u64 {
        self.words()[REQUESTS].load(Relaxed)
    }

    /// The worker has served `max_requests`: it goes on serving until the arbiter, having booted a
    /// replacement, sends it TERM.
    pub fn retire(&self) {
        self.words()[FLAGS].fetch_or(RETIRING, SeqCst);
        self.board.wake();
    }

    /// A request of the worker does not end: once the worker has been told to leave it gets `graceful_timeout` and no
    /// more, whatever its `timeout`. Who wants it to be replaced says so by `retire`.
    pub fn stuck(&self) {
        self.words()[FLAGS].fetch_or(STUCK, SeqCst);
        self.board.wake();
    }

    /// The worker lives (`Worker.notify()`). `now`: CLOCK_MONOTONIC in nanoseconds. From its first beat on, a
    /// worker that is not inside `busy` and `end` has to beat at least every `timeout` seconds; within them
    /// a beat starts the timeout anew. Before the application is loaded a beat means nothing.
    pub fn beat(&self, now: u64) {
        self.words()[BEAT].store(now, Relaxed);
        match self.state() {
            State::Idle => {
                self.change(State::Beating);
                self.board.wake_if_asleep();
            }
            State::Booting if self.words()[LOADED].load(Relaxed) != 0 => {
                self.change(State::Beating);
                self.board.wake();
            }
            _ => {}
        }
    }

    /// A worker that serves several requests at a time has something to do: Idle -> Beating, as by a beat at `now`. Has
    /// no effect in another state. `quiet` ends it.
    pub fn watch(&self, now: u64) {
        if self.state() == State::Idle {
            self.beat(now);
        }
    }

    /// The latest beat is answered for: Beating -> Idle.
    pub fn quiet(&self) {
        self.words()[STATE].store(State::Idle as u64, Release);
    }

    /// When the worker has last shown that it lives, in nanoseconds of CLOCK_MONOTONIC: `now` if it need not show it,
    /// because it boots or waits for requests.
    pub fn last_sign(&self, now: u64) -> u64 {
        let seen = self.board.snapshot(self.index);
        match seen.state {
            State::Busy => seen.busy_since.max(seen.beat),
            State::Beating => seen.beat,
            State::Empty | State::Booting | State::Idle => now,
        }
    }

    fn state(&self) -> State {
        State::from_word(self.words()[STATE].load(Relaxed))
    }

    /// SeqCst: with `announce_sleep` it makes sure that either the worker sees the arbiter asleep or the
    /// arbiter sees the change.
    fn change(&self, state: State) {
        self.words()[STATE].store(state as u64, SeqCst);
    }

    fn words(&self) -> &[AtomicU64] {
        self.board.slot(self.index)
    }
}
