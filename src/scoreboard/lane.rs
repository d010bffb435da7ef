//! A lane: the place of one running request on the scoreboard. Who serves several at a time has one for each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::Board;
use super::request::{self, RequestLine};

/// Requests of one worker that the scoreboard has places for: as many as a word has bits.
pub const LANES: usize = 64;
/// Words of a lane: six cache lines of 64 bytes, of which a request with a short target and no name touches one.
pub const LANE_WORDS: usize = 48;

// Words of a lane.
/// When the request started; 0: none runs.
const SINCE: usize = 0;
/// 0 while a line in the access log is due.
const LOGGED: usize = 1;
/// The rest belongs to `request`.
const REQUEST: usize = 2;

// Values of that word.
const ANSWERED: u64 = 1;
const NEEDS_NONE: u64 = 2;

/// A running request as the arbiter saw it at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// What was asked for.
    pub request: RequestLine,
    /// When it started: CLOCK_MONOTONIC in nanoseconds.
    pub since: u64,
    /// It has its line in the access log, or needs none.
    pub logged: bool,
    /// Its client has the answer.
    pub answered: bool,
}

/// The place of one running request. One thread at a time writes to it.
pub struct Lane {
    board: Arc<Board>,
    slot: usize,
    index: usize,
}

impl Lane {
    pub(super) fn new(board: Arc<Board>, slot: usize, index: usize) -> Self {
        Self { board, slot, index }
    }

    /// What the logs call the request that `begin` is about to tell of. At most 56 bytes are kept.
    pub fn name(&self, id: &[u8]) {
        request::store_name(&self.words()[REQUEST..], id);
    }

    /// A request starts. `now`: CLOCK_MONOTONIC in nanoseconds. Copies at most 320 bytes; longer methods and targets are
    /// cut.
    pub fn begin(&self, method: &[u8], target: &[u8], peer: Option<SocketAddr>, now: u64) {
        let words = self.words();
        request::store(&words[REQUEST..], method, target, peer);
        words[LOGGED].store(0, Relaxed);
        words[SINCE].store(now, Release);
    }

    /// The request has its answer and its line in the access log: it needs none if the worker ends before `end`.
    pub fn logged(&self) {
        self.words()[LOGGED].store(ANSWERED, Relaxed);
    }

    /// If the worker ends before `end`, the request needs no line in the access log.
    pub fn needs_no_line(&self) {
        self.words()[LOGGED].store(NEEDS_NONE, Relaxed);
    }

    /// The request is done.
    pub fn end(&self) {
        self.words()[SINCE].store(0, Release);
    }

    fn words(&self) -> &[AtomicU64] {
        self.board.lane(self.slot, self.index)
    }
}

/// The request that runs, if one does.
pub fn load(words: &[AtomicU64]) -> Option<Running> {
    let since = words[SINCE].load(Acquire);
    let logged = words[LOGGED].load(Relaxed);
    (since != 0).then(|| Running {
        request: request::load(&words[REQUEST..]),
        since,
        logged: logged != 0,
        answered: logged == ANSWERED,
    })
}
