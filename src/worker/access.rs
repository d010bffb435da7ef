//! The access log of a worker. Lines are formatted natively, gathered while the loop is busy and written in one piece
//! before it sleeps, straight into the files of the logger's handlers; or the logger itself writes them, if it is not the
//! stock one.

use std::collections::HashMap;

use pyo3::prelude::*;

use super::outputs::Output;
use crate::log::access::{AccessFormat, Draft};
use crate::log::{Conclusion, Reason, Record, RequestId, RequestIds};
use crate::reactor::Request;
use crate::scoreboard::Slot;
use crate::sys;

/// The access log of one worker.
pub struct AccessLog {
    route: Route,
    /// Names requests, if the format wants it.
    ids: Option<RequestIds>,
}

enum Route {
    Native(Box<Lines>),
    /// `Logger.access` of the logger.
    Python,
}

/// Native lines on their way.
struct Lines {
    format: AccessFormat,
    lines: Vec<u8>,
    /// Has a copy of `lines`, for the arbiter to write if this worker is killed.
    slot: Slot,
    /// Looked up again when log files may have been reopened.
    outputs: Vec<Output>,
    /// The lines of responses that are still being sent, by ticket, with the end of their application.
    drafts: HashMap<u64, (Draft, u64)>,
    tickets: u64,
    /// What the error log should know.
    news: Option<String>,
}

/// Bytes of lines that are written at once even if the loop is still busy.
const ENOUGH: usize = sys::file::PIPE_WHOLE;

impl AccessLog {
    /// What `log` wants: lines in `format`, its own `access`, or nothing.
    pub fn choose(log: &Bound<'_, PyAny>, format: &str, slot: &Slot) -> PyResult<Option<Self>> {
        let module = log.py().import("rgunicorn._logs.access")?;
        if !module.call_method1("is_wanted", (log,))?.is_truthy()? {
            return Ok(None);
        }
        let compiled = AccessFormat::new(format);
        let named = compiled.as_ref().map_or(format.contains("(request_id)"), AccessFormat::uses_id);
        let route = match (compiled, outputs(log)?) {
            (Some(format), Some(outputs)) => {
                Route::Native(Box::new(Lines::new(format, outputs, slot.clone())))
            }
            _ => Route::Python,
        };
        Ok(Some(Self { route, ids: named.then(RequestIds::random) }))
    }

    /// Whether the logger itself writes the lines.
    pub fn is_python(&self) -> bool {
        matches!(self.route, Route::Python)
    }

    /// Whether lines need the environ.
    pub fn uses_environ(&self) -> bool {
        match &self.route {
            Route::Native(lines) => lines.format.uses_environ(),
            Route::Python => true,
        }
    }

    /// Whether somebody wants to know how a request ended and how long its response took to be sent.
    pub fn uses_conclusion(&self) -> bool {
        match &self.route {
            Route::Native(lines) => lines.format.uses_conclusion(),
            Route::Python => true,
        }
    }

    /// The name of a request, if anybody wants one.
    pub fn name(&mut self, request: &Request) -> Option<RequestId> {
        self.ids.as_mut().map(|ids| ids.of(request))
    }

    /// Adds the line of one request.
    pub fn add(&mut self, py: Python<'_>, record: &Record<'_>) {
        if let Route::Native(lines) = &mut self.route {
            let known = lines.lines.len();
            lines.format.write(&mut lines.lines, record);
            lines.added(py, known);
        }
    }

    /// Keeps the line of a request whose response is still being sent; `ended` is the end of its application. Gives the
    /// ticket with which the end of the sending is to be told.
    pub fn keep(&mut self, record: &Record<'_>, ended: u64) -> Option<u64> {
        let Route::Native(lines) = &mut self.route else { return None };
        lines.tickets += 1;
        lines.drafts.insert(lines.tickets, (lines.format.draft(record), ended));
        lines.keep_drafts();
        Some(lines.tickets)
    }

    /// A response has been sent, or will not be. `at`: when, as `ended`.
    pub fn complete(&mut self, py: Python<'_>, ticket: u64, reason: Reason, at: u64) {
        if let Route::Native(lines) = &mut self.route {
            lines.complete(py, ticket, reason, at);
        }
    }

