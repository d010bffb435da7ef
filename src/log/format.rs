//! `access_log_format`: a Python %-format with named atoms, taken apart once.

/// One thing that a line can tell; the letters are Gunicorn's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Atom {
    /// `h`: the client's address.
    Address,
    /// `u`: the user of basic authentication.
    User,
    /// `t`: when the line was written.
    Time,
    /// `r`: the request line.
    RequestLine,
    /// `s`: the status code.
    Status,
    /// `m`: the method.
    Method,
    /// `U`: the path, decoded.
    Path,
    /// `q`: the query.
    Query,
    /// `H`: the protocol.
    Protocol,
    /// `b` and `B`: bytes of the response's body.
    Bytes,
    /// `T`: seconds that the request took, `M` milliseconds, `D` microseconds, `L` seconds with six decimals.
    Took(Unit),
    /// `p`: the worker's process.
    Process,
    /// `{name}i`, and `f` and `a`: a header of the request.
    RequestHeader(String),
    /// `{name}o`: a header that the application set.
    ResponseHeader(String),
    /// `{name}e`: a variable of the environ.
    Variable(String),
    /// `l`, and whatever is not known.
    Nothing,
}

/// How a duration is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Whole seconds.
    Seconds,
    /// Whole milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Seconds with six decimals.
    Decimal,
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Literal(String),
    /// What an atom tells, filled with blanks to so many characters: on the left if positive.
    Value(Atom, i32),
}

/// Takes a format apart. Of Python's conversions it knows `%(name)s` and `%(name)d`, with a width; `%%` is a percent
/// sign. What is no conversion at all stands as text.
pub fn parse(format: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        literal(&mut parts, &rest[..percent]);
        let after = &rest[percent + 1..];
        if let Some((part, length)) = conversion(after) {
            parts.push(part);
            rest = &after[length..];
        } else {
            literal(&mut parts, "%");
            rest = after.strip_prefix('%').unwrap_or(after);
        }
    }
    literal(&mut parts, rest);
    parts
}

fn literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Literal(last)) => last.push_str(text),
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}

/// `(name)5s` and its length in bytes.
fn conversion(text: &str) -> Option<(Part, usize)> {
    let (name, behind) = text.strip_prefix('(')?.split_once(')')?;
    let end = behind.find(|c: char| c.is_ascii_alphabetic())?;
    let width = if end == 0 { 0 } else { behind[..end].parse().ok()? };
    matches!(behind.as_bytes()[end], b's' | b'd' | b'i')
        .then(|| (Part::Value(atom(name), width), name.len() + 2 + end + 1))
}

fn atom(name: &str) -> Atom {
    match name {
        "h" => Atom::Address,
        "u" => Atom::User,
        "t" => Atom::Time,
        "r" => Atom::RequestLine,
        "s" => Atom::Status,
        "m" => Atom::Method,
        "U" => Atom::Path,
        "q" => Atom::Query,
        "H" => Atom::Protocol,
        "b" | "B" => Atom::Bytes,
        "f" => Atom::RequestHeader("referer".to_owned()),
        "a" => Atom::RequestHeader("user-agent".to_owned()),
        "T" => Atom::Took(Unit::Seconds),
        "M" => Atom::Took(Unit::Milliseconds),
        "D" => Atom::Took(Unit::Microseconds),
        "L" => Atom::Took(Unit::Decimal),
        "p" => Atom::Process,
        _ => named(name).unwrap_or(Atom::Nothing),
    }
}

fn named(name: &str) -> Option<Atom> {
    let (name, kind) = name.strip_prefix('{')?.split_once('}')?;
    match kind {
        "i" => Some(Atom::RequestHeader(name.to_owned())),
        "o" => Some(Atom::ResponseHeader(name.to_owned())),
        "e" => Some(Atom::Variable(name.to_owned())),
        _ => None,
    }
}
