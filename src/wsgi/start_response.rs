//! What the application says of its response: the arguments of `start_response` to checked, encoded bytes (PEP 3333).

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::ffi;
use crate::proto::http1::encode;
use crate::proto::http1::fields::{is_field_value, is_status, is_token, trim};

/// Status and header fields, ready to be sent.
#[derive(Clone, Default)]
pub struct Declared {
    /// `200 OK`
    pub status: Vec<u8>,
    /// 200
    pub code: u16,
    /// `Name: value` lines as they are sent.
    pub fields: Vec<u8>,
    /// What `Content-Length` says; of several the last.
    pub content_length: Option<u64>,
    /// `Connection: close`
    pub close: bool,
    /// `Connection: upgrade`
    pub upgrade: bool,
}

impl Declared {
    /// Forgets everything but keeps the buffers.
    pub fn clear(&mut self) {
        self.status.clear();
        self.fields.clear();
        (self.code, self.content_length, self.close, self.upgrade) = (0, None, false, false);
    }

    /// Whether this status has a body at all (RFC 9110, section 6.4.1).
    pub fn has_body(&self) -> bool {
        !matches!(self.code, 100..=199 | 204 | 304)
    }

    /// Whether a response with this status may say how long its body is (RFC 9110, section 8.6).
    fn may_have_length(&self) -> bool {
        !matches!(self.code, 100..=199 | 204)
    }

    /// The fields as they may go out in a 2xx response to CONNECT (RFC 9110, section 9.3.6).
    pub fn fields_without_length(&self) -> Vec<u8> {
        let lines = self.fields.split_inclusive(|&byte| byte == b'\n');
        lines
            .filter(|line| !matches!(special(&line[..line.len().min(14)]), Special::ContentLength))
            .flatten()
            .copied()
            .collect()
    }

    /// Takes the status line.
    ///
    /// Errors: `TypeError` if it is not a `str`, `ValueError` if it is not three digits, a space and a reason.
    pub fn set_status(&mut self, status: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(text) = status.cast::<PyString>() else {
            return Err(PyTypeError::new_err(format!("{} is not a string", status.repr()?)));
        };
        let bytes = ffi::latin1(text).filter(|bytes| is_status(bytes));
        let Some(bytes) = bytes else {
            return Err(PyValueError::new_err(format!("Invalid status {}", status.repr()?)));
        };
        self.code = bytes[..3].iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        self.status.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the header list: any iterable of pairs of `str`.
    ///
    /// Errors: `TypeError` for anything else, `InvalidResponseHeader` for bytes that would break out of a field,
    /// `ValueError` for a `Content-Length` that is no number.
    pub fn set_headers(&mut self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(list) = headers.cast_exact::<PyList>() {
            for pair in list.iter() {
                self.add_pair(&pair)?;
            }
            return Ok(());
        }
        for pair in headers.try_iter()? {
            self.add_pair(&pair?)?;
        }
        Ok(())
    }

    fn add_pair(&mut self, pair: &Bound<'_, PyAny>) -> PyResult<()> {
        let (name, value) = two_of(pair)?;
        let (name, value) = (string(&name)?, string(&value)?);
        let (name, value) = sendable(name, value)?;
        self.add(name, value)
    }

    fn add(&mut self, name: &[u8], value: &[u8]) -> PyResult<()> {
        match special(name) {
            Special::No => {}
            Special::Dropped => return Ok(()),
            Special::Connection => {
                self.close |= has_token(value, b"close");
                self.upgrade |= has_token(value, b"upgrade");
                return Ok(());
            }
            Special::Upgrade if !value.eq_ignore_ascii_case(b"websocket") => return Ok(()),
            Special::Upgrade => {}
            Special::ContentLength => {
                let length = content_length(value)?;
                if !self.may_have_length() {
                    return Ok(());
                }
                // Two lengths are two ends of the message to whoever stands between (RFC 9112, section 6.3).
                match self.content_length.replace(length) {
                    Some(before) if before != length => return Err(contradictory_length(before, length)),
                    Some(_) => return Ok(()),
                    None => {}
                }
            }
        }
        encode::field(&mut self.fields, name, value);
        Ok(())
    }
}

/// Encodes the headers of a 103 response; each name and value a `str` or `bytes`.
pub fn encode_hints(headers: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut fields = Vec::new();
    for pair in headers.try_iter()? {
        let (name, value) = two_of(&pair?)?;
        let (name, value) = (as_string(name)?, as_string(value)?);
        let (name, value) = sendable(&name, &value)?;
        encode::field(&mut fields, name, value);
    }
    Ok(fields)
}

/// Takes a pair apart as Python would: PEP 3333 wants tuples, Gunicorn takes any two things.
fn two_of<'py>(pair: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = pair.cast_exact::<PyTuple>()
        && pair.len() == 2
    {
        return Ok((pair.get_item(0)?, pair.get_item(1)?));
    }
    let mut items = pair.try_iter()?;
    match (items.next().transpose()?, items.next().transpose()?, items.next().transpose()?) {
        (Some(name), Some(value), None) => Ok((name, value)),
        _ => Err(PyValueError::new_err(format!("{} is not a pair", pair.repr()?))),
    }
}

