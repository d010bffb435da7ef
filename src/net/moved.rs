//! A connection on its way from one worker to another, as the bytes that go with its descriptor.
//!
//! ```text
//! version: 1 | flags: 1 | reserved: 2 | requests: 4 | head_since: 8 | came_at: 8 | bytes read and not used
//! ```
//!
//! With `WHOLE` a complete request comes first, whose body is decoded already:
//!
//! ```text
//! ... | head: 4 | trailers: 4 | body: 8 | head | body | trailers | bytes read and not used
//! ```
//!
//! With `APART` its body is not there, but in a file, whose descriptor follows that of the connection.
//!
//! The message [`CALL`] brings no connection.
//!
//! Numbers are little-endian, times CLOCK_MONOTONIC in nanoseconds. Who reads them may be of another version of this
//! program: what it does not know it must not take for something that it knows.

use std::fs::File;

use crate::net::Stream;

/// The format that is written.
const VERSION: u8 = 1;
/// A process that the application has forked may hold the socket too.
const SHARED: u8 = 1;
/// A complete request goes along.
const WHOLE: u8 = 2;
/// Its body is in a file.
const APART: u8 = 4;
const HEADER: usize = 24;
const LENGTHS: usize = 16;

/// A message which asks to look who waits at the listeners. Programs that do not know it take it for an unknown one.
pub(super) const CALL: &[u8] = b"call";

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

/// Where a complete request lies in the bytes that go with its connection: all are lengths in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The head, which comes first.
    pub head: u32,
    /// What the sender makes of the trailers; they come after the body.
    pub trailers: u32,
    /// The body without its framing, behind the head or in a file.
    pub body: u64,
    /// Whether it is in a file.
    pub apart: bool,
}

impl Layout {
    /// How many of `bytes` belong to the request; `None` if there are not so many.
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let body = if self.apart { 0 } else { usize::try_from(self.body).ok()? };
        let length = body.checked_add(self.head as usize)?.checked_add(self.trailers as usize)?;
        (length <= bytes.len()).then_some(length)
    }
}

/// A connection that another worker has passed on.
#[derive(Debug)]
pub struct Moved {
    /// Its socket.
    pub stream: Stream,
    /// What it has been through.
    pub past: Past,
    /// A complete request at the start of `bytes`. They are as many as it says.
    pub whole: Option<Layout>,
    /// The file with its body, where it is apart, at least as long as that.
    pub file: Option<File>,
    /// Bytes that were read and not used.
    pub bytes: Vec<u8>,
}

/// A message taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub past: Past,
    /// Others may hold the socket.
    pub shared: bool,
    pub whole: Option<Layout>,
    pub bytes: &'a [u8],
}

/// What stands before the bytes that were read.
pub(super) fn header(past: Past, shared: bool, whole: Option<Layout>) -> Vec<u8> {
    let flags = [(shared, SHARED), (whole.is_some(), WHOLE), (whole.is_some_and(|whole| whole.apart), APART)];
    let flags = flags.iter().filter(|(set, _)| *set).fold(0, |flags, (_, flag)| flags | flag);
    let mut header = vec![VERSION, flags, 0, 0];
    header.extend(past.requests.to_le_bytes());
    header.extend(past.head_since.to_le_bytes());
    header.extend(past.came_at.to_le_bytes());
    if let Some(Layout { head, trailers, body, .. }) = whole {
        header.extend(head.to_le_bytes());
        header.extend(trailers.to_le_bytes());
        header.extend(body.to_le_bytes());
    }
    header
}

/// Reads a message. `None` for what this program does not understand.
pub(super) fn parse(message: &[u8]) -> Option<Message<'_>> {
    let (header, bytes) = message.split_first_chunk::<HEADER>()?;
    let [VERSION, flags, ..] = *header else { return None };
    let (whole, apart) = (flags & WHOLE != 0, flags & APART != 0);
    if flags & !(SHARED | WHOLE | APART) != 0 || (apart && !whole) {
        return None;
    }
    let past = Past { requests: short(header, 4), head_since: long(header, 8), came_at: long(header, 16) };
    let (whole, bytes) = if whole { layout(bytes, apart)? } else { (None, bytes) };
    Some(Message { past, shared: flags & SHARED != 0, whole, bytes })
}

fn layout(message: &[u8], apart: bool) -> Option<(Option<Layout>, &[u8])> {
    let (lengths, bytes) = message.split_first_chunk::<LENGTHS>()?;
    let layout =
        Layout { head: short(lengths, 0), trailers: short(lengths, 4), body: long(lengths, 8), apart };
    layout.length(bytes)?;
    Some((Some(layout), bytes))
}

fn short(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { head: 3, trailers: 2, body: 5, apart: false };

    #[test]
    fn what_is_written_is_read() {
        let past = Past { requests: 7, head_since: 1 << 40, came_at: u64::MAX };
        let apart = Layout { body: u64::MAX, apart: true, ..LAYOUT };
        for shared in [false, true] {
            for whole in [None, Some(LAYOUT), Some(apart)] {
                let message = [header(past, shared, whole).as_slice(), b"GET body tr GET /"].concat();
                let bytes = b"GET body tr GET /".as_slice();
                assert_eq!(parse(&message), Some(Message { past, shared, whole, bytes }));
            }
        }
    }

    #[test]
    fn what_another_version_writes_is_not_guessed_at() {
        let message = header(Past::default(), false, None);
        for (at, byte) in [(0, 0), (0, 2), (1, APART), (1, 8), (1, 255)] {
            let mut other = message.clone();
            other[at] = byte;
            assert_eq!(parse(&other), None);
        }
        for length in 0..HEADER {
            assert_eq!(parse(&message[..length]), None);
        }
    }

    #[test]
    fn a_request_that_is_longer_than_its_message_is_none() {
        let message = [header(Past::default(), false, Some(LAYOUT)).as_slice(), &[b'x'; 10]].concat();
        assert!(parse(&message).is_some());
        for length in 0..message.len() {
            assert_eq!(parse(&message[..length]), None);
        }
        let most = u64::MAX;
        for layout in [
            Layout { body: most, ..LAYOUT },
            Layout { body: most - 3, ..LAYOUT },
            Layout { head: u32::MAX, apart: true, ..LAYOUT },
            Layout { trailers: u32::MAX, apart: true, ..LAYOUT },
        ] {
            let message = [header(Past::default(), false, Some(layout)).as_slice(), &[b'x'; 10]].concat();
            assert_eq!(parse(&message), None, "{layout:?}");
        }
    }
}
