//! What the access log is told of a request that an application has seen.

use std::net::SocketAddr;
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::Told;
use crate::log::{Conclusion, Record, RequestId};
use crate::reactor::Request;
use crate::scoreboard::Lane;
use crate::worker::access::Pen;
use crate::wsgi::{Objects, Responder};

/// A request on its way through the worker.
#[derive(Clone)]
pub struct Passage {
    /// Nanoseconds from its arrival to its start.
    pub queue: u64,
    /// When it started.
    pub started: u64,
    /// Its name, if the log wants one. Apart because usually there is none, and it is large.
    pub id: Option<Arc<RequestId>>,
}

/// What a line tells of a request that an application has seen.
pub struct Story<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// By whom.
    pub peer: Option<SocketAddr>,
    /// The status.
    pub code: u16,
    /// Body bytes.
    pub sent: u64,
    /// Nanoseconds that it took.
    pub took: u64,
    /// How it ended, if that is known.
    pub conclusion: Option<Conclusion>,
    /// When it came.
    pub passage: &'a Passage,
    /// Its objects.
    pub told: &'a Told,
}

impl Story<'_> {
    /// Gives it to `write` as the log wants it.
    pub fn with_record<T>(
        &self,
        py: Python<'_>,
        responder: &Responder,
        process: u32,
        write: impl FnOnce(&Record<'_>) -> T,
    ) -> T {
        let environ = self.told.environ.as_ref().map(|environ| environ.bind(py));
        let address = environ.and_then(|environ| client_address(environ));
        write(&Record {
            request: Some(self.request),
            peer: self.peer,
            address: address.as_ref().and_then(|address| address.to_str().ok()),
            code: self.code,
            sent: self.sent,
            took: self.took,
            queue: Some(self.passage.queue),
            application: Some(self.took),
            conclusion: self.conclusion,
            id: self.passage.id.as_deref(),
            process,
            response_header: &|name| responder.field(name.as_bytes()),
            variable: &|name| environ_variable(environ?, name),
        })
    }
}

/// What the line of a request is made with.
pub struct Desk<'a> {
    /// Makes objects for a logger in Python.
    pub objects: Option<&'a Objects>,
    /// What knows the fields of the response.
    pub responder: &'a Responder,
    /// Formats lines, unless the logger does.
    pub pen: Option<&'a mut Pen>,
    /// The request's place on the scoreboard.
    pub lane: Option<&'a Lane>,
}

/// `REMOTE_ADDR`, which an application behind a proxy may have set to what the proxy says.
fn client_address<'py>(environ: &Bound<'py, PyDict>) -> Option<Bound<'py, PyString>> {
    environ.get_item(intern!(environ.py(), "REMOTE_ADDR")).ok()??.cast_into().ok()
}

/// A variable of an environ as text, by its name in any case.
fn environ_variable(environ: &Bound<'_, PyDict>, name: &str) -> Option<String> {
    let is_wanted = |key: &Bound<'_, PyAny>| {
        key.cast::<PyString>().is_ok_and(|key| key.to_string_lossy().eq_ignore_ascii_case(name))
    };
    let (_, value) = environ.iter().find(|(key, _)| is_wanted(key))?;
    Some(value.str().ok()?.to_string_lossy().into_owned())
}
