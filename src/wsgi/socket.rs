//! `environ["gunicorn.socket"]`: the client's socket as Python's `socket`, made when it is touched. Whoever does
//! more than ask who is there may take the connection over, so it then ends with the request for the server.

use std::os::fd::{AsFd, IntoRawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::responder::Responder;
use crate::sys::socket::family;

/// Stands for a socket until somebody asks something of it.
#[pyclass(frozen, module = "rgunicorn._native")]
pub struct ClientSocket {
    responder: Py<Responder>,
    socket: OnceLock<Py<PyAny>>,
    handed_over: AtomicBool,
}

impl ClientSocket {
    /// The socket of the request that `responder` answers.
    pub fn new(py: Python<'_>, responder: &Py<Responder>) -> PyResult<Py<Self>> {
        let responder = responder.clone_ref(py);
        Py::new(py, Self { responder, socket: OnceLock::new(), handed_over: AtomicBool::new(false) })
    }

    /// Whether the application has used it.
    pub fn is_touched(&self) -> bool {
        self.socket.get().is_some()
    }

    fn socket<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(socket) = self.socket.get() {
            return Ok(socket.bind(py).clone());
        }
        let socket = self.responder.get().socket()?;
        let arguments = PyDict::new(py);
        // Python finds it out by itself; eventlet's socket, which takes the place of Python's, does not.
        arguments.set_item("family", family(socket.as_fd())?)?;
        arguments.set_item("fileno", socket.into_raw_fd())?;
        let socket = py.import("socket")?.getattr("socket")?.call((), Some(&arguments))?;
        Ok(self.socket.get_or_init(|| socket.unbind()).bind(py).clone())
    }
}

/// What can be asked without the intention of using the connection.
const HARMLESS: [&str; 6] = ["getpeername", "getsockname", "getsockopt", "family", "type", "proto"];

#[pymethods]
impl ClientSocket {
    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        // A copy, a pretty-printer or a template asks for such a name; none of them wants the socket.
        if name.starts_with("__") {
            return Err(PyAttributeError::new_err(name.to_owned()));
        }
        let socket = self.socket(py)?;
        if !HARMLESS.contains(&name) && !self.handed_over.swap(true, Ordering::Relaxed) {
            self.responder.get().hand_over();
            // Gunicorn's sockets block; the server's own calls never do, whatever this says.
            socket.call_method1("setblocking", (true,))?;
        }
        socket.getattr(name)
    }
}
