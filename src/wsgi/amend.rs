//! What a `pre_request` hook has changed in a request: Gunicorn makes the environ from the object that the hook had, so
//! whatever the hook puts there reaches the application.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// The attributes that are seen in an environ, but for the headers.
const SHOWN: [&str; 7] = ["method", "uri", "path", "query", "version", "scheme", "body"];

/// A request object and what it was made with.
pub struct Original<'py> {
    attributes: Bound<'py, PyDict>,
    headers: Bound<'py, PyTuple>,
}

impl<'py> Original<'py> {
    /// Remembers what `request` is now.
    pub fn of(request: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = request.py();
        let attributes = request.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?.copy()?;
        let headers = request.getattr(intern!(py, "headers"))?.cast_into::<PyList>()?.to_tuple();
        Ok(Self { attributes, headers })
    }

    /// Whether an environ made from `request` would be another one now.
    pub fn differs(&self, request: &Bound<'py, PyAny>) -> PyResult<bool> {
        for name in SHOWN {
            let before = self.attributes.get_item(name)?;
            if !before.is_some_and(|before| request.getattr(name).is_ok_and(|now| now.is(&before))) {
                return Ok(true);
            }
        }
        let headers = request.getattr("headers")?;
        let Ok(now) = headers.cast::<PyList>() else { return Ok(true) };
        Ok(now.len() != self.headers.len()
            || now.iter().zip(&self.headers).any(|(now, before)| !now.is(&before)))
    }
}

/// Puts what `request` says now into `environ`. Errors: it says nothing that an environ could be made of.
pub fn amend(environ: &Bound<'_, PyDict>, request: &Bound<'_, PyAny>) -> PyResult<()> {
    let module = request.py().import("rgunicorn.http.wsgi")?;
    module.call_method1("amend_environ", (environ, request)).map(drop)
}
