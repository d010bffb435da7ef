//! Request heads on the wire, each read whole, one byte at a time, and with another request behind it.

use super::{Head, Limits, Peer, Refusal, Rules, Scan};

mod accepted;
mod agreement;
mod limits;
mod pages;
pub(super) mod random;
mod refused;

/// What is pipelined behind each case.
const BEHIND: &[u8] = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n";

/// A head that was read, with the bytes that its spans count in.
#[derive(Debug)]
struct Parsed {
    head: Head,
    bytes: Vec<u8>,
}

impl Parsed {
    /// `NAME: value` for each field, as it is kept.
    fn fields(&self) -> Vec<String> {
        let shown = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
        let field = |field: &super::Field| {
            format!("{}: {}", shown(field.name.of(&self.bytes)), shown(field.value.of(&self.bytes)))
        };
        self.head.fields.iter().map(field).collect()
    }
}

fn parse(wire: &[u8], length: usize, rules: &Rules, peer: Peer) -> Result<Parsed, Refusal> {
    let mut parsed = Parsed { head: Head::default(), bytes: wire[..length].to_vec() };
    parsed.head.parse(&mut parsed.bytes, rules, peer)?;
    Ok(parsed)
}

/// All of `wire` at once; `None` when it is incomplete.
fn read_whole(wire: &[u8], rules: &Rules, peer: Peer) -> Result<Option<Parsed>, Refusal> {
    match Scan::default().find(wire, rules)? {
        Some(length) => parse(wire, length, rules, peer).map(Some),
        None => Ok(None),
    }
}

fn read_bytewise(wire: &[u8], rules: &Rules, peer: Peer) -> Result<Option<Parsed>, Refusal> {
    let mut scan = Scan::default();
    for length in 1..=wire.len() {
        if let Some(found) = scan.find(&wire[..length], rules)? {
            assert_eq!(found, length, "found the end late");
            return parse(wire, found, rules, peer).map(Some);
        }
    }
    Ok(None)
}

/// Reads `wire`, a complete head, in every way; all must come to the same.
fn read(wire: &[u8], rules: &Rules, peer: Peer) -> Result<Parsed, Refusal> {
    let whole = read_whole(wire, rules, peer).map(|parsed| parsed.expect("the head is complete"));
    let bytewise = read_bytewise(wire, rules, peer).map(|parsed| parsed.expect("the head is complete"));
    let followed = read_whole(&[wire, BEHIND].concat(), rules, peer).map(|parsed| parsed.expect("complete"));
    match (&whole, &bytewise, &followed) {
        (Ok(whole), Ok(bytewise), Ok(followed)) => {
            assert_eq!(whole.bytes.len(), wire.len());
            assert_eq!(format!("{whole:?}"), format!("{bytewise:?}"));
            assert_eq!(format!("{whole:?}"), format!("{followed:?}"));
        }
        (Err(whole), Err(bytewise), Err(followed)) => {
            // A limit tells how much there was, which depends on how much had come.
            assert_eq!(whole.status(), bytewise.status());
            if !matches!(whole, Refusal::RequestLineTooLong { .. }) {
                assert_eq!(whole, bytewise);
                assert_eq!(whole, followed);
            }
        }
        _ => panic!("whole {whole:?}, bytewise {bytewise:?}, followed {followed:?}"),
    }
    whole
}

/// `text` with `\r\n` for each newline, and the empty line that ends a head.
fn wire(text: &str) -> Vec<u8> {
    let mut wire: Vec<u8> = Vec::new();
    for letter in text.chars() {
        match letter {
            '\n' => wire.extend_from_slice(b"\r\n"),
            _ => wire.push(u8::try_from(letter).expect("latin-1")),
        }
    }
    wire.extend_from_slice(b"\r\n\r\n");
    wire
}

/// The defaults with these limits: line, fields, field size.
pub(super) fn limited(line: u64, fields: u64, field_size: u64) -> Rules {
    Rules { limits: Limits::new(line, fields, field_size), ..Rules::default() }
}

/// With every tolerance on.
fn tolerant() -> Rules {
    Rules {
        permit_obsolete_folding: true,
        strip_header_spaces: true,
        permit_unconventional_http_method: true,
        permit_unconventional_http_version: true,
        casefold_http_method: true,
        ..Rules::default()
    }
}

const STRANGER: Peer = Peer { trusted: false, tls: false };
const PROXY: Peer = Peer { trusted: true, tls: false };
const TLS_PROXY: Peer = Peer { trusted: true, tls: true };
