//! A connection on its way from one worker to another, as the bytes that go with its descriptor.
//!
//! ```text
//! version: 1 | flags: 1 | reserved: 2 | requests: 4 | head_since: 8 | came_at: 8 | bytes read and not used
//! ```
//!
//! Numbers are little-endian, times CLOCK_MONOTONIC in nanoseconds. Who reads them may be of another version of this
//! program: what it does not know it must not take for something that it knows.

use crate::net::Stream;

/// The format that is written.
const VERSION: u8 = 1;
/// A process that the application has forked may hold the socket too.
const SHARED: u8 = 1;
const HEADER: usize = 24;

/// What a worker must know of a connection to go on with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Requests that were read so far.
    pub requests: u32,
    /// Since when a request head is coming, in nanoseconds of CLOCK_MONOTONIC; 0 = nothing of one has come.
    pub head_since: u64,
    /// When the oldest request that may wait in it had come, by the same clock; 0 = that is not known.
    pub came_at: u64,
}

/// A connection between two requests that another worker has passed on.
#[derive(Debug)]
pub struct Moved {
    /// Its socket.
    pub stream: Stream,
    /// What it has been through.
    pub past: Past,
    /// Bytes that were read and not used.
    pub inbound: Vec<u8>,
}

/// What stands before the bytes that were read.
pub(super) fn header(past: Past, shared: bool) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = VERSION;
    header[1] = if shared { SHARED } else { 0 };
    header[4..8].copy_from_slice(&past.requests.to_le_bytes());
    header[8..16].copy_from_slice(&past.head_since.to_le_bytes());
    header[16..24].copy_from_slice(&past.came_at.to_le_bytes());
    header
}

/// Reads a message: what the connection has been through, whether others may hold its socket, and the bytes that were
/// read. `None` for what this program does not understand.
pub(super) fn parse(message: &[u8]) -> Option<(Past, bool, &[u8])> {
    let (header, inbound) = message.split_first_chunk::<HEADER>()?;
    let known = header[0] == VERSION && header[1] & !SHARED == 0;
    let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    let requests = u32::from_le_bytes(header[4..8].try_into().expect("four bytes"));
    let past = Past { requests, head_since: number(8), came_at: number(16) };
    known.then_some((past, header[1] & SHARED != 0, inbound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let past = Past { requests: 7, head_since: 1 << 40, came_at: u64::MAX };
        for shared in [false, true] {
            let message = [header(past, shared).as_slice(), b"GET /"].concat();
            assert_eq!(parse(&message), Some((past, shared, b"GET /".as_slice())));
        }
    }

    #[test]
    fn what_another_version_writes_is_not_guessed_at() {
        let message = header(Past::default(), false);
        for (at, byte) in [(0, 0), (0, 2), (1, 2), (1, 255)] {
            let mut other = message;
            other[at] = byte;
            assert_eq!(parse(&other), None);
        }
        for length in 0..HEADER {
            assert_eq!(parse(&message[..length]), None);
        }
    }
}
