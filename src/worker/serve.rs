//! One request from the reactor to the application and back: what every driver does around the bridge. Keeps the
//! scoreboard, the logs and the count of requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::access::AccessLog;
use super::hooks::Hooks;
use super::journal::Journal;
use super::setup::Setup;
use crate::log::access::Record;
use crate::proto::http1::Refusal;
use crate::reactor::{End, Exchange, Notice, Reactor, Request};
use crate::scoreboard::Slot;
use crate::sys::clock;
use crate::wsgi::{Bridge, ListenerName, Objects, Opened, Original, Outcome, Served};

/// Serves requests, one at a time.
pub struct Server {
    bridge: Bridge,
    pub journal: Journal,
    slot: Slot,
    access: Option<AccessLog>,
    hooks: Arc<Hooks>,
    max_requests: Option<u64>,
    process: u32,
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
        let access =
            setup.access_log_format.as_deref().map(|format| AccessLog::new(log, format)).transpose()?;
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
        })
    }

    /// Serves one request and gives its connection back to the reactor.
    pub fn serve(&mut self, py: Python<'_>, reactor: &mut Reactor, exchange: Exchange) -> Mood {
        let mut started = reactor.now();
        self.slot.begin(exchange.method(), exchange.target(), exchange.peer(), started);
        if self.hooks.pre_request.is_none() {
            self.journal.request(py, &exchange);
        }
        let opened = self.bridge.open(py, exchange);
        let ready = self.call_first_hook(py, &opened);
        if self.hooks.pre_request.is_some() {
            // Gunicorn does not count the time of the hook.
            started = clock::monotonic();
        }
        self.count(py);
        let mut served = match ready {
            Ok(()) => self.bridge.call(py, opened),
            Err(error) => self.bridge.fail(py, opened, error),
        };
        let told = self.told(py, &mut served);
        let mut mood = self.log_access(py, &served, &told, started);
        mood = mood.and(self.hand_back(py, reactor, served));
        mood = mood.and(self.call_last_hook(py, &told));
        drop(told);
        self.bridge.release(py);
        self.slot.end();
        mood
    }

    /// Errors: what the hook raised, or what it made of the request is none.
    fn call_first_hook(&self, py: Python<'_>, opened: &Opened<'_>) -> PyResult<()> {
        let (Some(hook), Some(request)) = (&self.hooks.pre_request, &opened.request) else { return Ok(()) };
        let original = Original::of(request)?;
        hook.call1(py, (&self.hooks.worker, request))?;
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

    fn hand_back(&mut self, py: Python<'_>, reactor: &mut Reactor, served: Served) -> Mood {
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

    fn log_access(&mut self, py: Python<'_>, served: &Served, told: &Told, started: u64) -> Mood {
        let Some(access) = &mut self.access else { return Mood::Fine };
        let took = clock::monotonic() - started;
        if access.is_python() {
            let result = self.tell_logger(py, told, took);
            return result.map_or_else(|error| self.logger_failed(py, error), |()| Mood::Fine);
        }
        let variable = |name: &str| environ_variable(told.environ.as_ref()?.bind(py), name);
        let bridge = &self.bridge;
        access.add(Record {
            request: Some(&served.exchange.request),
            peer: served.exchange.peer(),
            code: served.code,
            sent: served.sent,
            took,
            time: "",
            process: self.process,
            response_header: &|name| bridge.response_field(name.as_bytes()),
            variable: &variable,
        });
        Mood::Fine
    }

    /// Has a logger in Python write the line. Errors: what it raised.
    fn tell_logger(&self, py: Python<'_>, told: &Told, took: u64) -> PyResult<()> {
        let (Some(objects), Some(request)) = (&self.bridge.objects, &told.request) else { return Ok(()) };
        let request = request.bind(py);
        let environ = match &told.environ {
            Some(environ) => environ.bind(py).clone().into_any(),
            None => objects.error_environ(request)?,
        };
        let took = Duration::from_micros(took / 1000);
        let log = self.journal.logger(py);
        log.call_method1("access", (&told.response, request, environ, took)).map(drop)
    }

    /// The same for a request that was refused; a logger in Python hears of those whose first line was understood.
    fn tell_logger_of_refused(
        &self,
        py: Python<'_>,
        peer: Option<SocketAddr>,
        refusal: &Refusal,
        request: &Request,
    ) -> PyResult<()> {
        let Some(objects) = &self.bridge.objects else { return Ok(()) };
        let request = objects.refused(py, request, peer)?;
        let response = objects.page(py, Some(&request), None, refusal)?;
        let environ = objects.error_environ(&request)?;
        let log = self.journal.logger(py);
        log.call_method1("access", (response, request, environ, Duration::ZERO)).map(drop)
    }

    fn logger_failed(&self, py: Python<'_>, error: PyErr) -> Mood {
        let mood = Mood::after(py, &error);
        self.journal.logger_failed(py, error);
        mood
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

    /// Logs what happened in the loop. A refused request has a line in the access log too.
    pub fn log_notices(&mut self, py: Python<'_>, reactor: &mut Reactor) {
        if !reactor.has_notices() {
            return;
        }
        for notice in reactor.take_notices() {
            self.journal.notice(py, &notice);
            if let Notice::Refused { peer, refusal, request, .. } = &notice {
                self.log_refused(py, *peer, refusal, request.as_deref());
            }
        }
    }

    fn log_refused(
        &mut self,
        py: Python<'_>,
        peer: Option<SocketAddr>,
        refusal: &Refusal,
        request: Option<&Request>,
    ) {
        let Some(access) = &mut self.access else { return };
        if access.is_python() {
            let Some(request) = request.filter(|request| !request.head.target.is_empty()) else { return };
            if let Err(error) = self.tell_logger_of_refused(py, peer, refusal, request) {
                self.journal.logger_failed(py, error);
            }
            return;
        }
        let code = refusal.status();
        access.add(Record {
            request,
            peer,
            code,
            sent: 0,
            took: 0,
            time: "",
            process: self.process,
            response_header: &|_| None,
            variable: &|_| None,
        });
    }

    /// Writes what is waiting for the access log. To be called before the loop sleeps.
    pub fn write_logs(&mut self) {
        if let Some(access) = &mut self.access {
            access.write();
        }
    }

    /// Log files may have been reopened.
    pub fn reopen_logs(&mut self, py: Python<'_>) -> PyResult<()> {
        match &mut self.access {
            Some(access) => access.reopen(self.journal.logger(py)),
            None => Ok(()),
        }
    }
}

/// A variable of an environ as text, by its name in any case.
fn environ_variable(environ: &Bound<'_, PyDict>, name: &str) -> Option<Vec<u8>> {
    let is_wanted = |key: &Bound<'_, PyAny>| {
        key.cast::<PyString>().is_ok_and(|key| key.to_string_lossy().eq_ignore_ascii_case(name))
    };
    let (_, value) = environ.iter().find(|(key, _)| is_wanted(key))?;
    Some(value.str().ok()?.to_string_lossy().into_owned().into_bytes())
}