    /// Looks the files up again.
    pub fn reopen(&mut self, log: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Route::Native(lines) = &mut self.route {
            lines.write(log.py());
            if let Some(outputs) = outputs(log)? {
                lines.finish(log.py());
                lines.outputs = outputs;
            }
        }
        Ok(())
    }

    /// Writes the lines that are waiting. True: some wait on, for whoever reads them.
    pub fn write(&mut self, py: Python<'_>) -> bool {
        let Route::Native(lines) = &mut self.route else { return false };
        lines.write(py);
        lines.is_behind()
    }

    /// Writes what is left, of responses that were not sent in time too. The worker leaves.
    pub fn finish(&mut self, py: Python<'_>) {
        if let Route::Native(lines) = &mut self.route {
            let tickets: Vec<_> = lines.drafts.keys().copied().collect();
            for ticket in tickets {
                lines.complete(py, ticket, Reason::Shutdown, sys::clock::monotonic());
            }
            lines.write(py);
            lines.finish(py);
        }
    }

    /// What the error log should know, once.
    pub fn news(&mut self) -> Option<String> {
        match &mut self.route {
            Route::Native(lines) => lines.news.take(),
            Route::Python => None,
        }
    }
}

impl Lines {
    fn new(format: AccessFormat, outputs: Vec<Output>, slot: Slot) -> Self {
        Self { format, lines: Vec::new(), slot, outputs, drafts: HashMap::new(), tickets: 0, news: None }
    }

    fn complete(&mut self, py: Python<'_>, ticket: u64, reason: Reason, at: u64) {
        let Some((draft, ended)) = self.drafts.remove(&ticket) else { return };
        let conclusion = Conclusion { reason, sending: Some(at.saturating_sub(ended)) };
        let known = self.lines.len();
        self.format.complete(&mut self.lines, &draft, conclusion);
        self.added(py, known);
        self.keep_drafts();
    }

    /// What the arbiter writes of the responses that are being sent if this worker is killed: as many lines as there is
    /// room for.
    fn keep_drafts(&self) {
        let killed = Conclusion { reason: Reason::Killed, sending: None };
        let mut lines = Vec::new();
        for (draft, _) in self.drafts.values() {
            let fitting = lines.len();
            self.format.complete(&mut lines, draft, killed);
            if lines.len() > ENOUGH {
                lines.truncate(fitting);
                break;
            }
        }
        self.slot.keep_unsent(&lines);
    }

    /// A line stands behind the `known` bytes of others.
    fn added(&mut self, py: Python<'_>, known: usize) {
        if self.lines.len() >= ENOUGH {
            self.write(py);
        } else {
            self.slot.keep_lines(&self.lines, known);
        }
    }

    /// Some lines wait for whoever reads them.
    fn is_behind(&self) -> bool {
        self.outputs.iter().any(Output::is_behind)
    }

    fn write(&mut self, py: Python<'_>) {
        // One that is behind is waited for.
        if self.is_behind() { py.detach(|| self.write_all()) } else { self.write_all() }
    }

    fn finish(&mut self, py: Python<'_>) {
        if self.is_behind() {
            py.detach(|| self.outputs.iter_mut().for_each(Output::finish));
        }
    }

    fn write_all(&mut self) {
        for output in &mut self.outputs {
            if (!self.lines.is_empty() || output.is_behind())
                && let Some(news) = output.write(&self.lines)
            {
                self.news = Some(news);
            }
        }
        if !self.lines.is_empty() {
            self.lines.clear();
            self.slot.keep_lines(b"", 0);
        }
    }
}

/// The files behind the handlers of the logger; `None` if it must write the lines itself.
fn outputs(log: &Bound<'_, PyAny>) -> PyResult<Option<Vec<Output>>> {
    let files = log.py().import("rgunicorn._logs.access")?.call_method1("native_files", (log,))?;
    let Some(files) = files.extract::<Option<Vec<i32>>>()? else { return Ok(None) };
    let outputs = files.into_iter().map(|fd| Output::new(sys::file::borrow(fd)?));
    Ok(Some(outputs.collect::<std::io::Result<_>>()?))
}
