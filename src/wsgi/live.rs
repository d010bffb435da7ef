//! The response behind the callables of an application: what was said of it, what became of it, and how the application
//! hears of that. Whoever has it holds a lock: nothing here may run the application's code.

use pyo3::exceptions::{PyAssertionError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::abort::Abort;
use super::deadline::RequestTimeout;
use super::ended::Ended;
use super::os_error::os_error;
use super::response::{Flaw, Response, Scratch};
use super::start_response::Declared;
use crate::proto::http1::Refusal;
use crate::reactor::{BodyError, End, Payload};

/// One response in the making, behind the callables.
#[derive(Default)]
pub struct Live {
    /// The response; none between requests.
    pub response: Option<Response>,
    /// What was left of it when it was taken away from the application, which took too long.
    pub seized: Option<Ended>,
    /// What the application said of it.
    pub declared: Declared,
    /// Where a new declaration is put together, so that a bad one leaves the old in place.
    pub spare: Declared,
    /// What outlives a response.
    pub scratch: Scratch,
    /// The `Date` of the response.
    pub date: Option<[u8; 29]>,
    /// The bound `write`, which every `start_response` returns.
    pub write: Option<Py<PyAny>>,
    /// What happened to the client during a call from the application, which may have swallowed the exception.
    pub fault: Option<Abort>,
}

impl Live {
    /// The response, while the application may have it.
    pub fn response(&mut self) -> PyResult<&mut Response> {
        self.response.as_mut().ok_or_else(|| gone(&self.seized))
    }

    /// What `response` came to.
    pub fn ended(&self, response: Response) -> Ended {
        Ended {
            head_sent: response.is_head_sent(),
            code: self.declared.code,
            sent: response.sent(),
            dropped_body: response.dropped_body(),
            handed_over: response.exchange().is_handed_over(),
            chunked: response.is_chunked(),
            fault: None,
            exchange: Some(response.into_exchange()),
        }
    }

    /// Sends a block; `last` promises that no other follows. Tells whether the application must wait for the client.
    pub fn send(&mut self, block: &Bound<'_, PyBytes>, last: bool) -> Result<bool, Abort> {
        let Live { response, seized, declared, scratch, date, .. } = self;
        let response = response.as_mut().ok_or_else(|| gone(seized))?;
        if !response.is_declared() {
            return Err(undeclared().into());
        }
        let date = date.as_ref().expect("installed with the response");
        let keep = || -> Payload {
            // The end of a subclass's object may run the application's code, which must not happen under the lock.
            match block.is_exact_instance_of::<PyBytes>() {
                true => Box::new(PyBackedBytes::from(block.clone())),
                false => Box::new(block.as_bytes().to_vec()),
            }
        };
        response.write(declared, scratch, date, block.as_bytes(), last, keep)?;
        Ok(response.exchange_mut().is_full()?)
    }

    /// Ends the body.
    pub fn finish(&mut self) -> Result<(End, Option<Flaw>), Abort> {
        let Live { response, seized, declared, scratch, date, .. } = self;
        let response = response.as_mut().ok_or_else(|| gone(seized))?;
        if !response.is_declared() {
            return Err(undeclared().into());
        }
        Ok(response.finish(declared, scratch, date.as_ref().expect("installed with the response"))?)
    }

    /// The exception with which the application hears of it; what it really was is kept.
    pub fn raised(&mut self, abort: Abort) -> PyErr {
        match abort {
            Abort::App(error) => error,
            Abort::Client(error) => {
                let raised = os_error(&error);
                self.fault = Some(Abort::Client(error));
                raised
            }
            Abort::Request(refusal) => {
                let text = refusal.log_text();
                self.fault = Some(Abort::Request(refusal));
                std::io::Error::new(std::io::ErrorKind::InvalidData, text).into()
            }
        }
    }

    /// The exception with which it hears that the rest of a body cannot be read.
    pub fn body_failed(&mut self, error: BodyError) -> PyErr {
        use std::io::Error;
        self.raised(match error {
            BodyError::Refused(refusal) => Abort::Request(refusal),
            BodyError::Silent => Abort::Request(Refusal::Timeout),
            BodyError::Premature => Abort::Client(Error::from_raw_os_error(libc::ECONNRESET)),
            BodyError::Io(error) => Abort::Client(error),
        })
    }
}

/// Why there is no response. Under the lock: it must make no object yet.
pub fn gone(seized: &Option<Ended>) -> PyErr {
    match seized {
        Some(_) => RequestTimeout::new_err(()),
        None => PyRuntimeError::new_err("this request has ended"),
    }
}

/// `start_response` came twice.
pub fn already_set() -> PyErr {
    PyAssertionError::new_err("Response headers already set!")
}

/// It did not come.
pub fn undeclared() -> PyErr {
    PyAssertionError::new_err("the application sent a body before it called start_response()")
}
