//! One client's connection and its HTTP state. The only file that changes that state: what a read means, when a
//! request is complete, what is kept while more must come. An idle connection holds no buffer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::net::Stream;
use crate::proto::http1::{Refusal, Scan, encode};
use crate::reactor::body::{Body, Decoder, StorageError};
use crate::reactor::deadlines::Wait;
use crate::reactor::notice::Closed;
use crate::reactor::outbound::Outbound;
use crate::reactor::request::{HEAD_ROOM, Pool, Request};
use crate::reactor::settings::ReactorSettings;

/// What happens to a connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It waits for the next request.
    Keep,
    /// It is closed when everything has been sent.
    Close,
    /// It is closed at once: the peer is gone.
    Cut,
}

/// What a connection is doing.
#[derive(Debug)]
pub(super) enum Phase {
    /// It waits for a request head, of which `inbound` may hold the beginning.
    Head(Scan),
    /// The head is known, the body is coming.
    Body(Box<Request>),
    /// It sends what is left of a response, then this.
    Flushing(End),
    /// Everything has been sent; it reads and forgets until the peer has seen it (RFC 9112, section 9.6).
    Lingering,
}

/// What to do with a connection after its socket was read.
#[derive(Debug)]
pub(super) enum Step {
    /// A request is complete.
    Ready(Box<Request>),
    /// A request's body can only be read from the socket, because there is no room to store it.
    Unstored(Box<Request>, io::Error),
    /// Nothing more can be done before the socket is readable again.
    Wait(Wait, Progress),
    /// There may be more to read, but others wait too.
    Again,
    /// The peer is gone, or will get no answer to what had come of its request.
    Close(Closed, Option<Box<Request>>),
    /// The peer gets this answer.
    Refuse(Refusal, Option<Box<Request>>),
}

/// Whether something was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Some,
    None,
}

/// An accepted connection.
pub(super) struct Connection {
    pub stream: Arc<Stream>,
    pub peer: Option<SocketAddr>,
    /// Which of the listeners took it.
    pub listener: usize,
    pub phase: Phase,
    /// Received and not yet used: the start of a head, or what came behind a request. Empty when idle.
    pub inbound: Vec<u8>,
    pub outbound: Outbound,
    /// Requests read so far.
    pub requests: u32,
    /// Somebody wants to know when the response has been sent: see [`crate::reactor::Exchange::follow`].
    pub ticket: Option<u64>,
    /// The socket may hold bytes that were not received yet.
    pub readable: bool,
    /// The peer has sent its last byte, or the socket failed: only a read tells.
    pub hangup: bool,
    /// The loop knows the socket.
    pub registered: bool,
    /// Its key stands in the queue of readable connections.
    pub queued: bool,
    /// It cannot be passed on to another worker.
    pub stays: bool,
}

/// Bytes of a body received in one go before other connections get their turn.
const BODY_TURN: usize = 256 * 1024;
/// Bytes received at once into the scratch buffer of a request.
const BLOCK: usize = 64 * 1024;

impl Connection {
    pub fn new(stream: Stream, peer: Option<SocketAddr>, listener: usize) -> Self {
        Self {
            stream: Arc::new(stream),
            peer,
            listener,
            phase: Phase::Head(Scan::default()),
            inbound: Vec::new(),
            outbound: Outbound::default(),
            requests: 0,
            ticket: None,
            readable: true,
            hangup: false,
            registered: false,
            queued: false,
            stays: false,
        }
    }

