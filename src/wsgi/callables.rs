//! The objects that each request's environ and call carry. Making them costs more than a short request, so they serve
//! one request after the other; an application that keeps one keeps it for itself, and new ones are made.

use pyo3::prelude::*;

use super::environ::Environs;
use super::ffi;
use super::responder::Responder;
use super::socket::ClientSocket;
use super::waiting::Waiting;

/// One set of them.
pub struct Callables {
    /// What is behind the callables.
    pub responder: Py<Responder>,
    /// The application's second argument.
    pub start_response: Py<PyAny>,
    early_hints: Py<PyAny>,
    socket: Py<ClientSocket>,
    /// How many references there are to each when no application holds any.
    unshared: [isize; 5],
}

impl Callables {
    /// Makes a set, and puts what belongs into an environ into `environs`. `server`: the `Server` field of responses.
    pub fn new(py: Python<'_>, environs: &Environs, server: &[u8], waiting: Waiting) -> PyResult<Self> {
        let responder = Responder::new(py, server, waiting)?;
        let mut callables = Self {
            start_response: responder.getattr(py, "start_response")?,
            early_hints: responder.getattr(py, "early_hints")?,
            socket: ClientSocket::new(py, &responder)?,
            responder,
            unshared: [0; 5],
        };
        environs.prepare(py, "wsgi.early_hints", callables.early_hints.bind(py))?;
        environs.prepare(py, "gunicorn.socket", callables.socket.bind(py))?;
        callables.unshared = callables.references(py);
        Ok(callables)
    }

    fn references(&self, py: Python<'_>) -> [isize; 5] {
        [
            ffi::references(self.responder.bind(py)),
            self.responder.get().write_references(py),
            ffi::references(self.start_response.bind(py)),
            ffi::references(self.early_hints.bind(py)),
            ffi::references(self.socket.bind(py)),
        ]
    }

    /// Makes new ones if the application keeps any.
    pub fn renew_if_kept(&mut self, py: Python<'_>, environs: &Environs, server: &[u8]) -> PyResult<()> {
        if self.references(py) != self.unshared || self.socket.get().is_touched() {
            let waiting = self.responder.get().waiting().clone_ref(py);
            let old = std::mem::replace(self, Self::new(py, environs, server, waiting)?);
            old.responder.get().retire();
        }
        Ok(())
    }
}
