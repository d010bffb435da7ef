//! When a worker leaves: it was told to, and its clients have been served or have had their time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::prelude::*;

use super::service::Service;
use super::setup::Setup;
use crate::sys::clock;

/// How often a leaving worker looks whether its clients are gone.
pub const TICK: Duration = Duration::from_millis(20);

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
        Ok(Self { since: Some(clock::monotonic()), patience: patience(service.setup.graceful_timeout) })
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
        done || clock::monotonic() - since >= self.patience && !spares(service, since)
    }

    /// How long a worker with an event loop of its own may wait before it looks again whether it is time.
    pub fn pause(&self) -> Option<Duration> {
        self.left().map(|left| left.max(TICK))
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

/// Whether what runs, in a worker that leaves `since` then, goes on though the time of all else is up: a reload must not cost
/// a long request. It may take as long as `timeout` lets one of a `sync` worker, in which the arbiter measures it; Gunicorn's
/// threads are killed then, too. Not where the service ends, or the request has had its time.
fn spares(service: &Service, since: u64) -> bool {
    let Setup { slot, timeout, graceful_timeout, .. } = &service.setup;
    let reactor = service.reactor.lock();
    let runs = reactor.is_serving();
    // Without siblings it is all there is of the service: a program's own server.
    let alone = slot.handoff().is_none();
    if alone || !slot.may_finish() || !(runs || reactor.is_transferring()) {
        return false;
    }
    let until = match (slot.ending_since(), timeout) {
        (Some(ending), _) => ending.saturating_add(patience(*graceful_timeout)),
        // Clients must not keep it for ever.
        (None, 0) if !runs => return false,
        (None, 0) => u64::MAX,
        (None, timeout) => since.saturating_add(patience(*timeout.max(graceful_timeout))),
    };
    clock::monotonic() < until
}

/// How long a leaving worker waits for its clients, in nanoseconds: a little less than `limit`, at the end of which the
/// arbiter kills it. So it can still log what it leaves undone.
fn patience(limit: u64) -> u64 {
    const LAST_WORDS: u64 = 500_000_000;
    limit - LAST_WORDS.min(limit / 4)
}