    /// Whether it has nothing to do: between two requests, or before the first byte of one.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Head(_)) && self.inbound.is_empty()
    }

    /// Reads and goes as far as the bytes allow.
    pub fn advance(&mut self, pool: &mut Pool, settings: &ReactorSettings) -> Step {
        match &mut self.phase {
            Phase::Head(scan) => {
                let scan = *scan;
                self.read_head(scan, pool, settings)
            }
            Phase::Body(request) => {
                let request = std::mem::take(request);
                self.read_body(request, settings)
            }
            Phase::Flushing(_) => Step::Wait(Wait::Send, Progress::None),
            Phase::Lingering => self.discard(),
        }
    }

    fn read_head(&mut self, mut scan: Scan, pool: &mut Pool, settings: &ReactorSettings) -> Step {
        let mut request = pool.take();
        let mut progress = Progress::None;
        let begun = std::mem::take(&mut self.inbound);
        if begun.len() > HEAD_ROOM {
            request.bytes = begun;
        } else {
            request.bytes.extend_from_slice(&begun);
        }
        loop {
            if !request.bytes.is_empty() {
                match scan.find(&request.bytes, &settings.rules) {
                    Ok(Some(length)) => return self.open(request, length, settings),
                    Ok(None) => {}
                    Err(refusal) => return Step::Refuse(refusal, None),
                }
            }
            if !self.readable {
                break;
            }
            match self.receive(&mut request.bytes, HEAD_ROOM) {
                Ok(Some(_)) => progress = Progress::Some,
                Ok(None) => break,
                Err(error) => return Step::Close(Closed::of(error, request.bytes.is_empty()), None),
            }
        }
        // A client that sends its head slowly costs what it has sent, in memory (an exact copy) and in time (a long
        // beginning is not copied for each byte that follows).
        self.inbound = match request.bytes.len() {
            ..=HEAD_ROOM => request.bytes.as_slice().to_vec(),
            _ => std::mem::take(&mut request.bytes),
        };
        pool.give(request);
        self.phase = Phase::Head(scan);
        let wait = match (scan.is_idle(), self.requests) {
            (false, _) => Wait::Head,
            (true, 0) => Wait::First,
            (true, _) => Wait::Idle,
        };
        Step::Wait(wait, progress)
    }

    /// The head is complete: `length` bytes of `request.bytes`.
    fn open(&mut self, mut request: Box<Request>, length: usize, settings: &ReactorSettings) -> Step {
        self.requests += 1;
        request.number = self.requests;
        if let Err(refusal) = self.parse_head(&mut request, length, settings) {
            return Step::Refuse(refusal, Some(request));
        }
        let Some(decoder) = Decoder::new(request.head.framing) else {
            if request.bytes.len() > length {
                self.inbound = request.bytes.split_off(length);
            }
            return Step::Ready(request);
        };
        if let Decoder::Length(size) = decoder {
            if settings.limit_request_body > 0 && size > settings.limit_request_body {
                return Step::Refuse(Refusal::BodyTooLarge(settings.limit_request_body), Some(request));
            }
            let end = usize::try_from(size).ok().and_then(|size| length.checked_add(size));
            if let Some(end) = end.filter(|&end| end <= request.bytes.len() && !settings.stream_request_body)
            {
                if request.bytes.len() > end {
                    self.inbound = request.bytes.split_off(end);
                }
                request.body = Body::Inline(length..end);
                return Step::Ready(request);
            }
        }
        self.begin_body(request, length, decoder, settings)
    }

    fn begin_body(
        &mut self,
        mut request: Box<Request>,
        length: usize,
        decoder: Decoder,
        settings: &ReactorSettings,
    ) -> Step {
        let behind = request.bytes.len() > length;
        if request.head.expect_continue && !behind && self.send_continue().is_err() {
            return Step::Close(Closed::Premature, Some(request));
        }
        self.inbound = request.bytes[length..].to_vec();
        // The head may have to wait for a slow body: it keeps what it needs and no more.
        request.bytes.truncate(length);
        request.bytes.shrink_to_fit();
        request.decoder = Some(decoder);
        if settings.stream_request_body {
            request.body = Body::Stream(Vec::new());
            return Step::Ready(request);
        }
        self.read_body(request, settings)
    }

    /// A few bytes to a socket that has sent nothing on this turn: they fit, or the peer does not deserve them.
    fn send_continue(&mut self) -> io::Result<()> {
        if self.outbound.is_empty() {
            match self.stream.send(encode::CONTINUE) {
                Ok(sent) if sent == encode::CONTINUE.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => {}
            }
        }
        self.outbound.push(encode::CONTINUE);
        Ok(())
    }

    fn read_body(&mut self, mut request: Box<Request>, settings: &ReactorSettings) -> Step {
        let mut progress = Progress::None;
        let mut budget = BODY_TURN;
        loop {
            if !self.inbound.is_empty() {
                match self.decode(&mut request, settings) {
                    Ok(true) => return complete(request),
                    Ok(false) => {}
                    Err(fault) => return fault.into_step(request),
                }
            }
            if !self.readable || budget == 0 {
                let again = self.readable;
                self.phase = Phase::Body(request);
                return if again { Step::Again } else { Step::Wait(Wait::Body, progress) };
            }
            match self.receive_body(&mut request, settings) {
                Ok(Some(count)) => {
                    progress = Progress::Some;
                    budget = budget.saturating_sub(count);
                    if matches!(request.decoder, Some(Decoder::Length(0))) {
                        return complete(request);
                    }
                }
                Ok(None) => self.readable = false,
                Err(error) => return Step::Close(Closed::of(error, false), Some(request)),
            }
        }
    }

    /// Receives into the body itself where its length is known and it fits, else into `inbound`.
    fn receive_body(
        &mut self,
        request: &mut Request,
        settings: &ReactorSettings,
    ) -> io::Result<Option<usize>> {
        let room = request.sink.room(&settings.spool);
        if let Some(Decoder::Length(left)) = &mut request.decoder
            && room > 0
        {
            let most = usize::try_from(*left).unwrap_or(usize::MAX).min(room).min(BODY_TURN);
            let count = match request.sink.receive(&self.stream, most) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            *left -= count as u64;
            if count < most && !self.hangup {
                self.readable = false;
            }
            return Ok(Some(count));
        }
        let mut inbound = std::mem::take(&mut self.inbound);
        let received = self.receive(&mut inbound, BLOCK);
        self.inbound = inbound;
        received
    }

    /// Moves the body's bytes from `inbound` into the sink; true at the end of the body.
    fn decode(&mut self, request: &mut Request, settings: &ReactorSettings) -> Result<bool, Fault> {
        let decoder = request.decoder.as_mut().expect("a body that is being read has a decoder");
        let mut at = 0;
        let end = loop {
            let rest = &self.inbound[at..];
            let found =
                decoder.next(rest, &settings.rules, settings.limit_request_body).map_err(Fault::Refused)?;
            at += found.consumed;
            if let Err(error) = request.sink.push(&rest[found.data], &settings.spool) {
                self.inbound.drain(..at);
                return Err(Fault::Storage(error, found.end));
            }
            if found.end || found.consumed == 0 || at == self.inbound.len() {
                break found.end;
            }
        };
        self.inbound.drain(..at);
        if self.inbound.is_empty() {
            self.inbound = Vec::new();
        }
        Ok(end)
    }

    fn discard(&mut self) -> Step {
        let mut scratch = Vec::new();
        // Bounded, so that a peer that never stops cannot keep the loop.
        for _ in 0..4 {
            scratch.clear();
            match self.receive(&mut scratch, BLOCK) {
                Ok(Some(_)) => {}
                Ok(None) => return Step::Wait(Wait::Linger, Progress::None),
                Err(_) => return Step::Close(Closed::Idle, None),
            }
        }
        Step::Again
    }

    /// Receives into `buffer`; `None` when there is nothing for now, `UnexpectedEof` at the end of the stream.
    ///
    /// A read that gives less than it could take has emptied the socket (epoll(7)), so no second one is needed to
    /// learn that, unless the end of the stream or an error is known to be behind it.
    pub fn receive(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<Option<usize>> {
        match self.stream.receive(buffer, most) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                if count < most && !self.hangup {
                    self.readable = false;
                }
                Ok(Some(count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The body is there.
fn complete(mut request: Box<Request>) -> Step {
    request.end_body();
    request.body = std::mem::take(&mut request.sink).into_body();
    Step::Ready(request)
}

/// What stopped the decoding of a body.
enum Fault {
    Refused(Refusal),
    /// It cannot be kept; whether this was its end.
    Storage(StorageError, bool),
}

impl Fault {
    fn into_step(self, mut request: Box<Request>) -> Step {
        match self {
            Self::Refused(refusal) => Step::Refuse(refusal, Some(request)),
            Self::Storage(StorageError::NoFile(start, _), true) => {
                request.body = Body::Memory(start);
                request.end_body();
                Step::Ready(request)
            }
            Self::Storage(StorageError::NoFile(start, error), false) => {
                request.body = Body::Stream(start);
                Step::Unstored(request, error)
            }
            Self::Storage(StorageError::Write(error), _) => {
                Step::Close(Closed::Storage(error), Some(request))
            }
        }
    }
}
