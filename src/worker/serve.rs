//! One request from the reactor to the application and back: what every driver does around the bridge. Keeps the
//! scoreboard, the logs and the count of requests.

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::access::AccessLog;
use super::journal::Journal;
use super::setup::Setup;
use crate::log::access::Record;
use crate::proto::http1::Refusal;
use crate::reactor::{End, Exchange, Notice, Reactor, Request};
use crate::scoreboard::Slot;
use crate::sys::clock;
use crate::wsgi::{Bridge, ListenerName, Outcome, Served};

/// Serves requests, one at a time.
pub struct Server {
    bridge: Bridge,
    pub journal: Journal,
    slot: Slot,
    access: Option<AccessLog>,
    served: u64,
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

impl Server {
    /// Takes what it needs out of `setup`. `names` in the order of the reactor's listeners.
    pub fn new(py: Python<'_>, setup: &Setup, names: Vec<ListenerName>) -> PyResult<Self> {
        let log = setup.log.bind(py);
        let access =
            setup.access_log_format.as_deref().map(|format| AccessLog::new(log, format)).transpose()?;
        let mut bridge =
            Bridge::new(py, setup.application.clone_ref(py), &setup.facts, names, setup.sendfile)?;
        bridge.keep_environ = access.as_ref().is_some_and(AccessLog::uses_environ);
        Ok(Self {
            bridge,
            journal: Journal::new(py, setup.log.clone_ref(py)),
            slot: setup.slot.clone(),
            access,
            served: 0,
            max_requests: setup.max_requests,
            process: std::process::id(),
        })
    }

    /// Serves one request and gives its connection back to the reactor.
    pub fn serve(&mut self, py: Python<'_>, reactor: &mut Reactor, exchange: Exchange) -> Mood {
        let started = reactor.now();
        self.slot.begin(exchange.method(), exchange.target(), exchange.peer(), started);
        self.count(py);
        let served = self.bridge.serve(py, exchange);
        self.log_access(py, &served, started);
        let mood = self.hand_back(py, reactor, served);
        self.slot.end();
        mood
    }

    /// At `max_requests` the worker asks for its replacement and serves on until that is ready.
    fn count(&mut self, py: Python<'_>) {
        self.served += 1;
        if Some(self.served) == self.max_requests {
            self.journal.info(py, "Autorestarting worker after current request.");
            self.slot.retire();
        }
    }

    fn hand_back(&mut self, py: Python<'_>, reactor: &mut Reactor, served: Served) -> Mood {
        let Served { exchange, outcome, code, error, missing, dropped_body, .. } = served;
        let mut mood = Mood::Fine;
        if let Some(error) = error {
            if error.is_instance_of::<PySystemExit>(py) {
                mood = Mood::Exit;
            }
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

    fn log_access(&mut self, py: Python<'_>, served: &Served, started: u64) {
        let Some(access) = &mut self.access else { return };
        let variable = |name: &str| environ_variable(served.environ.as_ref()?.bind(py), name);
        let bridge = &self.bridge;
        access.add(Record {
            request: Some(&served.exchange.request),
            peer: served.exchange.peer(),
            code: served.code,
            sent: served.sent,
            took: clock::monotonic() - started,
            time: "",
            process: self.process,
            response_header: &|name| bridge.response_field(name.as_bytes()),
            variable: &variable,
        });
    }

    /// Logs what happened in the loop. A refused request has a line in the access log too.
    pub fn log_notices(&mut self, py: Python<'_>, reactor: &mut Reactor) {
        if !reactor.has_notices() {
            return;
        }
        for notice in reactor.take_notices() {
            self.journal.notice(py, &notice);
            if let Notice::Refused { peer, refusal, request, .. } = &notice {
                self.log_refused(*peer, refusal.status(), request.as_deref());
            }
        }
    }

    fn log_refused(&mut self, peer: Option<std::net::SocketAddr>, code: u16, request: Option<&Request>) {
        let Some(access) = &mut self.access else { return };
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
