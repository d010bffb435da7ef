//! The sync driver: one thread that leads the reactor and runs the application between two turns of the loop.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::prelude::*;

use super::serve::{Mood, Server};
use super::setup::Setup;
use crate::reactor::{Rest, SharedReactor};
use crate::sys::{clock, fork, pipe};

/// The bits of the descriptors that the reactor watches for this driver.
const SIGNAL: usize = 0;
const LIFELINE: usize = 1;

/// Serves until the worker is told to leave, or its arbiter is gone.
///
/// Errors: what a signal handler of the worker raised (`SystemExit`), and failures of the loop itself.
pub fn run(py: Python<'_>, mut setup: Setup) -> PyResult<()> {
    fork::watch();
    let (listeners, names) =
        std::mem::take(&mut setup.listeners).into_iter().map(|setup| (setup.listener, setup.name)).unzip();
    let reactor = SharedReactor::new(setup.reactor.clone(), listeners, setup.leaving.clone())?;
    reactor.lock().watch(setup.wakeup.as_fd(), SIGNAL)?;
    reactor.lock().watch(setup.lifeline.as_fd(), LIFELINE)?;
    let mut server = Server::new(py, &setup, names)?;
    setup.slot.booted();
    let mut driver = Driver { setup, reactor, leaving_since: None };
    let result = driver.run(py, &mut server);
    server.close_logs(py, &driver.reactor);
    result
}

struct Driver {
    setup: Setup,
    reactor: Arc<SharedReactor>,
    /// When the worker was told to leave.
    leaving_since: Option<u64>,
}

impl Driver {
    fn run(&mut self, py: Python<'_>, server: &mut Server) -> PyResult<()> {
        // A signal may have come before anything watched for it.
        self.look_at_signals(py, server)?;
        while !self.is_done() {
            let unwritten = server.write_logs(py);
            self.notify(py)?;
            let left = time_left(self.leaving_since, patience(&self.setup));
            let notify = self.setup.notify_every.map(Duration::from_nanos);
            let most = left.into_iter().chain(unwritten).chain(notify).min();
            let (reactor, slot) = (&self.reactor, &self.setup.slot);
            let rest = py.detach(|| {
                let rest = reactor.poll(most);
                // A thread of the application that never lets go of the interpreter makes the worker late.
                slot.beat(reactor.lock().now());
                rest
            })?;
            slot.quiet();
            let woken = self.reactor.lock().take_woken();
            if woken & (1 << LIFELINE) != 0 {
                let worker = self.setup.worker.bind(py);
                server.journal.info(py, &format!("Parent changed, shutting down: {worker}"));
                return Ok(());
            }
            if woken & (1 << SIGNAL) != 0 || rest == Rest::Interrupted {
                self.look_at_signals(py, server)?;
            }
            while let Some(exchange) = self.reactor.next_exchange() {
                self.notify(py)?;
                if server.serve(py, &self.reactor, exchange) == Mood::Exit && !self.is_alive(py)? {
                    return Ok(());
                }
            }
            server.log_notices(py, &self.reactor);
            // Without the pipe a signal that came since the wait shows in nothing else.
            py.check_signals()?;
            if self.was_told_to_leave() {
                self.look_at_signals(py, server)?;
            }
        }
        Ok(())
    }

    /// Calls the worker's `notify()` if it is not ours, which does nothing.
    fn notify(&self, py: Python<'_>) -> PyResult<()> {
        match self.setup.notify_every {
            Some(_) => self.setup.worker.call_method0(py, "notify").map(drop),
            None => Ok(()),
        }
    }

    /// The worker's handler has run. Usually the pipe says so too, but an application may have taken Python's wakeup
    /// descriptor for itself.
    fn was_told_to_leave(&self) -> bool {
        self.leaving_since.is_none() && self.setup.leaving.load(Ordering::Relaxed)
    }

    /// Lets the worker's Python signal handlers run, and looks at what they may have changed.
    fn look_at_signals(&mut self, py: Python<'_>, server: &mut Server) -> PyResult<()> {
        pipe::drain(&self.setup.wakeup, |_| {})?;
        py.check_signals()?;
        server.reopen_logs(py);
        if self.leaving_since.is_none() && !self.is_alive(py)? {
            self.leaving_since = Some(clock::monotonic());
            self.reactor.lock().drain();
        }
        Ok(())
    }

    fn is_alive(&self, py: Python<'_>) -> PyResult<bool> {
        self.setup.worker.getattr(py, "alive")?.is_truthy(py)
    }

    fn is_done(&self) -> bool {
        let Some(since) = self.leaving_since else { return false };
        self.reactor.lock().open_connections() == 0 || clock::monotonic() - since >= patience(&self.setup)
    }
}

/// How long a leaving worker waits for its clients, in nanoseconds: a little less than `graceful_timeout`, at the end of
/// which the arbiter kills it. So it can still log what it leaves undone.
fn patience(setup: &Setup) -> u64 {
    const LAST_WORDS: u64 = 500_000_000;
    setup.graceful_timeout - LAST_WORDS.min(setup.graceful_timeout / 4)
}

/// How long a leaving worker may still wait.
fn time_left(leaving_since: Option<u64>, patience: u64) -> Option<Duration> {
    let until = leaving_since?.saturating_add(patience);
    Some(Duration::from_nanos(until.saturating_sub(clock::monotonic())))
}
