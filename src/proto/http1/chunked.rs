//! The chunked transfer coding (RFC 9112 section 7.1) decoded in place: says which of the received bytes are body
//! data, and never keeps any. Extensions are checked and ignored; trailers are checked like header fields, and kept.

use std::ops::Range;

use memchr::memchr;

use super::{Refusal, Rules, admit, lines};
use crate::proto::Span;
use crate::proto::class;
use crate::proto::target::digit;

mod extension;
#[cfg(test)]
mod tests;

/// Trailer fields that would change what was already decided (RFC 9110 section 6.5.1), as Gunicorn lists them.
const FORBIDDEN: [&[u8]; 6] =
    [b"host", b"content-length", b"transfer-encoding", b"trailer", b"authorization", b"te"];

/// One step of decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many bytes of the input are done with: the next input begins behind them. `Data` is within them.
    pub consumed: usize,
    /// What they were.
    pub chunk: Chunk,
}

/// What a step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Body data: this range of the input.
    Data(Range<usize>),
    /// The body is complete, trailers included. What follows is the next request.
    End,
    /// More bytes are needed behind those that were not consumed, which may be a size line or a trailer section up to
    /// its limit (`Limits::largest_head`).
    Partial,
}

/// A body being decoded.
#[derive(Clone, Debug, Default)]
pub struct Chunked {
    state: State,
    /// How much of the unconsumed line or section was already searched for its end.
    searched: usize,
    /// Where the last line of the unconsumed trailer section begins.
    line: usize,
    trailers: Trailers,
}

/// Names and values of the fields behind a body.
pub type Trailers = Vec<(Box<[u8]>, Box<[u8]>)>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// So many bytes of the chunk are still to come; at least one.
    Data(u64),
    /// The CRLF after a chunk.
    Terminator,
    Trailers,
    End,
}

impl Chunked {
    /// Decodes the next piece of `input`, which begins behind what the steps before consumed. To be called until it
    /// gives `End`, or `Partial` when more bytes must be received first.
    ///
    /// # Errors
    /// Any deviation from the grammar, bare CR and bare LF included; the limits of `rules`. Must not be called again.
    pub fn next(&mut self, input: &[u8], rules: &Rules) -> Result<Step, Refusal> {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let done = match self.state {
                State::Size => self.size_line(rest, rules)?,
                State::Data(left) if !rest.is_empty() => return Ok(self.data(at, rest.len(), left)),
                State::Data(_) => None,
                State::Terminator => self.terminator(rest)?,
                State::Trailers => self.trailers(rest, rules)?,
                State::End => return Ok(Step { consumed: at, chunk: Chunk::End }),
            };
            match done {
                Some(length) => at += length,
                None => return Ok(Step { consumed: at, chunk: Chunk::Partial }),
            }
        }
    }

    /// Data bytes of the current chunk that are announced and still to come.
    pub fn announced(&self) -> u64 {
        if let State::Data(left) = self.state { left } else { 0 }
    }

    /// Whether the body is complete.
    pub fn is_ended(&self) -> bool {
        self.state == State::End
    }

    /// The fields behind the body, once it is complete.
    pub fn into_trailers(self) -> Trailers {
        self.trailers
    }

    fn data(&mut self, at: usize, available: usize, left: u64) -> Step {
        let take = usize::try_from(left).map_or(available, |left| left.min(available));
        let left = left - take as u64;
        self.state = if left == 0 { State::Terminator } else { State::Data(left) };
        Step { consumed: at + take, chunk: Chunk::Data(at..at + take) }
    }

    fn terminator(&mut self, rest: &[u8]) -> Result<Option<usize>, Refusal> {
        match rest {
            [b'\r', b'\n', ..] => {
                self.state = State::Size;
                Ok(Some(2))
            }
            // Both bytes are awaited, so that the answer does not depend on how they arrive.
            [] | [_] => Ok(None),
            _ => Err(Refusal::ChunkTerminator(rest[..rest.len().min(2)].into())),
        }
    }

    /// `chunk-size [ chunk-ext ] CRLF`. The whole line is within `limit_request_field_size`.
    fn size_line(&mut self, rest: &[u8], rules: &Rules) -> Result<Option<usize>, Refusal> {
        let limit = rules.limits.field_size as usize;
        let Some(lf) = self.find_lf(rest, limit) else {
            return if rest.len() > limit { Err(too_long(rest)) } else { Ok(None) };
        };
        if lf + 1 > limit {
            return Err(too_long(rest));
        }
        let Some(line) = rest[..lf].strip_suffix(b"\r") else {
            return Err(Refusal::ChunkSize(rest[..=lf].into()));
        };
        self.state = match size(line)? {
            0 => State::Trailers,
            size => State::Data(size),
        };
        Ok(Some(lf + 1))
    }

    /// Fields up to an empty line, or just that line. As in a head, limits come before line ends.
    fn trailers(&mut self, rest: &[u8], rules: &Rules) -> Result<Option<usize>, Refusal> {
        while let Some(lf) = self.find_lf(rest, rest.len()) {
            self.check_section(lf + 1, rules)?;
            if lf == self.line || rest[lf - 1] != b'\r' {
                return Err(Refusal::Header(Refusal::BARE_LF.into()));
            }
            let complete = lf - 1 == self.line;
            (self.searched, self.line) = (lf + 1, lf + 1);
            if complete {
                self.trailers = trailers(&rest[..=lf], rules)?;
                (self.state, self.searched, self.line) = (State::End, 0, 0);
                return Ok(Some(lf + 1));
            }
        }
        self.check_section(rest.len(), rules)?;
        Ok(None)
    }

    /// The limits of the trailer section, of which `end` is the last byte received or the end of a line.
    fn check_section(&self, end: usize, rules: &Rules) -> Result<(), Refusal> {
        if end - self.line > rules.limits.field_size as usize {
            return Err(Refusal::FIELD_TOO_LARGE);
        }
        if end > rules.limits.section as usize { Err(Refusal::TRAILERS_TOO_LARGE) } else { Ok(()) }
    }

    /// The first LF that was not yet seen; looks at each byte once, and not much further than `limit`.
    fn find_lf(&mut self, rest: &[u8], limit: usize) -> Option<usize> {
        let window = &rest[..rest.len().min(limit + 1)];
        let found = memchr(b'\n', window.get(self.searched..).unwrap_or_default());
        let lf = found.map(|lf| self.searched + lf);
        self.searched = if lf.is_some() { 0 } else { window.len() };
        lf
    }
}

