//! A request head taken apart: request line, fields, and what they say about connection and body. Holds places in the
//! bytes, never the bytes, so that one `Head` serves every request of a worker without allocating.

use std::fmt;

use memchr::memchr;

use super::admit::Admission;
use super::{Framing, Refusal, Rules, lines, request_line};
use crate::proto::Span;
use crate::proto::forwarded::Scheme;
use crate::proto::target::Form;

/// Fields for which the first attempt has room; nearly every request has fewer.
const FEW: usize = 32;
/// Room of the second attempt. Heads with still more go line by line.
const MANY: usize = 128;

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The digit before the dot.
    pub major: u8,
    /// The digit after it.
    pub minor: u8,
}

impl Version {
    /// HTTP/1.0.
    pub const HTTP_10: Version = Version { major: 1, minor: 0 };
    /// HTTP/1.1.
    pub const HTTP_11: Version = Version { major: 1, minor: 1 };

    /// The version of the answer to a request of this one: never higher than what is spoken here (RFC 9110 section
    /// 2.5), so that HTTP/1.2 and whatever a tolerance lets through are answered as HTTP/1.1.
    pub fn of_answer(self) -> Version {
        if self >= Version::HTTP_11 { Version::HTTP_11 } else { Version::HTTP_10 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "HTTP/{}.{}", self.major, self.minor)
    }
}

/// A header field: where its name and its value (without blanks around it) are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// The name as it was sent.
    pub name: Span,
    /// The value; may be empty.
    pub value: Span,
}

/// What is known about who sent the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Whether `forwarded_allow_ips` trusts it (`TrustedPeers::trusts`).
    pub trusted: bool,
    /// Whether it speaks TLS to us.
    pub tls: bool,
}

/// A request head. All spans count from the first byte that was given to `parse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The method. Empty, as are the other spans, while it is not known.
    pub method: Span,
    /// The whole request target as it was sent.
    pub target: Span,
    /// Which form the target has.
    pub form: Form,
    /// The target's path, not decoded.
    pub path: Span,
    /// The target's query, without `?`.
    pub query: Span,
    /// The target's fragment, without `#`.
    pub fragment: Span,
    /// `host[:port]` of a target in absolute or authority form.
    pub authority: Span,
    /// The version that the client named.
    pub version: Version,
    /// The fields that are kept, in their order. If the target names an authority, `Host` has that as its value.
    pub fields: Vec<Field>,
    /// The host that is meant: the target's if it is in absolute form, else the `Host` field's.
    pub host: Option<Span>,
    /// What follows the head.
    pub framing: Framing,
    /// Whether the client wants the connection kept for another request (RFC 9112 section 9.3).
    pub persist: bool,
    /// Whether it waits for a `100 Continue`.
    pub expect_continue: bool,
    /// Whether there is an `Upgrade` field.
    pub upgrade: bool,
    /// The scheme of the request's URL.
    pub scheme: Scheme,
    /// The value of a trusted `SCRIPT_NAME` header.
    pub script_name: Option<Span>,
}

impl Default for Head {
    fn default() -> Head {
        Head {
            method: Span::default(),
            target: Span::default(),
            form: Form::Origin,
            path: Span::default(),
            query: Span::default(),
            fragment: Span::default(),
            authority: Span::default(),
            version: Version::HTTP_11,
            fields: Vec::new(),
            host: None,
            framing: Framing::None,
            persist: false,
            expect_continue: false,
            upgrade: false,
            scheme: Scheme::Http,
            script_name: None,
        }
    }
}

impl Head {
    /// Forgets the request; keeps the memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Head { fields, ..Head::default() };
    }

    /// Takes a head apart. `bytes` are exactly those that `Scan::find` found. They may be changed where a tolerance
    /// asks for it: a casefolded method, joined lines.
    ///
    /// # Errors
    /// What the request is refused for. Method, target and version are filled in as far as they were understood.
    pub fn parse(&mut self, bytes: &mut [u8], rules: &Rules, peer: Peer) -> Result<(), Refusal> {
        self.clear();
        let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let lf = start + memchr(b'\n', &bytes[start..]).unwrap_or(bytes.len() - start);
        let end = lf.saturating_sub(1).max(start).min(bytes.len());
        request_line::parse(self, bytes, start, end, rules)?;

        let section = (lf + 1).min(bytes.len());
        let mut admission = Admission::new(rules, peer);
        if !self.take_fields::<FEW>(bytes, section, &mut admission, rules)?
            && !self.take_fields::<MANY>(bytes, section, &mut admission, rules)?
        {
            self.take_lines(bytes, section, &mut admission, rules)?;
        }
        admission.conclude(self, bytes)
    }

    /// The value of the first field called `name` (in any case).
    pub fn field<'a>(&self, bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        let field = self.fields.iter().find(|field| field.name.of(bytes).eq_ignore_ascii_case(name))?;
        Some(field.value.of(bytes))
    }

    /// Takes the fields that httparse finds; false, with nothing taken, when it does not accept the section as it is or
    /// when there are more than `N` fields or than `rules` allow.
    fn take_fields<const N: usize>(
        &mut self,
        bytes: &[u8],
        section: usize,
        admission: &mut Admission<'_>,
        rules: &Rules,
    ) -> Result<bool, Refusal> {
        let mut room = [httparse::EMPTY_HEADER; N];
        let found = match httparse::parse_headers(&bytes[section..], &mut room) {
            Ok(httparse::Status::Complete((_, found))) if found.len() <= rules.limits.fields as usize => {
                found
            }
            _ => return Ok(false),
        };
        let place = |part: &[u8]| {
            let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
            Span::new(start, start + part.len())
        };
        for header in found {
            let field = Field { name: place(header.name.as_bytes()), value: place(header.value) };
            admission.take(self, bytes, field)?;
        }
        Ok(true)
    }

    /// Takes the fields one line after the other.
    fn take_lines(
        &mut self,
        bytes: &mut [u8],
        section: usize,
        admission: &mut Admission<'_>,
        rules: &Rules,
    ) -> Result<(), Refusal> {
        let mut at = section;
        while !matches!(bytes.get(at..), None | Some(b"") | Some([b'\r', b'\n', ..])) {
            if self.fields.len() >= rules.limits.fields as usize {
                return Err(Refusal::TOO_MANY_FIELDS);
            }
            let Some(raw) = lines::field_at(bytes, at, rules)? else { break };
            let Field { name, mut value } = raw.field;
            if raw.folded {
                value = lines::join(bytes, value);
            }
            admission.take(self, bytes, Field { name, value })?;
            at = raw.next;
        }
        Ok(())
    }
}
