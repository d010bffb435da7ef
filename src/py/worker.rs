//! What Python sees of `worker` and `wsgi`: the entry of the sync driver, and the objects in an environ. Takes what
//! the driver needs out of the Python worker object and its configuration.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arbiter::Slot;
use super::values::positional;
use crate::net::{Address, Listener};
use crate::proto::forwarded::TrustedPeers;
use crate::proto::http1::{ForwarderHeaders, HeaderMap, Limits, Rules, SecureSchemeHeaders};
use crate::reactor::{ReactorSettings, SpoolSettings};
use crate::sys::file;
use crate::worker::{Hooks, ListenerSetup, Setup, sync, threads};
use crate::wsgi::{ClientSocket, Deadline, FileWrapper, Input, ListenerName, Responder, ServerFacts};

/// Runs a `SyncWorker` until it should exit. Called in the worker's process, in its main thread.
#[pyfunction]
fn run_sync(worker: &Bound<'_, PyAny>) -> PyResult<()> {
    sync::run(worker.py(), setup(worker, false)?)
}

/// The threads of a `ThreadWorker`. To be made in the worker's process.
#[pyclass(frozen, module = "rgunicorn._native")]
struct Threads {
    inner: threads::Threads,
}

#[pymethods]
impl Threads {
    #[new]
    fn new(worker: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { inner: threads::Threads::new(worker.py(), setup(worker, true)?)? })
    }

    /// Serves requests in this thread until `stop`. `index` numbers the threads, from 0 on.
    fn serve(&self, py: Python<'_>, index: usize) -> PyResult<()> {
        self.inner.serve(py, index)
    }

    /// Handles signals in this thread, the main one, until the worker should leave: then its clients are gone, or have had
    /// their time, of which so many seconds are left. Raises what a handler raises.
    fn watch(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.inner.watch(py)?.as_secs_f64())
    }

    /// Lets the threads end, each after the request that it serves.
    fn stop(&self) {
        self.inner.stop();
    }

    /// Logs what is left undone.
    fn close(&self, py: Python<'_>) {
        self.inner.close(py);
    }

    /// How many connections are open.
    fn connections(&self) -> usize {
        self.inner.connections()
    }
}

/// `multithread`: whether the application is called from several threads, or greenlets.
pub(super) fn setup(worker: &Bound<'_, PyAny>, multithread: bool) -> PyResult<Setup> {
    let cfg = worker.getattr("cfg")?;
    let log = worker.getattr("log")?;
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
        facts: facts(worker, &cfg, multithread)?,
        sendfile: setting(&cfg, "sendfile")?,
        // sys.maxsize is how a worker says "never".
        max_requests: Some(max_requests).filter(|&limit| limit < i64::MAX as u64),
        timeout: seconds(&cfg, "timeout")?,
        request_timeout: seconds(&cfg, "request_timeout")?,
        graceful_timeout: seconds(&cfg, "graceful_timeout")?,
        access_log_format: access_log_format(&log, &cfg)?,
        notify_every: notify_every(worker)?,
        hooks: Arc::new(hooks(worker, &cfg)?),
        cfg: cfg.unbind(),
        application: worker.getattr("wsgi")?.unbind(),
        log: log.unbind(),
        worker: worker.clone().unbind(),
    })
}

/// `timeout` of a worker is half of the setting, in seconds; 0 = no limit, then Gunicorn notifies every half second.
fn notify_every(worker: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if !worker.getattr("notifies")?.is_truthy()? {
        return Ok(None);
    }
    let timeout: f64 = worker.getattr("timeout")?.extract()?;
    let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
    let every = if timeout.is_zero() { Duration::from_millis(500) } else { timeout };
    Ok(Some(u64::try_from(every.as_nanos()).unwrap_or(u64::MAX)))
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

/// The logger's own configuration is an older one if its latest reload has failed. Files write `None` for the default.
fn access_log_format(log: &Bound<'_, PyAny>, cfg: &Bound<'_, PyAny>) -> PyResult<String> {
    let known = log.getattr_opt("cfg")?.map(|known| known.getattr_opt("access_log_format"));
    let format = known.transpose()?.flatten().unwrap_or(cfg.getattr("access_log_format")?);
    match format.extract()? {
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

fn facts(worker: &Bound<'_, PyAny>, cfg: &Bound<'_, PyAny>, multithread: bool) -> PyResult<ServerFacts> {
    let py = worker.py();
    let module = py.import("rgunicorn.http.wsgi")?;
    let errors = module.getattr("WSGIErrorsWrapper")?.call1((cfg,))?;
    let overwritten = |name| module.call_method1("overwritten", (name,))?.extract::<String>();
    let script_name = py.import("os")?.getattr("environ")?.call_method1("get", ("SCRIPT_NAME", ""))?;
    Ok(ServerFacts {
        errors: errors.unbind(),
        file_wrapper: py.get_type::<FileWrapper>().into_any().unbind(),
        no_input: Input::empty(py)?.into_any(),
        multithread,
        multiprocess: setting::<u64>(cfg, "workers")? > 1,
        software: overwritten("SERVER_SOFTWARE")?,
        server: overwritten("SERVER")?.chars().map(|letter| letter as u8).collect(),
        script_name: script_name.extract()?,
    })
}

fn reactor_settings(cfg: &Bound<'_, PyAny>) -> PyResult<ReactorSettings> {
    let size = |name| setting::<u64>(cfg, name).map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    Ok(ReactorSettings {
        rules: rules(cfg)?,
        trusted: trusted_peers(cfg)?,
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

/// The peers whose headers about the connection are believed.
pub(super) fn trusted_peers(cfg: &Bound<'_, PyAny>) -> PyResult<TrustedPeers> {
    let trusted: Vec<String> = setting(cfg, "forwarded_allow_ips")?;
    TrustedPeers::parse(trusted.iter().map(String::as_str))
        .map_err(|entry| PyValueError::new_err(format!("forwarded_allow_ips: {entry} is not a network")))
}

/// What the settings allow in a request.
pub(super) fn rules(cfg: &Bound<'_, PyAny>) -> PyResult<Rules> {
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
    module.add_class::<Deadline>()?;
    module.add_class::<Input>()?;
    module.add_class::<Threads>()?;
    module.add_function(wrap_pyfunction!(run_sync, module)?)
}
