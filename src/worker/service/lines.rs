//! The lines of the access log: one for each request, whatever its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PySystemExit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::story::{Desk, Passage, Story};
use super::{Hand, Mood, Service, Told};
use crate::log::access::Draft;
use crate::log::{Conclusion, Reason, Record, RequestId};
use crate::proto::http1::Refusal;
use crate::reactor::{Closed, Delivery, Exchange, Notice, Request, Wait};
use crate::scoreboard::Lane;
use crate::sys::clock;
use crate::wsgi::{Objects, Opened, Outcome, Served};

impl Service {
    /// Names a request, on the scoreboard too.
    pub(super) fn name(&self, hand: &Hand, exchange: &Exchange) -> Option<Arc<RequestId>> {
        let id = Arc::new(self.access.as_ref()?.name(&exchange.request)?);
        if let Some(lane) = &hand.lane {
            lane.name(id.as_str().as_bytes());
        }
        Some(id)
    }

    /// Tells the application the name, so that its own log can use it.
    pub(super) fn show_name(&self, py: Python<'_>, id: Option<&RequestId>, opened: &Opened<'_>) {
        if let (Some(id), Some(environ)) = (id, opened.environ())
            && let Err(error) = environ.set_item(intern!(py, "rgunicorn.request_id"), id.as_str())
        {
            error.write_unraisable(py, None);
        }
    }

    /// Logs a request that has been served, or keeps its line until the response has been sent.
    pub(super) fn log_access(
        &self,
        py: Python<'_>,
        desk: Desk<'_>,
        served: &mut Served,
        told: &Told,
        passage: &Passage,
    ) -> Mood {
        if self.access.is_none() {
            return Mood::Fine;
        }
        let ended = clock::monotonic();
        let took = ended - passage.started;
        let conclusion = self.conclusion(py, served);
        let Some(exchange) = &mut served.exchange else { return Mood::Fine };
        let story = Story {
            request: &exchange.request,
            peer: exchange.peer(),
            code: served.code,
            sent: served.sent,
            took,
            conclusion,
            passage,
            told,
        };
        let draft = match self.write_line(py, desk, &story) {
            Ok(draft) => draft,
            Err(error) => return self.logger_failed(py, error),
        };
        if let (Some(access), Some(draft)) = (&self.access, draft)
            && let Some(ticket) = access.keep(py, draft, ended)
        {
            exchange.follow(ticket);
        }
        Mood::Fine
    }

    /// Has the line of a request written, or drafted as long as nobody knows how its response ends. Errors: what a logger
    /// in Python raised.
    pub(super) fn write_line(
        &self,
        py: Python<'_>,
        desk: Desk<'_>,
        story: &Story<'_>,
    ) -> PyResult<Option<Draft>> {
        let Desk { objects, responder, pen, lane } = desk;
        let (Some(access), Some(pen)) = (&self.access, pen) else {
            self.tell_logger(py, objects, story)?;
            mark_logged(lane);
            return Ok(None);
        };
        let draft = story.with_record(py, responder, self.process, |record| {
            if record.conclusion.is_none() {
                return Some(pen.draft(record));
            }
            access.add(py, pen.write(record));
            None
        });
        mark_logged(lane);
        Ok(draft)
    }

    /// How a request ended; `None`: only the end of the sending will tell.
    fn conclusion(&self, py: Python<'_>, served: &mut Served) -> Option<Conclusion> {
        let reason = self.reason(py, served);
        let conclusion = |reason| Some(Conclusion { reason, sending: Some(0) });
        if reason != Reason::Ok || !self.access.as_ref()?.uses_conclusion() {
            return conclusion(reason);
        }
        match served.exchange.as_mut()?.is_sent() {
            Ok(true) => conclusion(Reason::Ok),
            Ok(false) => None,
            Err(_) => conclusion(Reason::ClientGone),
        }
    }

