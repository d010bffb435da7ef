//! What a line tells of one request, atom by atom.

use std::io::Write;
use std::net::SocketAddr;

use super::escape::{self, Style, Text};
use super::format::{Atom, Unit};
use super::{Reason, RequestId};
use crate::proto::target;
use crate::reactor::Request;

/// Everything that is known of a request.
pub struct Record<'a> {
    /// The request, if its head was understood.
    pub request: Option<&'a Request>,
    /// The client; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The client's address as the application left it in the environ, where that is another one.
    pub address: Option<&'a str>,
    /// The status code; 0 if the client was sent nothing.
    pub code: u16,
    /// Bytes of the response's body.
    pub sent: u64,
    /// Nanoseconds from the request's start to its end.
    pub took: u64,
    /// Nanoseconds from its arrival to its start, and those of the application; `None` if it did not come that far.
    pub queue: Option<u64>,
    /// See `queue`.
    pub application: Option<u64>,
    /// How it ended; `None` while that is not known.
    pub conclusion: Option<Conclusion>,
    /// Its name, if the format wants it.
    pub id: Option<&'a RequestId>,
    /// The worker's process.
    pub process: u32,
    /// A header that the application set, by its name.
    pub response_header: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// A variable of the environ, by its name in any case.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Why it is over.
    pub reason: Reason,
    /// Nanoseconds from the end of the application to that of the sending; `None` if there was no application.
    pub sending: Option<u64>,
}

/// The time of a line, in both forms that there are.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// `[20/Nov/2026:04:38:51 +0000]`
    pub common: String,
    /// `2026-11-20T04:38:51+00:00`
    pub iso: String,
}

impl<'a> Record<'a> {
    /// A record of a request that no application has seen.
    pub fn unserved(
        request: Option<&'a Request>,
        peer: Option<SocketAddr>,
        code: u16,
        reason: Reason,
        process: u32,
    ) -> Self {
        Self {
            request,
            peer,
            address: None,
            code,
            sent: 0,
            took: 0,
            queue: None,
            application: None,
            conclusion: Some(Conclusion { reason, sending: None }),
            id: None,
            process,
            response_header: &|_| None,
            variable: &|_| None,
        }
    }

    /// Appends what `atom` tells.
    pub(super) fn append(&self, out: &mut Vec<u8>, atom: &Atom, style: Style, times: &Times) {
        match atom {
            Atom::Address => self.append_address(out, style),
            // Only lines have this form of it; there it needs no quotes.
            Atom::Time => out.extend_from_slice(times.common.as_bytes()),
            Atom::IsoTime => escape::append(out, Text::Unicode(&times.iso), style),
            Atom::Status if self.code == 0 && style != Style::Json => out.extend_from_slice(b"000"),
            Atom::Status => append_display(out, self.code),
            Atom::Bytes => append_display(out, self.sent),
            Atom::Took(unit) => append_duration(out, self.took, *unit),
            Atom::Queue => append_time(out, self.queue, style),
            Atom::Application => append_time(out, self.application, style),
            Atom::Sending | Atom::Reason => append_conclusion(out, atom, self.conclusion, style),
            Atom::RequestId => append_text(out, self.id.map(|id| Text::Unicode(id.as_str())), style),
            Atom::Process => append_display(out, format_args!("<{}>", self.process)),
            Atom::ProcessNumber => append_display(out, self.process),
            Atom::ResponseHeader(name) => {
                let value = (self.response_header)(name);
                append_text(out, value.as_deref().map(Text::Bytes), style);
            }
            Atom::Variable(name) => {
                let value = (self.variable)(name);
                append_text(out, value.as_deref().map(Text::Unicode), style);
            }
            Atom::Nothing => append_text(out, None, style),
            Atom::User => append_user(out, self.request.and_then(user), style),
            Atom::RequestHeader(name) => {
                let value = self.request.and_then(|request| request.field(name.as_bytes()));
                append_text(out, value.map(Text::Bytes), style);
            }
            Atom::RequestLine | Atom::Method | Atom::Target | Atom::Path | Atom::Query | Atom::Protocol => {
                match self.request.filter(|request| !request.head.method.is_empty()) {
                    Some(request) => append_request_part(out, request, atom, style),
                    None => append_text(out, None, style),
                }
            }
        }
    }

    fn append_address(&self, out: &mut Vec<u8>, style: Style) {
        match (self.address, self.peer) {
            (Some(address), _) if style == Style::Line || !address.is_empty() => {
                escape::append(out, Text::Unicode(address), style);
            }
            (_, Some(peer)) if style == Style::Json => append_display(out, format_args!("\"{}\"", peer.ip())),
            (_, Some(peer)) => append_display(out, peer.ip()),
            (_, None) if style == Style::Line => {}
            (_, None) => append_text(out, None, style),
        }
    }
}

