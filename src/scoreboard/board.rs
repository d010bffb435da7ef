//! The shared memory as a whole: where the parts of each worker lie in it, and the arbiter's view of them.
//!
//! ```text
//! header | slots: header, lane 0 | lines of the access log | lanes 1 .. LANES
//! ```
//!
//! What every worker uses lies close together. The rest takes part of the address space only: a page costs memory once
//! it has been written or read, so nobody may look at a lane that no worker has opened.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

use super::lane::{self, LANE_WORDS, LANES, Running};
use super::lines::{self, LINES_WORDS};
use super::slot::{self, Slot};
use super::{Snapshot, State};
use crate::net::Handoff;
use crate::sys::mmap::SharedWords;
use crate::sys::{clock, pipe};

const HEADER_WORDS: usize = 8;
/// Word of the header: 1 while the arbiter sleeps without a deadline.
const ASLEEP: usize = 0;
/// Word of the header: 1 once the service was told to end.
const ENDING: usize = 1;

/// Words of one slot with its first lane: eight cache lines of 64 bytes.
const SLOT_WORDS: usize = slot::WORDS + LANE_WORDS;

/// The areas for lines of one worker.
pub(super) const WRITTEN_SOON: usize = 0;
pub(super) const UNSENT: usize = 1;

/// Words behind the slots that each worker has.
const WORDS_BEHIND: usize = 2 * LINES_WORDS + (LANES - 1) * LANE_WORDS;

/// The arbiter's view of the shared memory, and the pipe through which workers wake it.
pub struct Board {
    memory: SharedWords,
    slots: usize,
    waker: OwnedFd,
    handoff: Option<Handoff>,
}

impl Board {
    /// Room for `slots` workers at once. `waker` is the write end of a non-blocking pipe that the arbiter
    /// polls; through `handoff` workers pass connections to each other, if they can.
    pub fn new(slots: usize, waker: OwnedFd, handoff: Option<Handoff>) -> io::Result<Arc<Self>> {
        let memory = SharedWords::new(HEADER_WORDS + slots * (SLOT_WORDS + WORDS_BEHIND))?;
        Ok(Arc::new(Self { memory, slots, waker, handoff }))
    }

    /// Where workers pass connections to each other.
    pub fn handoff(&self) -> Option<&Handoff> {
        self.handoff.as_ref()
    }

    /// The board of a program in whose place this one is: `memory` is its descriptor, everything else as for `new`.
    pub fn adopt(
        memory: OwnedFd,
        slots: usize,
        waker: OwnedFd,
        handoff: Option<Handoff>,
    ) -> io::Result<Arc<Self>> {
        let memory = SharedWords::adopt(memory, HEADER_WORDS + slots * (SLOT_WORDS + WORDS_BEHIND))?;
        Ok(Arc::new(Self { memory, slots, waker, handoff }))
    }