    fn reason(&self, py: Python<'_>, served: &Served) -> Reason {
        match (&served.outcome, &served.error) {
            (_, Some(error)) if error.is_instance_of::<PySystemExit>(py) => self.reason_of_exit(),
            (_, Some(_)) | (Outcome::Refused(Refusal::Internal), None) => Reason::Error,
            (Outcome::Refused(refusal), None) => reason_of(refusal),
            (Outcome::ClientGone(error), None) if error.kind() == std::io::ErrorKind::TimedOut => {
                Reason::Timeout
            }
            (Outcome::ClientGone(_), None) => Reason::ClientGone,
            (Outcome::Overdue, None) => Reason::Timeout,
            (Outcome::Responded(_), None) if served.missing > 0 => Reason::Error,
            (Outcome::Responded(_), None) => Reason::Ok,
        }
    }

    /// A `SystemExit` came out of the application: its own, or that of a signal handler of the worker's.
    fn reason_of_exit(&self) -> Reason {
        if self.setup.slot.is_late() {
            Reason::Timeout
        } else if self.setup.leaving.load(std::sync::atomic::Ordering::Relaxed) {
            Reason::Shutdown
        } else {
            Reason::Error
        }
    }

    /// Has a logger in Python write the line. Errors: what it raised.
    fn tell_logger(&self, py: Python<'_>, objects: Option<&Objects>, story: &Story<'_>) -> PyResult<()> {
        let Story { told, took, conclusion, passage, .. } = *story;
        let (Some(objects), Some(request)) = (objects, &told.request) else { return Ok(()) };
        let request = request.bind(py);
        let environ = match &told.environ {
            Some(environ) => environ.bind(py).clone(),
            None => objects.error_environ(request)?.cast_into::<PyDict>()?,
        };
        let reason = conclusion.map_or(Reason::Ok, |conclusion| conclusion.reason);
        environ.set_item(intern!(py, "rgunicorn.reason"), reason.word())?;
        environ.set_item(intern!(py, "rgunicorn.queue_time"), seconds(passage.queue))?;
        environ.set_item(intern!(py, "rgunicorn.app_time"), seconds(took))?;
        if let Some(sending) = conclusion.and_then(|conclusion| conclusion.sending) {
            environ.set_item(intern!(py, "rgunicorn.send_time"), seconds(sending))?;
        }
        let took = Duration::from_micros(took / 1000);
        let log = self.journal.logger(py);
        log.call_method1("access", (&told.response, request, environ, took)).map(drop)
    }

    fn logger_failed(&self, py: Python<'_>, error: PyErr) -> Mood {
        let mood = Mood::after(py, &error);
        self.journal.logger_failed(py, error);
        mood
    }

    /// Logs what happened in the loop. Requests that no application has seen have a line in the access log too.
    pub fn log_notices(&self, py: Python<'_>) {
        for notice in self.reactor.take_notices() {
            self.journal.notice(py, &notice);
            self.log_notice(py, notice);
        }
    }

    fn log_notice(&self, py: Python<'_>, notice: Notice) {
        match notice {
            Notice::Refused { peer, refusal, request } => {
                self.log_unserved(py, request, peer, refusal.status(), reason_of(&refusal));
            }
            Notice::Closed { peer, why: Closed::Storage(_), request } => {
                self.log_unserved(py, request, peer, Refusal::Internal.status(), Reason::Error);
            }
            Notice::Closed { peer, why: Closed::Premature, request } => {
                self.log_unserved(py, request, peer, 0, Reason::ClientGone);
            }
            Notice::Closed { peer, request: request @ Some(_), .. } => {
                self.log_unserved(py, request, peer, 0, Reason::ClientGone);
            }
            Notice::Silent { peer, wait: Wait::Body, request } => {
                self.log_unserved(py, request, peer, 0, Reason::Timeout);
            }
            Notice::Abandoned { peer, request } => {
                self.log_unserved(py, Some(request), peer, 0, Reason::Shutdown);
            }
            Notice::Sent { ticket, delivery, at } => {
                if let Some(access) = &self.access {
                    access.complete(py, ticket, reason_of_delivery(delivery), at);
                }
            }
            Notice::Closed { .. } | Notice::Silent { .. } | Notice::Exhausted(_) | Notice::Unstored(_) => {}
        }
    }

