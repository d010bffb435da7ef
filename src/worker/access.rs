//! The access log of a worker. Lines are formatted natively, gathered while the loop is busy and written in one piece
//! before it sleeps, straight into the files of the logger's handlers; or the logger itself writes them, if it is not the
//! stock one. Threads share it; each formats with a pen of its own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::MutexExt;

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
    ids: Option<Mutex<RequestIds>>,
}

enum Route {
    Native {
        format: AccessFormat,
        lines: Box<Mutex<Lines>>,
    },
    /// `Logger.access` of the logger.
    Python,
}

/// Formats lines for one thread or greenlet: what a format asks of an environ may run the application's code, so no lock
/// may be held meanwhile.
pub struct Pen {
    format: AccessFormat,
    line: Vec<u8>,
}

impl Pen {
    /// The line of one request.
    pub fn write(&mut self, record: &Record<'_>) -> &[u8] {
        self.line.clear();
        self.format.write(&mut self.line, record);
        &self.line
    }

    /// The line of a request whose response is still being sent.
    pub fn draft(&mut self, record: &Record<'_>) -> Draft {
        self.format.draft(record)
    }
}

/// Native lines on their way.
struct Lines {
    /// For lines that ask nothing of an environ.
    pen: Pen,
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
                let lines = Lines::new(format.clone(), outputs, slot.clone());
                Route::Native { format, lines: Box::new(Mutex::new(lines)) }
            }
            _ => Route::Python,
        };
        Ok(Some(Self { route, ids: named.then(|| Mutex::new(RequestIds::random())) }))
    }

    /// Whether the logger itself writes the lines.
    pub fn is_python(&self) -> bool {
        matches!(self.route, Route::Python)
    }

    /// Whether lines need the environ.
    pub fn uses_environ(&self) -> bool {
        match &self.route {
            Route::Native { format, .. } => format.uses_environ(),
            Route::Python => true,
        }
    }

    /// Whether somebody wants to know how a request ended and how long its response took to be sent.
    pub fn uses_conclusion(&self) -> bool {
        match &self.route {
            Route::Native { format, .. } => format.uses_conclusion(),
            Route::Python => true,
        }
    }

    /// What a thread formats its lines with; `None` if the logger does it.
    pub fn pen(&self) -> Option<Pen> {
        match &self.route {
            Route::Native { format, .. } => Some(Pen { format: format.clone(), line: Vec::new() }),
            Route::Python => None,
        }
    }

    /// The name of a request, if anybody wants one.
    pub fn name(&self, request: &Request) -> Option<RequestId> {
        let mut ids = self.ids.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(ids.of(request))
    }

    /// Adds a line.
    pub fn add(&self, py: Python<'_>, line: &[u8]) {
        if let Some(mut lines) = self.lines(py) {
            lines.add(py, line);
        }
    }

    /// Adds the line of a request that no application has seen.
    pub fn add_unserved(&self, py: Python<'_>, record: &Record<'_>) {
        if let Some(mut lines) = self.lines(py) {
            let known = lines.lines.len();
            let Lines { pen, lines: buffer, .. } = &mut *lines;
            pen.format.write(buffer, record);
            lines.added(py, known);
        }
    }

    /// Keeps the line of a request whose response is still being sent; `ended` is the end of its application. Gives the
    /// ticket with which the end of the sending is to be told.
    pub fn keep(&self, py: Python<'_>, draft: Draft, ended: u64) -> Option<u64> {
        let mut lines = self.lines(py)?;
        lines.tickets += 1;
        let ticket = lines.tickets;
        lines.drafts.insert(ticket, (draft, ended));
        lines.keep_drafts();
        Some(ticket)
    }

    /// A response has been sent, or will not be. `at`: when, as `ended`.
    pub fn complete(&self, py: Python<'_>, ticket: u64, reason: Reason, at: u64) {
        if let Some(mut lines) = self.lines(py) {
            lines.complete(py, ticket, reason, at);
        }
    }

    /// Looks the files up again.
    pub fn reopen(&self, log: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = log.py();
        if self.is_python() {
            return Ok(());
        }
        let outputs = outputs(log)?;
        if let Some(mut lines) = self.lines(py) {
            lines.write(py);
            if let Some(outputs) = outputs {
                lines.finish(py);
                lines.outputs = outputs;
            }
        }
        Ok(())
    }

    /// Writes the lines that are waiting. True: some wait on, for whoever reads them.
    pub fn write(&self, py: Python<'_>) -> bool {
        let Some(mut lines) = self.lines(py) else { return false };
        lines.write(py);
        lines.is_behind()
    }

    /// Writes what is left, of responses that were not sent in time too. The worker leaves.
    pub fn finish(&self, py: Python<'_>) {
        if let Some(mut lines) = self.lines(py) {
            let tickets: Vec<_> = lines.drafts.keys().copied().collect();
            for ticket in tickets {
                lines.complete(py, ticket, Reason::Shutdown, sys::clock::monotonic());
            }
            lines.write(py);
            lines.finish(py);
        }
    }

    /// What the error log should know, once.
    pub fn news(&self, py: Python<'_>) -> Option<String> {
        self.lines(py)?.news.take()
    }

    /// Whoever has them may wait for a reader, without the interpreter.
    fn lines(&self, py: Python<'_>) -> Option<MutexGuard<'_, Lines>> {
        match &self.route {
            Route::Native { lines, .. } => {
                Some(lines.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
            }
            Route::Python => None,
        }
    }
}

impl Lines {
    fn new(format: AccessFormat, outputs: Vec<Output>, slot: Slot) -> Self {
        let pen = Pen { format, line: Vec::new() };
        Self { pen, lines: Vec::new(), slot, outputs, drafts: HashMap::new(), tickets: 0, news: None }
    }

    fn add(&mut self, py: Python<'_>, line: &[u8]) {
        let known = self.lines.len();
        self.lines.extend_from_slice(line);
        self.added(py, known);
    }

    fn complete(&mut self, py: Python<'_>, ticket: u64, reason: Reason, at: u64) {
        let Some((draft, ended)) = self.drafts.remove(&ticket) else { return };
        let conclusion = Conclusion { reason, sending: Some(at.saturating_sub(ended)) };
        let known = self.lines.len();
        self.pen.format.complete(&mut self.lines, &draft, conclusion);
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
            self.pen.format.complete(&mut lines, draft, killed);
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
