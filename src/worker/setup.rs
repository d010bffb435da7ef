//! What a driver needs, taken from the Python worker object once, before the first request.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pyo3::prelude::*;

use super::hooks::Hooks;
use crate::net::Listener;
use crate::reactor::ReactorSettings;
use crate::scoreboard::Slot;
use crate::wsgi::{ListenerName, ServerFacts};

/// A listener and what it is called in environs.
pub struct ListenerSetup {
    /// The socket.
    pub listener: Listener,
    /// Its name.
    pub name: ListenerName,
}

/// Everything that a driver is made of.
pub struct Setup {
    /// The Python worker object; its `alive` is looked at after each signal.
    pub worker: Py<PyAny>,
    /// Its logger.
    pub log: Py<PyAny>,
    /// The WSGI application.
    pub application: Py<PyAny>,
    /// Where requests come from.
    pub listeners: Vec<ListenerSetup>,
    /// The worker's place on the scoreboard.
    pub slot: Slot,
    /// Set as soon as the worker was told to leave, even in the middle of a request.
    pub leaving: Arc<AtomicBool>,
    /// Becomes readable when a signal has come.
    pub wakeup: OwnedFd,
    /// Ends with the arbiter.
    pub lifeline: OwnedFd,
    /// Limits and deadlines.
    pub reactor: ReactorSettings,
    /// The constant part of environs.
    pub facts: ServerFacts,
    /// `sendfile`
    pub sendfile: bool,
    /// After so many requests the worker asks for its replacement; `None` = never.
    pub max_requests: Option<u64>,
    /// `timeout` in nanoseconds; 0 = no limit.
    pub timeout: u64,
    /// `request_timeout` in nanoseconds; 0 = no limit.
    pub request_timeout: u64,
    /// `graceful_timeout` in nanoseconds.
    pub graceful_timeout: u64,
    /// `access_log_format`
    pub access_log_format: String,
    /// `notify()` is somebody's own: called at each turn of the loop and before each request, at least
    /// every so many nanoseconds.
    pub notify_every: Option<u64>,
    /// The hooks around requests.
    pub hooks: Arc<Hooks>,
    /// The configuration, which the objects for hooks and loggers refer to.
    pub cfg: Py<PyAny>,
}
