//! The hooks around requests, `pre_request` and `post_request`. Which of them are set is decided once, when the worker
//! starts: one that is not costs nothing.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::sys::fork;
use crate::wsgi::leave_child;

/// The callables of the configuration; `None` where the default is in place.
pub struct Hooks {
    /// The worker object, their first argument.
    pub worker: Py<PyAny>,
    /// Called with worker and request before the application is.
    pub pre_request: Option<Py<PyAny>>,
    /// Called after everything else, with as many of worker, request, environ and response as it has parameters: 2 to 4.
    pub post_request: Option<(Py<PyAny>, usize)>,
}

impl Hooks {
    /// Whether any of them needs the request as an object.
    pub fn want_objects(&self) -> bool {
        self.pre_request.is_some() || self.post_request.is_some()
    }

    /// Calls `pre_request`, if it is set. Errors: what it raised.
    pub fn pre_request(&self, py: Python<'_>, request: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(hook) = &self.pre_request else { return Ok(()) };
        returned(py, hook.call1(py, (&self.worker, request)))
    }

    /// Calls `post_request`. A request without an environ gives an empty one. Errors: what the hook raised.
    pub fn post_request(
        &self,
        py: Python<'_>,
        request: &Py<PyAny>,
        environ: Option<&Py<PyDict>>,
        response: Option<&Py<PyAny>>,
    ) -> PyResult<()> {
        let Some((hook, parameters)) = &self.post_request else { return Ok(()) };
        let environ = || environ.map_or_else(|| PyDict::new(py).unbind(), |environ| environ.clone_ref(py));
        let result = match parameters {
            2 => hook.call1(py, (&self.worker, request)),
            3 => hook.call1(py, (&self.worker, request, environ())),
            _ => hook.call1(py, (&self.worker, request, environ(), response)),
        };
        returned(py, result)
    }
}

fn returned(py: Python<'_>, result: PyResult<Py<PyAny>>) -> PyResult<()> {
    if fork::is_forked_child() {
        leave_child(py, result.err());
    }
    result.map(drop)
}
