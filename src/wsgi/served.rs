//! What a request came to: how the end of its application, whatever way that was, becomes the end of its response.

use pyo3::exceptions::{PyOSError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::abort::Abort;
use super::deadline::RequestTimeout;
use super::ended::Ended;
use super::response::Flaw;
use crate::proto::http1::Refusal;
use crate::reactor::{End, Exchange};

/// A request that has been served, one way or another. The exchange goes back to the reactor.
pub struct Served {
    /// The request and its connection; `None`: they were taken away from the application, and its client was answered.
    pub exchange: Option<Exchange>,
    /// What to do with the connection.
    pub outcome: Outcome,
    /// The status code sent, 0 if none was.
    pub code: u16,
    /// Body bytes handed to the connection.
    pub sent: u64,
    /// The exception to be logged.
    pub error: Option<PyErr>,
    /// The application gave so many bytes less than its `Content-Length` said.
    pub missing: u64,
    /// The application yielded bytes where no body may be.
    pub dropped_body: bool,
    /// The environ, if the bridge was told to keep it and one could be made.
    pub environ: Option<Py<PyDict>>,
    /// The request for hooks, if the bridge makes any.
    pub request: Option<Py<PyAny>>,
    /// Whether the head of the application's response is out.
    pub head_sent: bool,
    /// Whether its body was sent in chunks.
    pub chunked: bool,
}

/// What becomes of the connection.
#[derive(Debug)]
pub enum Outcome {
    /// A response went out, or as much of it as was possible.
    Responded(End),
    /// Nothing went out: the server answers in the application's place.
    Refused(Refusal),
    /// The client is gone.
    ClientGone(std::io::Error),
    /// The application took too long to go on with what it had begun to send.
    Overdue,
}

impl Ended {
    /// What becomes of the connection when the response was taken away from the application.
    pub fn outcome_of_overdue(&self) -> Outcome {
        if self.head_sent { Outcome::Overdue } else { Outcome::Refused(Refusal::Overdue) }
    }
}

impl Served {
    /// What a request came to whose response was taken away from the application.
    pub fn overdue(ended: Ended, environ: Option<Py<PyDict>>, request: Option<Py<PyAny>>) -> Self {
        let begun = ended.head_sent;
        Self {
            outcome: ended.outcome_of_overdue(),
            exchange: ended.exchange,
            code: if begun { ended.code } else { Refusal::Overdue.status() },
            sent: ended.sent,
            error: None,
            missing: 0,
            dropped_body: false,
            environ,
            request,
            head_sent: begun,
            chunked: ended.chunked,
        }
    }
}

/// What `ended` came to, whose application gave `result`.
pub fn conclude(
    py: Python<'_>,
    ended: Ended,
    result: Result<(End, Option<Flaw>), Abort>,
    environ: Option<Py<PyDict>>,
    request: Option<Py<PyAny>>,
) -> Served {
    if ended.exchange.is_none() {
        // That it was interrupted has been logged, with the place where.
        let told = |error: &PyErr| error.is_instance_of::<RequestTimeout>(py);
        let error = if let Err(Abort::App(error)) = result { Some(error) } else { None };
        let error = error.filter(|error| !told(error));
        return Served { error, ..Served::overdue(ended, environ, request) };
    }
    let mut served = Served {
        exchange: ended.exchange,
        // An unfinished body shows that something is missing: no last chunk, or fewer bytes than announced.
        outcome: Outcome::Responded(End::Close),
        code: ended.code,
        sent: ended.sent,
        error: None,
        missing: 0,
        dropped_body: ended.dropped_body,
        environ,
        request,
        head_sent: ended.head_sent,
        chunked: ended.chunked,
    };
    // An OSError that came through the application may be what we raised in it ourselves.
    let abort = match (result, ended.fault) {
        (Ok((end, flaw)), _) => {
            served.outcome = Outcome::Responded(end);
            served.missing = flaw.map_or(0, |Flaw::Short(missing)| missing);
            return served;
        }
        (Err(Abort::App(error)), Some(fault)) if error.is_instance_of::<PyOSError>(py) => fault,
        (Err(abort), _) => abort,
    };
    match abort {
        // How those who used the socket themselves say that nothing is left to be answered, as to Gunicorn.
        Abort::App(error)
            if ended.handed_over && !ended.head_sent && error.is_instance_of::<PyStopIteration>(py) =>
        {
            served.outcome = Outcome::Responded(End::Cut);
        }
        Abort::Client(error) => served.outcome = Outcome::ClientGone(error),
        Abort::Request(refusal) if !ended.head_sent => {
            served.code = refusal.status();
            served.outcome = Outcome::Refused(refusal);
        }
        Abort::Request(_) => {}
        Abort::App(error) => {
            served.error = Some(error);
            if !ended.head_sent {
                served.code = 500;
                served.outcome = Outcome::Refused(Refusal::Internal);
            }
        }
    }
    served
}
