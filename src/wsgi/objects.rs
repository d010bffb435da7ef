//! A request and its response as the Python objects that hooks and loggers know from Gunicorn:
//! `rgunicorn.http.message.Request` and `rgunicorn.http.wsgi.Response`. They are made only where somebody wants them, and
//! hold what the server has done: changing them changes nothing, but for what `amend.rs` looks at.

use std::net::SocketAddr;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::ffi;
use super::input::Input;
use super::served::{Outcome, Served};
use super::start_response::Declared;
use crate::proto::forwarded::Scheme;
use crate::proto::http1::{Refusal, Trailers};
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

    /// Tells `made` what has come behind its body meanwhile.
    pub fn complete(&self, made: &Bound<'_, PyAny>, request: &Request) -> PyResult<()> {
        if request.trailers.is_empty() {
            return Ok(());
        }
        let py = made.py();
        made.setattr(intern!(py, "trailers"), trailers(py, &request.trailers)?)
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
        let attributes = request_attributes(py, request)?;
        let address = address(py, peer)?;
        ffi::set(&attributes, intern!(py, "cfg"), self.cfg.bind(py));
        ffi::set(&attributes, intern!(py, "body"), body.unwrap_or(&self.no_body).bind(py).as_any());
        ffi::set(&attributes, intern!(py, "peer_addr"), &address);
        ffi::set(&attributes, intern!(py, "remote_addr"), &address);
        instance(self.request.bind(py), attributes)
    }

    /// What loggers get in place of an environ where none was made.
    pub fn error_environ<'py>(&self, request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let module = request.py().import("rgunicorn.http.wsgi")?;
        module.call_method1("error_environ", (request, &self.cfg))
    }

    /// The response to a request that has been served. `declared`: what the application said of it, if it did.
    pub fn response(&self, py: Python<'_>, served: &Served, declared: &Declared) -> PyResult<Py<PyAny>> {
        let request = served.request.as_ref().map(|request| request.bind(py));
        let socket = match &served.environ {
            Some(environ) => environ.bind(py).get_item(intern!(py, "gunicorn.socket"))?,
            None => None,
        };
        if let Outcome::Refused(refusal) = &served.outcome {
            return self.page(py, request, socket, refusal);
        }
        let answer = Answer {
            status: &declared.status,
            code: served.code,
            fields: &declared.fields,
            sent: served.sent,
            length: declared.content_length,
            headers_sent: served.head_sent,
            chunked: served.chunked,
            upgrade: declared.upgrade,
            closes: !matches!(served.outcome, Outcome::Responded(End::Keep)),
        };
        self.answer(py, request, socket, &answer)
    }

    /// The server's own response to a request that it has refused.
    pub fn page(
        &self,
        py: Python<'_>,
        request: Option<&Bound<'_, PyAny>>,
        socket: Option<Bound<'_, PyAny>>,
        refusal: &Refusal,
    ) -> PyResult<Py<PyAny>> {
        let status = format!("{} {}", refusal.status(), refusal.reason());
        let code = refusal.status();
        // Gunicorn does not count the page.
        let answer =
            Answer { status: status.as_bytes(), code, headers_sent: true, closes: true, ..Answer::default() };
        self.answer(py, request, socket, &answer)
    }

    fn answer(
        &self,
        py: Python<'_>,
        request: Option<&Bound<'_, PyAny>>,
        socket: Option<Bound<'_, PyAny>>,
        answer: &Answer<'_>,
    ) -> PyResult<Py<PyAny>> {
        let attributes = PyDict::new(py);
        attributes.set_item(intern!(py, "req"), request)?;
        attributes.set_item(intern!(py, "sock"), socket)?;
        attributes.set_item(intern!(py, "cfg"), &self.cfg)?;
        attributes.set_item(intern!(py, "version"), &self.server)?;
        attributes.set_item(intern!(py, "headers"), declared_headers(py, answer.fields)?)?;
        attributes.set_item(intern!(py, "sent"), answer.sent)?;
        attributes.set_item(intern!(py, "response_length"), answer.length)?;
        attributes.set_item(intern!(py, "headers_sent"), answer.headers_sent)?;
        attributes.set_item(intern!(py, "chunked"), answer.chunked)?;
        attributes.set_item(intern!(py, "upgrade"), answer.upgrade)?;
        attributes.set_item(intern!(py, "must_close"), answer.closes)?;
        if answer.status.is_empty() {
            attributes.set_item(intern!(py, "status"), py.None())?;
        } else {
            attributes.set_item(intern!(py, "status"), ffi::text(py, answer.status))?;
            attributes.set_item(intern!(py, "status_code"), answer.code)?;
        }
        Ok(instance(self.response.bind(py), attributes)?.unbind())
    }
}

/// What there is to tell of a response.
#[derive(Default)]
struct Answer<'a> {
    /// Empty if nothing was declared.
    status: &'a [u8],
    code: u16,
    /// The application's fields as they are sent.
    fields: &'a [u8],
    sent: u64,
    length: Option<u64>,
    headers_sent: bool,
    chunked: bool,
    upgrade: bool,
    closes: bool,
}

/// The attributes of a request that its head tells.
pub fn request_attributes<'py>(py: Python<'py>, request: &Request) -> PyResult<Bound<'py, PyDict>> {
    let head = &request.head;
    let text = |span| ffi::text(py, request.part(span)).into_any();
    let attributes = PyDict::new(py);
    let set = |name: &Bound<'py, PyString>, value: Bound<'py, PyAny>| ffi::set(&attributes, name, &value);
    set(intern!(py, "method"), text(head.method));
    set(intern!(py, "uri"), text(head.target));
    set(intern!(py, "path"), text(head.path));
    set(intern!(py, "query"), text(head.query));
    set(intern!(py, "fragment"), text(head.fragment));
    set(intern!(py, "version"), (head.version.major, head.version.minor).into_pyobject(py)?.into_any());
    set(intern!(py, "headers"), headers(py, request)?.into_any());
    set(intern!(py, "trailers"), trailers(py, &request.trailers)?.into_any());
    set(intern!(py, "scheme"), scheme(py, head.scheme).into_any());
    set(intern!(py, "req_number"), request.number.into_pyobject(py)?.into_any());
    set(intern!(py, "proxy_protocol_info"), py.None().into_bound(py));
    set(intern!(py, "must_close"), false.into_pyobject(py)?.to_owned().into_any());
    set(intern!(py, "_persists"), head.persist.into_pyobject(py)?.to_owned().into_any());
    set(intern!(py, "_expects_continue"), head.expect_continue.into_pyobject(py)?.to_owned().into_any());
    Ok(attributes)
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

fn headers<'py>(py: Python<'py>, request: &Request) -> PyResult<Bound<'py, PyList>> {
    let fields = request.head.fields.iter();
    pairs(py, fields.map(|field| (request.part(field.name), request.part(field.value))))
}

/// The fields behind a body as `Request.trailers`.
pub fn trailers<'py>(py: Python<'py>, trailers: &Trailers) -> PyResult<Bound<'py, PyList>> {
    pairs(py, trailers.iter().map(|(name, value)| (&**name, &**value)))
}

/// Names are in upper case, as in Gunicorn.
fn pairs<'a, 'py>(
    py: Python<'py>,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> PyResult<Bound<'py, PyList>> {
    let pair = |(name, value): (&[u8], &[u8])| {
        PyTuple::new(py, [ffi::text(py, &name.to_ascii_uppercase()), ffi::text(py, value)])
    };
    let pairs: Vec<_> = fields.map(pair).collect::<PyResult<_>>()?;
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