/// Appends what of a request is known when it is over: its reason or the time of its sending.
pub(super) fn append_conclusion(
    out: &mut Vec<u8>,
    atom: &Atom,
    conclusion: Option<Conclusion>,
    style: Style,
) {
    match (atom, conclusion) {
        (Atom::Reason, Some(conclusion)) => {
            escape::append(out, Text::Unicode(conclusion.reason.word()), style);
        }
        (_, conclusion) => append_time(out, conclusion.and_then(|conclusion| conclusion.sending), style),
    }
}

fn append_time(out: &mut Vec<u8>, nanoseconds: Option<u64>, style: Style) {
    match nanoseconds {
        Some(nanoseconds) => append_duration(out, nanoseconds, Unit::Decimal),
        None => append_text(out, None, style),
    }
}

fn append_duration(out: &mut Vec<u8>, nanoseconds: u64, unit: Unit) {
    let microseconds = nanoseconds / 1000;
    match unit {
        Unit::Seconds => append_display(out, microseconds / 1_000_000),
        Unit::Milliseconds => append_display(out, microseconds / 1000),
        Unit::Microseconds => append_display(out, microseconds),
        Unit::Decimal => {
            let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
            append_display(out, format_args!("{seconds}.{rest:06}"));
        }
    }
}

fn append_request_part(out: &mut Vec<u8>, request: &Request, atom: &Atom, style: Style) {
    let head = &request.head;
    match atom {
        Atom::Method => escape::append(out, Text::Bytes(request.part(head.method)), style),
        Atom::Target => append_target(out, request, style),
        Atom::Query => escape::append(out, Text::Bytes(request.part(head.query)), style),
        Atom::Path => {
            let path = request.part(head.path);
            if path.is_empty() && head.target.is_empty() {
                return append_text(out, None, style);
            }
            if !path.contains(&b'%') {
                return escape::append(out, Text::Bytes(path), style);
            }
            let mut decoded = Vec::new();
            target::decode(path, &mut decoded);
            escape::append(out, Text::Bytes(&decoded), style);
        }
        Atom::Protocol if style == Style::Json => {
            out.push(b'"');
            append_protocol(out, request);
            out.push(b'"');
        }
        Atom::Protocol => append_protocol(out, request),
        _ => {
            escape::append(out, Text::Bytes(request.part(head.method)), style);
            out.push(b' ');
            append_target(out, request, style);
            out.push(b' ');
            append_protocol(out, request);
        }
    }
}

/// None was read where it was what could not be read.
fn append_target(out: &mut Vec<u8>, request: &Request, style: Style) {
    let target = request.part(request.head.target);
    append_text(out, (!target.is_empty()).then_some(Text::Bytes(target)), style);
}

fn append_protocol(out: &mut Vec<u8>, request: &Request) {
    let version = request.head.version;
    out.extend_from_slice(b"HTTP/");
    out.extend([b'0' + version.major % 10, b'.', b'0' + version.minor % 10]);
}

/// Appends a text; where there is none a dash, or JSON's `null`: in formats of fields for an empty text too, and for the
/// dash that clients send as one.
fn append_text(out: &mut Vec<u8>, text: Option<Text<'_>>, style: Style) {
    match text.filter(|text| style == Style::Line || !matches!(text.as_bytes(), b"" | b"-")) {
        Some(text) => escape::append(out, text, style),
        None if style == Style::Json => out.extend_from_slice(b"null"),
        None => out.push(b'-'),
    }
}

fn append_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value}");
}

/// A blank in the name is shown as `\x20`: it is the one text of a client that stands without quotes in the usual format.
fn append_user(out: &mut Vec<u8>, user: Option<String>, style: Style) {
    let Some(user) = user.as_deref().filter(|_| style == Style::Line) else {
        return append_text(out, user.as_deref().map(Text::Unicode), style);
    };
    for (index, word) in user.split(' ').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\\x20");
        }
        escape::append(out, Text::Unicode(word), style);
    }
}

/// The user name in `Authorization: Basic` (RFC 7617).
fn user(request: &Request) -> Option<String> {
    let credentials = request.field(b"authorization")?;
    let (scheme, encoded) = credentials.split_at(memchr::memchr(b' ', credentials)?);
    if !scheme.get(..5)?.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut decoded = data_encoding::BASE64.decode(encoded.trim_ascii()).ok()?;
    decoded.truncate(memchr::memchr(b':', &decoded).unwrap_or(decoded.len()));
    String::from_utf8(decoded).ok().filter(|user| !user.is_empty())
}
