//! The border: everything that Python can see. Nothing in the crate imports this module.

use pyo3::prelude::*;

mod arbiter;
mod embedded;
mod http;
mod settings;
mod values;
mod worker;

/// The native half of the `rgunicorn` package.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    settings::register(module)?;
    arbiter::register(module)?;
    http::register(module)?;
    worker::register(module)?;
    embedded::register(module)
}
