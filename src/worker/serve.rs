//! One request from the reactor to the application and back: what every driver does around the bridge. Keeps the
//! scoreboard, the logs and the count of requests.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::access::AccessLog;
use super::hooks::Hooks;
use super::journal::Journal;
use super::setup::Setup;
use crate::proto::http1::Refusal;
use crate::reactor::{End, Exchange, SharedReactor};
use crate::scoreboard::Slot;
use crate::sys::clock;
use crate::wsgi::{Bridge, ListenerName, Objects, Opened, Original, Outcome, Served};

mod lines;

use lines::Passage;

/// Serves requests, one at a time.
pub struct Server {
    bridge: Bridge,
    pub journal: Journal,
    slot: Slot,
    access: Option<AccessLog>,
    hooks: Arc<Hooks>,
    max_requests: Option<u64>,
    process: u32,
    /// The worker was told to leave.
    leaving: Arc<AtomicBool>,
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
struct Told {
    request: Option<Py<PyAny>>,
    environ: Option<Py<PyDict>>,
    response: Option<Py<PyAny>>,
}

impl Server {
    /// Takes what it needs out of `setup`. `names` in the order of the reactor's listeners.
    pub fn new(py: Python<'_>, setup: &Setup, names: Vec<ListenerName>) -> PyResult<Self> {
        let log = setup.log.bind(py);
        let access = AccessLog::choose(log, &setup.access_log_format, &setup.slot)?;
        let mut bridge =
            Bridge::new(py, setup.application.clone_ref(py), &setup.facts, names, setup.sendfile)?;
        bridge.keep_environ = access.as_ref().is_some_and(AccessLog::uses_environ);
        if setup.hooks.want_objects() || access.as_ref().is_some_and(AccessLog::is_python) {
            let cfg = setup.cfg.clone_ref(py);
            bridge.objects = Some(Objects::new(py, cfg, &setup.facts.server)?);
        }
        Ok(Self {
            bridge,
            journal: Journal::new(py, setup.log.clone_ref(py)),
            slot: setup.slot.clone(),
            access,
            hooks: setup.hooks.clone(),
            max_requests: setup.max_requests,
            process: std::process::id(),
            leaving: setup.leaving.clone(),
        })
    }

    /// Serves one request and gives its connection back to the reactor.
    pub fn serve(&mut self, py: Python<'_>, reactor: &SharedReactor, exchange: Exchange) -> Mood {
        let started = match self.hooks.post_request {
            // The reactor's clock is that of the previous request's end, before its hook.
            Some(_) => clock::monotonic(),
            None => exchange.taken_at(),
        };
        let queue = started.saturating_sub(exchange.came_at());
        // Named before it is on the scoreboard: there its name must not be that of another.
        let mut passage = Passage { queue, started, id: self.name(&exchange) };
        self.slot.begin(exchange.method(), exchange.target(), exchange.peer(), started);
        if self.hooks.pre_request.is_none() {
            self.journal.request(py, &exchange);
        }
        let opened = self.bridge.open(py, exchange);
        self.show_name(py, passage.id.as_deref(), &opened);
        let ready = self.call_first_hook(py, &opened);
        if self.hooks.pre_request.is_some() {
            // Gunicorn does not count the time of the hook.
            passage.started = clock::monotonic();
        }
        self.count(py);
        let mut served = match ready {
            Ok(()) => self.bridge.call(py, opened),
            Err(error) => self.bridge.fail(py, opened, error),
        };
        let told = self.told(py, &mut served);
        let mut mood = self.log_access(py, &mut served, &told, &passage);
        mood = mood.and(self.hand_back(py, reactor, served));
        mood = mood.and(self.call_last_hook(py, &told));
        drop(told);
        self.bridge.release(py);
        self.slot.end();
        mood
    }

    /// Errors: what the hook raised, or what it made of the request is none.
    fn call_first_hook(&self, py: Python<'_>, opened: &Opened<'_>) -> PyResult<()> {
        let (Some(_), Some(request)) = (&self.hooks.pre_request, &opened.request) else { return Ok(()) };
        let original = Original::of(request)?;
        self.hooks.pre_request(py, request)?;
        self.bridge.heed(py, opened, &original)
    }

    /// At `max_requests` the worker asks for its replacement and serves on until that is ready.
    fn count(&mut self, py: Python<'_>) {
        self.slot.count();
        if Some(self.slot.counted()) == self.max_requests {
            self.journal.info(py, "Autorestarting worker after current request.");
            self.slot.retire();
        }
    }

    fn hand_back(&mut self, py: Python<'_>, reactor: &SharedReactor, served: Served) -> Mood {
        let Served { exchange, outcome, code, error, missing, dropped_body, .. } = served;
        let mut mood = Mood::Fine;
        if let Some(error) = error {
            mood = Mood::after(py, &error);
            self.journal.application_failed(py, &exchange, error);
        }
        if missing > 0 {
            self.journal.response_short(py, &exchange, missing);
        }
        if dropped_body {
            self.journal.body_dropped(py, &exchange, code);
        }
        match outcome {
            Outcome::Responded(end) => reactor.finish(exchange, end),
            Outcome::Refused(refusal) => {
                if refusal != Refusal::Internal {
                    self.journal.refused(py, exchange.peer(), &refusal);
                }
                reactor.finish_refused(exchange, &refusal);
            }
            Outcome::ClientGone(error) => {
                self.journal.client_gone(py, &exchange, &error);
                reactor.finish(exchange, End::Cut);
            }
        }
        mood
    }

    /// What the logger and the hook behind the request will want.
    fn told(&self, py: Python<'_>, served: &mut Served) -> Told {
        let wanted =
            self.hooks.post_request.is_some() || self.access.as_ref().is_some_and(AccessLog::is_python);
        let response = if wanted { self.bridge.response(py, served) } else { Ok(None) };
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
        let called = self.hooks.post_request(py, request, told.environ.as_ref(), response);
        let Err(error) = called else { return Mood::Fine };
        let mood = Mood::after(py, &error);
        self.journal.hook_failed(py, error);
        mood
    }
}
