//! Writes the access log: lines are gathered while the loop is busy and written in one piece, straight into the files
//! of the logger's handlers, before the loop sleeps.

use std::os::fd::{AsFd, OwnedFd};

use pyo3::prelude::*;

use crate::log::access::{AccessFormat, Record};
use crate::sys;

/// The access log of one worker.
pub struct AccessLog {
    format: AccessFormat,
    lines: Vec<u8>,
    /// The files, looked up again when log files may have been reopened.
    outputs: Vec<OwnedFd>,
    time: (u64, String),
}

/// Bytes of lines that are written at once even if the loop is still busy. Not more than a pipe takes whole.
const ENOUGH: usize = 4096;

impl AccessLog {
    /// Lines in `format`, to the handlers of the logger.
    pub fn new(log: &Bound<'_, PyAny>, format: &str) -> PyResult<Self> {
        let format = AccessFormat::new(format);
        Ok(Self { format, lines: Vec::new(), outputs: outputs(log)?, time: (u64::MAX, String::new()) })
    }

    /// Whether lines need the environ.
    pub fn uses_environ(&self) -> bool {
        self.format.uses_environ()
    }

    /// Whether the logger itself writes the lines.
    pub fn is_python(&self) -> bool {
        false
    }

    /// Looks the files up again.
    pub fn reopen(&mut self, log: &Bound<'_, PyAny>) -> PyResult<()> {
        self.write();
        self.outputs = outputs(log)?;
        Ok(())
    }

    /// Adds the line of one request; its time is filled in here.
    pub fn add(&mut self, record: Record<'_>) {
        let second = sys::clock::calendar_seconds();
        if self.time.0 != second {
            self.time = (second, sys::clock::local_time(second));
        }
        self.format.write(&mut self.lines, &Record { time: &self.time.1, ..record });
        if self.lines.len() >= ENOUGH {
            self.write();
        }
    }

    /// Writes the lines that are waiting. A full disk or a closed pipe loses lines, never requests.
    pub fn write(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        for output in &self.outputs {
            let _ = sys::file::write_whole(output.as_fd(), &self.lines);
        }
        self.lines.clear();
    }
}

/// The descriptors of the files behind the handlers of `log.access_log`. A handler whose file is closed, as standard
/// output may have been from the start, gets nothing; it is no reason not to serve.
fn outputs(log: &Bound<'_, PyAny>) -> PyResult<Vec<OwnedFd>> {
    let handlers = log.getattr("access_log")?.getattr("handlers")?;
    let outputs = handlers.try_iter()?.map(|handler| Ok(output(&handler?).ok()));
    outputs.filter_map(Result::transpose).collect()
}

fn output(handler: &Bound<'_, PyAny>) -> PyResult<OwnedFd> {
    let stream = handler.getattr("stream")?;
    stream.call_method0("flush")?;
    let fd: i32 = stream.call_method0("fileno")?.extract()?;
    Ok(sys::file::borrow(fd)?.try_clone_to_owned()?)
}
