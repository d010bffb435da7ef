//! What Python sees of `net::Listener`.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::net::{self, Address, SocketFile};
use crate::wsgi::os_error;

/// A listening socket. Made in the arbiter, inherited by the workers.
#[pyclass(frozen, module = "rgunicorn._native")]
pub struct Listener {
    inner: Mutex<Option<net::Listener>>,
    address: Address,
    file: Option<SocketFile>,
}

#[derive(FromPyObject)]
enum Bind {
    Inet(String, u16),
    Unix(PathBuf),
}

impl Listener {
    fn lock(&self) -> MutexGuard<'_, Option<net::Listener>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle on the socket for a worker's loop. Errors: `ValueError` when it is closed.
    pub fn share(&self) -> PyResult<net::Listener> {
        match &*self.lock() {
            Some(listener) => Ok(listener.share()?),
            None => Err(PyValueError::new_err("the listener is closed")),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

#[pymethods]
impl Listener {
    /// Listens on `(host, port)`, or on the path of a Unix socket whose file is made under `umask`. Any number will
    /// do: listen(2) cuts `backlog` to the system's limit, and umask(2) takes the bits that it knows. Raises OSError.
    #[staticmethod]
    fn bind(address: Bind, backlog: u64, umask: u64, reuse_port: bool) -> PyResult<Self> {
        let (backlog, umask) = (i32::try_from(backlog).unwrap_or(i32::MAX), (umask & 0o7777) as u32);
        let listener = match address {
            Bind::Inet(host, port) => {
                resolve(&host, port).and_then(|address| net::Listener::tcp(address, backlog, reuse_port))
            }
            Bind::Unix(path) => net::Listener::unix(&path, backlog, umask),
        };
        let listener = listener.map_err(|error| os_error(&error))?;
        let (address, file) = (listener.address().clone(), listener.file().cloned());
        Ok(Self { inner: Mutex::new(Some(listener)), address, file })
    }

    /// The descriptor; -1 when closed.
    fn fileno(&self) -> i32 {
        self.lock().as_ref().map_or(-1, |listener| listener.as_fd().as_raw_fd())
    }

    /// As `socket.getsockname()` gives it: `(host, port)`, `(host, port, 0, scope)` or a path.
    fn getsockname<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.address {
            Address::Inet(SocketAddr::V4(v4)) => {
                Ok((v4.ip().to_string(), v4.port()).into_pyobject(py)?.into_any())
            }
            Address::Inet(SocketAddr::V6(v6)) => {
                Ok((v6.ip().to_string(), v6.port(), v6.flowinfo(), v6.scope_id())
                    .into_pyobject(py)?
                    .into_any())
            }
            Address::Unix(path) => Ok(path.as_os_str().into_pyobject(py)?.into_any()),
        }
    }

    /// Closes this process's descriptor.
    fn close(&self) {
        drop(self.lock().take());
    }

    /// Removes the file of a Unix socket, unless another socket has taken its place. To be called before `close`.
    fn unlink(&self) -> PyResult<()> {
        match &self.file {
            Some(file) => Ok(file.remove()?),
            None => Ok(()),
        }
    }

    fn __str__(&self) -> String {
        self.address.to_string()
    }
}

/// A literal address, or a name's first IPv4 address; the empty host is every IPv4 address.
fn resolve(host: &str, port: u16) -> std::io::Result<SocketAddr> {
    if host.is_empty() {
        return Ok(SocketAddr::from(([0, 0, 0, 0], port)));
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let found = (host, port).to_socket_addrs()?.find(SocketAddr::is_ipv4);
    found.ok_or_else(|| std::io::Error::other(format!("{host} has no IPv4 address")))
}

/// Adds this file's names to the native module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Listener>()
}
