//! One request from the reactor to the application and back: what every driver does around the bridge. Keeps the
//! scoreboard, the logs and the count of requests. One for all threads or greenlets of a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::access::AccessLog;
use super::hand::Hand;
use super::journal::Journal;
use super::setup::Setup;
use super::watchdog::{Host, Watchdog};
use crate::proto::http1::Refusal;
use crate::reactor::{End, Exchange, SharedReactor};
use crate::sys::{clock, fork};
use crate::wsgi::{Bridge, ListenerName, Objects, Opened, Original, Outcome, Served};

mod lines;
mod overdue;
mod story;

pub use overdue::{Report, Tidings};
pub use story::{Desk, Passage, Story};

/// Serves requests: one at a time with each [`Hand`].
pub struct Service {
    /// What the worker was started with.
    pub setup: Setup,
    /// The error log.
    pub journal: Journal,
    /// Where requests come from.
    pub reactor: Arc<SharedReactor>,
    /// In the order of the reactor's listeners.
    names: Vec<ListenerName>,
    access: Option<AccessLog>,
    process: u32,
    timeout: Timeout,
    /// Requests between their start and their end.
    running: AtomicUsize,
    /// Sees to requests that take too long, if they have a limit.
    watchdog: Option<Arc<Watchdog>>,
}

/// What the setting `timeout` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// One request must not take longer.
    Request,
    /// The process must show that it lives, while requests run: however long each of them takes.
    Process,
}

/// Whether the worker may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It may.
    Fine,
    /// A signal handler raised `SystemExit` inside the application: the worker must leave at once.
    Exit,
}

impl Mood {
    /// What an exception that ended the application, a hook or a logger means.
    fn after(py: Python<'_>, error: &PyErr) -> Self {
        if error.is_instance_of::<PySystemExit>(py) { Self::Exit } else { Self::Fine }
    }

    fn and(self, other: Self) -> Self {
        if self == Self::Exit { self } else { other }
    }
}

/// What is left to be told of a request when its response is out.
pub struct Told {
    request: Option<Py<PyAny>>,
    environ: Option<Py<PyDict>>,
    response: Option<Py<PyAny>>,
}

/// Who never closes it leaves nobody behind.
impl Drop for Service {
    fn drop(&mut self) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.dismiss();
        }
    }
}

impl Service {
    /// Opens the reactor on the listeners of `setup`, which it takes out, and watches what the worker must hear of.
    pub fn new(py: Python<'_>, mut setup: Setup, timeout: Timeout) -> PyResult<Self> {
        fork::watch();
        let listeners = std::mem::take(&mut setup.listeners);
        let (listeners, names) = listeners.into_iter().map(|setup| (setup.listener, setup.name)).unzip();
        let reactor =
            SharedReactor::new(setup.reactor.clone(), listeners, setup.slot.clone(), setup.leaving.clone())?;
        let access = AccessLog::choose(setup.log.bind(py), &setup.access_log_format, &setup.slot)?;
        Ok(Self {
            journal: Journal::new(py, setup.log.clone_ref(py)),
            reactor,
            names,
            access,
            process: std::process::id(),
            timeout,
            running: AtomicUsize::new(0),
            watchdog: (setup.request_timeout > 0).then(|| Watchdog::new(setup.request_timeout)),
            setup,
        })
    }

    /// Makes what serves one request at a time. `index` numbers those that there are at once, from 0 on.
    pub fn hand(&self, py: Python<'_>, index: usize) -> PyResult<Hand> {
        let setup = &self.setup;
        let application = setup.application.clone_ref(py);
        let watch = self.watchdog.as_ref().map(|watchdog| watchdog.watch(setup.slot.lane(index)));
        let mut bridge = Bridge::new(py, application, &setup.facts, self.names.clone(), setup.sendfile)?;
        bridge.keep_environ = self.access.as_ref().is_some_and(AccessLog::uses_environ);
        bridge.objects = self.objects(py)?;
        if let Some(watch) = &watch {
            bridge.limit(py, watch.due.clone())?;
        }
        let pen = self.access.as_ref().and_then(AccessLog::pen);
        Ok(Hand { bridge, lane: setup.slot.lane(index), pen, watch })
    }

    /// What makes requests and responses into objects, if somebody wants any.
    fn objects(&self, py: Python<'_>) -> PyResult<Option<Objects>> {
        let setup = &self.setup;
        let wanted = setup.hooks.want_objects() || self.access.as_ref().is_some_and(AccessLog::is_python);
        wanted.then(|| Objects::new(py, setup.cfg.clone_ref(py), &setup.facts.server)).transpose()
    }

