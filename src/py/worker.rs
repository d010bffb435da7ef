//! What Python sees of `worker` and `wsgi`: the entry of the sync driver, and the objects in an environ. Takes what
//! the driver needs out of the Python worker object and its configuration.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arbiter::Slot;
use super::values::positional;
use crate::net::{Address, Listener};
use crate::proto::forwarded::TrustedPeers;
use crate::proto::http1::fields::is_field_value;
use crate::proto::http1::{ForwarderHeaders, HeaderMap, Limits, Rules, SecureSchemeHeaders};
use crate::reactor::{ReactorSettings, SpoolSettings};
use crate::sys::file;
use crate::worker::{Hooks, ListenerSetup, Setup, sync};
use crate::wsgi::{ClientSocket, FileWrapper, Input, ListenerName, Responder, ServerFacts};

/// Runs a `SyncWorker` until it should exit. Called in the worker's process, in its main thread.
#[pyfunction]
fn run_sync(worker: &Bound<'_, PyAny>) -> PyResult<()> {
    sync::run(worker.py(), setup(worker)?)
}

fn setup(worker: &Bound<'_, PyAny>) -> PyResult<Setup> {
    let cfg = worker.getattr("cfg")?;
    let log = worker.getattr("log")?;
    let access_log = log.getattr("access_log_enabled")?.is_truthy()?;
    let max_requests: u64 = worker.getattr("max_requests")?.extract()?;
    let slot = worker.getattr("slot")?.cast_into::<Slot>()?;
    let slot = slot.get();
    Ok(Setup {
        listeners: listeners(worker)?,
        slot: slot.inner().clone(),
        leaving: slot.leaving().clone(),
        wakeup: duplicate(&worker.getattr("PIPE")?.get_item(0)?)?,
        lifeline: duplicate(&worker.getattr("lifeline")?)?,
        reactor: reactor_settings(&cfg)?,
        facts: facts(worker, &cfg)?,
        sendfile: setting(&cfg, "sendfile")?,
        // sys.maxsize is how a worker says "never".
        max_requests: Some(max_requests).filter(|&limit| limit < i64::MAX as u64),
        graceful_timeout: seconds(&cfg, "graceful_timeout")?,
        access_log_format: if access_log { Some(access_log_format(&cfg)?) } else { None },
        hooks: Arc::new(hooks(worker, &cfg)?),
        cfg: cfg.unbind(),
        application: worker.getattr("wsgi")?.unbind(),
        log: log.unbind(),
        worker: worker.clone().unbind(),
    })
}

fn hooks(worker: &Bound<'_, PyAny>, cfg: &Bound<'_, PyAny>) -> PyResult<Hooks> {
    let post_request = match hook(cfg, "post_request")? {
        Some(hook) => {
            let parameters = positional(&hook)?;
            Some((hook.unbind(), parameters))
        }
        None => None,
    };
    Ok(Hooks {
        worker: worker.clone().unbind(),
        pre_request: hook(cfg, "pre_request")?.map(Bound::unbind),
        post_request,
    })
}

/// A hook, unless the default is in place.
fn hook<'py>(cfg: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let hook = cfg.getattr(name)?;
    let default = cfg.getattr("settings")?.get_item(name)?.getattr("default")?;
    Ok(Some(hook).filter(|hook| !hook.is(&default) && !hook.is_none()))
}

fn setting<'py, T>(cfg: &Bound<'py, PyAny>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    cfg.getattr(name)?.extract().map_err(Into::into)
}

/// Files write `None` for off.
fn flag(cfg: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    cfg.getattr(name)?.is_truthy()
}

/// Files write `None` for the default.
fn access_log_format(cfg: &Bound<'_, PyAny>) -> PyResult<String> {
    match setting(cfg, "access_log_format")? {
        Some(format) => Ok(format),
        None => cfg.getattr("settings")?.get_item("access_log_format")?.getattr("default")?.extract(),
    }
}

/// A setting in seconds, as nanoseconds.
fn seconds(cfg: &Bound<'_, PyAny>, name: &str) -> PyResult<u64> {
    Ok(setting::<u64>(cfg, name)?.saturating_mul(1_000_000_000))
}

/// The descriptor belongs to Python: a handle of our own outlives whatever happens to it there.
fn duplicate(fd: &Bound<'_, PyAny>) -> PyResult<OwnedFd> {
    Ok(file::borrow(fd.extract()?)?.try_clone_to_owned()?)
}

/// Of the worker's sockets, which are Python's, only the descriptors are used: through handles of our own.
fn listeners(worker: &Bound<'_, PyAny>) -> PyResult<Vec<ListenerSetup>> {
    let setup = |socket: Bound<'_, PyAny>| {
        let listener = Listener::adopt(duplicate(&socket.call_method0("fileno")?)?)?;
        let name = match listener.address() {
            Address::Inet(address) => ListenerName::Inet(address.ip().to_string(), address.port()),
            Address::Unix(path) => ListenerName::Unix(path.to_string_lossy().into_owned()),
        };
        Ok(ListenerSetup { listener, name })
    };
    worker.getattr("sockets")?.try_iter()?.map(|socket| setup(socket?)).collect()
}

