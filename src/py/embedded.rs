//! What Python sees of the driver for the loops of others.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use pyo3::prelude::*;

use super::worker::setup;
use crate::worker::{Host, embedded};

/// A server in the loop of a host, which watches its descriptor and calls `turn` when that is readable.
#[pyclass(frozen, module = "rgunicorn._native")]
struct Embedded {
    inner: Arc<embedded::Embedded>,
}

#[pymethods]
impl Embedded {
    /// `worker` is what the sync worker is to its own loop.
    /// `wait(fd, write, timeout)` puts the current greenlet to sleep until the descriptor is readable (writable), and
    /// gives False when the seconds are over first; without it a wait for a client blocks the thread. `multithread`:
    /// whether several requests are served at once; as a rule, if there is a `wait`. For `request_timeout`, where requests
    /// run in greenlets: `current()` gives the running one, `schedule(f)` has `f` called in the hub, soon.
    #[new]
    #[pyo3(signature = (worker, wait = None, multithread = None, current = None, schedule = None))]
    fn new(
        worker: &Bound<'_, PyAny>,
        wait: Option<Py<PyAny>>,
        multithread: Option<bool>,
        current: Option<Py<PyAny>>,
        schedule: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let setup = setup(worker, multithread.unwrap_or(wait.is_some()))?;
        let host = current.zip(schedule).map(|(current, schedule)| Host { current, schedule });
        Ok(Self { inner: Arc::new(embedded::Embedded::new(worker.py(), setup, wait, host)?) })
    }

    /// Readable when `turn` should be called.
    fn fileno(&self) -> i32 {
        self.inner.descriptor().as_raw_fd()
    }

    /// Does what can be done without waiting, and gives new requests to be run, so that at most `hands` run at a time, with
    /// now and then another call that is to be run like them.
    #[pyo3(signature = (hands = 64))]
    fn turn(&self, py: Python<'_>, hands: usize) -> PyResult<Vec<Call>> {
        let calls = self.inner.turn(py, hands)?;
        Ok(calls.into_iter().map(|inner| Call { inner }).collect())
    }

    /// Whether the loop can end: the server has left, or its time to do so is up, or the arbiter is gone.
    #[getter]
    fn is_done(&self) -> bool {
        self.inner.is_done()
    }

    /// How many connections are open.
    #[getter]
    fn open_connections(&self) -> usize {
        self.inner.open_connections()
    }

    /// How many requests were given and have not ended.
    #[getter]
    fn running(&self) -> usize {
        self.inner.running()
    }

    /// Leaves: no new connections, and the present ones end with their next response.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.inner.drain(py)
    }

    /// The end: logs what is left undone, closes listeners and connections.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.inner.close(py)
    }
}

/// Something to be run once, in a greenlet, in a thread or on the spot: usually a request.
#[pyclass(frozen, module = "rgunicorn._native")]
struct Call {
    inner: embedded::Call,
}

#[pymethods]
impl Call {
    /// Does it, to its end. Raises SystemExit when a signal handler of the worker has raised it meanwhile, and nothing
    /// of the application.
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        self.inner.run(py)
    }
}

/// Adds this file's names to the native module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Embedded>()?;
    module.add_class::<Call>()
}