    /// Starts the watchdog, if requests have a limit. `here`: they are served by this thread, in greenlets of that host if
    /// there is one.
    pub fn start_watchdog(self: &Arc<Self>, py: Python<'_>, here: bool, host: Option<Host>) -> PyResult<()> {
        let Some(watchdog) = &self.watchdog else { return Ok(()) };
        if let Some(host) = host {
            watchdog.set_host(host);
        }
        if here {
            watchdog.install_handler(py)?;
        }
        Ok(watchdog.start(self)?)
    }

    /// The worker leaves: nothing is watched any more, and what is left undone is logged.
    pub fn close(&self, py: Python<'_>) {
        if let Some(watchdog) = &self.watchdog
            && let Err(error) = watchdog.stop(py)
        {
            error.write_unraisable(py, None);
        }
        self.reactor.lock().leave_to_others();
        self.setup.slot.done(clock::monotonic());
        self.close_logs(py);
    }

    /// Serves one request and gives its connection back to the reactor.
    pub fn serve(&self, py: Python<'_>, hand: &mut Hand, exchange: Exchange) -> Mood {
        let hooks = &self.setup.hooks;
        let started = match hooks.post_request {
            // The reactor's clock is that of the previous request's end, before its hook.
            Some(_) => clock::monotonic(),
            None => exchange.taken_at(),
        };
        let queue = started.saturating_sub(exchange.came_at());
        // Named before it is on the scoreboard: there its name must not be that of another.
        let mut passage = Passage { queue, started, id: self.name(hand, &exchange) };
        self.begin(hand, &exchange, started);
        if hooks.pre_request.is_none() {
            self.journal.request(py, &exchange);
        }
        let opened = hand.bridge.open(py, exchange);
        self.show_name(py, passage.id.as_deref(), &opened);
        let ready = self.call_first_hook(py, hand, &opened);
        if hooks.pre_request.is_some() {
            // Gunicorn does not count the time of the hook.
            passage.started = clock::monotonic();
        }
        self.count(py);
        let mut overdue = None;
        let mut served = match ready {
            Ok(()) => {
                self.watch(py, hand, &opened, &passage);
                let watch = hand.watch.as_ref();
                let returned = || overdue = watch.and_then(|watch| watch.end(py));
                hand.bridge.call(py, opened, returned)
            }
            Err(error) => hand.bridge.fail(py, opened, error),
        };
        if overdue.is_some() {
            self.reactor.come_free(clock::monotonic().saturating_sub(started));
        }
        let told = self.told(py, hand, &mut served);
        let mut mood = Mood::Fine;
        if served.exchange.is_some() {
            mood = self.log_access(py, hand.desk(), &mut served, &told, &passage);
        }
        let hooked = hooks.post_request.is_some();
        if hooked {
            // The thread has no connection any more, but is not free before that hook has returned.
            self.reactor.stay_busy();
        }
        mood = mood.and(self.hand_back(py, served, overdue.as_deref()));
        let ended = clock::monotonic();
        mood = mood.and(self.call_last_hook(py, &told));
        if hooked {
            self.reactor.come_free(clock::monotonic().saturating_sub(ended));
        }
        drop(told);
        hand.bridge.release(py);
        self.end(hand);
        mood
    }

    /// Shows that the process lives, if that is asked for because requests run.
    pub fn show_life(&self) {
        if self.is_serving() {
            self.setup.slot.beat(clock::monotonic());
        }
    }

    /// The interpreter could be had: if no request runs nothing needs to be shown.
    pub fn show_quiet(&self) {
        if !self.is_serving() {
            self.setup.slot.quiet();
        }
    }

