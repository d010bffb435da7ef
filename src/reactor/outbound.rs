//! What is still to be sent on a connection: a queue of memory and file pieces in order. Past a limit the pieces in
//! memory move to an unnamed temporary file, so that a slow reader costs disk and not memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::net::Stream;
use crate::reactor::spool::SpoolSettings;

#[cfg(test)]
mod tests;

/// Bytes that somebody else owns and that are sent without a copy.
pub type Payload = Box<dyn AsRef<[u8]> + Send>;

enum Piece {
    Owned { bytes: Vec<u8>, sent: usize },
    Shared { bytes: Payload, sent: usize },
    File { file: Arc<File>, offset: u64, left: u64 },
}

impl Piece {
    fn memory(&self) -> Option<&[u8]> {
        match self {
            Self::Owned { bytes, sent } => Some(&bytes[*sent..]),
            Self::Shared { bytes, sent } => Some(&bytes.as_ref().as_ref()[*sent..]),
            Self::File { .. } => None,
        }
    }

    fn left(&self) -> u64 {
        match self {
            Self::File { left, .. } => *left,
            _ => self.memory().map_or(0, |bytes| bytes.len() as u64),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Owned { sent, .. } | Self::Shared { sent, .. } => *sent += count,
            Self::File { offset, left, .. } => {
                *offset += count as u64;
                *left -= count as u64;
            }
        }
    }
}

/// What became of an attempt to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing is left.
    All,
    /// The kernel takes no more for now; `progress` tells whether it took anything.
    Blocked {
        /// Whether some bytes went.
        progress: bool,
    },
    /// The budget of this turn is spent and the kernel would take more.
    More,
}

/// The queue. Empty it owns no memory.
#[derive(Default)]
pub struct Outbound {
    pieces: VecDeque<Piece>,
    /// Bytes of the pieces in memory.
    memory: usize,
    /// The temporary file and its length.
    spool: Option<(Arc<File>, u64)>,
    /// What was sent and not yet given back to its owner.
    sent: Vec<Payload>,
}

/// How many slices one `sendmsg` gets at most.
const SLICES: usize = 16;

impl Outbound {
    /// Whether everything has been sent.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Unsent bytes in memory.
    pub fn in_memory(&self) -> usize {
        self.memory
    }

    /// Queues a copy of `bytes`.
    pub fn push(&mut self, bytes: &[u8]) {
        self.memory += bytes.len();
        match self.pieces.back_mut() {
            _ if bytes.is_empty() => {}
            Some(Piece::Owned { bytes: last, .. }) if last.len() < 16 * 1024 => last.extend_from_slice(bytes),
            _ => self.pieces.push_back(Piece::Owned { bytes: bytes.to_vec(), sent: 0 }),
        }
    }

    /// Queues `bytes` from `sent` on, without a copy.
    pub fn push_shared(&mut self, bytes: Payload, sent: usize) {
        let left = bytes.as_ref().as_ref().len() - sent;
        if left > 0 {
            self.memory += left;
            self.pieces.push_back(Piece::Shared { bytes, sent });
        }
    }

    /// Queues `length` bytes of a file from `offset` on.
    pub fn push_file(&mut self, file: Arc<File>, offset: u64, length: u64) {
        if length > 0 {
            self.pieces.push_back(Piece::File { file, offset, left: length });
        }
    }

    /// Sends until nothing is left, the kernel takes no more, or about `budget` bytes are gone.
    ///
    /// Errors: those of the socket or of reading a file; `UnexpectedEof` when a file is shorter than was promised.
    pub fn flush(&mut self, stream: &Stream, budget: usize) -> io::Result<Flushed> {
        let flushed = self.flush_and_keep(stream, budget);
        self.release();
        flushed
    }

