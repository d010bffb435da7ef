//! The access log: one line for each request. What a client sends is escaped, so that it can forge neither a line nor
//! the end of a quoted field.

use std::io::Write;
use std::net::SocketAddr;

use super::format::{Atom, Part, Unit, parse};
use crate::proto::target;
use crate::reactor::Request;

/// A compiled `access_log_format`.
#[derive(Clone, Debug)]
pub struct AccessFormat {
    parts: Vec<Part>,
}

/// What a line tells of.
pub struct Record<'a> {
    /// The request, if its head was understood.
    pub request: Option<&'a Request>,
    /// The client; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The status code.
    pub code: u16,
    /// Bytes of the response's body.
    pub sent: u64,
    /// Nanoseconds from the request's start to its end.
    pub took: u64,
    /// The time as `[20/Nov/2026:04:38:51 +0000]`.
    pub time: &'a str,
    /// The worker's process.
    pub process: u32,
    /// A header that the application set, by its name.
    pub response_header: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// A variable of the environ, by its name in any case.
    pub variable: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

impl AccessFormat {
    /// Compiles `access_log_format`.
    pub fn new(format: &str) -> Self {
        Self { parts: parse(format) }
    }

    /// Whether lines need the environ.
    pub fn uses_environ(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value(Atom::Variable(_), _)))
    }

    /// Appends the line of one request, with its line end.
    pub fn write(&self, out: &mut Vec<u8>, record: &Record<'_>) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value(atom, 0) => record.append(out, atom),
                Part::Value(atom, width) => {
                    let start = out.len();
                    record.append(out, atom);
                    let missing = (width.unsigned_abs() as usize).saturating_sub(out.len() - start);
                    let at = if *width > 0 { start } else { out.len() };
                    out.splice(at..at, std::iter::repeat_n(b' ', missing));
                }
            }
        }
        out.push(b'\n');
    }
}

impl Record<'_> {
    fn append(&self, out: &mut Vec<u8>, atom: &Atom) {
        match atom {
            Atom::Address => {
                if let Some(peer) = self.peer {
                    append_display(out, peer.ip());
                }
            }
            Atom::Time => out.extend_from_slice(self.time.as_bytes()),
            Atom::Status => append_display(out, self.code),
            Atom::Bytes => append_display(out, self.sent),
            Atom::Took(unit) => self.append_duration(out, *unit),
            Atom::Process => append_display(out, format_args!("<{}>", self.process)),
            Atom::ResponseHeader(name) => append_or_dash(out, (self.response_header)(name).as_deref()),
            Atom::Variable(name) => append_or_dash(out, (self.variable)(name).as_deref()),
            Atom::Nothing => out.push(b'-'),
            Atom::User => append_or_dash(out, self.request.and_then(user).as_deref()),
            Atom::RequestHeader(name) => {
                append_or_dash(out, self.request.and_then(|request| last_field(request, name.as_bytes())));
            }
            Atom::RequestLine | Atom::Method | Atom::Path | Atom::Query | Atom::Protocol => {
                match self.request.filter(|request| !request.head.method.is_empty()) {
                    Some(request) => append_request_part(out, request, atom),
                    None => out.push(b'-'),
                }
            }
        }
    }

    fn append_duration(&self, out: &mut Vec<u8>, unit: Unit) {
        let microseconds = self.took / 1000;
        match unit {
            Unit::Seconds => append_display(out, microseconds / 1_000_000),
            Unit::Milliseconds => append_display(out, microseconds / 1000),
            Unit::Microseconds => append_display(out, microseconds),
            Unit::Decimal => {
                append_display(
                    out,
                    format_args!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000),
                );
            }
        }
    }
}

fn append_request_part(out: &mut Vec<u8>, request: &Request, atom: &Atom) {
    let head = &request.head;
    match atom {
        Atom::Method => append_escaped(out, request.part(head.method)),
        Atom::Query => append_escaped(out, request.part(head.query)),
        Atom::Path => {
            let mut path = Vec::new();
            target::decode(request.part(head.path), &mut path);
            append_escaped(out, &path);
        }
        Atom::Protocol => append_protocol(out, request),
        _ => {
            append_escaped(out, request.part(head.method));
            out.push(b' ');
            append_escaped(out, request.part(head.target));
            out.push(b' ');
            append_protocol(out, request);
        }
    }
}

fn append_protocol(out: &mut Vec<u8>, request: &Request) {
    let version = request.head.version;
    out.extend_from_slice(b"HTTP/");
    out.extend([b'0' + version.major % 10, b'.', b'0' + version.minor % 10]);
}

fn append_or_dash(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => append_escaped(out, value),
        None => out.push(b'-'),
    }
}

/// A quote gets a backslash, as in Gunicorn; a backslash too, and control characters become `\xNN`: without that a
/// client could end a quoted field or a line itself. Other bytes are latin-1 and become UTF-8.
fn append_escaped(out: &mut Vec<u8>, value: &[u8]) {
    if value.iter().all(|&byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\') {
        return out.extend_from_slice(value);
    }
    for &byte in value {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..=0x1f | 0x7f..=0x9f => append_display(out, format_args!("\\x{byte:02x}")),
            0xa0.. => append_display(out, char::from(byte)),
            _ => out.push(byte),
        }
    }
}

fn append_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value}");
}

/// Of repeated headers the last one counts, as in Gunicorn.
fn last_field<'a>(request: &'a Request, name: &[u8]) -> Option<&'a [u8]> {
    let field =
        request.head.fields.iter().rev().find(|field| request.part(field.name).eq_ignore_ascii_case(name))?;
    Some(request.part(field.value))
}

/// The user name in `Authorization: Basic` (RFC 7617).
fn user(request: &Request) -> Option<Vec<u8>> {
    let credentials = last_field(request, b"authorization")?;
    let (scheme, encoded) = credentials.split_at(memchr::memchr(b' ', credentials)?);
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut decoded = data_encoding::BASE64.decode(encoded.trim_ascii()).ok()?;
    // Without a password it is all of them, as Gunicorn reads it.
    decoded.truncate(memchr::memchr(b':', &decoded).unwrap_or(decoded.len()));
    (!decoded.is_empty()).then_some(decoded)
}
