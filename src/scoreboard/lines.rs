//! Lines of the access log that a worker has not written yet: what is left of them when it is killed.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use super::bytes;

/// Words for the lines of one worker: their length, then their bytes; whole cache lines.
pub const LINES_WORDS: usize = 520;
/// Bytes of lines that are kept.
const ROOM: usize = (LINES_WORDS - 1) * 8;

/// Keeps `lines`, of which the first `known` bytes are kept already. What does not fit is not kept.
pub fn store(words: &[AtomicU64], lines: &[u8], known: usize) {
    let lines = &lines[..lines.len().min(ROOM)];
    let first = known.min(lines.len()) / 8;
    bytes::store(&words[1 + first..], &lines[first * 8..]);
    words[0].store(lines.len() as u64, Release);
}

/// The lines that are kept.
pub fn load(words: &[AtomicU64]) -> Vec<u8> {
    let length = words[0].load(Acquire) as usize;
    bytes::load(&words[1..], length.min(ROOM))
}
