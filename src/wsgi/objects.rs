//! A request and its response as the Python objects that hooks and loggers know from Gunicorn:
//! `rgunicorn.http.message.Request` and `rgunicorn.http.wsgi.Response`. They are made only where somebody wants them, and
//! hold what the server has done: changing them changes nothing, but for what `amend.rs` looks at.

use std::net::SocketAddr;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::call::{Outcome, Served};
use super::ffi;
use super::input::Input;
use super::start_response::Declared;
use crate::proto::forwarded::Scheme;
use crate::reactor::{End, Exchange, Request};

/// Makes the objects.
pub struct Objects {
    request: Py<PyAny>,
    response: Py<PyAny>,
    cfg: Py<PyAny>,
    /// `Request.body` where there is none.
    no_body: Py<Input>,
    /// `Response.version`
    server: Py<PyString>,
}

impl Objects {
    /// `cfg` is the configuration that the objects refer to, `server` the `Server` field of responses.
    pub fn new(py: Python<'_>, cfg: Py<PyAny>, server: &[u8]) -> PyResult<Self> {
        Ok(Self {
            request: py.import("rgunicorn.http.message")?.getattr("Request")?.unbind(),
            response: py.import("rgunicorn.http.wsgi")?.getattr("Response")?.unbind(),
            cfg,
            no_body: Input::empty(py)?,
            server: ffi::text(py, server).unbind(),
        })
    }

    /// The request of an exchange, with the body that the application will read.
    pub fn request<'py>(
        &self,
        py: Python<'py>,
        exchange: &Exchange,
        body: Option<&Py<Input>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.asked(py, &exchange.request, exchange.peer(), body)
    }

    /// A request whose body cannot be read.
    pub fn refused<'py>(
        &self,
        py: Python<'py>,
        request: &Request,
        peer: Option<SocketAddr>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.asked(py, request, peer, None)
    }

    fn asked<'py>(
        &self,
        py: Python<'py>,
        request: &Request,
        peer: Option<SocketAddr>,
        body: Option<&Py<Input>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let head = &request.head;
        let text = |span| ffi::text(py, request.part(span)).into_any();
        let address = address(py, peer)?;
        let attributes = PyDict::new(py);
        let set = |name: &Bound<'py, PyString>, value: Bound<'py, PyAny>| ffi::set(&attributes, name, &value);
        set(intern!(py, "cfg"), self.cfg.bind(py).clone());
        set(intern!(py, "method"), text(head.method));
        set(intern!(py, "uri"), text(head.target));
        set(intern!(py, "path"), text(head.path));
        set(intern!(py, "query"), text(head.query));
        set(intern!(py, "fragment"), text(head.fragment));
        set(intern!(py, "version"), (head.version.major, head.version.minor).into_pyobject(py)?.into_any());
        set(intern!(py, "headers"), headers(py, request)?.into_any());
        set(intern!(py, "trailers"), PyList::empty(py).into_any());
        set(intern!(py, "body"), body.unwrap_or(&self.no_body).bind(py).clone().into_any());
        set(intern!(py, "scheme"), scheme(py, head.scheme).into_any());
        set(intern!(py, "peer_addr"), address.clone());
        set(intern!(py, "remote_addr"), address);
        set(intern!(py, "req_number"), request.number.into_pyobject(py)?.into_any());
        set(intern!(py, "proxy_protocol_info"), py.None().into_bound(py));
        set(intern!(py, "must_close"), false.into_pyobject(py)?.to_owned().into_any());
        set(intern!(py, "_persists"), head.persist.into_pyobject(py)?.to_owned().into_any());
        instance(self.request.bind(py), attributes)
    }

    /// What loggers get in place of an environ where none was made.
    pub fn error_environ<'py>(&self, request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let module = request.py().import("rgunicorn.http.wsgi")?;
        module.call_method1("error_environ", (request, &self.cfg))
    }

    /// The response to a request that has been served. `declared`: what the application said of it, if it did.
    pub fn response(&self, py: Python<'_>, served: &Served, declared: &Declared) -> PyResult<Py<PyAny>> {
        let attributes = PyDict::new(py);
        let set = |name: &str, value: Bound<'_, PyAny>| attributes.set_item(name, value);
        let (status, fields, length) = match &served.outcome {
            // The server's own page.
            Outcome::Refused(refusal) => {
                (format!("{} {}", refusal.status(), refusal.reason()).into_bytes(), b"".as_slice(), None)
            }
            _ => (declared.status.clone(), declared.fields.as_slice(), declared.content_length),
        };
        let is_refused = matches!(served.outcome, Outcome::Refused(_));
        let socket = match &served.environ {
            Some(environ) => environ.bind(py).get_item("gunicorn.socket")?,
            None => None,
        };
        set(
            "req",
            served.request.as_ref().map_or(py.None(), |request| request.clone_ref(py)).into_bound(py),
        )?;
        set("sock", socket.unwrap_or_else(|| py.None().into_bound(py)))?;
        set("cfg", self.cfg.bind(py).clone())?;
        set("version", self.server.bind(py).clone().into_any())?;
        set("headers", declared_headers(py, fields)?.into_any())?;
        set("sent", served.sent.into_pyobject(py)?.into_any())?;
        set("response_length", length.into_pyobject(py)?)?;
        set("headers_sent", (served.head_sent || is_refused).into_pyobject(py)?.to_owned().into_any())?;
        set("chunked", served.chunked.into_pyobject(py)?.to_owned().into_any())?;
        set("upgrade", (declared.upgrade && !is_refused).into_pyobject(py)?.to_owned().into_any())?;
        let closes = !matches!(served.outcome, Outcome::Responded(End::Keep));
        set("must_close", closes.into_pyobject(py)?.to_owned().into_any())?;
        if status.is_empty() {
            set("status", py.None().into_bound(py))?;
        } else {
            set("status", ffi::text(py, &status).into_any())?;
            set("status_code", served.code.into_pyobject(py)?.into_any())?;
        }
        Ok(instance(self.response.bind(py), attributes)?.unbind())
    }
}

