//! What becomes of a process that the application or a hook has forked.

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;

use crate::sys::fork;

/// It came back here instead of ending: it must neither answer in its parent's place nor become a second worker.
/// `error`: what it raised.
pub fn leave_child(py: Python<'_>, error: Option<PyErr>) -> ! {
    let status = match error {
        Some(error) if error.is_instance_of::<PySystemExit>(py) => {
            let code = error.value(py).getattr("code").and_then(|code| code.extract::<Option<i32>>());
            code.map_or(1, Option::unwrap_or_default)
        }
        Some(error) => {
            error.print(py);
            1
        }
        None => 0,
    };
    fork::leave_child(status)
}
