//! How long a request may be in the application: `environ["rgunicorn.deadline"]`, and the alarm of the watchdog that sees
//! to it. Times are nanoseconds of CLOCK_MONOTONIC, which is Python's `time.monotonic()`.
//!
//! Nothing is sorted and nobody is woken for a usual request: one that begins later ends later, and the watchdog
//! looks at all of them when the first it knows of is due.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::import_exception;
use pyo3::prelude::*;

use crate::sys::clock;

import_exception!(rgunicorn.errors, RequestTimeout);

/// No deadline, or no request.
pub const NEVER: u64 = u64::MAX;

/// When the watchdog of a worker looks next.
pub struct Alarm {
    /// `request_timeout` in nanoseconds.
    pub limit: u64,
    /// When it looks without being rung for.
    next: AtomicU64,
    /// A request has begun since it looked last.
    begun: AtomicBool,
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Alarm {
    /// `limit`: `request_timeout` in nanoseconds.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            next: AtomicU64::new(NEVER),
            begun: AtomicBool::new(false),
            rung: Mutex::new(false),
            bell: Condvar::new(),
        })
    }

    /// Makes the watchdog look at once.
    pub fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_one();
    }

    /// Sleeps until the time that `earliest` tells, or until it rings. The caller must have let go of the interpreter.
    pub fn sleep(&self, earliest: impl Fn() -> u64) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            let now = clock::monotonic();
            // While requests come, nobody need ring for a new one: it is due after this.
            let next = if self.begun.swap(false, Ordering::Relaxed) { now + self.limit } else { NEVER };
            let next = next.min(earliest());
            self.next.store(next, Ordering::SeqCst);
            // Whoever has set a deadline since the last look, and not yet seen this, has not rung.
            let next = next.min(earliest());
            let left = Duration::from_nanos(next.saturating_sub(now));
            if left.is_zero() {
                break;
            }
            rung = if next == NEVER {
                self.bell.wait(rung).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.bell.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0
            };
        }
        *rung = false;
    }

    fn is_too_late_for(&self, due: u64) -> bool {
        due < self.next.load(Ordering::SeqCst)
    }
}

/// The deadline of the request that one thread or greenlet serves, one after the other.
pub struct Due {
    at: AtomicU64,
    /// The request has had its time.
    over: AtomicBool,
    alarm: Arc<Alarm>,
}

impl Due {
    /// No request has begun.
    pub fn new(alarm: Arc<Alarm>) -> Arc<Self> {
        Arc::new(Self { at: AtomicU64::new(NEVER), over: AtomicBool::new(false), alarm })
    }

    /// A request begins.
    pub fn begin(&self, now: u64) {
        if self.over.load(Ordering::Relaxed) {
            self.over.store(false, Ordering::Relaxed);
        }
        // A plain load is cheaper than a store that other threads' processors must hear of.
        if !self.alarm.begun.load(Ordering::Relaxed) {
            self.alarm.begun.store(true, Ordering::Relaxed);
        }
        self.set(now.saturating_add(self.alarm.limit));
    }

    /// It has ended.
    pub fn end(&self) {
        self.at.store(NEVER, Ordering::Relaxed);
    }

    /// It has had its time; the watchdog looks at it again when it has had as much again.
    pub fn pass(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.set(clock::monotonic().saturating_add(self.alarm.limit));
    }

    /// When the watchdog has something to do for it.
    pub fn at(&self) -> u64 {
        self.at.load(Ordering::SeqCst)
    }

    /// How long the request may take still; `None`: no limit.
    pub fn left(&self) -> Option<Duration> {
        let at = self.at();
        (at != NEVER).then(|| Duration::from_nanos(at.saturating_sub(clock::monotonic())))
    }

    fn set(&self, at: u64) {
        self.at.store(at, Ordering::SeqCst);
        if self.alarm.is_too_late_for(at) {
            self.alarm.ring();
        }
    }
}

/// `environ["rgunicorn.deadline"]`: until when the request may take, in seconds of `time.monotonic()`.
#[pyclass(frozen, module = "rgunicorn._native")]
pub struct Deadline {
    due: Arc<Due>,
    /// The application has kept it beyond its request.
    ended: AtomicBool,
}

impl Deadline {
    /// The deadline of the requests that `due` is told of.
    pub fn new(py: Python<'_>, due: Arc<Due>) -> PyResult<Py<Self>> {
        Py::new(py, Self { due, ended: AtomicBool::new(false) })
    }

    /// The request has ended, and with it what this can do.
    pub fn retire(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn set(&self, at: f64) -> PyResult<()> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("this request has ended"));
        }
        if self.due.over.load(Ordering::Relaxed) {
            return Err(RequestTimeout::new_err(()));
        }
        if at.is_nan() {
            return Err(PyValueError::new_err("a deadline must be a number"));
        }
        // Saturates: the infinite is never.
        self.due.set((at * 1e9) as u64);
        Ok(())
    }
}

#[pymethods]
impl Deadline {
    /// When the request is ended; infinite if never.
    #[getter]
    fn at(&self) -> f64 {
        match self.due.at() {
            NEVER => f64::INFINITY,
            at => at as f64 / 1e9,
        }
    }

    #[setter]
    fn set_at(&self, at: f64) -> PyResult<()> {
        self.set(at)
    }

    /// Seconds that are left.
    #[getter]
    fn remaining(&self) -> f64 {
        if self.due.over.load(Ordering::Relaxed) {
            return 0.0;
        }
        (self.at() - clock::monotonic() as f64 / 1e9).max(0.0)
    }

    /// Adds so many seconds.
    fn extend(&self, seconds: f64) -> PyResult<()> {
        self.set(self.at() + seconds)
    }
}
