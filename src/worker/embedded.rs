//! The driver for the loops of others: gevent, eventlet, asyncio, a loop of the user's own. It waits for nothing: the host
//! watches one descriptor, calls [`Embedded::turn`] when that is readable, and runs each [`Call`] that it gets where it
//! likes: in a greenlet, in a thread, or on the spot.
//!
//! A greenlet may switch to another one inside any call into Python, in the middle of the functions here: no lock and no
//! borrow of what is shared may be held over one.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;

use super::hand::Hand;
use super::leave::Leave;
use super::service::{Mood, Service, Timeout};
use super::setup::Setup;
use super::watchdog::Host;
use crate::reactor::{End, Exchange};
use crate::sys::{fork, pipe};

mod call;
mod state;

pub use call::Call;
use call::Job;
use state::State;

/// The bits of the descriptors that the reactor watches for this driver.
const SIGNAL: usize = 0;
const LIFELINE: usize = 1;
const ALARM: usize = 2;

/// A server in the loop of a host.
pub struct Embedded {
    service: Arc<Service>,
    /// Puts a greenlet to sleep: see [`crate::wsgi::Waiting::Hub`]. `None`: who waits for a client blocks its thread.
    hub: Option<Py<PyAny>>,
    state: Mutex<State>,
}

impl Embedded {
    /// A server for the listeners of `setup`. `hub`: see [`crate::wsgi::Waiting::Hub`]; `host`: what interrupts greenlets,
    /// where requests run in some. Errors: those of opening its descriptors, or this system has no such alarm clock.
    pub fn new(py: Python<'_>, setup: Setup, hub: Option<Py<PyAny>>, host: Option<Host>) -> PyResult<Self> {
        let service = Arc::new(Service::new(py, setup, Timeout::Process)?);
        service.reactor.be_hosted();
        let state = State::new(service.setup.timeout)?;
        {
            let mut reactor = service.reactor.lock();
            reactor.watch(service.setup.wakeup.as_fd(), SIGNAL)?;
            reactor.watch(service.setup.lifeline.as_fd(), LIFELINE)?;
            reactor.watch(state.alarm.as_fd(), ALARM)?;
        }
        service.start_watchdog(py, true, host)?;
        service.setup.slot.booted();
        let embedded = Self { service, hub, state: Mutex::new(state) };
        // A signal may have come before anything watched for it, and deadlines may be set.
        embedded.look_at_signals(py)?;
        embedded.set_alarm()?;
        Ok(embedded)
    }

