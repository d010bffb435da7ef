//! A request as a WSGI environ: a copy of a dict prepared for the listener, with what this request says put over it
//! (PEP 3333, and the keys that Gunicorn adds).

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::ffi;
use super::header_names::HeaderNames;
use super::peer_names::PeerNames;
use crate::proto::forwarded::Scheme;
use crate::proto::http1::{Refusal, Version};
use crate::proto::{script_name, target};
use crate::reactor::Exchange;

/// What a listener is called in an environ.
#[derive(Clone, Debug)]
pub enum ListenerName {
    /// `SERVER_NAME` and `SERVER_PORT`.
    Inet(String, u16),
    /// The path of a Unix socket: the request's `Host` gives name and port.
    Unix(String),
}

/// What is the same in every environ of a worker.
pub struct ServerFacts {
    /// `wsgi.errors`
    pub errors: Py<PyAny>,
    /// `wsgi.file_wrapper`
    pub file_wrapper: Py<PyAny>,
    /// `wsgi.input` of a request without a body.
    pub no_input: Py<PyAny>,
    /// `wsgi.multithread`
    pub multithread: bool,
    /// `wsgi.multiprocess`
    pub multiprocess: bool,
    /// `SERVER_SOFTWARE`
    pub software: String,
    /// The `Server` field of responses, checked; none if empty.
    pub server: Vec<u8>,
    /// The `SCRIPT_NAME` of the process environment; often empty.
    pub script_name: String,
}

/// Makes environs.
pub struct Environs {
    prepared: Vec<(ListenerName, Py<PyDict>)>,
    script_name: Vec<u8>,
    names: HeaderNames,
    peers: PeerNames,
    /// Where paths are decoded.
    path: Vec<u8>,
}

impl Environs {
    /// Prepares a dict for each listener.
    pub fn new(py: Python<'_>, facts: &ServerFacts, listeners: Vec<ListenerName>) -> PyResult<Self> {
        let prepare = |name: ListenerName| Ok((name.clone(), prepared(py, facts, &name)?.unbind()));
        Ok(Self {
            prepared: listeners.into_iter().map(prepare).collect::<PyResult<_>>()?,
            script_name: facts.script_name.as_bytes().to_vec(),
            names: HeaderNames::default(),
            peers: PeerNames::default(),
            path: Vec::new(),
        })
    }

    /// Puts an object that belongs to the request now being served into every prepared dict.
    pub fn prepare(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.prepared.iter().try_for_each(|(_, dict)| dict.bind(py).set_item(key, value))
    }

    /// The environ of a request, but for `wsgi.input`.
    ///
    /// Errors: the path does not lie under `SCRIPT_NAME`.
    pub fn build<'py>(
        &mut self,
        py: Python<'py>,
        exchange: &Exchange,
    ) -> Result<Bound<'py, PyDict>, Refusal> {
        let head = exchange.head();
        let (bytes, request) = (&exchange.request.bytes, &exchange.request);
        let given = head.script_name.map(|span| span.of(bytes));
        let mount = given.unwrap_or(&self.script_name);
        let path = script_name::path_info(mount, request.part(head.path))?;

        if let Some(address) = exchange.peer().and_then(|peer| self.peers.changed_address(py, peer)) {
            self.set_address(&address);
        }
        let (listener, prepared) = &self.prepared[exchange.listener()];
        let environ = prepared.bind(py).copy().expect("no memory for an environ");
        let set = |key: &Bound<'py, PyString>, value: &Bound<'py, PyString>| {
            ffi::set(&environ, key, value.as_any())
        };

        let raw_uri = ffi::text(py, exchange.target());
        let path_info = if path.len() == exchange.target().len() && !path.contains(&b'%') {
            raw_uri.clone()
        } else {
            self.path.clear();
            target::decode(path, &mut self.path);
            ffi::text(py, &self.path)
        };
        set(intern!(py, "RAW_URI"), &raw_uri);
        set(intern!(py, "PATH_INFO"), &path_info);
        if exchange.method() != b"GET" {
            set(intern!(py, "REQUEST_METHOD"), &method(py, exchange.method()));
        }
        if !head.query.is_empty() {
            set(intern!(py, "QUERY_STRING"), &ffi::text(py, request.part(head.query)));
        }
        if head.version != Version::HTTP_11 {
            let Version { major, minor } = head.version;
            set(intern!(py, "SERVER_PROTOCOL"), &PyString::new(py, &format!("HTTP/{major}.{minor}")));
        }
        if head.scheme == Scheme::Https {
            set(intern!(py, "wsgi.url_scheme"), intern!(py, "https"));
        }
        if given.is_some() {
            set(intern!(py, "SCRIPT_NAME"), &ffi::text(py, mount));
        }
        if let Some(peer) = exchange.peer() {
            set(intern!(py, "REMOTE_PORT"), &PeerNames::port(py, peer));
        }
        // An empty Host names nobody, and PEP 3333 wants a SERVER_NAME.
        if let (ListenerName::Unix(_), Some(host)) = (listener, head.host)
            && !request.part(host).is_empty()
        {
            let (name, port) = split_host(request.part(host), head.scheme);
            set(intern!(py, "SERVER_NAME"), &ffi::text(py, name));
            set(intern!(py, "SERVER_PORT"), &ffi::text(py, port));
        }
        self.names.next_request();
        for field in &head.fields {
            let put = self.names.put(&environ, field.name.of(bytes), field.value.of(bytes));
            put.expect("joining two strings cannot fail");
        }
        Ok(environ)
    }
}

