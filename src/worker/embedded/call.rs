//! What a host gets from a turn and runs: a request, or something else that must not be done in the turn itself.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::Embedded;
use crate::reactor::Exchange;
use crate::sys::fork;

/// Something to be run once. Dropped before that it closes its connection.
pub struct Call {
    embedded: Arc<Embedded>,
    job: Mutex<Option<Job>>,
}

/// What is to be done.
pub(super) enum Job {
    /// This request is to be served.
    Request(Exchange),
    /// What happened in the loop is to be logged, and the like.
    Chores,
}

impl Call {
    pub(super) fn new(embedded: Arc<Embedded>, job: Job) -> Self {
        Self { embedded, job: Mutex::new(Some(job)) }
    }

    /// Does it, to its end.
    ///
    /// Errors: it was run before; `SystemExit` when a signal handler of the worker has raised it meanwhile and the worker
    /// must leave at once.
    pub fn run(&self, py: Python<'_>) -> PyResult<()> {
        let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).take();
        match job {
            // One that was given before the application forked: its parent runs it.
            Some(_) if fork::is_forked_child() => Ok(()),
            Some(Job::Request(exchange)) => self.embedded.serve(py, exchange),
            Some(Job::Chores) => self.embedded.do_chores(py),
            None => Err(PyRuntimeError::new_err("this call has been run already")),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(job) = self.job.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            self.embedded.dropped(job);
        }
    }
}