    /// Readable when there is something to do for a turn.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.service.reactor.as_fd()
    }

    /// Does what can be done without waiting, and gives new requests, so that at most `hands` run at a time; what must call
    /// the logger comes as a call of its own. Calls nothing of the user's but the worker's `alive`, so it may run where
    /// nothing can switch.
    pub fn turn(self: &Arc<Self>, py: Python<'_>, hands: usize) -> PyResult<Vec<Call>> {
        // A process that the application has forked may go round in a copy of the host's loop: requests are its parent's.
        if fork::is_forked_child() || self.lock().closed {
            return Ok(Vec::new());
        }
        let reactor = &self.service.reactor;
        reactor.poll(Some(Duration::ZERO))?;
        let woken = reactor.lock().take_woken();
        if woken & (1 << ALARM) != 0 {
            self.lock().alarm.rang();
        }
        if woken & (1 << LIFELINE) != 0 {
            let mut state = self.lock();
            state.news.orphaned |= !std::mem::replace(&mut state.orphaned, true);
        }
        if woken & (1 << SIGNAL) != 0 || self.is_leaving_unseen() {
            self.look_at_signals(py)?;
        }
        let mut calls = self.take_requests(hands);
        self.service.throw(py)?;
        let told = self.service.has_tidings();
        let notices = reactor.lock().has_notices();
        if self.lock().news.give(notices || told) {
            calls.push(Call::new(Arc::clone(self), Job::Chores));
        }
        self.service.show_life();
        self.set_alarm()?;
        Ok(calls)
    }

    /// How many hands are free is found out here: where threads serve, one may have come free since the host looked.
    fn take_requests(self: &Arc<Self>, hands: usize) -> Vec<Call> {
        let most = hands.saturating_sub(self.lock().given);
        let mut calls = Vec::new();
        while calls.len() < most
            && let Some(exchange) = self.next_exchange()
        {
            calls.push(Call::new(Arc::clone(self), Job::Request(exchange)));
        }
        {
            let mut state = self.lock();
            state.given += calls.len();
            state.waiting += calls.len();
        }
        if calls.len() == most {
            self.read_ahead(most == 0);
        }
        calls
    }

    fn next_exchange(&self) -> Option<Exchange> {
        let ready = self.lock().ready.pop_front();
        ready.or_else(|| self.service.reactor.next_exchange())
    }

    /// No hand is free for more requests: those that have come are read, because deadlines are judged by what has been
    /// read, and wait. With `rests` nobody new is welcome until a call has ended.
    fn read_ahead(&self, rests: bool) {
        let mut ready = Vec::new();
        {
            let mut reactor = self.service.reactor.lock();
            while let Some(exchange) = reactor.next_known() {
                ready.push(exchange);
            }
            if rests {
                reactor.rest();
            }
        }
        self.lock().ready.extend(ready);
    }

    /// Serves a request of which [`Embedded::turn`] has given the call.
    ///
    /// Errors: `SystemExit`, when a signal handler of the worker has raised it in the middle and the worker must leave at
    /// once.
    fn serve(&self, py: Python<'_>, mut exchange: Exchange) -> PyResult<()> {
        self.lock().waiting -= 1;
        exchange.take_up();
        let mut hand = match self.take_hand(py) {
            Ok(hand) => hand,
            Err(error) => {
                self.service.reactor.finish(exchange, End::Cut);
                self.ended(py)?;
                return Err(error);
            }
        };
        let mood = self.service.serve(py, &mut hand, exchange);
        self.lock().hands.push(hand);
        self.ended(py)?;
        if mood == Mood::Exit && !self.service.is_alive(py)? {
            return Err(PySystemExit::new_err(0));
        }
        Ok(())
    }

    /// As many as there are requests at once, made when there are too few.
    fn take_hand(&self, py: Python<'_>) -> PyResult<Hand> {
        let index = {
            let mut state = self.lock();
            if let Some(hand) = state.hands.pop() {
                return Ok(hand);
            }
            state.made += 1;
            state.made - 1
        };
        let mut hand = self.service.hand(py, index)?;
        if let Some(hub) = &self.hub {
            hand.bridge.wait_in(py, hub.clone_ref(py))?;
        }
        Ok(hand)
    }

    /// A request is over: what it has left to be logged, and who may come now.
    fn ended(&self, py: Python<'_>) -> PyResult<()> {
        self.lock().given -= 1;
        self.service.log_notices(py);
        // Requests that came together have their lines written together.
        if self.lock().waiting == 0 {
            self.write_logs(py);
        }
        self.made_room()
    }

    /// A call was dropped before it was run: nobody answers.
    fn dropped(&self, job: Job) {
        match job {
            Job::Request(exchange) => {
                self.service.reactor.finish(exchange, End::Cut);
                let mut state = self.lock();
                state.given -= 1;
                state.waiting -= 1;
                // The lines of those before it may have waited for it.
                state.news.lines = true;
            }
            Job::Chores => self.lock().news.given = false,
        }
        // It fails only where the descriptor is no alarm clock.
        let _ = self.made_room();
    }

    /// What calls the logger.
    fn do_chores(&self, py: Python<'_>) -> PyResult<()> {
        let (orphaned, reopened) = {
            let news = &mut self.lock().news;
            news.given = false;
            (std::mem::take(&mut news.orphaned), std::mem::take(&mut news.reopened))
        };
        if orphaned {
            self.service.say_orphaned(py);
        }
        self.service.log_notices(py);
        self.service.tell_tidings(py);
        if reopened {
            self.service.reopen_logs(py);
        }
        self.write_logs(py);
        self.set_alarm()
    }

    fn write_logs(&self, py: Python<'_>) {
        let again = self.service.write_logs(py);
        self.lock().news.written(again);
    }

    fn is_leaving_unseen(&self) -> bool {
        self.service.setup.leaving.load(Ordering::Relaxed) && !self.lock().leave.has_begun()
    }

    /// A signal has come, and the worker's Python handlers have run.
    fn look_at_signals(&self, py: Python<'_>) -> PyResult<()> {
        pipe::drain(&self.service.setup.wakeup, |_| {})?;
        self.lock().news.reopened = true;
        if !self.service.is_alive(py)? {
            self.drain(py)?;
        }
        Ok(())
    }

    /// The server leaves: no new connections, and the present ones end with their next response.
    pub fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.service.setup.leaving.store(true, Ordering::Relaxed);
        if self.lock().leave.has_begun() {
            return Ok(());
        }
        let leave = Leave::begun(py, &self.service)?;
        self.lock().leave = leave;
        self.made_room()
    }

    /// Whether the host's loop has nothing more to do for this server.
    pub fn is_done(&self) -> bool {
        let (leave, serving) = {
            let state = self.lock();
            if state.closed || state.orphaned {
                return true;
            }
            (state.leave, state.given > 0)
        };
        leave.is_over(&self.service, serving)
    }

    /// Open connections.
    pub fn open_connections(&self) -> usize {
        self.service.reactor.lock().open_connections()
    }

    /// Requests given out that have not ended.
    pub fn running(&self) -> usize {
        self.lock().given
    }

    /// The end: logs what is left undone, closes listeners and connections.
    pub fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.drain(py)?;
        let (ready, hands) = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.closed, true) {
                return Ok(());
            }
            (std::mem::take(&mut state.ready), std::mem::take(&mut state.hands))
        };
        for exchange in ready {
            self.service.reactor.finish(exchange, End::Cut);
        }
        self.service.close(py);
        self.service.reactor.lock().shut();
        drop(hands);
        Ok(())
    }

    /// A request has ended, or will not come: others may.
    fn made_room(&self) -> PyResult<()> {
        let connections = {
            let mut reactor = self.service.reactor.lock();
            reactor.rise();
            reactor.open_connections()
        };
        let mut state = self.lock();
        if state.is_urgent(connections) {
            // Even if it rings already: that may be for a turn which was told that no hand is free.
            state.alarm.rang();
            state.alarm.set(0)?;
        }
        drop(state);
        self.set_alarm()
    }

    /// Sees to it that the descriptor becomes readable when there is something to do of which no socket tells.
    fn set_alarm(&self) -> PyResult<()> {
        let due = self.service.reactor.lock().next_due();
        let mut state = self.lock();
        // They may be about to begin.
        let serving = state.given > 0;
        Ok(state.set_alarm(due, serving)?)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
