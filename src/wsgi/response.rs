//! One response on its way: the application's status, headers and body blocks to framed bytes on the exchange.
//! Decides when the head goes out, how the body is framed and whether the connection may live on (RFC 9112, section 6).

use std::io;

use crate::proto::http1::encode::{self, Connection, ResponseHead};
use crate::reactor::{End, Exchange, Payload};
use crate::wsgi::start_response::Declared;

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// There is none: HEAD, 1xx, 204, 304.
    Nothing,
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// `start_response` has not been called.
    Undeclared,
    /// Status and headers are known and may still be replaced.
    Declared,
    /// The head is out.
    Sending(Framing),
}

/// The response to one request, together with the exchange on which it goes out.
pub struct Response {
    exchange: Exchange,
    stage: Stage,
    close: bool,
    chunked: bool,
    /// Body bytes handed to the connection, for the access log.
    sent: u64,
    /// The application yielded a body where none may be.
    dropped_body: bool,
}

/// What finishing a response found wrong; the connection is closed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The application gave fewer bytes than its `Content-Length`: so many are missing.
    Short(u64),
}

/// A block of at most so many bytes goes out in one piece with what stands before it.
const JOINED: usize = 2048;

/// What outlives a response.
#[derive(Default)]
pub struct Scratch {
    /// The `Server` field's value; no field if it is empty.
    pub server: Vec<u8>,
    /// Where the head is put together.
    head: Vec<u8>,
}