    /// As [`Outbound::flush`], but what was sent is kept until [`Outbound::release`]: for a thread that must not drop a
    /// [`Payload`], whose owner may have to be asked.
    pub fn flush_and_keep(&mut self, stream: &Stream, budget: usize) -> io::Result<Flushed> {
        let mut spent = 0;
        while !self.pieces.is_empty() {
            if spent >= budget {
                return Ok(Flushed::More);
            }
            match self.send_some(stream) {
                Ok(count) => {
                    spent += count;
                    self.consume(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Flushed::Blocked { progress: spent > 0 });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Flushed::All)
    }

    /// As [`Outbound::release`], but whoever gets `spent` drops what was sent.
    pub fn release_into(&mut self, spent: &mut Vec<Payload>) {
        spent.append(&mut self.sent);
        self.release();
    }

    /// Everything that somebody else owns, sent or not.
    pub fn give_up(self, spent: &mut Vec<Payload>) {
        spent.extend(self.sent);
        spent.extend(self.pieces.into_iter().filter_map(|piece| match piece {
            Piece::Shared { bytes, .. } => Some(bytes),
            _ => None,
        }));
    }

    /// Drops what was sent, and when nothing is left everything else.
    pub fn release(&mut self) {
        self.sent.clear();
        if self.pieces.is_empty() {
            *self = Self::default();
        }
    }

    fn send_some(&self, stream: &Stream) -> io::Result<usize> {
        if let Some(Piece::File { file, offset, left }) = self.pieces.front() {
            let count = (*left).min(1 << 20) as usize;
            return match stream.send_file(file.as_fd(), *offset, count)? {
                0 => Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was sent",
                )),
                sent => Ok(sent),
            };
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for bytes in self.pieces.iter().map_while(Piece::memory).take(SLICES) {
            slices[used] = IoSlice::new(bytes);
            used += 1;
        }
        stream.send_vectored(&slices[..used])
    }

    fn consume(&mut self, mut count: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let part = piece.left().min(count as u64) as usize;
            piece.advance(part);
            if piece.memory().is_some() {
                self.memory -= part;
            }
            count -= part;
            if piece.left() > 0 {
                break;
            }
            if let Some(Piece::Shared { bytes, .. }) = self.pieces.pop_front() {
                self.sent.push(bytes);
            }
        }
    }

    /// Moves what is in memory to a temporary file if it is more than `settings` allow. Where no file can be made it
    /// stays in memory, and [`Outbound::is_full`] says so.
    pub fn spill(&mut self, settings: &SpoolSettings) {
        if self.memory > settings.response_memory && self.move_to_file(settings).is_err() {
            // A full disk: the pieces that were not written are still in the queue, in order.
        }
    }

    fn move_to_file(&mut self, settings: &SpoolSettings) -> io::Result<()> {
        let (file, mut end) = match self.spool.take() {
            Some(spool) => spool,
            None => (Arc::new(settings.open()?), 0),
        };
        let mut moved = VecDeque::with_capacity(2);
        let mut result = Ok(());
        for piece in std::mem::take(&mut self.pieces) {
            let Some(bytes) = piece.memory().filter(|_| result.is_ok()) else {
                moved.push_back(piece);
                continue;
            };
            result = file.write_all_at(bytes, end);
            if result.is_err() {
                moved.push_back(piece);
                continue;
            }
            let length = bytes.len() as u64;
            self.memory -= bytes.len();
            append_range(&mut moved, &file, end, length);
            end += length;
        }
        self.pieces = moved;
        self.spool = Some((file, end));
        result
    }

    /// Whether the application must wait before it produces more.
    pub fn is_full(&self, settings: &SpoolSettings) -> bool {
        self.memory > settings.response_memory
            || self.spool.as_ref().is_some_and(|(_, end)| *end > settings.response_file_limit)
    }
}

/// Adds a range of the spool file, joined to the one before it where they touch.
fn append_range(pieces: &mut VecDeque<Piece>, spool: &Arc<File>, start: u64, length: u64) {
    match pieces.back_mut() {
        Some(Piece::File { file, offset, left }) if Arc::ptr_eq(file, spool) && *offset + *left == start => {
            *left += length;
        }
        _ => pieces.push_back(Piece::File { file: spool.clone(), offset: start, left: length }),
    }
}
