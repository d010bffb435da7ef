//! The callables that an application gets with a request: `start_response`, the `write` that it returns, and
//! `wsgi.early_hints`. They share the response; once it has ended they refuse.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::abort::Abort;
use super::deadline::Due;
use super::ended::Ended;
use super::ffi;
use super::live::{Live, already_set, gone, undeclared};
use super::response::{Flaw, Response};
use super::start_response::{Declared, encode_hints};
use super::waiting::Waiting;
use crate::reactor::{BodyError, ClientWait, End, Exchange};

/// One response and what the application has said of it. Made once and used for one request after the other, as long
/// as no application keeps one of its callables beyond the request.
#[pyclass(frozen, module = "rgunicorn._native")]
pub struct Responder {
    /// Held for moments only: never over a wait, nor over a call that could run the application's code, in which
    /// another greenlet of this very thread may come here.
    live: Mutex<Live>,
    /// Where its requests wait for their clients.
    waiting: Waiting,
    /// Until when a request may take, if there is a limit.
    due: Option<Arc<Due>>,
}

impl Responder {
    /// A responder without a response. `server` is the `Server` field of its responses, checked.
    /// `due` is told of the deadlines of its requests, if they have any.
    pub fn new(py: Python<'_>, server: &[u8], waiting: Waiting, due: Option<Arc<Due>>) -> PyResult<Py<Self>> {
        let this = Py::new(py, Self { live: Mutex::default(), waiting, due })?;
        let write = this.bind(py).getattr("write")?.unbind();
        let mut live = this.get().lock();
        live.write = Some(write);
        live.scratch.server = server.to_vec();
        drop(live);
        Ok(this)
    }

    /// Where its requests wait for their clients.
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// What knows the deadlines of its requests, if they have any.
    pub fn due(&self) -> Option<&Arc<Due>> {
        self.due.as_ref()
    }

    /// Breaks the cycle through `write`: some application keeps this responder, and nobody will use it again.
    pub fn retire(&self) {
        self.lock().write = None;
    }

    /// How many references there are to `write`.
    pub fn write_references(&self, py: Python<'_>) -> isize {
        self.lock().write.as_ref().map_or(0, |write| ffi::references(write.bind(py)))
    }

    /// Begins a response.
    pub fn install(&self, exchange: Exchange, date: &[u8; 29]) {
        let mut live = self.lock();
        live.response = Some(Response::new(exchange));
        live.seized = None;
        live.date = Some(*date);
        live.declared.clear();
    }

    /// Ends it and takes everything out. A thread or greenlet of the application that waits for the client in the middle
    /// of it finds that out when its wait is over.
    ///
    /// # Panics
    /// If there is none.
    pub fn remove(&self) -> Ended {
        let mut live = self.lock();
        let ended = live.response.take().map(|response| live.ended(response));
        let ended = ended.or_else(|| live.seized.take()).expect("a response was installed");
        Ended { fault: live.fault.take(), ..ended }
    }

    /// Takes the response away in the middle of the request, which has had its time: from now on the application gets
    /// `RequestTimeout` from all that belongs to it. `None`: there is none, or its socket is the application's.
    /// Needs no interpreter.
    pub fn seize(&self) -> Option<(Exchange, Ended)> {
        let mut live = self.lock();
        let response = live.response.take_if(|response| !response.exchange().is_handed_over())?;
        let mut ended = live.ended(response);
        let exchange = ended.exchange.take()?;
        live.seized = Some(ended.without_exchange());
        Some((exchange, ended))
    }

    /// The value of the last field with that name that the application declared.
    pub fn field(&self, name: &[u8]) -> Option<Vec<u8>> {
        let live = self.lock();
        let lines = live.declared.fields.split(|&byte| byte == b'\n').rev();
        lines.filter_map(|line| line.strip_suffix(b"\r")).find_map(|line| {
            let (field, value) = line.split_at(memchr::memchr(b':', line)?);
            field.eq_ignore_ascii_case(name).then(|| value[2..].to_vec())
        })
    }

    /// What the application declared of the response that was served last.
    pub fn declared(&self) -> Declared {
        self.lock().declared.clone()
    }

    /// Nothing was declared for the request served last.
    pub fn forget(&self) {
        self.lock().declared.clear();
    }

    /// The connection ends with this response.
    pub fn force_close(&self) {
        if let Some(response) = &mut self.lock().response {
            response.force_close();
        }
    }

    /// Sends a block of the body.
    pub fn block(&self, py: Python<'_>, block: &Bound<'_, PyAny>) -> Result<(), Abort> {
        let block = bytes(block)?;
        let mut live = self.lock();
        if live.send(block, false)? {
            drop(live);
            self.wait_for_room(py)?;
        }
        Ok(())
    }

    /// Sends a body that is one block, and ends it.
    pub fn whole(&self, block: &Bound<'_, PyAny>) -> Result<(End, Option<Flaw>), Abort> {
        let block = bytes(block)?;
        let mut live = self.lock();
        live.send(block, true)?;
        live.finish()
    }

