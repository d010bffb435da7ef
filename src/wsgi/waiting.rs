//! How a request waits for its client: its thread sleeps without the interpreter, or its greenlet in the hub of a host
//! loop, while others run.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use pyo3::prelude::*;

use crate::reactor::ClientWait;
use crate::sys::socket::Readiness;

/// Where requests wait.
pub enum Waiting {
    /// The thread blocks.
    Thread,
    /// This is called with a descriptor, whether it is to become writable, and seconds (`None` = for ever); it gives
    /// false when the time is up.
    Hub(Py<PyAny>),
}

impl Waiting {
    /// Another handle on the same place.
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Thread => Self::Thread,
            Self::Hub(wait) => Self::Hub(wait.clone_ref(py)),
        }
    }

    /// Waits; `false` when the time was up first, or an error of the socket. No lock may be held. A signal ends a wait
    /// early: whoever called looks at the socket again anyway.
    ///
    /// Errors: what a signal handler, or another greenlet, raised in this one.
    pub fn wait(&self, py: Python<'_>, wait: &ClientWait) -> PyResult<io::Result<bool>> {
        match self {
            Self::Thread => match py.detach(|| wait.block()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    py.check_signals()?;
                    Ok(Ok(true))
                }
                waited => Ok(waited),
            },
            Self::Hub(hub) => {
                let writes = matches!(wait.readiness, Readiness::Write);
                let seconds = wait.patience.map(|patience| patience.as_secs_f64());
                let ready = hub.bind(py).call1((wait.as_fd().as_raw_fd(), writes, seconds))?;
                Ok(Ok(ready.is_truthy()?))
            }
        }
    }
}
