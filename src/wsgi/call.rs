//! Calls the application for one exchange and carries its answer out, whatever way it ends.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use super::abort::Abort;
use super::amend::{Original, amend};
use super::callables::Callables;
use super::deadline::Due;
use super::ended::Ended;
use super::environ::{Environs, ListenerName, ServerFacts};
use super::ffi;
use super::file_wrapper::FileWrapper;
use super::forked::leave_child;
use super::input::Input;
use super::objects::Objects;
use super::responder::Responder;
use super::response::Flaw;
use super::sendfile::Sendable;
use super::served::{Served, conclude};
use super::waiting::Waiting;
use crate::reactor::{DateCache, End, Exchange};
use crate::sys::fork;

/// What one worker thread needs to call its application.
pub struct Bridge {
    application: Py<PyAny>,
    environs: Environs,
    date: DateCache,
    /// `sendfile`
    sendfile: bool,
    callables: Callables,
    /// The `Server` field of responses.
    server: Vec<u8>,
    /// Whether [`Served::environ`] is wanted: an access log format names a variable of it.
    pub keep_environ: bool,
    /// Makes [`Served::request`], if hooks or the logger want it. They get the environ as well.
    pub objects: Option<Objects>,
}

/// A request on its way to the application.
pub struct Opened<'py> {
    /// The request for hooks, if the bridge makes any.
    pub request: Option<Bound<'py, PyAny>>,
    stage: Stage<'py>,
}

enum Stage<'py> {
    /// The responder holds the exchange.
    Ready(Bound<'py, PyDict>),
    /// There is no environ for it, or an object for it could not be made. Boxed because of the usual case, which moves.
    Failed(Box<(Exchange, Abort)>),
}

impl<'py> Opened<'py> {
    /// The environ, if one could be made.
    pub fn environ(&self) -> Option<&Bound<'py, PyDict>> {
        match &self.stage {
            Stage::Ready(environ) => Some(environ),
            Stage::Failed(..) => None,
        }
    }

    fn failed(request: Option<Bound<'py, PyAny>>, exchange: Exchange, abort: Abort) -> Self {
        Self { request, stage: Stage::Failed(Box::new((exchange, abort))) }
    }
}

impl Bridge {
    /// `listeners` in the order in which the reactor counts them.
    pub fn new(
        py: Python<'_>,
        application: Py<PyAny>,
        facts: &ServerFacts,
        listeners: Vec<ListenerName>,
        sendfile: bool,
    ) -> PyResult<Self> {
        let environs = Environs::new(py, facts, listeners)?;
        let callables = Callables::new(py, &environs, &facts.server, Waiting::Thread, None)?;
        Ok(Self {
            application,
            environs,
            date: DateCache::default(),
            sendfile,
            callables,
            server: facts.server.clone(),
            keep_environ: false,
            objects: None,
        })
    }

    /// Requests have a deadline from now on, of which `due` is told.
    pub fn limit(&mut self, py: Python<'_>, due: Arc<Due>) -> PyResult<()> {
        let waiting = self.callables.responder.get().waiting().clone_ref(py);
        self.callables = Callables::new(py, &self.environs, &self.server, waiting, Some(due))?;
        Ok(())
    }

    /// What is behind the callables of the request being served, or served last.
    pub fn responder(&self) -> &Py<Responder> {
        &self.callables.responder
    }

    /// Requests wait for their clients in a hub, by calling `wait`: see [`Waiting::Hub`].
    pub fn wait_in(&mut self, py: Python<'_>, wait: Py<PyAny>) -> PyResult<()> {
        let due = self.callables.responder.get().due().cloned();
        self.callables = Callables::new(py, &self.environs, &self.server, Waiting::Hub(wait), due)?;
        Ok(())
    }