    fn log_unserved(
        &self,
        py: Python<'_>,
        request: Option<Box<Request>>,
        peer: Option<SocketAddr>,
        code: u16,
        reason: Reason,
    ) {
        let Some(access) = &self.access else { return };
        let request = request.as_deref();
        let id = request.and_then(|request| access.name(request));
        if access.is_python() {
            if let Err(error) = self.tell_logger_unserved(py, request, peer, code, reason, id) {
                self.journal.logger_failed(py, error);
            }
        } else {
            let record = Record::unserved(request, peer, code, reason, self.process);
            access.add_unserved(py, &Record { id: id.as_ref(), ..record });
        }
    }

    fn tell_logger_unserved(
        &self,
        py: Python<'_>,
        request: Option<&Request>,
        peer: Option<SocketAddr>,
        code: u16,
        reason: Reason,
        id: Option<RequestId>,
    ) -> PyResult<()> {
        let setup = &self.setup;
        let objects = Objects::new(py, setup.cfg.clone_ref(py), &setup.facts.server)?;
        let request = request.filter(|request| !request.head.method.is_empty());
        let request = request.map(|request| objects.refused(py, request, peer)).transpose()?;
        let environ = match &request {
            Some(request) => objects.error_environ(request)?.cast_into::<PyDict>()?,
            None => PyDict::new(py),
        };
        environ.set_item("REMOTE_ADDR", peer.map(|peer| peer.ip().to_string()).unwrap_or_default())?;
        environ.set_item("rgunicorn.reason", reason.word())?;
        if let Some(id) = id {
            environ.set_item("rgunicorn.request_id", id.as_str())?;
        }
        let module = py.import("rgunicorn._logs.access")?;
        module.call_method1("log_unserved", (self.journal.logger(py), code, request, environ))?;
        Ok(())
    }

    /// Writes what is waiting for the access log. To be called before the loop sleeps. Gives how long it may sleep while
    /// some wait on.
    pub fn write_logs(&self, py: Python<'_>) -> Option<Duration> {
        const AGAIN: Duration = Duration::from_millis(50);
        let access = self.access.as_ref()?;
        let waits = access.write(py);
        if let Some(news) = access.news(py) {
            self.journal.access_log(py, &news);
        }
        waits.then_some(AGAIN)
    }

    /// Log files may have been reopened.
    pub fn reopen_logs(&self, py: Python<'_>) {
        if let Some(access) = &self.access
            && let Err(error) = access.reopen(self.journal.logger(py))
        {
            error.write_unraisable(py, None);
        }
    }

    /// The worker leaves: logs what it leaves undone.
    pub fn close_logs(&self, py: Python<'_>) {
        self.log_notices(py);
        let abandoned = self.reactor.lock().abandon();
        self.setup.slot.cut(abandoned.len());
        for notice in abandoned {
            self.log_notice(py, notice);
        }
        if let Some(access) = &self.access {
            access.finish(py);
        }
    }
}

fn mark_logged(lane: Option<&Lane>) {
    if let Some(lane) = lane {
        lane.logged();
    }
}

fn reason_of(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::Timeout | Refusal::Overdue => Reason::Timeout,
        Refusal::Internal => Reason::Error,
        _ => Reason::BadRequest,
    }
}

fn reason_of_delivery(delivery: Delivery) -> Reason {
    match delivery {
        Delivery::Whole => Reason::Ok,
        Delivery::Broken => Reason::ClientGone,
        Delivery::TimedOut => Reason::Timeout,
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