    /// Whether requests run.
    pub fn is_serving(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Whether the worker object wants to go on.
    pub fn is_alive(&self, py: Python<'_>) -> PyResult<bool> {
        self.setup.worker.getattr(py, "alive")?.is_truthy(py)
    }

    /// Calls the worker's `notify()` if it is not ours, which does nothing.
    pub fn notify(&self, py: Python<'_>) -> PyResult<()> {
        match self.setup.notify_every {
            Some(_) => self.setup.worker.call_method0(py, "notify").map(drop),
            None => Ok(()),
        }
    }

    /// The arbiter is gone.
    pub fn say_orphaned(&self, py: Python<'_>) {
        let worker = self.setup.worker.bind(py);
        self.journal.info(py, &format!("Parent changed, shutting down: {worker}"));
    }

    /// From now on the request has a deadline, if there is a limit.
    fn watch(&self, py: Python<'_>, hand: &Hand, opened: &Opened<'_>, passage: &Passage) {
        if let (Some(watchdog), Some(watch)) = (&self.watchdog, &hand.watch)
            && let Err(error) = watchdog.begin(py, watch, opened, hand.bridge.responder(), passage)
        {
            error.write_unraisable(py, None);
        }
    }

    fn begin(&self, hand: &Hand, exchange: &Exchange, now: u64) {
        if let Some(lane) = &hand.lane {
            lane.begin(exchange.method(), exchange.target(), exchange.peer(), now);
        }
        match self.timeout {
            Timeout::Request => self.setup.slot.busy(now),
            Timeout::Process => {
                if self.running.fetch_add(1, Ordering::Relaxed) == 0 {
                    self.setup.slot.watch(now);
                }
            }
        }
    }

    fn end(&self, hand: &Hand) {
        if let Some(lane) = &hand.lane {
            lane.end();
        }
        match self.timeout {
            Timeout::Request => self.setup.slot.end(),
            Timeout::Process => {
                if self.running.fetch_sub(1, Ordering::Relaxed) == 1 {
                    self.setup.slot.quiet();
                }
            }
        }
    }

    /// Errors: what the hook raised, or what it made of the request is none.
    fn call_first_hook(&self, py: Python<'_>, hand: &Hand, opened: &Opened<'_>) -> PyResult<()> {
        let hooks = &self.setup.hooks;
        let (Some(_), Some(request)) = (&hooks.pre_request, &opened.request) else { return Ok(()) };
        let original = Original::of(request)?;
        hooks.pre_request(py, request)?;
        hand.bridge.heed(py, opened, &original)
    }

    /// At `max_requests` the worker asks for its replacement and serves on until that is ready.
    fn count(&self, py: Python<'_>) {
        let slot = &self.setup.slot;
        slot.count();
        if Some(slot.counted()) == self.setup.max_requests {
            self.journal.info(py, "Autorestarting worker after current request.");
            slot.retire();
        }
    }

    /// `overdue`: what the logs call the request, if it was taken away from the application.
    fn hand_back(&self, py: Python<'_>, served: Served, overdue: Option<&str>) -> Mood {
        let Served { exchange, outcome, code, error, missing, dropped_body, .. } = served;
        let mood = error.as_ref().map_or(Mood::Fine, |error| Mood::after(py, error));
        let Some(exchange) = exchange else {
            if let Some(error) = error {
                self.journal.failed_late(py, overdue.unwrap_or_default(), error);
            }
            return mood;
        };
        if let Some(error) = error {
            self.journal.application_failed(py, &exchange, error);
        }
        if missing > 0 {
            self.journal.response_short(py, &exchange, missing);
        }
        if dropped_body {
            self.journal.body_dropped(py, &exchange, code);
        }
        match &outcome {
            Outcome::Refused(refusal) if *refusal != Refusal::Internal => {
                self.journal.refused(py, exchange.peer(), refusal);
            }
            Outcome::ClientGone(error) => self.journal.client_gone(py, &exchange, error),
            _ => {}
        }
        self.finish(exchange, &outcome);
        mood
    }

    fn finish(&self, exchange: Exchange, outcome: &Outcome) {
        match outcome {
            Outcome::Responded(end) => self.reactor.finish(exchange, *end),
            Outcome::Refused(refusal) => self.reactor.finish_refused(exchange, refusal),
            Outcome::ClientGone(_) => self.reactor.finish(exchange, End::Cut),
            Outcome::Overdue => self.reactor.finish(exchange, End::Close),
        }
    }

    /// What the logger and the hook behind the request will want.
    fn told(&self, py: Python<'_>, hand: &Hand, served: &mut Served) -> Told {
        let wanted =
            self.setup.hooks.post_request.is_some() || self.access.as_ref().is_some_and(AccessLog::is_python);
        let response = if wanted { hand.bridge.response(py, served) } else { Ok(None) };
        let response = response.unwrap_or_else(|error| {
            error.write_unraisable(py, None);
            None
        });
        Told { request: served.request.take(), environ: served.environ.take(), response }
    }

    fn call_last_hook(&self, py: Python<'_>, told: &Told) -> Mood {
        let Some(request) = &told.request else { return Mood::Fine };
        // As in Gunicorn there is no response where there is no environ.
        let response = told.response.as_ref().filter(|_| told.environ.is_some());
        let called = self.setup.hooks.post_request(py, request, told.environ.as_ref(), response);
        let Err(error) = called else { return Mood::Fine };
        let mood = Mood::after(py, &error);
        self.journal.hook_failed(py, error);
        mood
    }
}
