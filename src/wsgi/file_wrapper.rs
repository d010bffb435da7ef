//! `wsgi.file_wrapper` (PEP 3333): an iterable over a file, which the server can send without reading it.

use pyo3::exceptions::{PyIndexError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

/// Iterates over `filelike` in blocks of `blksize` bytes.
#[pyclass(frozen, subclass, module = "rgunicorn._native")]
pub struct FileWrapper {
    /// The file-like object.
    #[pyo3(get)]
    pub filelike: Py<PyAny>,
    /// Bytes in a block.
    #[pyo3(get)]
    pub blksize: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize = 8192))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> Self {
        Self { filelike, blksize }
    }

    /// There is a `close` only if the file has one.
    fn __getattr__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        if name == "close" {
            return self.filelike.getattr(py, intern!(py, "close"));
        }
        Err(pyo3::exceptions::PyAttributeError::new_err(name.to_owned()))
    }

    fn __getitem__(&self, py: Python<'_>, _index: Py<PyAny>) -> PyResult<Py<PyAny>> {
        self.block(py)?.ok_or_else(|| PyIndexError::new_err(()))
    }

    /// A file that refers to its wrapper makes a cycle, which the garbage collector must see.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.filelike)
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.block(py)?.ok_or_else(|| PyStopIteration::new_err(()))
    }
}

impl FileWrapper {
    fn block(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let block = self.filelike.call_method1(py, intern!(py, "read"), (self.blksize,))?;
        Ok(block.is_truthy(py)?.then_some(block))
    }
}
