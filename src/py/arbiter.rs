//! What Python sees of `arbiter` and `scoreboard`.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::prelude::*;

use crate::arbiter::{self, End};
use crate::scoreboard::{self, Board};
use crate::sys::clock;

/// A worker's place on the scoreboard, through which it tells the arbiter how it is doing.
#[pyclass(frozen, module = "rgunicorn._native")]
pub struct Slot {
    inner: scoreboard::Slot,
    /// Of this process alone: see [`Slot::leave`].
    leaving: Arc<AtomicBool>,
}

impl Slot {
    /// Whether the worker was told to leave, for the native workers.
    pub fn leaving(&self) -> &Arc<AtomicBool> {
        &self.leaving
    }

    /// The place itself, for the native workers.
    pub fn inner(&self) -> &scoreboard::Slot {
        &self.inner
    }
}

#[pymethods]
impl Slot {
    /// A place that no arbiter looks at, for a worker that has none.
    #[staticmethod]
    fn alone() -> PyResult<Self> {
        let nobody = File::options().write(true).open("/dev/null")?;
        let slot = Board::new(1, nobody.into(), None)?.claim().expect("nobody has the only one");
        Ok(Self { inner: slot, leaving: Arc::default() })
    }

    /// The application is loaded. The worker counts as booted with its first beat.
    fn loaded(&self) {
        self.inner.loaded(clock::monotonic());
    }

    /// The worker serves. For worker classes that do not beat.
    fn booted(&self) {
        self.inner.booted();
    }

    /// A request starts. For worker classes that serve in Python: the native ones mark their requests
    /// themselves.
    fn begin(&self, method: &[u8], target: &[u8]) {
        let now = clock::monotonic();
        self.inner.count();
        if let Some(lane) = self.inner.lane(0) {
            lane.begin(method, target, None, now);
        }
        self.inner.busy(now);
    }

    /// The request is done.
    fn end(&self) {
        if let Some(lane) = self.inner.lane(0) {
            lane.end();
        }
        self.inner.end();
    }

    /// Opens a place for a running request, for worker classes that serve several at a time in Python. There are as many
    /// as `index` gives one for; each is for one request at a time.
    fn lane(&self, index: usize) -> Option<Lane> {
        self.inner.lane(index).map(|inner| Lane { inner, slot: self.inner.clone() })
    }

    /// So many requests have been served, by the worker's own count. For worker classes that mark none.
    fn count_up_to(&self, requests: u64) {
        self.inner.count_up_to(requests);
    }

    /// How many requests have been counted.
    fn counted(&self) -> u64 {
        self.inner.counted()
    }

    /// `max_requests` have been served: the worker goes on until its replacement has booted and the arbiter
    /// sends it TERM.
    fn retire(&self) {
        self.inner.retire();
    }

    /// The worker was told to leave: the response on its way, too, says that its connection ends.
    fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the service was told to end, and no other program goes on with it. Requests may still come, and are served.
    fn is_service_ending(&self) -> bool {
        self.inner.is_service_ending()
    }

    /// The worker lives. Once it has said so outside of a request, it must go on doing so at least every
    /// `timeout` seconds.
    fn beat(&self) {
        self.inner.beat(clock::monotonic());
    }

    /// When the worker has last shown that it lives, in seconds of `time.monotonic()`: now, if it need not.
    fn last_sign(&self) -> f64 {
        Duration::from_nanos(self.inner.last_sign(clock::monotonic())).as_secs_f64()
    }
}

/// The place of a running request of a worker, by which the arbiter names it in the error log.
#[pyclass(frozen, module = "rgunicorn._native")]
struct Lane {
    inner: scoreboard::Lane,
    slot: scoreboard::Slot,
}

#[pymethods]
impl Lane {
    /// A request starts, and counts; the arbiter writes no line of it in the access log.
    fn begin(&self, method: &[u8], target: &[u8]) {
        self.inner.begin(method, target, None, clock::monotonic());
        self.inner.needs_no_line();
        self.slot.count();
    }

    /// The request is done.
    fn end(&self) {
        self.inner.end();
    }
}

/// Runs the workers of an `rgunicorn.arbiter.Arbiter` until a signal ends them. It does not return: the
/// arbiter leaves through `Arbiter.conclude`, each forked worker through `Arbiter.child_main`, both by raising
/// SystemExit; a forked process that is to execute the program does so.
#[pyfunction]
fn run_arbiter<'py>(arbiter: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let end = arbiter::run(arbiter, |py, inner| {
        Ok(Py::new(py, Slot { inner, leaving: Arc::default() })?.into_any())
    })?;
    match end {
        End::Child(worker) => arbiter.call_method1("child_main", (worker,)),
        End::Upgrade(legacy) => arbiter.call_method1("execute_successor", (legacy,)),
        End::Prove => arbiter.call_method0("execute_proof"),
        End::Halt { status, reason } => arbiter.call_method1("conclude", (reason, status)),
    }
}

/// Adds this file's names to the native module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Slot>()?;
    module.add_class::<Lane>()?;
    module.add("PROVEN", arbiter::plan::PROVEN)?;
    module.add("CARRIES", arbiter::carry::format())?;
    module.add_function(wrap_pyfunction!(run_arbiter, module)?)
}