impl Environs {
    /// Puts `REMOTE_ADDR` into the prepared dicts of the listeners whose clients have one.
    fn set_address(&self, address: &Bound<'_, PyString>) {
        let py = address.py();
        for (_, prepared) in self.prepared.iter().filter(|(name, _)| matches!(name, ListenerName::Inet(..))) {
            ffi::set(prepared.bind(py), intern!(py, "REMOTE_ADDR"), address.as_any());
        }
    }
}

fn prepared<'py>(
    py: Python<'py>,
    facts: &ServerFacts,
    listener: &ListenerName,
) -> PyResult<Bound<'py, PyDict>> {
    let environ = PyDict::new(py);
    environ.set_item("wsgi.version", (1, 0))?;
    environ.set_item("wsgi.url_scheme", "http")?;
    environ.set_item("wsgi.input", &facts.no_input)?;
    environ.set_item("wsgi.input_terminated", true)?;
    environ.set_item("wsgi.errors", &facts.errors)?;
    environ.set_item("wsgi.multithread", facts.multithread)?;
    environ.set_item("wsgi.multiprocess", facts.multiprocess)?;
    environ.set_item("wsgi.run_once", false)?;
    environ.set_item("wsgi.file_wrapper", &facts.file_wrapper)?;
    environ.set_item("SERVER_SOFTWARE", &facts.software)?;
    environ.set_item("REQUEST_METHOD", "GET")?;
    environ.set_item("QUERY_STRING", "")?;
    environ.set_item("SERVER_PROTOCOL", "HTTP/1.1")?;
    environ.set_item("SCRIPT_NAME", &facts.script_name)?;
    // Every request sets these. That they stand here makes the dict large enough for them and the usual headers: a copy
    // that has to grow costs more than all that is put into it.
    environ.set_item("RAW_URI", "")?;
    environ.set_item("PATH_INFO", "")?;
    match listener {
        ListenerName::Inet(host, port) => {
            environ.set_item("REMOTE_ADDR", "")?;
            environ.set_item("REMOTE_PORT", "")?;
            environ.set_item("SERVER_NAME", host)?;
            environ.set_item("SERVER_PORT", port.to_string())?;
        }
        ListenerName::Unix(path) => {
            environ.set_item("SERVER_NAME", path)?;
            environ.set_item("SERVER_PORT", "")?;
            environ.set_item("REMOTE_ADDR", "")?;
        }
    }
    Ok(environ)
}

/// A method as a string; the usual ones are always the same object.
fn method<'py>(py: Python<'py>, method: &[u8]) -> Bound<'py, PyString> {
    match method {
        b"POST" => intern!(py, "POST").clone(),
        b"HEAD" => intern!(py, "HEAD").clone(),
        b"PUT" => intern!(py, "PUT").clone(),
        b"DELETE" => intern!(py, "DELETE").clone(),
        b"PATCH" => intern!(py, "PATCH").clone(),
        b"OPTIONS" => intern!(py, "OPTIONS").clone(),
        other => ffi::text(py, other),
    }
}

/// `Host` as name and port; the port of the scheme if it names none.
fn split_host(host: &[u8], scheme: Scheme) -> (&[u8], &[u8]) {
    let default = if scheme == Scheme::Https { b"443".as_slice() } else { b"80" };
    let behind_literal = memchr::memrchr(b']', host).map_or(0, |end| end + 1);
    match memchr::memchr(b':', &host[behind_literal..]) {
        Some(colon) if behind_literal + colon + 1 < host.len() => {
            (&host[..behind_literal + colon], &host[behind_literal + colon + 1..])
        }
        Some(colon) => (&host[..behind_literal + colon], default),
        None => (host, default),
    }
}
