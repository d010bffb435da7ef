//! Text as Python would show it: `repr()` of a `str` or `bytes`, and `html.escape()`. Error messages that users' tools
//! match are written with these. A peer's bytes come out escaped, so they cannot forge a log line.

use std::fmt::Write as _;

/// Appends `repr(bytes.decode("latin-1"))`.
pub(super) fn push_str(out: &mut String, bytes: &[u8]) {
    quoted(out, bytes, |byte| byte < 0xa1 || byte == 0xad);
}

/// Appends `repr(bytes)`.
pub(super) fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.push('b');
    quoted(out, bytes, |_| true);
}

/// `hidden` says which of the bytes from 0x7F on are not printable.
fn quoted(out: &mut String, bytes: &[u8], hidden: fn(u8) -> bool) {
    let double = bytes.contains(&b'\'') && !bytes.contains(&b'"');
    let quote = if double { '"' } else { '\'' };
    out.push(quote);
    for &byte in bytes {
        match byte {
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\\' => out.push_str("\\\\"),
            b'\'' if !double => out.push_str("\\'"),
            0x20..=0x7e => out.push(char::from(byte)),
            0x7f.. if !hidden(byte) => out.push(char::from(byte)),
            _ => drop(write!(out, "\\x{byte:02x}")),
        }
    }
    out.push(quote);
}

/// `text` with `&`, `<`, `>` and both quotes written as entities.
pub(super) fn html_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            _ => out.push(letter),
        }
    }
    out
}