fn size(line: &[u8]) -> Result<u64, Refusal> {
    let (digits, extension) = match memchr(b';', line) {
        Some(at) => (class::trim_end(&line[..at]), Some(&line[at..])),
        None => (line, None),
    };
    let size = hexadecimal(digits).ok_or_else(|| Refusal::ChunkSize(digits.into()))?;
    if let Some(extension) = extension {
        extension::check(extension)?;
    }
    Ok(size)
}

/// `1*HEXDIG`, leading zeros allowed; `None` when it is something else or does not fit into 64 bits.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !class::all(digits, class::HEX) {
        return None;
    }
    digits.iter().try_fold(0u64, |size, &byte| Some(size.checked_mul(16)? | u64::from(digit(byte))))
}

fn too_long(rest: &[u8]) -> Refusal {
    Refusal::ChunkSize(rest[..rest.len().min(64)].into())
}

/// RFC 9110 section 6.5.1. No peer is trusted with trailers.
fn trailers(section: &[u8], rules: &Rules) -> Result<Trailers, Refusal> {
    let (mut at, mut kept) = (0, Trailers::new());
    while section[at..] != *b"\r\n" {
        if kept.len() >= rules.limits.fields as usize {
            return Err(Refusal::TOO_MANY_FIELDS);
        }
        let Some(raw) = lines::field_at(section, at, rules)? else { break };
        let name = raw.field.name.of(section);
        if FORBIDDEN.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(Refusal::header_name(name));
        }
        if memchr(b'_', name).is_none() || admit::keeps(name, false, rules)? {
            kept.push((name.into(), joined(raw.field.value.of(section)).into()));
        }
        at = raw.next;
    }
    Ok(kept)
}

/// A value whose lines, if it has several, are joined.
fn joined(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    let length = value.len();
    let whole = lines::join(&mut value, Span::new(0, length));
    whole.of(&value).to_vec()
}
