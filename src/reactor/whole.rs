//! A complete request on its way from one worker to another: what goes along with its connection, and how it is taken up
//! there. Its body is decoded once, by whoever has received it, and its head is taken apart by both: a request of which
//! the other would not find the same is never passed on.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::net::{Contents, Layout, Parcel, Passed, Past};
use crate::proto::http1::{Framing, Head, Peer, Refusal, Scan, Trailers};
use crate::reactor::body::Body;
use crate::reactor::connection::Connection;
use crate::reactor::exchange::Exchange;
use crate::reactor::reactor::{Reactor, Slot};
use crate::reactor::request::Request;
use crate::reactor::settings::ReactorSettings;

/// What others have passed on of a complete request.
pub(super) struct Arrival {
    pub layout: Layout,
    pub file: Option<File>,
    pub bytes: Vec<u8>,
}

/// What is wrong with it here.
enum Fault {
    /// It is not what a worker sends.
    Malformed,
    /// The settings here do not let it in.
    Refused(Refusal),
}

impl Reactor {
    /// Passes on a complete request that waits for a thread, the one at `index`, or steps over it. `false`: there is none,
    /// or no room. One at a time, because its body may have to be copied.
    pub(super) fn pass_ready(&mut self, index: &mut usize) -> bool {
        let Some(exchange) = self.ready.get_mut(*index) else { return false };
        match offer_request(exchange) {
            Passed::Full => {
                self.offers.postpone(self.now);
                return false;
            }
            Passed::Never => {
                exchange.stays = true;
                *index += 1;
            }
            Passed::Yes => {
                self.offers.flow();
                if let Some(Exchange { key, connection, request, .. }) = self.ready.remove(*index) {
                    self.part_with(key, &connection);
                    self.pool.give(request);
                }
            }
        }
        true
    }

    /// Goes on with a complete request that another worker has read. `None`: it is not understood, and its connection
    /// closed, or it is refused.
    pub(super) fn take_up(&mut self, mut connection: Box<Connection>, arrival: Arrival) -> Option<Exchange> {
        let mut request = self.pool.take();
        let refusal = match connection.take_up(&mut request, arrival, &self.common.settings) {
            Ok(()) => None,
            Err(Fault::Refused(refusal)) => Some(refusal),
            Err(Fault::Malformed) => return None,
        };
        let key = self.slots.insert(Slot::OUT);
        let Some(refusal) = refusal else { return Some(self.hand_out(key, connection, request)) };
        self.refuse(key, connection, refusal, Some(request));
        None
    }
}

impl Connection {
    fn take_up(
        &mut self,
        request: &mut Request,
        arrival: Arrival,
        settings: &ReactorSettings,
    ) -> Result<(), Fault> {
        let Arrival { layout, file, mut bytes } = arrival;
        let head = layout.head as usize;
        let inline = if layout.apart { 0 } else { layout.body as usize };
        self.inbound = bytes.split_off(head + inline + layout.trailers as usize);
        let trailers = bytes.split_off(head + inline);
        request.trailers = unpack(&trailers).ok_or(Fault::Malformed)?;
        request.bytes = bytes;
        self.requests = self.requests.saturating_add(1);
        request.number = self.requests;
        request.body = match file {
            Some(file) => stored(file, layout.body, settings).ok_or(Fault::Malformed)?,
            None if inline == 0 => Body::Empty,
            None => Body::Inline(head..head + inline),
        };
        match Scan::default().find(&request.bytes[..head], &settings.rules) {
            Ok(Some(length)) if length == head => {}
            Ok(_) => return Err(Fault::Malformed),
            Err(refusal) => return Err(Fault::Refused(refusal)),
        }
        self.parse_head(request, head, settings).map_err(Fault::Refused)?;
        let right = match request.head.framing {
            Framing::None => layout.body == 0,
            Framing::Length(length) => layout.body == length,
            Framing::Chunked => true,
        };
        if right { Ok(()) } else { Err(Fault::Malformed) }
    }

    /// Takes the head of a request apart, the first `length` of its bytes.
    pub(super) fn parse_head(
        &self,
        request: &mut Request,
        length: usize,
        settings: &ReactorSettings,
    ) -> Result<(), Refusal> {
        let trusted = settings.trusted.trusts(self.peer.map(|peer| peer.ip()));
        let Request { bytes, head, .. } = request;
        head.parse(&mut bytes[..length], &settings.rules, Peer { trusted, tls: false })
    }
}

/// A body in memory if it would be there had it come here.
fn stored(file: File, length: u64, settings: &ReactorSettings) -> Option<Body> {
    match usize::try_from(length) {
        Ok(size) if size <= settings.spool.request_body_memory => {
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, 0).ok()?;
            Some(Body::Memory(bytes))
        }
        _ => Some(Body::File(file, length)),
    }
}

fn offer_request(exchange: &Exchange) -> Passed {
    let Exchange { connection, request, common, .. } = exchange;
    let Some(handoff) = common.slot.handoff().filter(|_| is_movable(exchange)) else { return Passed::Never };
    let (head, body) = match &request.body {
        Body::Empty => (request.bytes.len(), Contents::Bytes(b"")),
        Body::Inline(range) => (range.start, Contents::Bytes(&request.bytes[range.clone()])),
        Body::Memory(bytes) => (request.bytes.len(), Contents::Bytes(bytes)),
        Body::File(file, length) => (request.bytes.len(), Contents::File(file, *length)),
        Body::Stream(_) => return Passed::Never,
    };
    if !reads_the_same(exchange, head) {
        return Passed::Never;
    }
    let trailers = pack(&request.trailers);
    let (head, behind) = (&request.bytes[..head], connection.inbound.as_slice());
    let past = Past { requests: connection.requests - 1, head_since: 0, came_at: exchange.came_at };
    handoff.pass_whole(&connection.stream, past, Parcel { head, body, trailers: &trailers, behind })
}

fn is_movable(exchange: &Exchange) -> bool {
    let Exchange { connection, request, stays, .. } = exchange;
    !stays
        && request.decoder.is_none()
        && connection.outbound.is_empty()
        && !connection.stream.is_handed_over()
}

/// Whether the other worker finds the same in the head: a tolerance may have changed its bytes, as where it has joined
/// folded lines.
fn reads_the_same(exchange: &Exchange, length: usize) -> bool {
    let Exchange { connection, request, common, .. } = exchange;
    let bytes = &request.bytes[..length];
    let mut again = Request { bytes: bytes.to_vec(), head: Head::default(), ..Request::default() };
    let found = Scan::default().find(bytes, &common.settings.rules);
    matches!(found, Ok(Some(end)) if end == length)
        && connection.parse_head(&mut again, length, &common.settings).is_ok()
        && again.bytes == bytes
        && again.head == request.head
}

/// The fields behind a body as bytes: each name and each value behind its length.
fn pack(trailers: &Trailers) -> Vec<u8> {
    let parts = trailers.iter().flat_map(|(name, value)| [name, value]);
    parts.flat_map(|part| [&(part.len() as u32).to_le_bytes(), &part[..]].concat()).collect()
}

/// Reads what [`pack`] has made; `None` for anything else.
fn unpack(mut bytes: &[u8]) -> Option<Trailers> {
    let mut trailers = Trailers::new();
    while !bytes.is_empty() {
        trailers.push((unpack_part(&mut bytes)?, unpack_part(&mut bytes)?));
    }
    Some(trailers)
}

fn unpack_part(bytes: &mut &[u8]) -> Option<Box<[u8]>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = rest;
    Some(part.into())
}
