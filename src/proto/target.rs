//! Request targets (RFC 9112 section 3.2): the four forms, split into path, query, fragment and authority, and
//! percent-decoding. Must never decode before splitting.

use super::Span;
use super::class::{self, HEX, REG_NAME, SCHEME};

#[cfg(test)]
mod tests;

/// Which of the four forms a target has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`.
    #[default]
    Origin,
    /// `http://host/path?query`, as sent to proxies.
    Absolute,
    /// `host:port`, only with CONNECT.
    Authority,
    /// `*`, only with OPTIONS.
    Asterisk,
}

/// A target taken apart. Spans count from the target's first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Its form.
    pub form: Form,
    /// Undecoded path; a leading `//` and `;params` belong to it. Empty for `http://host`.
    pub path: Span,
    /// What is between the first `?` and `#`, without them.
    pub query: Span,
    /// What follows the first `#`. A server should never see one; clients that send it are not refused.
    pub fragment: Span,
    /// `host[:port]` of the absolute and authority forms, without user information.
    pub authority: Span,
}

impl Target {
    /// Takes `target` apart, `None` when it is not valid for `method`: a byte outside 0x21-0x7E, a form that does not
    /// go with the method, or an authority that is none.
    pub fn split(method: &[u8], target: &[u8]) -> Option<Target> {
        if !target.iter().fold(true, |all, byte| all & (0x21..=0x7e).contains(byte)) {
            return None;
        }
        match target.first()? {
            _ if method == b"CONNECT" => Self::authority_form(target),
            b'/' => Some(Self { form: Form::Origin, ..Self::parts(target, 0) }),
            b'*' if target.len() == 1 && method == b"OPTIONS" => {
                Some(Self { form: Form::Asterisk, path: Span::new(0, 1), ..Self::default() })
            }
            _ => Self::absolute_form(target),
        }
    }

    /// RFC 9112 section 3.2.3; RFC 9110 section 9.3.6 wants an invalid or missing port refused. The path is what a
    /// generic URL splitter makes of `host:port`, because that is what Gunicorn's applications see.
    fn authority_form(target: &[u8]) -> Option<Target> {
        let colon = memchr::memrchr(b':', target)?;
        if colon == 0 || colon + 1 == target.len() || !is_host(target) {
            return None;
        }
        let path = if is_scheme(&target[..colon]) { colon + 1 } else { 0 };
        Some(Self {
            form: Form::Authority,
            path: Span::new(path, target.len()),
            authority: Span::new(0, target.len()),
            ..Self::default()
        })
    }

    /// RFC 9112 section 3.2.2. RFC 9110 section 4.2.1: an empty host must be refused.
    fn absolute_form(target: &[u8]) -> Option<Target> {
        let colon = memchr::memchr(b':', target)?;
        let after = target[colon..].strip_prefix(b"://")?;
        if !is_scheme(&target[..colon]) {
            return None;
        }
        let start = colon + 3;
        let end = start + after.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(after.len());
        let start = memchr::memrchr(b'@', &target[start..end]).map_or(start, |at| start + at + 1);
        let authority = &target[start..end];
        if matches!(authority.first(), None | Some(b':')) || !is_host(authority) {
            return None;
        }
        Some(Self { form: Form::Absolute, authority: Span::new(start, end), ..Self::parts(target, end) })
    }

    /// Path, query and fragment of what begins at `start`.
    fn parts(target: &[u8], start: usize) -> Target {
        let end = target.len();
        let path_end = memchr::memchr2(b'?', b'#', &target[start..]).map_or(end, |at| start + at);
        let mut parts = Self { path: Span::new(start, path_end), ..Self::default() };
        if path_end == end {
            return parts;
        }
        let hash = memchr::memchr(b'#', &target[path_end..]).map_or(end, |at| path_end + at);
        if hash > path_end {
            parts.query = Span::new(path_end + 1, hash);
        }
        if hash < end {
            parts.fragment = Span::new(hash + 1, end);
        }
        parts
    }
}

/// Whether `value` is what a `Host` field may hold (RFC 9110 section 7.2): `uri-host [":" port]`, possibly empty.
pub fn is_host(value: &[u8]) -> bool {
    let (valid, port) = match value.strip_prefix(b"[") {
        Some(literal) => match memchr::memchr(b']', literal) {
            Some(end) => (is_ip_literal(&literal[..end]), &literal[end + 1..]),
            None => return false,
        },
        None => {
            let end = memchr::memchr(b':', value).unwrap_or(value.len());
            (class::all(&value[..end], REG_NAME), &value[end..])
        }
    };
    valid && (port.is_empty() || (port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit)))
}

/// What is between the brackets: an IPv6 address, with a zone perhaps (RFC 6874), or a future kind of address.
fn is_ip_literal(literal: &[u8]) -> bool {
    literal.contains(&b':') && literal.iter().all(|&byte| byte == b':' || class::is(byte, REG_NAME))
}

/// RFC 3986 section 3.1.
fn is_scheme(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic) && class::all(name, SCHEME)
}

/// Appends `path` to `out` with its percent-encodings decoded (`%2F` and `%00` too). A `%` that is not followed by
/// two hexadecimal digits stays as it is.
pub fn decode(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at + 1..] {
            [high, low, ..] if class::is(high, HEX) && class::is(low, HEX) => {
                out.push(digit(high) << 4 | digit(low));
                rest = &rest[at + 3..];
            }
            _ => {
                out.push(b'%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest);
}

/// The value of a hexadecimal digit.
pub(crate) fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}