/// An instance whose attributes are these, without its constructor, which is for those who make one themselves.
fn instance<'py>(class: &Bound<'py, PyAny>, attributes: Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let made = class.call_method1(intern!(py, "__new__"), (class,))?;
    made.setattr(intern!(py, "__dict__"), attributes)?;
    Ok(made)
}

/// An address as `socket.accept()` gives it.
fn address(py: Python<'_>, peer: Option<SocketAddr>) -> PyResult<Bound<'_, PyAny>> {
    Ok(match peer {
        None => PyString::new(py, "").into_any(),
        Some(SocketAddr::V4(peer)) => (peer.ip().to_string(), peer.port()).into_pyobject(py)?.into_any(),
        Some(SocketAddr::V6(peer)) => (peer.ip().to_string(), peer.port(), peer.flowinfo(), peer.scope_id())
            .into_pyobject(py)?
            .into_any(),
    })
}

fn scheme(py: Python<'_>, scheme: Scheme) -> Bound<'_, PyString> {
    match scheme {
        Scheme::Http => intern!(py, "http").clone(),
        Scheme::Https => intern!(py, "https").clone(),
    }
}

/// Names are in upper case, as in Gunicorn.
fn headers<'py>(py: Python<'py>, request: &Request) -> PyResult<Bound<'py, PyList>> {
    let pair = |name: &[u8], value: &[u8]| {
        PyTuple::new(py, [ffi::text(py, &name.to_ascii_uppercase()), ffi::text(py, value)])
    };
    let fields = request.head.fields.iter();
    let pairs: Vec<_> = fields
        .map(|field| pair(request.part(field.name), request.part(field.value)))
        .collect::<PyResult<_>>()?;
    PyList::new(py, pairs)
}

/// The application's header fields, from the lines in which they were sent.
fn declared_headers<'py>(py: Python<'py>, fields: &[u8]) -> PyResult<Bound<'py, PyList>> {
    let lines = fields.split(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\r"));
    let pairs: Vec<_> = lines
        .filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            Some(PyTuple::new(py, [ffi::text(py, &line[..colon]), ffi::text(py, &line[colon + 2..])]))
        })
        .collect::<PyResult<_>>()?;
    PyList::new(py, pairs)
}
