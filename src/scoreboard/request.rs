//! The request line within a lane: bytes to shared words and back. As text, what a client chose is escaped.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

use super::bytes;

// Words of the request area.
/// Odd while the worker is writing: a reader that sees it odd, or changed, has read two requests mixed up.
const SEQUENCE: usize = 0;
/// method length (8 bits), kind of peer (8), port (16), target length before it was cut (32).
const SIZES: usize = 1;
const PEER: usize = 2;
/// The method, then from the next whole word on the target.
const TEXT: usize = 4;
const END: usize = 38;
/// Outside of what the sequence guards: it is read when the worker is gone.
const NAME_LENGTH: usize = 38;
const NAME: usize = 39;
const NAME_END: usize = 46;

const METHOD_BYTES: usize = 24;

const NO_PEER: u64 = 0;
const PEER_V4: u64 = 4;
const PEER_V6: u64 = 6;

/// How often a reader tries again when a worker was writing meanwhile.
const ATTEMPTS: usize = 16;

/// What a worker was asked for. Displayed as `GET /path?query from 127.0.0.1:5000`, control and non-ASCII
/// bytes as `\xNN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestLine {
    /// The method as it was sent; empty if the worker has not had a request.
    pub method: Vec<u8>,
    /// The request target as it was sent; ends in `...` where it was cut.
    pub target: Vec<u8>,
    /// The client, if it has an address (not so on a Unix socket).
    pub peer: Option<SocketAddr>,
    /// What the logs call it; empty if they have no name for it.
    pub name: Vec<u8>,
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", escape(&self.method), escape(&self.target))?;
        match self.peer {
            Some(peer) => write!(f, " from {peer}"),
            None => Ok(()),
        }
    }
}

/// Writes a request into the area.
pub fn store(words: &[AtomicU64], method: &[u8], target: &[u8], peer: Option<SocketAddr>) {
    let method = &method[..method.len().min(METHOD_BYTES)];
    let (kind, port, address) = encode_peer(peer);
    let length = u64::try_from(target.len()).unwrap_or(u64::MAX).min(u64::from(u32::MAX));

    let sequence = words[SEQUENCE].load(Relaxed) & !1;
    words[SEQUENCE].store(sequence + 1, Relaxed);
    fence(Release);
    words[SIZES].store(method.len() as u64 | kind << 8 | port << 16 | length << 32, Relaxed);
    words[PEER].store((address >> 64) as u64, Relaxed);
    words[PEER + 1].store(address as u64, Relaxed);
    let (for_method, for_target) = text(words, method.len());
    bytes::store(for_method, method);
    bytes::store(for_target, &target[..target.len().min(for_target.len() * 8)]);
    words[SEQUENCE].store(sequence + 2, Release);
}

/// Writes the name of the request.
pub fn store_name(words: &[AtomicU64], name: &[u8]) {
    let name = &name[..name.len().min((NAME_END - NAME) * 8)];
    bytes::store(&words[NAME..NAME_END], name);
    words[NAME_LENGTH].store(name.len() as u64, Release);
}

/// Reads the request that was stored last.
pub fn load(words: &[AtomicU64]) -> RequestLine {
    let mut line = RequestLine::default();
    for _ in 0..ATTEMPTS {
        let before = words[SEQUENCE].load(Acquire);
        line = decode(words);
        fence(Acquire);
        if before.is_multiple_of(2) && words[SEQUENCE].load(Relaxed) == before {
            break;
        }
    }
    line
}

fn decode(words: &[AtomicU64]) -> RequestLine {
    let sizes = words[SIZES].load(Relaxed);
    let (method_length, length) = ((sizes & 0xff) as usize, (sizes >> 32) as usize);
    let (method, target) = text(words, method_length);
    let high = u128::from(words[PEER].load(Relaxed));
    let low = u128::from(words[PEER + 1].load(Relaxed));
    let room = target.len() * 8;
    let mut target = bytes::load(target, length);
    if length > room {
        target.extend_from_slice(b"...");
    }
    RequestLine {
        method: bytes::load(method, method_length),
        target,
        peer: decode_peer(sizes >> 8 & 0xff, (sizes >> 16) as u16, high << 64 | low),
        name: bytes::load(&words[NAME..NAME_END], words[NAME_LENGTH].load(Acquire) as usize),
    }
}

/// The words of a method of so many bytes, and those for the target.
fn text(words: &[AtomicU64], method_length: usize) -> (&[AtomicU64], &[AtomicU64]) {
    words[TEXT..END].split_at(method_length.min(METHOD_BYTES).div_ceil(8))
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

fn encode_peer(peer: Option<SocketAddr>) -> (u64, u64, u128) {
    match peer {
        None => (NO_PEER, 0, 0),
        Some(SocketAddr::V4(peer)) => (PEER_V4, u64::from(peer.port()), u128::from(u32::from(*peer.ip()))),
        Some(SocketAddr::V6(peer)) => (PEER_V6, u64::from(peer.port()), u128::from(*peer.ip())),
    }
}

fn decode_peer(kind: u64, port: u16, address: u128) -> Option<SocketAddr> {
    let ip = match kind {
        PEER_V4 => IpAddr::from((address as u32).to_be_bytes()),
        PEER_V6 => IpAddr::from(Ipv6Addr::from(address)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}