    /// Waits until the client has taken enough.
    fn wait_for_room(&self, py: Python<'_>) -> Result<(), Abort> {
        loop {
            let wait = {
                let Live { response, seized, .. } = &mut *self.lock();
                match response {
                    Some(response) => response.exchange_mut().make_room()?,
                    None if seized.is_some() => return Err(gone(seized).into()),
                    // The request has ended meanwhile; the loop goes on sending.
                    None => None,
                }
            };
            let Some(wait) = wait else { return Ok(()) };
            if !self.wait(py, wait)?? {
                return Err(io::Error::from(io::ErrorKind::TimedOut).into());
            }
        }
    }

    /// Waits for the client; `false` when it had time enough. Not beyond the request's deadline: whoever called looks
    /// at the response again anyway, and finds that it was taken away.
    fn wait(&self, py: Python<'_>, mut wait: ClientWait) -> PyResult<io::Result<bool>> {
        // Until the watchdog has done so.
        const SOON: Duration = Duration::from_millis(5);
        let left = self.due.as_ref().and_then(|due| due.left()).map(|left| left.max(SOON));
        let is_cut = left.is_some_and(|left| wait.patience.is_none_or(|patience| left < patience));
        if is_cut {
            wait.patience = left;
        }
        let waited = self.waiting.wait(py, &wait)?;
        Ok(waited.map(|in_time| in_time || is_cut))
    }

    /// Sends a file's `available` bytes from `offset` on, as far as the response may have them. `open` gives the file
    /// if any are wanted.
    pub fn file(
        &self,
        offset: u64,
        available: u64,
        open: impl FnOnce() -> std::io::Result<std::fs::File>,
    ) -> Result<(), Abort> {
        let mut live = self.lock();
        let Live { response, seized, declared, scratch, date, .. } = &mut *live;
        let response = response.as_mut().ok_or_else(|| gone(seized))?;
        if !response.is_declared() {
            return Err(undeclared().into());
        }
        let length = response.file_length(declared, available);
        if length == 0 {
            return Ok(());
        }
        let file = open().map_err(|error| Abort::App(error.into()))?;
        let date = date.as_ref().expect("installed with the response");
        Ok(response.write_file(declared, scratch, date, file, offset, length)?)
    }

    /// Ends the body.
    pub fn finish(&self) -> Result<(End, Option<Flaw>), Abort> {
        self.lock().finish()
    }

    /// Reads some of a streamed body into `out`, waiting for at least a byte; `true` at its end.
    pub fn read_body(&self, py: Python<'_>, out: &mut Vec<u8>) -> PyResult<bool> {
        loop {
            let wait = {
                let mut live = self.lock();
                let exchange = live.response()?.exchange_mut();
                match exchange.read_body(out) {
                    Ok(Some(end)) => return Ok(end),
                    Ok(None) => exchange.body_wait(),
                    Err(error) => return Err(live.body_failed(error)),
                }
            };
            let error = match self.wait(py, wait)? {
                Ok(true) => continue,
                Ok(false) => BodyError::Silent,
                Err(error) => BodyError::Io(error),
            };
            return Err(self.lock().body_failed(error));
        }
    }

    /// A handle on the client's socket.
    pub fn socket(&self) -> PyResult<std::os::fd::OwnedFd> {
        Ok(self.lock().response()?.exchange().socket().try_clone_to_owned()?)
    }

    /// The application goes on with the socket: for the server the connection ends with this request.
    pub fn hand_over(&self) {
        if let Some(response) = &mut self.lock().response {
            response.hand_over();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Responder {
    /// `start_response(status, headers, exc_info=None)` of PEP 3333.
    #[pyo3(signature = (status, headers, exc_info = None))]
    fn start_response(
        &self,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let py = status.py();
        let mut spare = {
            let mut live = self.lock();
            let response = live.response()?;
            match exc_info {
                Some(exc_info) if response.is_head_sent() => return Err(reraised(exc_info)?),
                None if response.is_declared() => {
                    return Err(already_set());
                }
                _ => std::mem::take(&mut live.spare),
            }
        };
        // Without the lock: the headers may be any iterable, and iterating runs the application's code.
        spare.clear();
        spare.set_status(status)?;
        spare.set_headers(headers)?;
        let mut live = self.lock();
        let response = live.response()?;
        if response.is_head_sent() {
            return Err(already_set());
        }
        response.declare();
        live.spare = std::mem::replace(&mut live.declared, spare);
        Ok(live.write.as_ref().map(|write| write.clone_ref(py)))
    }

    /// The `write` that `start_response` returns.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.block(py, data).map_err(|abort| self.lock().raised(abort))
    }

    /// `wsgi.early_hints`: sends a 103 response with these headers.
    fn early_hints(&self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let fields = encode_hints(headers)?;
        let mut live = self.lock();
        let response = live.response()?;
        response.early_hints(&fields).map_err(|error| live.raised(error.into()))
    }
}

fn bytes<'a, 'py>(block: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyBytes>> {
    match block.cast::<PyBytes>() {
        Ok(block) => Ok(block),
        Err(_) => Err(PyTypeError::new_err(format!("{} is not a byte", block.repr()?))),
    }
}

/// The exception in an `exc_info` triple, with its traceback.
fn reraised(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    Ok(PyErr::from_value(exc_info.cast::<PyTuple>()?.get_item(1)?))
}
