//! What becomes of a request that is overdue. Without the interpreter, which somebody may hold: its client is answered in
//! the application's place, and a worker that is held for as long again asks for its replacement. With it: the
//! application hears of it, and the logs tell where it is.

use std::net::SocketAddr;
use std::sync::Arc;

use pyo3::prelude::*;

use super::{Desk, Service, Story, Told};
use crate::log::{Conclusion, Reason};
use crate::reactor::{Exchange, Request};
use crate::scoreboard::RequestLine;
use crate::sys::clock;
use crate::worker::watch::{Found, Overdue, Run, Watch};
use crate::worker::watchdog::Watchdog;
use crate::wsgi::{Ended, Served};

/// What is to be told of an overdue request.
pub struct Report {
    watch: Arc<Watch>,
    overdue: Overdue,
    /// When it was written.
    at: u64,
    news: News,
}

/// What the logs are to hear of it.
pub struct Tidings {
    report: Report,
    text: String,
    stack: String,
}

enum News {
    /// Its client was answered, and this is what it had asked.
    Answered { request: Box<Request>, peer: Option<SocketAddr>, ended: Ended },
    /// It does not end.
    Stuck,
}

impl Service {
    /// Looks at the request of a watch, and does what needs no interpreter.
    pub fn see_to(&self, watch: &Arc<Watch>) -> Option<Report> {
        let at = clock::monotonic();
        match watch.look(at) {
            Found::Nothing => None,
            Found::Late(run) => self.answer(watch, &run, at),
            Found::Stuck(overdue) => {
                self.setup.slot.stuck();
                self.setup.slot.retire();
                Some(Report { watch: watch.clone(), overdue, at, news: News::Stuck })
            }
        }
    }

    fn answer(&self, watch: &Arc<Watch>, run: &Arc<Run>, at: u64) -> Option<Report> {
        let (exchange, ended, overdue) = watch.seize(run, name)?;
        let (request, peer) = (Box::new(exchange.request.copy()), exchange.peer());
        self.reactor.stay_busy();
        self.finish(exchange, &ended.outcome_of_overdue());
        let news = News::Answered { request, peer, ended };
        Some(Report { watch: watch.clone(), overdue, at, news })
    }

    /// Lets the application hear of it, and makes what the error log is to hear. True: the host loop must be woken.
    pub fn interrupt(&self, py: Python<'_>, watchdog: &Watchdog, report: Report) -> (Tidings, bool) {
        let Report { watch, overdue, at, news } = &report;
        // Before the application moves on.
        let (who, stack) = whereabouts(py, watchdog, &overdue.run);
        let wakes = watchdog.interrupt(py, watch, overdue).unwrap_or_else(|error| {
            error.write_unraisable(py, None);
            false
        });
        let seconds = at.saturating_sub(overdue.run.passage.started) as f64 / 1e9;
        let (process, name) = (self.process, &overdue.name);
        let text = match news {
            News::Answered { .. } => {
                format!("REQUEST TIMEOUT (pid:{process}) {name}, {seconds:.1}s in {who}")
            }
            News::Stuck => format!(
                "REQUEST TIMEOUT (pid:{process}) {name}, {seconds:.1}s: it does not end, this worker is replaced. It is in {who}"
            ),
        };
        (Tidings { report, text, stack }, wakes)
    }

    /// Tells the logs. That may wait: for a lock that the application holds, or for whoever reads them.
    pub fn tell(&self, py: Python<'_>, tidings: &Tidings) {
        self.log_overdue(py, &tidings.report);
        self.journal.overdue(py, &tidings.text, &tidings.stack);
    }

    /// Whether the host loop has something of the watchdog's to do, or to tell.
    pub fn has_tidings(&self) -> bool {
        self.watchdog.as_ref().is_some_and(|watchdog| watchdog.has_tidings())
    }

    /// Tells the logs in the host's place, where locks are safe.
    pub fn tell_tidings(&self, py: Python<'_>) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.tell_tidings(py, self);
        }
    }

    /// Has greenlets that wait hear that their requests are overdue. For the host loop: see [`Watchdog::throw`].
    pub fn throw(&self, py: Python<'_>) -> PyResult<()> {
        self.watchdog.as_ref().map_or(Ok(()), |watchdog| watchdog.throw(py))
    }

    /// The line in the access log.
    fn log_overdue(&self, py: Python<'_>, report: &Report) {
        let News::Answered { request, peer, ended } = &report.news else { return };
        let (Some(access), run) = (&self.access, &report.overdue.run) else { return };
        let objects = self.objects(py).unwrap_or_default();
        // A copy: the application may still use its own.
        let environ = run.environ.bind(py).copy().ok().map(Bound::unbind);
        let asked = run.request.as_ref().map(|request| request.clone_ref(py));
        let served = Served::overdue(ended.without_exchange(), environ, asked);
        let responder = run.responder.get();
        let response = objects.as_ref().map(|objects| objects.response(py, &served, &responder.declared()));
        let told = Told {
            response: response.transpose().unwrap_or_default(),
            request: served.request,
            environ: served.environ,
        };
        let story = Story {
            request,
            peer: *peer,
            code: served.code,
            sent: served.sent,
            took: report.at.saturating_sub(run.passage.started),
            conclusion: Some(Conclusion { reason: Reason::Timeout, sending: Some(0) }),
            passage: &run.passage,
            told: &told,
        };
        let mut pen = access.pen();
        let desk = Desk { objects: objects.as_ref(), responder, pen: pen.as_mut(), lane: None };
        match self.write_line(py, desk, &story) {
            Ok(_) => report.watch.logged(run),
            Err(error) => self.journal.logger_failed(py, error),
        }
        let _ = self.write_logs(py);
    }
}

/// What the logs call a request.
fn name(exchange: &Exchange) -> Arc<str> {
    let (method, target) = (exchange.method().to_vec(), exchange.target().to_vec());
    RequestLine { method, target, peer: exchange.peer(), name: Vec::new() }.to_string().into()
}

/// Who serves a request, and the stack of that.
fn whereabouts(py: Python<'_>, watchdog: &Watchdog, run: &Run) -> (String, String) {
    let arguments = (run.thread, watchdog.is_main(run.thread), run.greenlet.as_ref());
    let described = py
        .import("rgunicorn.workers._overdue")
        .and_then(|module| module.call_method1("describe", arguments))
        .and_then(|described| described.extract());
    described.unwrap_or_else(|error| {
        error.write_unraisable(py, None);
        (format!("thread {}", run.thread), String::new())
    })
}
