//! A request's body: how far it has come, and where its bytes are kept until the application asks for them.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;

use crate::net::Stream;
use crate::proto::http1::Framing;
use crate::proto::http1::{Chunk, Chunked, Trailers};
use crate::proto::http1::{Refusal, Rules};
use crate::reactor::spool::SpoolSettings;

/// A body as the application finds it.
#[derive(Debug, Default)]
pub enum Body {
    /// There is none.
    #[default]
    Empty,
    /// It came with the head and lies behind it, in the request's bytes.
    Inline(Range<usize>),
    /// It is in memory.
    Memory(Vec<u8>),
    /// It is in a temporary file of so many bytes.
    File(File, u64),
    /// It is still on the socket, but for these first bytes: [`crate::reactor::Exchange::read_body`] reads the rest.
    Stream(Vec<u8>),
}

/// Finds the body's bytes in what the socket gives.
#[derive(Debug)]
pub enum Decoder {
    /// So many bytes are missing.
    Length(u64),
    /// Chunks, with the bytes of data so far.
    Chunked(Box<Chunked>, u64),
}

/// What a decoder found at the start of its input.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The body's bytes among them.
    pub data: Range<usize>,
    /// How many bytes are used up, data included.
    pub consumed: usize,
    /// Whether the body ends here.
    pub end: bool,
}

impl Decoder {
    /// `None` where there is no body.
    pub fn new(framing: Framing) -> Option<Self> {
        match framing {
            Framing::None | Framing::Length(0) => None,
            Framing::Length(length) => Some(Self::Length(length)),
            Framing::Chunked => Some(Self::Chunked(Box::default(), 0)),
        }
    }

    /// The fields behind a body that has ended.
    pub fn into_trailers(self) -> Trailers {
        match self {
            Self::Length(_) => Trailers::new(),
            Self::Chunked(chunked, _) => chunked.into_trailers(),
        }
    }

    /// Looks at `input`, the first bytes that are not yet consumed. `limit`: the largest body in bytes, 0 = any.
    pub fn next(&mut self, input: &[u8], rules: &Rules, limit: u64) -> Result<Found, Refusal> {
        match self {
            Self::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= count as u64;
                Ok(Found { data: 0..count, consumed: count, end: *left == 0 })
            }
            Self::Chunked(chunked, total) => {
                let step = chunked.next(input, rules)?;
                let (data, end) = match step.chunk {
                    Chunk::Data(data) => (data, false),
                    Chunk::End => (0..0, true),
                    Chunk::Partial => (0..0, false),
                };
                *total += data.len() as u64;
                if limit > 0 && total.saturating_add(chunked.announced()) > limit {
                    return Err(Refusal::BodyTooLarge(limit));
                }
                Ok(Found { data, consumed: step.consumed, end })
            }
        }
    }
}

/// Why a body cannot be kept.
#[derive(Debug)]
pub enum StorageError {
    /// No temporary file can be made, or it takes nothing: here is what there is of the body. The application must
    /// read the rest itself.
    NoFile(Vec<u8>, io::Error),
    /// The file cannot be written any further.
    Write(io::Error),
}

/// Keeps a body in memory, and past a limit in a file.
#[derive(Debug, Default)]
pub struct Sink {
    memory: Vec<u8>,
    file: Option<(File, u64)>,
}

impl Sink {
    /// Adds `bytes`. Errors: no file could be made, or it could not be written.
    pub fn push(&mut self, bytes: &[u8], settings: &SpoolSettings) -> Result<(), StorageError> {
        if self.file.is_none() && self.memory.len() + bytes.len() <= settings.request_body_memory {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        if let Some((file, length)) = &mut self.file {
            file.write_all(bytes).map_err(StorageError::Write)?;
            *length += bytes.len() as u64;
            return Ok(());
        }
        self.memory.extend_from_slice(bytes);
        let memory = std::mem::take(&mut self.memory);
        match settings.open().and_then(|mut file| file.write_all(&memory).map(|()| file)) {
            Ok(file) => self.file = Some((file, memory.len() as u64)),
            Err(error) => return Err(StorageError::NoFile(memory, error)),
        }
        Ok(())
    }

    /// How many bytes more fit into memory; 0 once there is a file.
    pub fn room(&self, settings: &SpoolSettings) -> usize {
        if self.file.is_some() { 0 } else { settings.request_body_memory.saturating_sub(self.memory.len()) }
    }

    /// Receives straight into memory, at most `most` bytes, which must not be more than [`Sink::room`].
    pub fn receive(&mut self, stream: &Stream, most: usize) -> io::Result<usize> {
        stream.receive(&mut self.memory, most)
    }

    /// The body so far, as the application gets it.
    pub fn into_body(self) -> Body {
        match self.file {
            Some((file, length)) => Body::File(file, length),
            None => Body::Memory(self.memory),
        }
    }
}
