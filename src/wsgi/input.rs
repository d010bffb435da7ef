//! `wsgi.input`: a request's body as a file to read from.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::responder::Responder;
use crate::reactor::{Body, Request};

enum Source {
    Bytes {
        bytes: Py<PyBytes>,
        at: usize,
    },
    File {
        file: File,
        at: u64,
        length: u64,
    },
    /// Bytes of `buffer` before `at` have been read.
    Stream {
        responder: Py<Responder>,
        buffer: Vec<u8>,
        at: usize,
        ended: bool,
    },
}

/// The body of one request. Sizes are in bytes; negative or `None` means "all that is left".
#[pyclass(frozen, module = "rgunicorn._native")]
pub struct Input {
    /// Taken out while a thread reads: reading may wait for the client without the interpreter.
    source: Mutex<Option<Source>>,
}

/// Bytes read at once when looking for a line end.
const BLOCK: usize = 8192;

impl Input {
    /// An input that is at its end.
    pub fn empty(py: Python<'_>) -> PyResult<Py<Self>> {
        Self::of(py, Source::Bytes { bytes: PyBytes::new(py, b"").unbind(), at: 0 })
    }

    /// The body of `request`, taken out of it; `None` if it has none.
    pub fn new(
        py: Python<'_>,
        request: &mut Request,
        responder: &Py<Responder>,
    ) -> PyResult<Option<Py<Self>>> {
        let source = match std::mem::take(&mut request.body) {
            Body::Empty => return Ok(None),
            Body::Inline(range) => {
                Source::Bytes { bytes: PyBytes::new(py, &request.bytes[range]).unbind(), at: 0 }
            }
            Body::Memory(bytes) => Source::Bytes { bytes: PyBytes::new(py, &bytes).unbind(), at: 0 },
            Body::File(file, length) => Source::File { file, at: 0, length },
            Body::Stream(start) => {
                Source::Stream { responder: responder.clone_ref(py), buffer: start, at: 0, ended: false }
            }
        };
        Self::of(py, source).map(Some)
    }

    fn of(py: Python<'_>, source: Source) -> PyResult<Py<Self>> {
        Py::new(py, Self { source: Mutex::new(Some(source)) })
    }

    fn with<T>(&self, read: impl FnOnce(&mut Source) -> PyResult<T>) -> PyResult<T> {
        let busy = || PyRuntimeError::new_err("another thread is reading wsgi.input");
        let mut source = self.lock().take().ok_or_else(busy)?;
        let result = read(&mut source);
        *self.lock() = Some(source);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Option<Source>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size = None))]
    fn read<'py>(&self, py: Python<'py>, size: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyBytes>> {
        let size = limit(size)?;
        self.with(|source| source.read(py, size))
    }

    #[pyo3(signature = (size = None))]
    fn readline<'py>(
        &self,
        py: Python<'py>,
        size: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let size = limit(size)?;
        self.with(|source| source.read_line(py, size))
    }

    /// All lines that are left; the hint is not heeded, as in Gunicorn.
    #[pyo3(signature = (hint = None))]
    fn readlines<'py>(
        &self,
        py: Python<'py>,
        hint: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let _ = hint;
        let lines = PyList::empty(py);
        loop {
            let line = self.with(|source| source.read_line(py, usize::MAX))?;
            if line.as_bytes().is_empty() {
                return Ok(lines);
            }
            lines.append(line)?;
        }
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let line = self.with(|source| source.read_line(py, usize::MAX))?;
        if line.as_bytes().is_empty() { Err(PyStopIteration::new_err(())) } else { Ok(line) }
    }
}

fn limit(size: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
    let Some(size) = size.filter(|size| !size.is_none()) else { return Ok(usize::MAX) };
    let size: i64 = size.extract().map_err(|_| PyTypeError::new_err("size must be an integral type"))?;
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

impl Source {
    fn read<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyBytes>> {
        match self {
            Self::Bytes { bytes, at } => {
                let whole = bytes.bind(py);
                let left = whole.as_bytes().len() - *at;
                let count = left.min(size);
                let start = std::mem::replace(at, *at + count);
                if start == 0 && count == left {
                    return Ok(whole.clone());
                }
                Ok(PyBytes::new(py, &whole.as_bytes()[start..start + count]))
            }
            Self::File { file, at, length } => {
                let count = usize::try_from(*length - *at).unwrap_or(usize::MAX).min(size);
                let bytes = PyBytes::new_with(py, count, |out| Ok(file.read_exact_at(out, *at)?))?;
                *at += count as u64;
                Ok(bytes)
            }
            Self::Stream { responder, buffer, at, ended } => {
                while !*ended && buffer.len() - *at < size {
                    buffer.drain(..std::mem::take(at));
                    *ended = responder.get().read_body(py, buffer)?;
                }
                Ok(take(py, buffer, at, size))
            }
        }
    }

    fn read_line<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyBytes>> {
        let length = match self {
            Self::Bytes { bytes, at } => line_length(&bytes.bind(py).as_bytes()[*at..]),
            Self::File { file, at, length } => file_line_length(file, *at, *length, size)?,
            Self::Stream { responder, buffer, at, ended } => {
                let mut searched = 0;
                loop {
                    let unread = &buffer[*at..];
                    if let Some(end) = memchr::memchr(b'\n', &unread[searched..]) {
                        break searched + end + 1;
                    }
                    searched = unread.len();
                    if *ended || searched >= size {
                        break searched;
                    }
                    buffer.drain(..std::mem::take(at));
                    *ended = responder.get().read_body(py, buffer)?;
                }
            }
        };
        self.read(py, length.min(size))
    }
}

fn line_length(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1)
}

fn file_line_length(file: &File, at: u64, length: u64, most: usize) -> std::io::Result<usize> {
    let left = usize::try_from(length - at).unwrap_or(usize::MAX);
    let mut block = [0; BLOCK];
    let mut searched = 0;
    while searched < left.min(most) {
        let count = BLOCK.min(left - searched);
        file.read_exact_at(&mut block[..count], at + searched as u64)?;
        if let Some(end) = memchr::memchr(b'\n', &block[..count]) {
            return Ok(searched + end + 1);
        }
        searched += count;
    }
    Ok(left)
}

/// Takes up to `size` bytes from `at` on; what was read is dropped once all of it was.
fn take<'py>(py: Python<'py>, buffer: &mut Vec<u8>, at: &mut usize, size: usize) -> Bound<'py, PyBytes> {
    let count = (buffer.len() - *at).min(size);
    let bytes = PyBytes::new(py, &buffer[*at..*at + count]);
    *at += count;
    if *at == buffer.len() {
        buffer.clear();
        *at = 0;
    }
    bytes
}