    /// What `adopt` needs of it; `None`: only children can have the memory.
    pub fn memory(&self) -> Option<BorrowedFd<'_>> {
        self.memory.descriptor()
    }

    /// The write end of the pipe that wakes the arbiter.
    pub fn waker(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    /// Names how things lie in the memory: two programs can share it if this is the same.
    pub fn layout() -> String {
        format!("{HEADER_WORDS}+{SLOT_WORDS}+{WORDS_BEHIND}")
    }

    /// Takes a free slot for a worker that is about to be forked; `None` if there is none. Only the arbiter
    /// claims.
    pub fn claim(self: &Arc<Self>) -> Option<Slot> {
        let index = (0..self.slots).find(|&index| self.snapshot(index).state == State::Empty)?;
        self.lanes_opened(index).for_each(|lane| clear(self.lane(index, lane)));
        clear(self.slot(index));
        lines::store(self.lines(index, WRITTEN_SOON), b"", 0);
        lines::store(self.lines(index, UNSENT), b"", 0);
        self.slot(index)[slot::STATE].store(State::Booting as u64, SeqCst);
        Some(Slot::new(Arc::clone(self), index))
    }

    /// Gives back the slot of a worker that is gone.
    pub fn release(&self, index: usize) {
        self.slot(index)[slot::STATE].store(State::Empty as u64, SeqCst);
    }

    /// What the worker of that slot is doing.
    pub fn snapshot(&self, index: usize) -> Snapshot {
        let words = self.slot(index);
        let state = State::from_word(words[slot::STATE].load(SeqCst));
        let flags = words[slot::FLAGS].load(Relaxed);
        Snapshot {
            state,
            retiring: flags & slot::RETIRING != 0,
            stuck: flags & slot::STUCK != 0,
            finishes: flags & slot::FINISHES != 0,
            takes: flags & slot::TAKES != 0,
            busy_since: words[slot::BUSY_SINCE].load(Relaxed),
            beat: words[slot::BEAT].load(Relaxed),
            requests: words[slot::REQUESTS].load(Relaxed),
            handed: words[slot::HANDED].load(Relaxed),
            cut: words[slot::CUT].load(Relaxed),
            loaded: words[slot::LOADED].load(Relaxed),
            done: words[slot::DONE].load(Relaxed),
        }
    }

    /// The requests that the worker of that slot is serving, or was serving when it ended: oldest first.
    pub fn running(&self, index: usize) -> Vec<Running> {
        let lanes = self.lanes_opened(index).filter_map(|lane| lane::load(self.lane(index, lane)));
        let mut running: Vec<_> = lanes.collect();
        running.sort_by_key(|request| request.since);
        running
    }

    /// The worker of that slot is about to be told that its request takes too long.
    pub fn mark_late(&self, index: usize) {
        self.slot(index)[slot::FLAGS].fetch_or(slot::LATE, SeqCst);
    }

    /// The worker of that slot is told to leave.
    pub fn dismiss(&self, index: usize) {
        let flags = &self.slot(index)[slot::FLAGS];
        if flags.load(Relaxed) & slot::DISMISSED == 0 {
            flags.fetch_or(slot::DISMISSED, SeqCst);
        }
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

    /// Tells all workers that the service was told to end: they may still be given requests.
    pub fn announce_end(&self) {
        self.memory.words()[ENDING].store(clock::monotonic(), SeqCst);
    }

    pub(super) fn ending_since(&self) -> Option<u64> {
        Some(self.memory.words()[ENDING].load(Relaxed)).filter(|&since| since > 0)
    }

    /// The lines of the access log that the worker of that slot has not written, and those of responses that it was
    /// still sending.
    pub fn unwritten(&self, index: usize) -> [Vec<u8>; 2] {
        [WRITTEN_SOON, UNSENT].map(|which| lines::load(self.lines(index, which)))
    }

    pub(super) fn slot(&self, index: usize) -> &[AtomicU64] {
        self.words(HEADER_WORDS + index * SLOT_WORDS, slot::WORDS)
    }

    pub(super) fn lines(&self, index: usize, which: usize) -> &[AtomicU64] {
        self.words(self.behind(index) + which * LINES_WORDS, LINES_WORDS)
    }

    pub(super) fn lane(&self, index: usize, lane: usize) -> &[AtomicU64] {
        let start = match lane.checked_sub(1) {
            None => HEADER_WORDS + index * SLOT_WORDS + slot::WORDS,
            Some(further) => self.behind(index) + 2 * LINES_WORDS + further * LANE_WORDS,
        };
        self.words(start, LANE_WORDS)
    }

    pub(super) fn wake(&self) {
        pipe::poke(&self.waker);
    }

    pub(super) fn wake_if_asleep(&self) {
        let asleep = &self.memory.words()[ASLEEP];
        if asleep.load(SeqCst) != 0 && asleep.swap(0, SeqCst) != 0 {
            self.wake();
        }
    }

    /// The lanes that the worker of that slot has opened; the first needs no opening.
    fn lanes_opened(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
        let opened = self.slot(index)[slot::OPENED].load(Acquire) | 1;
        (0..LANES).filter(move |lane| opened & (1 << lane) != 0)
    }

    /// Where the part of that worker begins that lies behind the slots.
    fn behind(&self, index: usize) -> usize {
        HEADER_WORDS + self.slots * SLOT_WORDS + index * WORDS_BEHIND
    }

    fn words(&self, start: usize, len: usize) -> &[AtomicU64] {
        &self.memory.words()[start..start + len]
    }
}

fn clear(words: &[AtomicU64]) {
    for word in words {
        word.store(0, Relaxed);
    }
}
