//! Header names as environ keys: `Accept-Encoding` to `HTTP_ACCEPT_ENCODING`, made once for each spelling seen, with
//! the value that was seen last, since most clients send the same one again and again.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::ffi;

/// Spellings kept; a client that makes names up costs time, not memory.
const SPELLINGS: usize = 512;
/// Values longer than this are not kept.
const VALUE: usize = 256;

struct Key {
    name: Py<PyString>,
    last_value: Option<Py<PyString>>,
    /// The request that set it last, to see a repeated header.
    request: u64,
}

/// The names that one worker thread has seen.
#[derive(Default)]
pub struct HeaderNames {
    spellings: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    keys: Vec<Key>,
    request: u64,
    /// The request that put a spelling which is not kept last.
    unkept: u64,
}

impl HeaderNames {
    /// A new request begins: what [`HeaderNames::put`] puts from now on belongs together.
    pub fn next_request(&mut self) {
        self.request += 1;
    }

    /// Puts one header into `environ`. Repeated headers are joined with a comma, as Gunicorn does (RFC 9110, 5.3).
    pub fn put(&mut self, environ: &Bound<'_, PyDict>, name: &[u8], value: &[u8]) -> PyResult<()> {
        let py = environ.py();
        let Some(index) = self.index(py, name) else {
            self.unkept = self.request;
            let key = PyString::new(py, &environ_key(name));
            return join(environ, &key, ffi::text(py, value));
        };
        let entry = &mut self.keys[index];
        if entry.request == self.request || self.unkept == self.request {
            entry.request = self.request;
            return join(environ, entry.name.bind(py), ffi::text(py, value));
        }
        entry.request = self.request;
        let value = entry.value(py, value);
        ffi::set(environ, entry.name.bind(py), value.as_any());
        Ok(())
    }

    fn index(&mut self, py: Python<'_>, name: &[u8]) -> Option<usize> {
        if let Some(&index) = self.spellings.get(name) {
            return Some(index);
        }
        if self.spellings.len() >= SPELLINGS {
            return None;
        }
        let key = PyString::intern(py, &environ_key(name));
        let known = self.keys.iter().position(|entry| entry.name.bind(py).is(&key));
        let index = known.unwrap_or(self.keys.len());
        if known.is_none() {
            self.keys.push(Key { name: key.unbind(), last_value: None, request: 0 });
        }
        self.spellings.insert(name.into(), index);
        Some(index)
    }
}

impl Key {
    fn value<'py>(&mut self, py: Python<'py>, value: &[u8]) -> Bound<'py, PyString> {
        if let Some(last) = self.last_value.as_ref().map(|last| last.bind(py))
            && ffi::latin1(last) == Some(value)
        {
            return last.clone();
        }
        let text = ffi::text(py, value);
        if value.len() <= VALUE {
            self.last_value = Some(text.clone().unbind());
        }
        text
    }
}

/// `Content-Type` and `Content-Length` have no prefix (PEP 3333); a header that only looks like them, with an
/// underscore, has one.
fn environ_key(name: &[u8]) -> String {
    let key: String =
        name.iter().map(|&byte| if byte == b'-' { '_' } else { byte.to_ascii_uppercase() as char }).collect();
    match key.as_str() {
        "CONTENT_TYPE" | "CONTENT_LENGTH" if name.contains(&b'-') => key,
        _ => format!("HTTP_{key}"),
    }
}

fn join(environ: &Bound<'_, PyDict>, key: &Bound<'_, PyString>, value: Bound<'_, PyString>) -> PyResult<()> {
    match environ.get_item(key)? {
        Some(before) => environ.set_item(key, before.add(",")?.add(value)?),
        None => environ.set_item(key, value),
    }
}