    /// Makes what the application is called with.
    pub fn open<'py>(&mut self, py: Python<'py>, mut exchange: Exchange) -> Opened<'py> {
        let responder = &self.callables.responder;
        let input = match Input::new(py, &mut exchange.request, responder) {
            Ok(input) => input,
            Err(error) => return Opened::failed(None, exchange, error.into()),
        };
        let mut request = None;
        if let Some(objects) = &self.objects {
            match objects.request(py, &exchange, input.as_ref()) {
                Ok(made) => request = Some(made),
                Err(error) => return Opened::failed(None, exchange, error.into()),
            }
        }
        let environ = match self.environs.build(py, &exchange) {
            Ok(environ) => environ,
            Err(refusal) => return Opened::failed(request, exchange, Abort::Request(refusal)),
        };
        if let Some(input) = input {
            ffi::set(&environ, intern!(py, "wsgi.input"), input.bind(py).as_any());
        }
        responder.get().install(exchange, self.date.text());
        Opened { request, stage: Stage::Ready(environ) }
    }

    /// Calls the application and sends its response. `returned` is called as soon as the application is done.
    pub fn call(&mut self, py: Python<'_>, opened: Opened<'_>, returned: impl FnOnce()) -> Served {
        let request = opened.request.map(Bound::unbind);
        let environ = match opened.stage {
            Stage::Ready(environ) => environ,
            Stage::Failed(failed) => return self.failed(py, failed.0, failed.1, request),
        };
        let kept = (self.keep_environ || self.objects.is_some()).then(|| environ.clone().unbind());
        let responder = self.callables.responder.bind(py).clone();
        let result = self.run(&responder, environ);
        returned();
        let ended = responder.get().remove();
        if let (Some(objects), Some(request), Some(exchange)) = (&self.objects, &request, &ended.exchange)
            && let Err(error) = objects.complete(request.bind(py), &exchange.request)
        {
            error.write_unraisable(py, None);
        }
        conclude(py, ended, result, kept, request)
    }

    /// Does what a hook has asked for by changing the request. `original`: the request as it was before.
    pub fn heed(&self, py: Python<'_>, opened: &Opened<'_>, original: &Original<'_>) -> PyResult<()> {
        let (Some(request), Stage::Ready(environ)) = (&opened.request, &opened.stage) else { return Ok(()) };
        if request.getattr(intern!(py, "must_close"))?.is_truthy()? {
            self.callables.responder.get().force_close();
        }
        if original.differs(request)? { amend(environ, request) } else { Ok(()) }
    }

    /// Leaves the application out: what it should have been called for has failed with `error`.
    pub fn fail(&mut self, py: Python<'_>, opened: Opened<'_>, error: PyErr) -> Served {
        let request = opened.request.map(Bound::unbind);
        match opened.stage {
            Stage::Failed(failed) => self.failed(py, failed.0, Abort::App(error), request),
            Stage::Ready(_) => {
                let ended = self.callables.responder.get().remove();
                conclude(py, ended, Err(Abort::App(error)), None, request)
            }
        }
    }

    fn failed(&self, py: Python<'_>, exchange: Exchange, abort: Abort, request: Option<Py<PyAny>>) -> Served {
        self.callables.responder.get().forget();
        conclude(py, Ended::unanswered(exchange), Err(abort), None, request)
    }

    /// The response served last, as hooks and loggers get it; `None` if the bridge makes no objects.
    pub fn response(&self, py: Python<'_>, served: &Served) -> PyResult<Option<Py<PyAny>>> {
        let Some(objects) = &self.objects else { return Ok(None) };
        let declared = self.callables.responder.get().declared();
        objects.response(py, served, &declared).map(Some)
    }

    /// To be called when nobody needs anything of the request served last any more: makes sure that the next one
    /// shares nothing with an application that keeps something of it.
    pub fn release(&mut self, py: Python<'_>) {
        if let Err(error) = self.callables.renew_if_kept(py, &self.environs, &self.server) {
            error.write_unraisable(py, None);
        }
    }

    /// The value of a header that the application set in the response served last.
    pub fn response_field(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.callables.responder.get().field(name)
    }

    fn run(
        &self,
        responder: &Bound<'_, Responder>,
        environ: Bound<'_, PyDict>,
    ) -> Result<(End, Option<Flaw>), Abort> {
        let py = responder.py();
        let start_response = self.callables.start_response.bind(py);
        let called = self.application.bind(py).call1((environ, start_response));
        if fork::is_forked_child() {
            leave_child(py, called.err());
        }
        let iterable = called?;
        let sent = self.send_all(responder, &iterable);
        let closed = close(&iterable);
        if fork::is_forked_child() {
            leave_child(py, closed.err());
        }
        let sent = sent?;
        closed?;
        Ok(sent)
    }

    fn send_all(
        &self,
        responder: &Bound<'_, Responder>,
        iterable: &Bound<'_, PyAny>,
    ) -> Result<(End, Option<Flaw>), Abort> {
        let (py, responder) = (responder.py(), responder.get());
        if let Ok(list) = iterable.cast_exact::<PyList>() {
            if list.len() == 1 {
                return responder.whole(&list.get_item(0)?);
            }
            for block in list.iter() {
                responder.block(py, &block)?;
            }
        } else if let Ok(tuple) = iterable.cast_exact::<PyTuple>() {
            if tuple.len() == 1 {
                return responder.whole(&tuple.get_item(0)?);
            }
            for block in tuple.iter() {
                responder.block(py, &block)?;
            }
        } else if !self.send_file(responder, iterable)? {
            for block in iterable.try_iter()? {
                if fork::is_forked_child() {
                    leave_child(py, block.err());
                }
                responder.block(py, &block?)?;
            }
        }
        responder.finish()
    }

    /// Sends a [`FileWrapper`] around a real file; `false` if it must be iterated.
    fn send_file(&self, responder: &Responder, iterable: &Bound<'_, PyAny>) -> Result<bool, Abort> {
        let Ok(wrapper) = iterable.cast::<FileWrapper>() else { return Ok(false) };
        let filelike = wrapper.get().filelike.bind(iterable.py());
        let Some(file) = Sendable::new(filelike).filter(|_| self.sendfile) else { return Ok(false) };
        responder.file(file.offset, file.left, || file.open())?;
        Ok(true)
    }
}

/// Calls the iterable's `close`, if it has one (PEP 3333). Lists and tuples have none.
fn close(iterable: &Bound<'_, PyAny>) -> PyResult<()> {
    if iterable.is_exact_instance_of::<PyList>() || iterable.is_exact_instance_of::<PyTuple>() {
        return Ok(());
    }
    if iterable.is_exact_instance_of::<PyBytes>() {
        return Ok(());
    }
    match iterable.getattr_opt(intern!(iterable.py(), "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}
