//! The objects that each request's environ and call carry. Making them costs more than a short request, so they serve
//! one request after the other; an application that keeps one keeps it for itself, and new ones are made.

use std::sync::Arc;

use pyo3::prelude::*;

use super::deadline::{Deadline, Due};
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
    /// Only where requests have one.
    deadline: Option<Py<Deadline>>,
    /// How many references there are to each when no application holds any.
    unshared: [isize; 6],
}

impl Callables {
    /// Makes a set, and puts what belongs into an environ into `environs`. `server`: the `Server` field of responses. `due`
    /// knows the deadlines of the requests, if they have any.
    pub fn new(
        py: Python<'_>,
        environs: &Environs,
        server: &[u8],
        waiting: Waiting,
        due: Option<Arc<Due>>,
    ) -> PyResult<Self> {
        let deadline = due.clone().map(|due| Deadline::new(py, due)).transpose()?;
        let responder = Responder::new(py, server, waiting, due)?;
        let mut callables = Self {
            start_response: responder.getattr(py, "start_response")?,
            early_hints: responder.getattr(py, "early_hints")?,
            socket: ClientSocket::new(py, &responder)?,
            deadline,
            responder,
            unshared: [0; 6],
        };
        environs.prepare(py, "wsgi.early_hints", callables.early_hints.bind(py))?;
        environs.prepare(py, "gunicorn.socket", callables.socket.bind(py))?;
        if let Some(deadline) = &callables.deadline {
            environs.prepare(py, "rgunicorn.deadline", deadline.bind(py))?;
        }
        callables.unshared = callables.references(py);
        Ok(callables)
    }

    fn references(&self, py: Python<'_>) -> [isize; 6] {
        [
            ffi::references(self.responder.bind(py)),
            self.responder.get().write_references(py),
            ffi::references(self.start_response.bind(py)),
            ffi::references(self.early_hints.bind(py)),
            ffi::references(self.socket.bind(py)),
            self.deadline.as_ref().map_or(0, |deadline| ffi::references(deadline.bind(py))),
        ]
    }

    /// Makes new ones if the application keeps any.
    pub fn renew_if_kept(&mut self, py: Python<'_>, environs: &Environs, server: &[u8]) -> PyResult<()> {
        if self.references(py) != self.unshared || self.socket.get().is_touched() {
            let responder = self.responder.get();
            let (waiting, due) = (responder.waiting().clone_ref(py), responder.due().cloned());
            let old = std::mem::replace(self, Self::new(py, environs, server, waiting, due)?);
            old.responder.get().retire();
            if let Some(deadline) = &old.deadline {
                deadline.get().retire();
            }
        }
        Ok(())
    }
}