fn facts(worker: &Bound<'_, PyAny>, cfg: &Bound<'_, PyAny>) -> PyResult<ServerFacts> {
    let py = worker.py();
    let errors = py.import("rgunicorn.http.wsgi")?.getattr("WSGIErrorsWrapper")?.call1((cfg,))?;
    let script_name = py.import("os")?.getattr("environ")?.call_method1("get", ("SCRIPT_NAME", ""))?;
    Ok(ServerFacts {
        errors: errors.unbind(),
        file_wrapper: py.get_type::<FileWrapper>().into_any().unbind(),
        no_input: Input::empty(py)?.into_any(),
        multithread: false,
        multiprocess: setting::<u64>(cfg, "workers")? > 1,
        software: overridable(py, "SERVER_SOFTWARE")?,
        server: server_field(&overridable(py, "SERVER")?)?,
        script_name: script_name.extract()?,
    })
}

/// The `Server` field as bytes. Errors: it cannot be sent.
fn server_field(server: &str) -> PyResult<Vec<u8>> {
    let bytes = server.chars().map(|letter| u8::try_from(letter).ok()).collect::<Option<Vec<u8>>>();
    bytes
        .filter(|bytes| is_field_value(bytes))
        .ok_or_else(|| PyValueError::new_err(format!("SERVER cannot be sent in a response: {server:?}")))
}

/// One of the names that configurations overwrite, in the package or in `http.wsgi`, which has a copy of it.
fn overridable(py: Python<'_>, name: &str) -> PyResult<String> {
    let used = py.import("rgunicorn.http.wsgi")?;
    let overwritten = used.getattr(name)?.ne(used.getattr("DEFAULTS")?.get_item(name)?)?;
    let module = if overwritten { used } else { py.import("rgunicorn")? };
    module.getattr(name)?.str()?.extract()
}

fn reactor_settings(cfg: &Bound<'_, PyAny>) -> PyResult<ReactorSettings> {
    let trusted: Vec<String> = setting(cfg, "forwarded_allow_ips")?;
    let trusted = TrustedPeers::parse(trusted.iter().map(String::as_str))
        .map_err(|entry| PyValueError::new_err(format!("forwarded_allow_ips: {entry} is not a network")))?;
    let size = |name| setting::<u64>(cfg, name).map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    Ok(ReactorSettings {
        rules: rules(cfg)?,
        trusted,
        keepalive: seconds(cfg, "keepalive")?,
        header_timeout: seconds(cfg, "header_timeout")?,
        body_timeout: seconds(cfg, "body_timeout")?,
        send_timeout: seconds(cfg, "send_timeout")?,
        limit_request_body: setting(cfg, "limit_request_body")?,
        stream_request_body: flag(cfg, "stream_request_body")?,
        worker_connections: size("worker_connections")?.max(1),
        // Alone a worker may take several at once; with siblings it takes one and leaves the next to whoever is idle.
        accept_burst: if setting::<u64>(cfg, "workers")? > 1 { 1 } else { 16 },
        spool: SpoolSettings {
            request_body_memory: size("request_body_memory")?,
            response_memory: size("response_memory")?,
            response_file_limit: setting(cfg, "response_file_limit")?,
            directory: setting::<Option<PathBuf>>(cfg, "tmp_upload_dir")?,
        },
    })
}

fn rules(cfg: &Bound<'_, PyAny>) -> PyResult<Rules> {
    let schemes = cfg.getattr("secure_scheme_headers")?.cast_into::<PyDict>()?;
    let schemes: Vec<(String, String)> = schemes
        .iter()
        .map(|(name, value)| Ok((name.str()?.extract()?, value.str()?.extract()?)))
        .collect::<PyResult<_>>()?;
    let forwarder_headers: Vec<String> = setting(cfg, "forwarder_headers")?;
    let limits = Limits::new(
        setting(cfg, "limit_request_line")?,
        setting(cfg, "limit_request_fields")?,
        setting(cfg, "limit_request_field_size")?,
    );
    let schemes = schemes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Rules {
        limits,
        permit_obsolete_folding: flag(cfg, "permit_obsolete_folding")?,
        strip_header_spaces: flag(cfg, "strip_header_spaces")?,
        permit_unconventional_http_method: flag(cfg, "permit_unconventional_http_method")?,
        permit_unconventional_http_version: flag(cfg, "permit_unconventional_http_version")?,
        casefold_http_method: flag(cfg, "casefold_http_method")?,
        header_map: header_map(&setting::<String>(cfg, "header_map")?),
        forwarder_headers: ForwarderHeaders::new(forwarder_headers.iter().map(String::as_str)),
        secure_scheme_headers: SecureSchemeHeaders::new(schemes),
    })
}

/// The configuration has checked the word already.
fn header_map(word: &str) -> HeaderMap {
    match word {
        "refuse" => HeaderMap::Refuse,
        "dangerous" => HeaderMap::Dangerous,
        _ => HeaderMap::Drop,
    }
}

/// Adds this file's names to the native module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Responder>()?;
    module.add_class::<ClientSocket>()?;
    module.add_class::<FileWrapper>()?;
    module.add_class::<Input>()?;
    module.add_function(wrap_pyfunction!(run_sync, module)?)
}
