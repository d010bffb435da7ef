//! The threaded driver: threads take turns at the reactor, and whoever finds a request serves it. The main thread only
//! handles signals, and shows the arbiter that the interpreter can still be had.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::leave::{self, Leave};
use super::service::{Service, Timeout};
use super::setup::Setup;
use crate::reactor::{Crew, Turn};
use crate::sys::{clock, pipe};

/// The places of the arbiter's pipe and of the understudy's among what the main thread waits for.
const LIFELINE: usize = 1;
const POKES: usize = 2;

/// A worker with threads.
pub struct Threads {
    service: Arc<Service>,
    crew: Crew,
    /// The main thread is to show that it lives.
    pokes: OwnedFd,
}

impl Threads {
    /// To be made in the worker's process, by its main thread.
    pub fn new(py: Python<'_>, setup: Setup) -> PyResult<Self> {
        let service = Arc::new(Service::new(py, setup, Timeout::Process)?);
        let (pokes, poker) = pipe::nonblocking()?;
        let slot = service.setup.slot.clone();
        let tick = move || {
            slot.watch(clock::monotonic());
            pipe::poke(&poker);
        };
        service.reactor.on_tick(Box::new(tick));
        let crew = Crew::new(Arc::clone(&service.reactor));
        service.start_watchdog(py, false, None)?;
        // Before there are threads, which say what they do.
        service.setup.slot.finishes();
        service.setup.slot.booted();
        Ok(Self { service, crew, pokes })
    }

    /// The life of one thread: takes its turns until the worker leaves. `index` numbers the threads, from 0 on.
    pub fn serve(&self, py: Python<'_>, index: usize) -> PyResult<()> {
        let Self { service, crew, .. } = self;
        let mut hand = service.hand(py, index)?;
        loop {
            let unwritten = service.write_logs(py);
            let turn = py.detach(|| {
                let turn = crew.rest(unwritten);
                // A thread of the application that never lets go of the interpreter makes the worker late.
                service.setup.slot.watch(clock::monotonic());
                turn
            })?;
            service.show_quiet();
            let mut next = match turn {
                Turn::Serve(exchange) => Some(exchange),
                Turn::Look => None,
                Turn::Stop => return Ok(()),
            };
            while let Some(exchange) = next {
                // Only signal handlers of the main thread could mean the worker.
                let _ = service.serve(py, &mut hand, exchange);
                next = service.reactor.next_exchange();
            }
            service.log_notices(py);
        }
    }

    /// The life of the main thread: returns when the worker should leave and its clients are gone, or have had their time.
    /// Gives what is left of that.
    ///
    /// Errors: what a signal handler of the worker raised (`SystemExit`).
    pub fn watch(&self, py: Python<'_>) -> PyResult<Duration> {
        let (service, setup) = (&self.service, &self.service.setup);
        let mut leave = Leave::default();
        let mut woken = 0;
        loop {
            pipe::drain(&setup.wakeup, |_| {})?;
            pipe::drain(&self.pokes, |_| {})?;
            py.check_signals()?;
            // Not for each tick: it looks the logger's files up.
            if woken != 1 << POKES {
                service.reopen_logs(py);
            }
            service.notify(py)?;
            service.show_life();
            // A tick may have come with the end of the last request.
            service.show_quiet();
            let began = leave.has_begun();
            leave.look(py, service)?;
            if leave.has_begun() && !began {
                service.reactor.wake();
            }
            if leave.is_over(service, false) {
                return Ok(leave.left().unwrap_or_default());
            }
            let notify = setup.notify_every.map(Duration::from_nanos);
            let tick = leave.has_begun().then_some(leave::TICK);
            let most = notify.into_iter().chain(tick).min();
            let descriptors = [setup.wakeup.as_fd(), setup.lifeline.as_fd(), self.pokes.as_fd()];
            woken = py.detach(|| pipe::wait_any(&descriptors, most))?;
            if woken & (1 << LIFELINE) != 0 {
                service.say_orphaned(py);
                return Ok(Duration::ZERO);
            }
        }
    }

    /// Lets the threads end, each after the request that it serves.
    pub fn stop(&self) {
        self.crew.stop();
    }

    /// Logs what is left undone. The threads have ended, or will be cut off.
    pub fn close(&self, py: Python<'_>) {
        self.service.close(py);
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.service.reactor.lock().open_connections()
    }
}
