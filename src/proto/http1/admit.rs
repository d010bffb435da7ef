//! What a header field means to the server: which fields may be there, how often, and what they say about the
//! connection and the body. Each field passes through here once, in the order of the head.

use super::framing::{self, Framing};
use super::head::{Field, Head, Peer, Version};
use super::{HeaderMap, Refusal, Rules};
use crate::proto::forwarded::{Scheme, SchemeVotes};
use crate::proto::target::{self, Form};
use crate::proto::{Span, class};

/// What has been learnt from the fields so far.
pub(super) struct Admission<'a> {
    rules: &'a Rules,
    peer: Peer,
    votes: SchemeVotes,
    host: Option<usize>,
    content_length: Option<Span>,
    content_type: bool,
    transfer_encoding: bool,
    close: bool,
    keep_alive: bool,
}

impl<'a> Admission<'a> {
    pub(super) fn new(rules: &'a Rules, peer: Peer) -> Admission<'a> {
        Admission {
            rules,
            peer,
            votes: SchemeVotes::default(),
            host: None,
            content_length: None,
            content_type: false,
            transfer_encoding: false,
            close: false,
            keep_alive: false,
        }
    }

    /// Looks at one field and appends it to `head.fields`, unless it is to be dropped.
    pub(super) fn take(&mut self, head: &mut Head, bytes: &[u8], field: Field) -> Result<(), Refusal> {
        let (name, value) = (field.name.of(bytes), field.value.of(bytes));
        if self.peer.trusted {
            self.vote(name, value)?;
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(head, name, value)?,
            6 if name.eq_ignore_ascii_case(b"expect") => expect(head, value)?,
            7 if name.eq_ignore_ascii_case(b"upgrade") => head.upgrade = true,
            10 if name.eq_ignore_ascii_case(b"connection") => self.connection(value),
            12 if name.eq_ignore_ascii_case(b"content-type") => once(&mut self.content_type, name)?,
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(field, name)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding = true,
            _ => {}
        }
        if name.contains(&b'_') {
            if !keeps(name, self.peer.trusted, self.rules)? {
                return Ok(());
            }
            if self.peer.trusted
                && name.eq_ignore_ascii_case(b"SCRIPT_NAME")
                && self.rules.forwarder_headers.contains(name)
            {
                head.script_name = Some(field.value);
            }
        }
        head.fields.push(field);
        Ok(())
    }

    fn vote(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match self.rules.secure_scheme_headers.secure(name, value) {
            Some(secure) if !self.votes.cast(secure) => Err(Refusal::SchemeHeaders),
            _ => Ok(()),
        }
    }

    /// RFC 9112 section 3.2: a second or an invalid Host is a 400 whatever the version.
    fn host(&mut self, head: &Head, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if self.host.replace(head.fields.len()).is_some() || !target::is_host(value) {
            return Err(Refusal::header(name));
        }
        Ok(())
    }

    /// RFC 9110 section 8.6 would let equal values pass; Gunicorn does not.
    fn content_length(&mut self, field: Field, name: &[u8]) -> Result<(), Refusal> {
        match self.content_length.replace(field.value) {
            Some(_) => Err(Refusal::header(name)),
            None => Ok(()),
        }
    }

    /// RFC 9110 section 7.6.1: a list of tokens, case-insensitive, over all the lines of that name.
    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(class::trim) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Draws the conclusions once all fields are known.
    pub(super) fn conclude(mut self, head: &mut Head, bytes: &[u8]) -> Result<(), Refusal> {
        head.framing = self.framing(head, bytes)?;
        self.settle_host(head)?;
        let unvoted = if self.peer.tls { Scheme::Https } else { Scheme::Http };
        head.scheme = self.votes.outcome().unwrap_or(unvoted);
        let wanted = self.keep_alive || head.version >= Version::HTTP_11;
        head.persist = wanted && !self.close && head.method.of(bytes) != b"CONNECT";
        Ok(())
    }

    /// RFC 9112 section 3.2: HTTP/1.1 needs a Host; section 3.2.2: an absolute target replaces it.
    fn settle_host(&self, head: &mut Head) -> Result<(), Refusal> {
        match self.host {
            Some(index) if head.form == Form::Absolute => head.fields[index].value = head.authority,
            None if head.version >= Version::HTTP_11 => return Err(Refusal::HostMissing),
            _ => {}
        }
        head.host = match (self.host, head.form) {
            (Some(index), _) => Some(head.fields[index].value),
            (None, Form::Absolute) => Some(head.authority),
            (None, _) => None,
        };
        Ok(())
    }

    /// RFC 9112 section 6.3. Whatever two readers could understand differently is refused.
    fn framing(&mut self, head: &Head, bytes: &[u8]) -> Result<Framing, Refusal> {
        if self.transfer_encoding {
            let chunked = self.codings(head, bytes)?;
            if !chunked || head.version < Version::HTTP_11 {
                return Err(Refusal::Header(b"TRANSFER-ENCODING".as_slice().into()));
            }
        }
        match self.content_length {
            Some(value) if !self.transfer_encoding => {
                framing::content_length(value.of(bytes)).map(Framing::Length).ok_or_else(length_refused)
            }
            Some(_) => Err(length_refused()),
            None if self.transfer_encoding => Ok(Framing::Chunked),
            None => Ok(Framing::None),
        }
    }

    /// Whether the transfer codings end with `chunked`. A compressed body is passed on as it is, and the connection
    /// closes after it.
    fn codings(&mut self, head: &Head, bytes: &[u8]) -> Result<bool, Refusal> {
        let mut chunked = false;
        for field in &head.fields {
            if !field.name.of(bytes).eq_ignore_ascii_case(b"transfer-encoding") {
                continue;
            }
            let value = field.value.of(bytes);
            for coding in value.split(|&byte| byte == b',').map(class::trim) {
                let known = coding_of(coding).ok_or_else(|| Refusal::TransferCoding(value.into()))?;
                if chunked {
                    return Err(Refusal::header(b"TRANSFER-ENCODING"));
                }
                chunked = matches!(known, Coding::Chunked);
                self.close |= matches!(known, Coding::Compressed);
            }
        }
        Ok(chunked)
    }
}

enum Coding {
    Chunked,
    Identity,
    Compressed,
}

fn coding_of(name: &[u8]) -> Option<Coding> {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match () {
        () if is("chunked") => Some(Coding::Chunked),
        () if is("identity") => Some(Coding::Identity),
        () if is("compress") || is("deflate") || is("gzip") => Some(Coding::Compressed),
        () => None,
    }
}

/// Whether a name with an underscore is kept: `forwarder_headers` for trusted peers, `header_map` for the rest.
pub(super) fn keeps(name: &[u8], trusted: bool, rules: &Rules) -> Result<bool, Refusal> {
    if trusted && rules.forwarder_headers.contains(name) {
        return Ok(true);
    }
    match rules.header_map {
        HeaderMap::Drop => Ok(false),
        HeaderMap::Refuse => Err(Refusal::header_name(name)),
        HeaderMap::Dangerous => Ok(true),
    }
}

/// RFC 9110 section 10.1.1: to be ignored in HTTP/1.0.
fn expect(head: &mut Head, value: &[u8]) -> Result<(), Refusal> {
    if !value.eq_ignore_ascii_case(b"100-continue") {
        return Err(Refusal::Expectation(value.into()));
    }
    head.expect_continue = head.version >= Version::HTTP_11;
    Ok(())
}

fn once(seen: &mut bool, name: &[u8]) -> Result<(), Refusal> {
    if std::mem::replace(seen, true) { Err(Refusal::header(name)) } else { Ok(()) }
}

fn length_refused() -> Refusal {
    Refusal::header(b"CONTENT-LENGTH")
}