impl Response {
    /// A response to the request of `exchange`.
    pub fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            stage: Stage::Undeclared,
            close: false,
            chunked: false,
            sent: 0,
            dropped_body: false,
        }
    }

    /// The exchange, to read what was asked.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The exchange, to read more of its body or to wait for its client.
    pub fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// Whether `start_response` has been called.
    pub fn is_declared(&self) -> bool {
        self.stage != Stage::Undeclared
    }

    /// Whether status and headers can no longer be changed.
    pub fn is_head_sent(&self) -> bool {
        matches!(self.stage, Stage::Sending(_))
    }

    /// `start_response` was called, for the first time or (with `exc_info`) again.
    pub fn declare(&mut self) {
        debug_assert!(!self.is_head_sent());
        self.stage = Stage::Declared;
    }

    /// Body bytes so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the application yielded bytes that a response of this kind cannot have.
    pub fn dropped_body(&self) -> bool {
        self.dropped_body
    }

    /// Whether the body goes out in chunks; false before the head is out.
    pub fn is_chunked(&self) -> bool {
        self.chunked
    }

    /// The connection ends with this response.
    pub fn force_close(&mut self) {
        self.close = true;
    }

    /// The application goes on with the socket: for the server the connection ends with this response.
    pub fn hand_over(&mut self) {
        self.close = true;
        self.exchange.hand_over();
    }

    /// Sends one block. The head goes out with the first block that is not empty. `last` promises that no other
    /// block follows, which saves a packet. `keep` is called if the kernel does not take all of it.
    pub fn write(
        &mut self,
        declared: &Declared,
        scratch: &mut Scratch,
        date: &[u8; 29],
        block: &[u8],
        last: bool,
        keep: impl FnOnce() -> Payload,
    ) -> io::Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        scratch.head.clear();
        let framing = self.begin(declared, scratch, date);
        let (size, tail): (usize, &[u8]) = match framing {
            Framing::Nothing => {
                self.dropped_body = true;
                (0, b"")
            }
            Framing::Length(left) => (usize::try_from(left).unwrap_or(usize::MAX).min(block.len()), b""),
            Framing::Chunked => {
                encode::chunk_size(&mut scratch.head, block.len());
                (block.len(), if last { encode::FINAL_CHUNK_END } else { encode::CHUNK_END })
            }
            Framing::UntilClose => (block.len(), b""),
        };
        self.sent += size as u64;
        self.stage = Stage::Sending(match framing {
            Framing::Length(left) => Framing::Length(left - size as u64),
            // The end has gone out with the last block.
            Framing::Chunked if last => Framing::Nothing,
            other => other,
        });
        if block.len() <= JOINED && size == block.len() {
            // Copying it behind the head is cheaper than a second slice.
            scratch.head.extend_from_slice(block);
            scratch.head.extend_from_slice(tail);
            return self.exchange.send(&scratch.head, b"", b"", !last, keep);
        }
        if size < block.len() {
            return self.exchange.send_copied(&scratch.head, &block[..size]);
        }
        self.exchange.send(&scratch.head, block, tail, !last, keep)
    }

    /// How many bytes of a file the response wants: what its `Content-Length` allows, and none if it has no body.
    pub fn file_length(&self, declared: &Declared, available: u64) -> u64 {
        match self.framing(declared) {
            Framing::Nothing => 0,
            Framing::Length(left) => left.min(available),
            _ => available,
        }
    }

    /// Sends `length` bytes of a file, as one block.
    pub fn write_file(
        &mut self,
        declared: &Declared,
        scratch: &mut Scratch,
        date: &[u8; 29],
        file: std::fs::File,
        offset: u64,
        length: u64,
    ) -> io::Result<()> {
        scratch.head.clear();
        let framing = self.begin(declared, scratch, date);
        let chunked = framing == Framing::Chunked && length > 0;
        if chunked {
            encode::chunk_size(&mut scratch.head, usize::try_from(length).unwrap_or(usize::MAX));
        }
        self.exchange.send_with_file(&scratch.head, file, offset, length)?;
        if chunked {
            self.exchange.send_copied(encode::CHUNK_END, b"")?;
        }
        if let Framing::Length(left) = framing {
            self.stage = Stage::Sending(Framing::Length(left - length));
        }
        self.sent += length;
        Ok(())
    }

    /// Ends the body, and with it the response; gives what becomes of the connection.
    pub fn finish(
        &mut self,
        declared: &Declared,
        scratch: &mut Scratch,
        date: &[u8; 29],
    ) -> io::Result<(End, Option<Flaw>)> {
        scratch.head.clear();
        let framing = self.begin(declared, scratch, date);
        if framing == Framing::Chunked {
            scratch.head.extend_from_slice(encode::LAST_CHUNK);
        }
        if !scratch.head.is_empty() {
            self.exchange.send_copied(&scratch.head, b"")?;
        }
        let flaw = match framing {
            Framing::Length(missing) if missing > 0 => Some(Flaw::Short(missing)),
            _ => None,
        };
        Ok((if self.close || flaw.is_some() { End::Close } else { End::Keep }, flaw))
    }

    /// Sends interim hints (RFC 8297); nothing to a client of HTTP/1.0, nothing once the head is out.
    pub fn early_hints(&mut self, fields: &[u8]) -> io::Result<()> {
        if self.is_head_sent() || self.exchange.response_minor() == 0 {
            return Ok(());
        }
        let mut interim = Vec::with_capacity(64 + fields.len());
        encode::early_hints(&mut interim, fields);
        self.exchange.send_copied(&interim, b"")
    }

    /// Gives the exchange back.
    pub fn into_exchange(self) -> Exchange {
        self.exchange
    }

    /// The framing of the body; encodes the head into `scratch` if it is not out yet.
    fn begin(&mut self, declared: &Declared, scratch: &mut Scratch, date: &[u8; 29]) -> Framing {
        if let Stage::Sending(framing) = self.stage {
            return framing;
        }
        let framing = self.framing(declared);
        self.chunked = framing == Framing::Chunked;
        self.close |= declared.close
            || declared.upgrade
            || framing == Framing::UntilClose
            || !self.exchange.may_persist();
        let connection = match (declared.upgrade, self.close) {
            (true, _) => Connection::Upgrade,
            (false, true) => Connection::Close,
            (false, false) => Connection::KeepAlive,
        };
        let tunnel = self.is_tunnel(declared).then(|| declared.fields_without_length());
        let head = ResponseHead {
            minor: self.exchange.response_minor(),
            status: &declared.status,
            server: &scratch.server,
            date,
            connection,
            chunked: self.chunked,
            fields: tunnel.as_deref().unwrap_or(&declared.fields),
        };
        head.encode(&mut scratch.head);
        self.stage = Stage::Sending(framing);
        framing
    }

    fn is_tunnel(&self, declared: &Declared) -> bool {
        matches!(declared.code, 200..=299) && self.exchange.method() == b"CONNECT"
    }

    fn framing(&self, declared: &Declared) -> Framing {
        if let Stage::Sending(framing) = self.stage {
            return framing;
        }
        match declared.content_length {
            _ if self.exchange.request.is_head() || !declared.has_body() => Framing::Nothing,
            // A tunnel (RFC 9110, section 9.3.6): whatever follows is its content.
            _ if self.is_tunnel(declared) => Framing::UntilClose,
            Some(length) => Framing::Length(length),
            None if self.exchange.response_minor() == 0 => Framing::UntilClose,
            None => Framing::Chunked,
        }
    }
}
