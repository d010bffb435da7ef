//! The sync driver: one thread that leads the reactor and runs the application between two turns of the loop.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::hand::Hand;
use super::leave::Leave;
use super::service::{Mood, Service, Timeout};
use super::setup::Setup;
use crate::reactor::Rest;
use crate::sys::pipe;

/// The bits of the descriptors that the reactor watches for this driver.
const SIGNAL: usize = 0;
const LIFELINE: usize = 1;

/// Serves until the worker is told to leave, or its arbiter is gone.
///
/// Errors: what a signal handler of the worker raised (`SystemExit`), and failures of the loop itself.
pub fn run(py: Python<'_>, setup: Setup) -> PyResult<()> {
    let service = Arc::new(Service::new(py, setup, Timeout::Request)?);
    {
        let mut reactor = service.reactor.lock();
        reactor.watch(service.setup.wakeup.as_fd(), SIGNAL)?;
        reactor.watch(service.setup.lifeline.as_fd(), LIFELINE)?;
    }
    let mut hand = service.hand(py, 0)?;
    service.start_watchdog(py, true, None)?;
    service.setup.slot.finishes();
    service.setup.slot.booted();
    let mut driver = Driver { service, leave: Leave::default() };
    let result = driver.run(py, &mut hand);
    driver.service.close(py);
    result
}

struct Driver {
    service: Arc<Service>,
    leave: Leave,
}

impl Driver {
    fn run(&mut self, py: Python<'_>, hand: &mut Hand) -> PyResult<()> {
        // A signal may have come before anything watched for it.
        self.look_at_signals(py)?;
        while !self.leave.is_over(&self.service, false) {
            let woken = self.rest(py)?;
            if woken.by(LIFELINE) {
                self.service.say_orphaned(py);
                return Ok(());
            }
            if woken.by(SIGNAL) || woken.interrupted {
                self.look_at_signals(py)?;
            }
            while let Some(exchange) = self.service.reactor.next_exchange() {
                self.service.notify(py)?;
                if self.service.serve(py, hand, exchange) == Mood::Exit && !self.service.is_alive(py)? {
                    return Ok(());
                }
            }
            self.service.log_notices(py);
            // Without the pipe a signal that came since the wait shows in nothing else.
            py.check_signals()?;
            if self.leave.is_due(&self.service.setup) {
                self.look_at_signals(py)?;
            }
        }
        Ok(())
    }

    /// Waits for something to do.
    fn rest(&self, py: Python<'_>) -> PyResult<Woken> {
        let Service { setup, reactor, .. } = &*self.service;
        let unwritten = self.service.write_logs(py);
        self.service.notify(py)?;
        let left = self.leave.pause();
        let notify = setup.notify_every.map(Duration::from_nanos);
        let most = left.into_iter().chain(unwritten).chain(notify).min();
        let slot = &setup.slot;
        let (rest, bits) = py.detach(|| -> std::io::Result<_> {
            let rest = reactor.poll(most)?;
            let mut reactor = reactor.lock();
            // A thread of the application that never lets go of the interpreter makes the worker late.
            slot.beat(reactor.now());
            Ok((rest, reactor.take_woken()))
        })?;
        slot.quiet();
        Ok(Woken { bits, interrupted: rest == Rest::Interrupted })
    }

    /// Lets the worker's Python signal handlers run, and looks at what they may have changed.
    fn look_at_signals(&mut self, py: Python<'_>) -> PyResult<()> {
        pipe::drain(&self.service.setup.wakeup, |_| {})?;
        py.check_signals()?;
        self.service.reopen_logs(py);
        self.leave.look(py, &self.service)
    }
}

/// Why the driver is awake.
struct Woken {
    /// The descriptors that became readable.
    bits: u64,
    interrupted: bool,
}

impl Woken {
    fn by(&self, which: usize) -> bool {
        self.bits & (1 << which) != 0
    }
}
