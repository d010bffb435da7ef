//! What becomes of a request that is overdue: its client is answered in the application's place, the application hears
//! of it, and the logs tell where it is. One that does not end then costs its worker.

use std::sync::Arc;

use pyo3::prelude::*;

use super::{Desk, Service, Told};
use crate::reactor::Exchange;
use crate::scoreboard::RequestLine;
use crate::sys::clock;
use crate::worker::watch::{Found, Overdue, Run, Watch};
use crate::worker::watchdog::Watchdog;
use crate::wsgi::{Ended, Objects, Served};

impl Service {
    /// Looks at the request of one watch. For the watchdog's thread.
    pub fn see_to(&self, py: Python<'_>, watchdog: &Watchdog, watch: &Watch) {
        match watch.look(clock::monotonic()) {
            Found::Nothing => {}
            Found::Late(run) => self.end_late(py, watchdog, watch, &run),
            Found::Stuck(overdue) => self.give_up(py, watchdog, &overdue),
        }
    }

    fn end_late(&self, py: Python<'_>, watchdog: &Watchdog, watch: &Watch, run: &Arc<Run>) {
        // Before it moves on.
        let (who, stack) = whereabouts(py, watchdog, run);
        let name = |ended: &Ended| ended.exchange.as_ref().map(name).unwrap_or_default().into();
        let Some((ended, overdue)) = watch.seize(run, name) else { return };
        let seconds = self.seconds_of(run);
        let mut served = self.answer(py, watch, run, ended);
        if let Err(error) = watchdog.interrupt(py, watch, &overdue) {
            error.write_unraisable(py, None);
        }
        // Last what may wait: for a lock that the application holds, or for whoever reads.
        self.tell_logger_of(py, watch, run, &mut served);
        let _ = self.write_logs(py);
        let text = format!("REQUEST TIMEOUT (pid:{}) {}, {seconds:.1}s in {who}", self.process, overdue.name);
        self.journal.overdue(py, &text, &stack);
    }

    /// Gives the client its answer and the native log its line.
    fn answer(&self, py: Python<'_>, watch: &Watch, run: &Run, ended: Ended) -> Served {
        let environ = Some(run.environ.clone_ref(py));
        let request = run.request.as_ref().map(|request| request.clone_ref(py));
        let mut served = Served::overdue(ended, environ, request);
        if self.access.as_ref().is_some_and(|access| !access.is_python()) {
            self.log_overdue(py, watch, run, &mut served);
        }
        if let Some(exchange) = served.exchange.take() {
            self.finish(exchange, &served.outcome);
        }
        served
    }

    /// Has a logger in Python write the line.
    fn tell_logger_of(&self, py: Python<'_>, watch: &Watch, run: &Run, served: &mut Served) {
        if self.access.as_ref().is_some_and(|access| access.is_python()) {
            self.log_overdue(py, watch, run, served);
        }
    }

    fn log_overdue(&self, py: Python<'_>, watch: &Watch, run: &Run, served: &mut Served) {
        let responder = run.responder.get();
        let objects = self.objects(py).unwrap_or_else(|error| {
            error.write_unraisable(py, None);
            None
        });
        let told = self.told_overdue(py, objects.as_ref(), run, served);
        let mut pen = self.access.as_ref().and_then(|access| access.pen());
        let desk =
            Desk { objects: objects.as_ref(), responder, pen: pen.as_mut(), lane: watch.lane.as_ref() };
        let _ = self.log_access(py, desk, served, &told, &run.passage);
    }

    fn told_overdue(&self, py: Python<'_>, objects: Option<&Objects>, run: &Run, served: &Served) -> Told {
        let response = objects.map(|objects| objects.response(py, served, &run.responder.get().declared()));
        let response = response.transpose().unwrap_or_else(|error| {
            error.write_unraisable(py, None);
            None
        });
        // A copy: the application may still use its own.
        let environ = run.environ.bind(py).copy().ok().map(Bound::unbind);
        let request = run.request.as_ref().map(|request| request.clone_ref(py));
        Told { request, environ, response }
    }

    /// It has had as much time again.
    fn give_up(&self, py: Python<'_>, watchdog: &Watchdog, overdue: &Overdue) {
        let slot = &self.setup.slot;
        slot.stuck();
        slot.retire();
        let (who, stack) = whereabouts(py, watchdog, &overdue.run);
        let seconds = self.seconds_of(&overdue.run);
        let text = format!(
            "REQUEST TIMEOUT (pid:{}) {}, {seconds:.1}s: it does not end, so this worker is replaced. It is in {who}",
            self.process, overdue.name
        );
        self.journal.overdue(py, &text, &stack);
    }

    fn seconds_of(&self, run: &Run) -> f64 {
        clock::monotonic().saturating_sub(run.passage.started) as f64 / 1e9
    }
}

/// What the logs call a request.
fn name(exchange: &Exchange) -> String {
    let (method, target) = (exchange.method().to_vec(), exchange.target().to_vec());
    RequestLine { method, target, peer: exchange.peer(), name: Vec::new() }.to_string()
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
