//! Header fields read line by line, exactly by Gunicorn's rules and tolerances: the way for what httparse refuses, for
//! trailers, and for naming what is wrong. Where httparse accepts a section, this reads the same fields from it.

use memchr::{memchr, memmem};

use super::head::Field;
use super::{Refusal, Rules};
use crate::proto::{Span, class};

/// A field as it lies in the section.
pub(super) struct RawField {
    /// Its name, and its value without the blanks around it. A folded value still holds its line ends.
    pub(super) field: Field,
    /// Whether the value goes over several lines (RFC 9112 section 5.2).
    pub(super) folded: bool,
    /// Where the next line begins.
    pub(super) next: usize,
}

/// The field whose line begins at `at`, `None` at the empty line that ends the section. `bytes` must hold the section
/// with that line, and every LF in it must follow a CR (`Scan` sees to that).
pub(super) fn field_at(bytes: &[u8], at: usize, rules: &Rules) -> Result<Option<RawField>, Refusal> {
    let Some((line_end, mut next)) = line_at(bytes, at) else { return Ok(None) };
    if line_end == at {
        return Ok(None);
    }
    let line = &bytes[at..line_end];
    let colon = memchr(b':', line).filter(|&colon| colon > 0).ok_or_else(|| Refusal::Header(line.into()))?;
    let mut name = &line[..colon];
    if rules.strip_header_spaces {
        name = class::trim_end(name);
    }
    if !class::is_token(name) {
        return Err(Refusal::HeaderName(name.into()));
    }
    check_size(at, next, rules)?;

    let mut end = line_end;
    while matches!(bytes.get(next), Some(b' ' | b'\t')) {
        if !rules.permit_obsolete_folding {
            return Err(Refusal::ObsoleteFolding(name.to_ascii_uppercase().into()));
        }
        let Some((continued, after)) = line_at(bytes, next) else { break };
        check_size(at, after, rules)?;
        (end, next) = (continued, after);
    }
    let start = at + colon + 1;
    if !is_value(&bytes[start..end]) {
        return Err(Refusal::header(name));
    }
    let field = Field { name: Span::new(at, at + name.len()), value: trimmed(bytes, start, end) };
    Ok(Some(RawField { field, folded: end != line_end, next }))
}

/// Where the line that begins at `at` ends (before its CRLF), and where the next one begins.
fn line_at(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let lf = at + memchr(b'\n', bytes.get(at..)?)?;
    Some((lf.saturating_sub(1).max(at), lf + 1))
}

/// `limit_request_field_size` counts the name, the colon, the raw value and every CRLF.
fn check_size(start: usize, end: usize, rules: &Rules) -> Result<(), Refusal> {
    if end - start > rules.limits.field_size as usize { Err(Refusal::FIELD_TOO_LARGE) } else { Ok(()) }
}

/// Whether each line of a raw value holds nothing but what a field value may.
fn is_value(mut value: &[u8]) -> bool {
    while let Some(fold) = memmem::find(value, b"\r\n") {
        if !class::all(&value[..fold], class::VALUE) {
            return false;
        }
        value = &value[fold + 2..];
    }
    class::all(value, class::VALUE)
}

/// The span of `bytes[start..end]` without SP, HTAB and folds at both ends.
fn trimmed(bytes: &[u8], start: usize, end: usize) -> Span {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let value = &bytes[start..end];
    let first = value.iter().position(|byte| !blank(byte)).unwrap_or(0);
    let last = value.iter().rposition(|byte| !blank(byte)).map_or(first, |last| last + 1);
    Span::new(start + first, start + last)
}

/// Joins the lines of a folded value with one space each, in place (a fold is always longer than that).
pub(super) fn join(bytes: &mut [u8], value: Span) -> Span {
    let (mut read, end) = (value.start as usize, value.end as usize);
    let mut write = read;
    loop {
        let piece_end = memmem::find(&bytes[read..end], b"\r\n").map_or(end, |fold| read + fold);
        let piece = trimmed(bytes, read, piece_end);
        bytes.copy_within(piece.start as usize..piece.end as usize, write);
        write += piece.len();
        if piece_end == end {
            return Span::new(value.start as usize, write);
        }
        bytes[write] = b' ';
        write += 1;
        read = piece_end + 2;
    }
}
