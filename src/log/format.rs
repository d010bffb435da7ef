//! `access_log_format`: a Python %-format with named atoms, or the name of a format, taken apart once.

use super::escape::Style;

/// One thing that a line can tell; the letters are Gunicorn's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Atom {
    /// `h`: the client's address.
    Address,
    /// `u`: the user of basic authentication.
    User,
    /// `t`: when the line was written.
    Time,
    /// The same in the form of ISO 8601.
    IsoTime,
    /// `r`: the request line.
    RequestLine,
    /// `s`: the status code.
    Status,
    /// `m`: the method.
    Method,
    /// The target, as it was sent.
    Target,
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
    /// `queue_time`: seconds from the arrival of the request to the call of the application.
    Queue,
    /// `app_time`: seconds that the application took.
    Application,
    /// `send_time`: seconds from the end of the application to that of the sending.
    Sending,
    /// `reason`: why the request is over.
    Reason,
    /// `request_id`
    RequestId,
    /// `p`: the worker's process, as `<PID>`.
    Process,
    /// The number alone.
    ProcessNumber,
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

/// Takes a format apart. `json` and `logfmt` are all that there is to tell; `combined` is Gunicorn's default, which is
/// Apache's "combined".
///
/// `None`: it has conversions that only Python knows.
pub fn compile(format: &str) -> Option<(Style, Vec<Part>)> {
    match format {
        "combined" => Some((Style::Line, parse(COMBINED)?)),
        "json" => Some((Style::Json, fields("{", ",", "}", |name| format!("\"{name}\":")))),
        "logfmt" => Some((Style::Logfmt, fields("", " ", "", |name| format!("{name}=")))),
        format => Some((Style::Line, parse(format)?)),
    }
}

const COMBINED: &str = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;

/// The fields of `json` and `logfmt` in their order.
fn named_fields() -> [(&'static str, Atom); 17] {
    let header = |name: &str| Atom::RequestHeader(name.to_owned());
    [
        ("time", Atom::IsoTime),
        ("remote_addr", Atom::Address),
        ("user", Atom::User),
        ("method", Atom::Method),
        ("target", Atom::Target),
        ("protocol", Atom::Protocol),
        ("status", Atom::Status),
        ("bytes", Atom::Bytes),
        ("duration", Atom::Took(Unit::Decimal)),
        ("queue_time", Atom::Queue),
        ("app_time", Atom::Application),
        ("send_time", Atom::Sending),
        ("reason", Atom::Reason),
        ("request_id", Atom::RequestId),
        ("referer", header("referer")),
        ("user_agent", header("user-agent")),
        ("pid", Atom::ProcessNumber),
    ]
}

fn fields(open: &str, between: &str, close: &str, name: impl Fn(&str) -> String) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, (field, atom)) in named_fields().into_iter().enumerate() {
        literal(&mut parts, if index == 0 { open } else { between });
        literal(&mut parts, &name(field));
        parts.push(Part::Value(atom, 0));
    }
    literal(&mut parts, close);
    parts
}

/// Of Python's conversions it knows `%(name)s` and `%(name)d`, with a width; `%%` is a percent sign. What is no
/// conversion at all stands as text. `None`: there are others.
fn parse(format: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        literal(&mut parts, &rest[..percent]);
        let after = &rest[percent + 1..];
        if after.starts_with('(') {
            let (part, length) = conversion(after)?;
            parts.push(part);
            rest = &after[length..];
        } else {
            literal(&mut parts, "%");
            rest = after.strip_prefix('%').unwrap_or(after);
        }
    }
    literal(&mut parts, rest);
    Some(parts)
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
    let width = &behind[..end];
    let digits = width.strip_prefix('-').unwrap_or(width);
    // A zero in front, as other flags, is for Python to understand.
    if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let width = if width.is_empty() { 0 } else { width.parse().ok()? };
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
        "queue_time" => Atom::Queue,
        "app_time" => Atom::Application,
        "send_time" => Atom::Sending,
        "reason" => Atom::Reason,
        "request_id" => Atom::RequestId,
        _ => named(name).unwrap_or(Atom::Nothing),
    }
}

fn named(name: &str) -> Option<Atom> {
    let (name, kind) = name.strip_prefix('{')?.split_once('}')?;
    match kind {
        "i" | "I" => Some(Atom::RequestHeader(name.to_owned())),
        "o" | "O" => Some(Atom::ResponseHeader(name.to_owned())),
        "e" | "E" => Some(Atom::Variable(name.to_owned())),
        _ => None,
    }
}
