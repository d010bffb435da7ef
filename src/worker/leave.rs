//! When a worker leaves: it was told to, and its clients have been served or have had their time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::prelude::*;

use super::service::Service;
use super::setup::Setup;
use crate::sys::clock;

/// Whether a worker leaves, and since when.
#[derive(Default)]
pub struct Leave {
    since: Option<u64>,
}

impl Leave {
    /// Looks whether the worker object still wants to live. If not the reactor takes no new connections from now on.
    pub fn look(&mut self, py: Python<'_>, service: &Service) -> PyResult<()> {
        if self.since.is_none() && !service.is_alive(py)? {
            self.since = Some(clock::monotonic());
            service.reactor.lock().drain();
        }
        Ok(())
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

    /// Nobody is left to be served, or the time is up.
    pub fn is_over(&self, service: &Service) -> bool {
        let Some(since) = self.since else { return false };
        service.reactor.lock().open_connections() == 0
            || clock::monotonic() - since >= patience(&service.setup)
    }

    /// How long a leaving worker may still wait.
    pub fn left(&self, setup: &Setup) -> Option<Duration> {
        let until = self.since?.saturating_add(patience(setup));
        Some(Duration::from_nanos(until.saturating_sub(clock::monotonic())))
    }
}

/// How long a leaving worker waits for its clients, in nanoseconds: a little less than `graceful_timeout`, at the end of
/// which the arbiter kills it. So it can still log what it leaves undone.
fn patience(setup: &Setup) -> u64 {
    const LAST_WORDS: u64 = 500_000_000;
    setup.graceful_timeout - LAST_WORDS.min(setup.graceful_timeout / 4)
}