fn as_string(value: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyString>> {
    match value.extract::<&[u8]>() {
        Ok(bytes) => Ok(ffi::text(value.py(), bytes)),
        Err(_) => string(&value).cloned(),
    }
}

fn string<'a, 'py>(value: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyString>> {
    match value.cast::<PyString>() {
        Ok(value) => Ok(value),
        Err(_) => Err(PyTypeError::new_err(format!("{} is not a string", value.repr()?))),
    }
}

/// A field as it is sent. Errors: `InvalidResponseHeaderName`, `InvalidResponseHeader`, of `rgunicorn.http.errors`.
fn sendable<'a>(
    name: &'a Bound<'_, PyString>,
    value: &'a Bound<'_, PyString>,
) -> PyResult<(&'a [u8], &'a [u8])> {
    let Some(bytes) = ffi::latin1(name).filter(|name| is_token(name)) else {
        return Err(invalid_header("InvalidResponseHeaderName", name));
    };
    let value = ffi::latin1(value).map(trim).filter(|value| is_field_value(value));
    value.map(|value| (bytes, value)).ok_or_else(|| invalid_header("InvalidResponseHeader", name))
}

/// Names the header; its value may be a secret.
fn invalid_header(class: &str, name: &Bound<'_, PyString>) -> PyErr {
    let made = (|| {
        let class = name.py().import("rgunicorn.http.errors")?.getattr(class)?;
        class.call1((name.repr()?,))
    })();
    made.map_or_else(|error| error, PyErr::from_value)
}

enum Special {
    No,
    /// The server's own business: hop-by-hop fields, `Server`, `Date`.
    Dropped,
    Connection,
    Upgrade,
    ContentLength,
}

/// The length decides first: most names are compared with at most two others.
fn special(name: &[u8]) -> Special {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    match name.len() {
        2 if is("te") => Special::Dropped,
        4 if is("date") => Special::Dropped,
        6 if is("server") => Special::Dropped,
        7 if is("upgrade") => Special::Upgrade,
        8 if is("trailers") => Special::Dropped,
        10 if is("connection") => Special::Connection,
        10 if is("keep-alive") => Special::Dropped,
        14 if is("content-length") => Special::ContentLength,
        17 if is("transfer-encoding") => Special::Dropped,
        18 if is("proxy-authenticate") => Special::Dropped,
        19 if is("proxy-authorization") => Special::Dropped,
        _ => Special::No,
    }
}

fn has_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|part| trim(part).eq_ignore_ascii_case(token))
}

fn content_length(value: &[u8]) -> PyResult<u64> {
    let digits =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| {
        PyValueError::new_err(format!("Invalid Content-Length: {:?}", String::from_utf8_lossy(value)))
    })
}

fn contradictory_length(one: u64, other: u64) -> PyErr {
    PyValueError::new_err(format!("Contradictory Content-Length: {one} and {other}"))
}
