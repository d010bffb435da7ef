//! When a worker leaves: it was told to, and its clients have been served or have had their time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::prelude::*;

use super::service::Service;
use super::setup::Setup;
use crate::sys::clock;

/// Whether a worker leaves, and since when.
#[derive(Clone, Copy, Default)]
pub struct Leave {
    since: Option<u64>,
    /// For how long it may, in nanoseconds.
    patience: u64,
}

impl Leave {
    /// Looks whether the worker object still wants to live. If not the reactor takes no new connections from now on.
    pub fn look(&mut self, py: Python<'_>, service: &Service) -> PyResult<()> {
        if self.since.is_none() && !service.is_alive(py)? {
            *self = Self::begun(py, service)?;
        }
        Ok(())
    }

    /// From now on the reactor takes no new connections, but for those that wait to be accepted and would be lost.
    /// Errors: what the worker object raised.
    pub fn begun(py: Python<'_>, service: &Service) -> PyResult<Self> {
        // First: as long as there is another copy, the kernel lets clients in that nobody would ever serve.
        service.setup.worker.call_method0(py, "release_listeners")?;
        service.reactor.lock().drain();
        Ok(Self { since: Some(clock::monotonic()), patience: patience(&service.setup) })
    }

    /// The worker's handler has run, and nobody has looked yet. Usually the pipe says so too, but an application may have
    /// taken Python's wakeup descriptor for itself.
    pub fn is_due(&self, setup: &Setup) -> bool {
        self.since.is_none() && setup.leaving.load(Ordering::Relaxed)
    }

    /// Whether the worker leaves.
    pub fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// Nobody is left to be served, or the time is up. `serving`: requests run, perhaps some without a client, because
    /// they have had their time.
    pub fn is_over(&self, service: &Service, serving: bool) -> bool {
        let Some(since) = self.since else { return false };
        let done = !serving && service.reactor.is_deserted();
        done || clock::monotonic() - since >= self.patience
    }

    /// How long a leaving worker may still wait.
    pub fn left(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.until()?.saturating_sub(clock::monotonic())))
    }

    /// Until when a leaving worker may wait, in nanoseconds of the monotonic clock.
    pub fn until(&self) -> Option<u64> {
        Some(self.since?.saturating_add(self.patience))
    }
}

/// How long a leaving worker waits for its clients, in nanoseconds: a little less than `graceful_timeout`, at the end of
/// which the arbiter kills it. So it can still log what it leaves undone.
fn patience(setup: &Setup) -> u64 {
    const LAST_WORDS: u64 = 500_000_000;
    setup.graceful_timeout - LAST_WORDS.min(setup.graceful_timeout / 4)
}
