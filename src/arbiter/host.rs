//! The Python side of the arbiter as Rust calls it: the log, the configuration, the worker objects and the
//! hooks. It asks and tells; it decides nothing.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::children::Children;
use super::line::{Arg, Level, Line};
use super::plan::{Lifetime, Limits};
use super::touch::Print;
use crate::log::Reason;
use crate::scoreboard::RequestLine;

/// What an order to reload has come to.
pub enum Reload {
    /// The configuration was read again.
    Done,
    /// It is bad; everything stays as it was.
    Refused,
    /// The application is in the arbiter's own memory: the program has to be executed anew.
    NeedsProgram,
}

/// What this program was left by another one, as text of `carry`.
pub enum Heritage {
    /// It was started by itself.
    Nothing,
    /// It was started by an arbiter that lives.
    Legacy(String),
    /// It was executed in place of the one before.
    Estate(String),
}

/// `rgunicorn.arbiter.Arbiter`.
pub struct Host<'a, 'py> {
    arbiter: &'a Bound<'py, PyAny>,
}

impl<'a, 'py> Host<'a, 'py> {
    /// Speaks to this arbiter.
    pub fn new(arbiter: &'a Bound<'py, PyAny>) -> Self {
        Self { arbiter }
    }

    /// Whoever asks is attached to the interpreter.
    pub fn py(&self) -> Python<'py> {
        self.arbiter.py()
    }

    /// What there is to take over.
    pub fn heritage(&self) -> PyResult<Heritage> {
        let (kind, text): (Option<String>, String) = self.arbiter.call_method0("heritage")?.extract()?;
        Ok(match kind.as_deref() {
            Some("upgrade") => Heritage::Legacy(text),
            Some("renewal") => Heritage::Estate(text),
            _ => Heritage::Nothing,
        })
    }

    /// A worker that the program before has forked.
    pub fn adopt_worker(&self, pid: i32, slot: Py<PyAny>) -> PyResult<()> {
        self.tell("adopt_worker", (pid, slot))
    }

    /// Whether the program that was executed in place of another one has loaded what a reload shall load.
    pub fn renewed(&self) -> PyResult<bool> {
        self.arbiter.getattr("renewed")?.extract()
    }

    /// Whether the workers count their requests on the scoreboard: those of other makers need not.
    pub fn counts_requests(&self) -> PyResult<bool> {
        self.arbiter.getattr("counts_requests")?.extract()
    }

    /// Signals that came while nobody acted on them.
    pub fn held_signals(&self) -> PyResult<Vec<Signal>> {
        let held: Vec<i32> = self.arbiter.call_method0("take_held_signals")?.extract()?;
        Ok(held.into_iter().filter_map(|number| Signal::try_from(number).ok()).collect())
    }

    /// The next arbiter has been started.
    pub fn set_successor(&self, pid: i32) -> PyResult<()> {
        self.arbiter.setattr("reexec_pid", pid)
    }

    /// The next arbiter is gone.
    pub fn forget_successor(&self, pid: i32) -> PyResult<()> {
        self.tell("forget_successor", (pid,))
    }

    /// The arbiter that has started this one is gone.
    pub fn promote(&self) -> PyResult<()> {
        self.tell("promote", ())
    }

    /// Executes the program anew; comes back only by an exception. `passed`: the descriptors that `estate` names;
    /// `waiting`: signals that nobody has acted on.
    pub fn execute(&self, estate: &str, passed: Vec<i32>, waiting: &[Signal]) -> PyResult<()> {
        let waiting: Vec<i32> = waiting.iter().map(|&signal| signal as i32).collect();
        self.tell("execute", (estate, passed, waiting))
    }

    /// The settings that decide about workers, as they are now.
    pub fn limits(&self) -> PyResult<Limits> {
        type Numbers = (usize, u64, u64, bool, usize, u64, u64, u64, u64);
        let given: Numbers = self.arbiter.call_method0("limits")?.extract()?;
        let (workers, timeout, graceful_timeout, daemon, reload_surge, least, jitter, memory, delay) = given;
        let (seconds, wanted) = (Duration::from_secs, |number: &u64| *number > 0);
        let lifetime = |least| Lifetime { least: seconds(least), jitter: seconds(jitter) };
        Ok(Limits {
            workers,
            timeout: Some(timeout).filter(wanted).map(seconds),
            graceful_timeout: seconds(graceful_timeout),
            daemon,
            reload_surge,
            lifetime: Some(least).filter(wanted).map(lifetime),
            memory: Some(memory).filter(wanted),
            shutdown_delay: seconds(delay),
        })
    }

    /// The files of `touch_reload`, as absolute paths.
    pub fn touch_files(&self) -> PyResult<Vec<PathBuf>> {
        self.arbiter.call_method0("touch_files")?.extract()
    }

    /// Those files as the program before this one, in this process, knew them.
    pub fn touch_files_before(&self) -> PyResult<HashMap<PathBuf, Option<Print>>> {
        type Found = HashMap<PathBuf, Option<(u64, u64, Option<(i64, i64)>)>>;
        let found: Found = self.arbiter.call_method0("touch_files_before")?.extract()?;
        let print = |(device, inode, modified)| Print { device, inode, modified };
        Ok(found.into_iter().map(|(path, known)| (path, known.map(print))).collect())
    }

    /// Writes one line to the error log.
    pub fn log(&self, line: &Line) -> PyResult<()> {
        let method = match line.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Critical => "critical",
        };
        let py = self.arbiter.py();
        let text = line.text.into_pyobject(py)?.into_any();
        let mut args = vec![text];
        for arg in &line.args {
            args.push(match arg {
                Arg::Number(number) => number.into_pyobject(py)?.into_any(),
                Arg::Text(text) => text.into_pyobject(py)?.into_any(),
            });
        }
        self.arbiter.getattr("log")?.call_method1(method, PyTuple::new(py, args)?)?;
        Ok(())
    }

    /// Makes the object of a worker that is about to be forked, calls `pre_fork`, and gives it with its age.
    pub fn new_worker(&self, slot: Py<PyAny>, lifeline: i32) -> PyResult<(Bound<'py, PyAny>, u64)> {
        let worker = self.arbiter.call_method1("new_worker", (slot, lifeline))?;
        let age = worker.getattr("age")?.extract()?;
        Ok((worker, age))
    }

    /// The worker has been forked.
    pub fn add_worker(&self, worker: &Bound<'py, PyAny>, pid: i32) -> PyResult<()> {
        self.tell("add_worker", (worker, pid))
    }

    /// The worker is gone; calls `child_exit`.
    pub fn remove_worker(&self, pid: i32) -> PyResult<()> {
        self.tell("remove_worker", (pid,))
    }

    /// Calls the arbiter's method for a signal.
    pub fn handle(&self, signal: Signal) -> PyResult<()> {
        let name = signal.as_str().trim_start_matches("SIG").to_lowercase();
        self.tell(&format!("handle_{name}"), ())
    }

    /// What hooks, threads and those methods have asked for since: the signals that stand for it.
    pub fn orders(&self) -> PyResult<Vec<Signal>> {
        let orders: Vec<i32> = self.arbiter.call_method0("take_orders")?.extract()?;
        Ok(orders.into_iter().filter_map(|number| Signal::try_from(number).ok()).collect())
    }

    /// A byte written to this descriptor wakes the loop.
    pub fn set_waker(&self, waker: BorrowedFd<'_>) -> PyResult<()> {
        self.tell("set_waker", (waker.as_raw_fd(),))
    }

    /// A worker is late and will be sent SIGABRT.
    pub fn abort_worker(&self, pid: i32) -> PyResult<()> {
        self.tell("abort_worker", (pid,))
    }

    /// Writes lines of the access log that a worker had ready when it was killed.
    pub fn write_access_lines(&self, lines: &[u8]) -> PyResult<()> {
        self.tell("write_access_lines", (lines,))
    }

    /// Writes the access-log line of the request that a worker was serving when it ended.
    pub fn log_cut_request(
        &self,
        pid: i32,
        request: &RequestLine,
        took: Duration,
        why: Reason,
    ) -> PyResult<()> {
        let peer = request.peer.map(|peer| peer.ip().to_string());
        let latin = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
        let (method, target, name) = (latin(&request.method), latin(&request.target), latin(&request.name));
        self.tell("log_cut_request", (pid, method, target, peer, name, took.as_secs_f64(), why.word()))
    }

    /// Reads the configuration again, or finds that this process cannot; `can_renew`: another program could take over.
    pub fn reload(&self, can_renew: bool) -> PyResult<Reload> {
        let done: Option<bool> = self.arbiter.call_method1("read_again", (can_renew,))?.extract()?;
        Ok(match done {
            Some(true) => Reload::Done,
            Some(false) => Reload::Refused,
            None => Reload::NeedsProgram,
        })
    }

    /// The first worker of the latest reload has booted.
    pub fn prove_reload(&self) -> PyResult<()> {
        self.tell("prove_reload", ())
    }

    /// The configurations before the latest reload are no longer needed.
    pub fn keep_reload(&self) -> PyResult<()> {
        self.tell("keep_reload", ())
    }

    /// Returns to the latest configuration with which a worker has booted.
    pub fn drop_reload(&self) -> PyResult<()> {
        self.tell("drop_reload", ())
    }

    /// Changes the number of workers that there should be; calls `nworkers_changed`.
    pub fn resize(&self, workers: usize) -> PyResult<()> {
        self.arbiter.setattr("num_workers", workers)
    }

    /// Tells systemd and the metrics what they want to know; gives the time until it is to be called again.
    pub fn tend(&self, workers: &Children) -> PyResult<Option<Duration>> {
        let serving = workers.count(|child| child.stays() && child.booted());
        let starting = workers.count(|child| child.stays() && !child.booted());
        let leaving = workers.count(|child| !child.stays());
        let pause: Option<f64> =
            self.arbiter.call_method1("tend", (serving, starting, leaving))?.extract()?;
        Ok(pause.map(Duration::from_secs_f64))
    }

    /// Reopens the log files.
    pub fn reopen_logs(&self) -> PyResult<()> {
        self.arbiter.getattr("log")?.call_method0("reopen_files")?;
        Ok(())
    }

    /// The service was told to end: tells whoever watches it.
    pub fn announce_end(&self) -> PyResult<()> {
        self.tell("announce_end", ())
    }

    /// Stops listening.
    pub fn close_listeners(&self) -> PyResult<()> {
        self.tell("close_listeners", ())
    }

    /// Something that Python was asked for has raised: logs it, and gives the status to end with, the reason to
    /// log, and whether the workers may finish what they do.
    pub fn failed(&self, error: PyErr) -> (i32, Option<String>, bool) {
        let py = self.arbiter.py();
        let verdict = self.arbiter.call_method1("failed", (error.into_value(py),));
        verdict.and_then(|verdict| verdict.extract()).unwrap_or((UNHANDLED, None, false))
    }

    fn tell(&self, method: &str, args: impl pyo3::call::PyCallArgs<'py>) -> PyResult<()> {
        self.arbiter.call_method1(method, args).map(drop)
    }
}

/// Exit status after an exception that nobody expected.
const UNHANDLED: i32 = 255;
