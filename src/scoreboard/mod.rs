//! Shared memory in which each worker says what it is doing, since when, and on which request; the arbiter
//! reads it.
//!
//! A worker writes to its own slot only and the arbiter to any, all through atomics: whatever is read at
//! whatever moment, the worst is an outdated or mixed-up request line in a log, never undefined behaviour.
//! Marking a request costs neither an allocation nor a system call, unless the arbiter sleeps without a
//! deadline and has to be woken.
//!
//! ```text
//! Empty --claim--> Booting --booted--> Idle <--begin/end--> Busy
//!                     |                  `--beat--> Beating (a worker class that has its own loop,
//!                     `--loaded, then beat---------^         or a native one on its way to the interpreter)
//! ```

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};

use crate::sys::mmap::SharedWords;
use crate::sys::pipe;

mod bytes;
mod lines;
mod request;
#[cfg(test)]
mod tests;

use lines::LINES_WORDS;
pub use request::RequestLine;

/// Words of one slot: seven cache lines of 64 bytes. The first line is the header of the shared memory.
const SLOT_WORDS: usize = 56;
const HEADER_WORDS: usize = 8;
/// Word of the header: 1 while the arbiter sleeps without a deadline.
const ASLEEP: usize = 0;

// Words of a slot.
const STATE: usize = 0;
const BUSY_SINCE: usize = 1;
const BEAT: usize = 2;
const REQUESTS: usize = 3;
const RETIRING: usize = 4;
const LATE: usize = 5;
const LOADED: usize = 6;
const LOGGED: usize = 7;
/// The rest of the slot belongs to `request`.
const REQUEST: usize = 8;

// The lines that a worker keeps, behind all slots.
const WRITTEN_SOON: usize = 0;
const UNSENT: usize = 1;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody uses the slot.
    Empty,
    /// The worker imports the application, or has not shown a sign of life since; it cannot be late.
    Booting,
    /// The worker waits for requests.
    Idle,
    /// The worker serves a request.
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
    /// The worker has served `max_requests` and wants a replacement.
    pub retiring: bool,
    /// Start of the current request, if `Busy`: CLOCK_MONOTONIC in nanoseconds.
    pub busy_since: u64,
    /// The latest `beat`, 0 if none: CLOCK_MONOTONIC in nanoseconds.
    pub beat: u64,
    /// Requests counted.
    pub requests: u64,
    /// When the worker had loaded the application, 0 if it has not: CLOCK_MONOTONIC in nanoseconds.
    pub loaded: u64,
}

impl Snapshot {
    /// What is known of a worker that was forked just now.
    pub const BOOTING: Self =
        Self { state: State::Booting, retiring: false, busy_since: 0, beat: 0, requests: 0, loaded: 0 };
}

/// The arbiter's view of the shared memory, and the pipe through which workers wake it.
pub struct Board {
    memory: SharedWords,
    slots: usize,
    waker: OwnedFd,
}

impl Board {
    /// Room for `slots` workers at once. `waker` is the write end of a non-blocking pipe that the arbiter
    /// polls.
    pub fn new(slots: usize, waker: OwnedFd) -> io::Result<Arc<Self>> {
        let memory = SharedWords::new(HEADER_WORDS + slots * (SLOT_WORDS + 2 * LINES_WORDS))?;
        Ok(Arc::new(Self { memory, slots, waker }))
    }

    /// Takes a free slot for a worker that is about to be forked; `None` if there is none. Only the arbiter
    /// claims.
    pub fn claim(self: &Arc<Self>) -> Option<Slot> {
        let index = (0..self.slots).find(|&index| self.snapshot(index).state == State::Empty)?;
        for word in self.slot(index) {
            word.store(0, Relaxed);
        }
        lines::store(self.lines(index, WRITTEN_SOON), b"", 0);
        lines::store(self.lines(index, UNSENT), b"", 0);
        self.slot(index)[STATE].store(State::Booting as u64, SeqCst);
        Some(Slot { board: Arc::clone(self), index })
    }

    /// Gives back the slot of a worker that is gone.
    pub fn release(&self, index: usize) {
        self.slot(index)[STATE].store(State::Empty as u64, SeqCst);
    }

    /// What the worker of that slot is doing.
    pub fn snapshot(&self, index: usize) -> Snapshot {
        let words = self.slot(index);
        Snapshot {
            state: State::from_word(words[STATE].load(SeqCst)),
            retiring: words[RETIRING].load(Relaxed) != 0,
            busy_since: words[BUSY_SINCE].load(Relaxed),
            beat: words[BEAT].load(Relaxed),
            requests: words[REQUESTS].load(Relaxed),
            loaded: words[LOADED].load(Relaxed),
        }
    }

    /// The request that the worker of that slot started last.
    pub fn request(&self, index: usize) -> RequestLine {
        request::load(&self.slot(index)[REQUEST..])
    }

    /// Whether the request that the worker of that slot started last has its line in the access log.
    pub fn is_logged(&self, index: usize) -> bool {
        self.slot(index)[LOGGED].load(Relaxed) != 0
    }

    /// The worker of that slot is about to be told that its request takes too long.
    pub fn mark_late(&self, index: usize) {
        self.slot(index)[LATE].store(1, SeqCst);
    }

    /// Announces that the arbiter will sleep until it is woken. It must look at every slot after this call
    /// and before it sleeps: a worker that became busy earlier has not seen the announcement.
    pub fn announce_sleep(&self) {
        self.memory.words()[ASLEEP].store(1, SeqCst);
    }

