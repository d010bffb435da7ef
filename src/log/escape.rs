//! What a client sends, made harmless: it can end neither a line nor a field.

use std::io::Write;

/// A piece of text of unknown intent.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// Latin-1, as header fields and targets are.
    Bytes(&'a [u8]),
    /// Text that comes from Python or was decoded.
    Unicode(&'a str),
}

impl<'a> Text<'a> {
    /// The text as it is stored.
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Unicode(text) => text.as_bytes(),
        }
    }
}

/// Into what a text is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A line of `access_log_format`: a quote gets a backslash, as in Gunicorn; a backslash too, and control characters
    /// become `\xNN`.
    Line,
    /// A string of JSON, with its quotes.
    Json,
    /// A value of logfmt, quoted like JSON's strings if it must be.
    Logfmt,
}

/// Appends `text`. Latin-1 becomes UTF-8.
pub fn append(out: &mut Vec<u8>, text: Text<'_>, style: Style) {
    let bytes = text.as_bytes();
    let quoted = match style {
        Style::Line => false,
        Style::Json => true,
        Style::Logfmt => bytes.is_empty() || bytes.iter().any(|&byte| !is_bare(byte)),
    };
    if quoted {
        out.push(b'"');
    }
    if bytes.iter().all(|&byte| is_plain(byte)) {
        out.extend_from_slice(bytes);
    } else {
        match text {
            Text::Bytes(bytes) => bytes.iter().for_each(|&byte| append_char(out, char::from(byte), style)),
            Text::Unicode(text) => text.chars().for_each(|c| append_char(out, c, style)),
        }
    }
    if quoted {
        out.push(b'"');
    }
}

/// Stands for itself in every style.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

/// Needs no quotes in logfmt.
fn is_bare(byte: u8) -> bool {
    is_plain(byte) && byte != b' ' && byte != b'='
}

fn append_char(out: &mut Vec<u8>, c: char, style: Style) {
    // Writing into a Vec cannot fail.
    let _ = match c {
        '"' | '\\' => write!(out, "\\{c}"),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' if style == Style::Line => write!(out, "\\x{:02x}", u32::from(c)),
        '\n' => write!(out, "\\n"),
        '\r' => write!(out, "\\r"),
        '\t' => write!(out, "\\t"),
        '\x08' => write!(out, "\\b"),
        '\x0c' => write!(out, "\\f"),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => write!(out, "\\u{:04x}", u32::from(c)),
        _ => write!(out, "{c}"),
    };
}
