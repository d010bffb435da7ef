//! What the worker says in the error log: the words are Gunicorn's where its users' tools may match them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::proto::http1::Refusal;
use crate::reactor::{Closed, Exchange, Notice, Wait};

/// The Python logger. A logger that fails must not end the worker: its exceptions are reported as unraisable.
pub struct Journal {
    log: Py<PyAny>,
    debug: bool,
    /// That bodies cannot be stored has been said.
    storage_warned: AtomicBool,
}

impl Journal {
    /// `log` is the worker's logger.
    pub fn new(py: Python<'_>, log: Py<PyAny>) -> Self {
        // Gunicorn's loggers have an `error_log` of the standard library behind them; one that has not gets everything.
        let enabled =
            log.getattr(py, "error_log").and_then(|log| log.call_method1(py, "isEnabledFor", (10,)));
        let debug = enabled.and_then(|enabled| enabled.is_truthy(py)).unwrap_or(true);
        Self { log, debug, storage_warned: AtomicBool::new(false) }
    }

    /// The logger itself.
    pub fn logger<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.log.bind(py)
    }

    /// Logs at INFO.
    pub fn info(&self, py: Python<'_>, message: &str) {
        self.say(py, "info", message);
    }

    /// Something about the access log.
    pub fn access_log(&self, py: Python<'_>, news: &str) {
        self.say(py, "warning", news);
    }

    /// A request comes: what Gunicorn's own `pre_request` says of it.
    pub fn request(&self, py: Python<'_>, exchange: &Exchange) {
        if !self.debug {
            return;
        }
        let path = exchange.request.part(exchange.head().path);
        let words = (String::from_utf8_lossy(exchange.method()), String::from_utf8_lossy(path));
        if let Err(error) = self.log.bind(py).call_method1("debug", ("%s %s", words.0, words.1)) {
            error.write_unraisable(py, None);
        }
    }

    /// The application raised while it served this request.
    pub fn application_failed(&self, py: Python<'_>, exchange: &Exchange, error: PyErr) {
        let method = String::from_utf8_lossy(exchange.method());
        let target = String::from_utf8_lossy(exchange.target());
        self.failed(py, ("Error handling request %s %s", method, target), error);
    }

    /// The same, but the request had been taken away from it; `name` is what the logs call it.
    pub fn failed_late(&self, py: Python<'_>, name: &str, error: PyErr) {
        self.failed(py, ("Error handling request %s", name), error);
    }

    /// A request takes too long: what is said of it, and where the application is.
    pub fn overdue(&self, py: Python<'_>, text: &str, stack: &str) {
        self.say(py, "error", &if stack.is_empty() { text.to_owned() } else { format!("{text}:\n{stack}") });
    }

    /// The hook behind a request raised.
    pub fn hook_failed(&self, py: Python<'_>, error: PyErr) {
        self.failed(py, ("Exception in post_request hook",), error);
    }

    /// The logger raised while it wrote to the access log.
    pub fn logger_failed(&self, py: Python<'_>, error: PyErr) {
        self.failed(py, ("Error handling request",), error);
    }

    /// Logs at ERROR, with a traceback; `arguments` are the message and what is put into it.
    fn failed<'py>(&self, py: Python<'py>, arguments: impl PyCallArgs<'py>, error: PyErr) {
        let keywords = PyDict::new(py);
        let logged = keywords
            .set_item("exc_info", error.into_value(py))
            .and_then(|()| self.log.bind(py).call_method("exception", arguments, Some(&keywords)));
        if let Err(error) = logged {
            error.write_unraisable(py, None);
        }
    }

    /// The application gave fewer bytes than it promised.
    pub fn response_short(&self, py: Python<'_>, exchange: &Exchange, missing: u64) {
        let target = exchange.target().escape_ascii();
        self.say(
            py,
            "warning",
            &format!("Response to {target} is {missing} bytes shorter than its Content-Length"),
        );
    }

    /// The application gave a body where none may be (RFC 9110, section 6.4.1).
    pub fn body_dropped(&self, py: Python<'_>, exchange: &Exchange, code: u16) {
        let method = exchange.method().escape_ascii();
        let message = format!(
            "WSGI app sent body bytes on a no-body response (method={method} status={code}); dropping per RFC 9110."
        );
        let logger = py
            .import("logging")
            .and_then(|logging| logging.call_method1("getLogger", ("gunicorn.http.wsgi",)));
        if let Err(error) = logger.and_then(|logger| logger.call_method1("warning", (message,))) {
            error.write_unraisable(py, None);
        }
    }

    /// A request that the server itself refused.
    pub fn refused(&self, py: Python<'_>, peer: Option<SocketAddr>, refusal: &Refusal) {
        let ip = peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
        self.say(py, "warning", &format!("Invalid request from ip={ip}: {}", refusal.log_text()));
    }

    /// Something else that happened in the loop.
    pub fn notice(&self, py: Python<'_>, notice: &Notice) {
        match notice {
            Notice::Refused { peer, refusal, .. } => self.refused(py, *peer, refusal),
            Notice::Exhausted(error) => {
                self.say(py, "error", &format!("Cannot accept connections for now: {error}"));
            }
            Notice::Unstored(error) => self.unstored(py, error),
            Notice::Closed { why: Closed::Storage(error), .. } => {
                self.say(py, "error", &format!("Cannot store a request body: {error}"));
            }
            _ if !self.debug => {}
            Notice::Sent { .. } | Notice::Abandoned { .. } => {}
            Notice::Closed { why: Closed::Idle, .. } => self.say(py, "debug", "Closing connection. "),
            Notice::Closed { peer, why: Closed::Premature, .. } => {
                self.say(py, "debug", &format!("Ignored premature client disconnection. {}", shown(*peer)));
            }
            Notice::Closed { peer, why: Closed::Failed(error), .. } => {
                self.say(py, "debug", &format!("Ignoring socket error: {error}. {}", shown(*peer)));
            }
            Notice::Silent { peer, wait, .. } => {
                let what = if *wait == Wait::Body {
                    "sent no more of its request"
                } else {
                    "took no more of its response"
                };
                self.say(
                    py,
                    "debug",
                    &format!("Closing connection: the client {what} in time. {}", shown(*peer)),
                );
            }
        }
    }

    /// Said once for each worker: on a read-only root it holds for every large body.
    fn unstored(&self, py: Python<'_>, error: &std::io::Error) {
        if !self.storage_warned.swap(true, Ordering::Relaxed) {
            self.say(
                py,
                "warning",
                &format!(
                    "No temporary file for large request bodies ({error}): applications read them from their sockets"
                ),
            );
        }
    }

    /// The client went away while it was served.
    pub fn client_gone(&self, py: Python<'_>, exchange: &Exchange, error: &std::io::Error) {
        if self.debug {
            self.say(py, "debug", &format!("Ignoring socket error: {error}. {}", shown(exchange.peer())));
        }
    }

    fn say(&self, py: Python<'_>, level: &str, message: &str) {
        // As an argument, so that a percent sign in it is no format.
        if let Err(error) = self.log.bind(py).call_method1(level, ("%s", message)) {
            error.write_unraisable(py, None);
        }
    }
}

fn shown(peer: Option<SocketAddr>) -> String {
    peer.map(|peer| format!("Client: {peer}")).unwrap_or_default()
}