    /// Takes the announcement back.
    pub fn withdraw_sleep(&self) {
        self.memory.words()[ASLEEP].store(0, SeqCst);
    }

    /// The lines of the access log that the worker of that slot has not written, and those of responses that it was
    /// still sending.
    pub fn unwritten(&self, index: usize) -> [Vec<u8>; 2] {
        [WRITTEN_SOON, UNSENT].map(|which| lines::load(self.lines(index, which)))
    }

    fn lines(&self, index: usize, which: usize) -> &[AtomicU64] {
        let start = HEADER_WORDS + self.slots * SLOT_WORDS + (2 * index + which) * LINES_WORDS;
        &self.memory.words()[start..start + LINES_WORDS]
    }

    fn slot(&self, index: usize) -> &[AtomicU64] {
        let start = HEADER_WORDS + index * SLOT_WORDS;
        &self.memory.words()[start..start + SLOT_WORDS]
    }

    fn wake_if_asleep(&self) {
        let asleep = &self.memory.words()[ASLEEP];
        if asleep.load(SeqCst) != 0 && asleep.swap(0, SeqCst) != 0 {
            pipe::poke(&self.waker);
        }
    }
}

/// A worker's own place on the board. Cheap to clone.
#[derive(Clone)]
pub struct Slot {
    board: Arc<Board>,
    index: usize,
}

impl Slot {
    /// Number of the slot, for the arbiter's `Board::snapshot`.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The worker has loaded the application and enters its loop, which says when it serves: a native one by
    /// `booted`, one of another maker by its first beat. `now`: CLOCK_MONOTONIC in nanoseconds.
    pub fn loaded(&self, now: u64) {
        self.words()[LOADED].store(now, SeqCst);
        pipe::poke(&self.board.waker);
    }

    /// The worker serves: Booting -> Idle. Wakes the arbiter, which may be waiting to let an old worker go.
    pub fn booted(&self) {
        if State::from_word(self.words()[STATE].load(Relaxed)) == State::Booting {
            self.change(State::Idle);
            pipe::poke(&self.board.waker);
        }
    }

    /// The worker starts a request. `now`: CLOCK_MONOTONIC in nanoseconds. Copies at most 320 bytes; longer
    /// methods and targets are cut.
    pub fn begin(&self, method: &[u8], target: &[u8], peer: Option<SocketAddr>, now: u64) {
        let words = self.words();
        request::store(&words[REQUEST..], method, target, peer);
        words[BUSY_SINCE].store(now, Relaxed);
        words[LOGGED].store(0, Relaxed);
        self.change(State::Busy);
        self.board.wake_if_asleep();
    }

    /// What the logs call the request that `begin` is about to tell of. At most 56 bytes are kept.
    pub fn name(&self, id: &[u8]) {
        request::store_name(&self.words()[REQUEST..], id);
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

    /// The request that `begin` told of has its line in the access log: it needs none if the worker ends before `end`.
    pub fn logged(&self) {
        self.words()[LOGGED].store(1, Relaxed);
    }

    /// Whether the arbiter has found that the request takes too long.
    pub fn is_late(&self) -> bool {
        self.words()[LATE].load(SeqCst) != 0
    }

    /// One more request is on its way to the application.
    pub fn count(&self) {
        let requests = &self.words()[REQUESTS];
        // Without a locked instruction: a slot is written by one thread at a time.
        requests.store(requests.load(Relaxed) + 1, Relaxed);
    }

    /// How many have been counted.
    pub fn counted(&self) -> u64 {
        self.words()[REQUESTS].load(Relaxed)
    }

    /// The request is done: Busy -> Idle.
    pub fn end(&self) {
        // As above; and nobody waits for a worker to become idle.
        self.words()[STATE].store(State::Idle as u64, Release);
    }

    /// The worker has served `max_requests`: it goes on serving until the arbiter, having booted a
    /// replacement, sends it TERM.
    pub fn retire(&self) {
        self.words()[RETIRING].store(1, SeqCst);
        pipe::poke(&self.board.waker);
    }

    /// The worker lives (`Worker.notify()`). `now`: CLOCK_MONOTONIC in nanoseconds. From its first beat on, a
    /// worker that is not inside `begin` and `end` has to beat at least every `timeout` seconds; within them
    /// a beat starts the timeout anew. Before the application is loaded a beat means nothing.
    pub fn beat(&self, now: u64) {
        let words = self.words();
        words[BEAT].store(now, Relaxed);
        match State::from_word(words[STATE].load(Relaxed)) {
            State::Idle => {
                self.change(State::Beating);
                self.board.wake_if_asleep();
            }
            State::Booting if words[LOADED].load(Relaxed) != 0 => {
                self.change(State::Beating);
                pipe::poke(&self.board.waker);
            }
            _ => {}
        }
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

    /// The latest beat is answered for: Beating -> Idle.
    pub fn quiet(&self) {
        self.words()[STATE].store(State::Idle as u64, Release);
    }

    fn words(&self) -> &[AtomicU64] {
        self.board.slot(self.index)
    }

    /// SeqCst: with `announce_sleep` it makes sure that either the worker sees the arbiter asleep or the
    /// arbiter sees the change.
    fn change(&self, state: State) {
        self.words()[STATE].store(state as u64, SeqCst);
    }
}
