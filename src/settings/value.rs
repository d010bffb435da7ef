//! Values before and after their check, as plain Rust data. No rule about any setting lives here.

use std::fmt;

/// What somebody has given for a setting, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// Python's `None`.
    None,
    /// A real boolean, not a number.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Text.
    Text(String),
    /// A list, tuple or set.
    List(Vec<Raw>),
    /// Any other Python object: only what the checks need to know of it.
    Object {
        /// What sort of object it is.
        nature: Nature,
        /// Its `str()`, for messages.
        shown: String,
    },
}

/// What the checks ask about a Python object that is not plain data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// A dictionary.
    Dict,
    /// A class.
    Class,
    /// A function, method or other callable object.
    Callable {
        /// Positional parameters by signature: defaults count, `*args` and a bound `self` do not.
        positional: usize,
    },
    /// Anything else.
    Other,
}

/// A value that has passed its setting's check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Deliberately nothing.
    None,
    /// On or off.
    Bool(bool),
    /// A whole number, 0 or more.
    Int(i64),
    /// Text without surrounding whitespace.
    Text(String),
    /// Several texts.
    List(Vec<String>),
    /// A host and a port.
    Address(String, i64),
    /// The object that was given, kept as it is (dictionaries, classes, hooks, ...).
    Given,
}

/// A default as it can be written in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literal {
    /// Nothing.
    None,
    /// On or off.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(&'static str),
    /// Several texts.
    List(&'static [&'static str]),
    /// A dictionary of texts.
    Dict(&'static [(&'static str, &'static str)]),
}

impl From<&str> for Raw {
    fn from(text: &str) -> Self {
        Raw::Text(text.to_owned())
    }
}

impl From<Literal> for Raw {
    fn from(literal: Literal) -> Self {
        match literal {
            Literal::None => Raw::None,
            Literal::Bool(on) => Raw::Bool(on),
            Literal::Int(number) => Raw::Int(number.into()),
            Literal::Text(text) => Raw::from(text),
            Literal::List(items) => Raw::List(items.iter().map(|item| Raw::from(*item)).collect()),
            Literal::Dict(_) => Raw::Object { nature: Nature::Dict, shown: literal.to_string() },
        }
    }
}

/// Python's `str()` of the value, because Gunicorn's messages show values that way.
impl fmt::Display for Raw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::None => out.write_str("None"),
            Raw::Bool(true) => out.write_str("True"),
            Raw::Bool(false) => out.write_str("False"),
            Raw::Int(number) => number.fmt(out),
            Raw::Text(text) => out.write_str(text),
            Raw::List(items) => {
                let shown: Vec<String> = items.iter().map(Raw::quoted).collect();
                write!(out, "[{}]", shown.join(", "))
            }
            Raw::Object { shown, .. } => out.write_str(shown),
        }
    }
}

impl Raw {
    /// Like `Display`, but text stands in quotes, as inside a Python list.
    pub(super) fn quoted(&self) -> String {
        match self {
            Raw::Text(text) => quote(text),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Dict(pairs) => {
                let shown: Vec<String> =
                    pairs.iter().map(|(key, value)| format!("{}: {}", quote(key), quote(value))).collect();
                write!(out, "{{{}}}", shown.join(", "))
            }
            plain => Raw::from(*plain).fmt(out),
        }
    }
}

/// Text in quotes as Python's `repr()` writes ordinary text.
pub(super) fn quote(text: &str) -> String {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(mark);
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            c if c == mark => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push(mark);
    quoted
}
