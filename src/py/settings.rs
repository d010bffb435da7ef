//! What Python sees of `settings`.

use pyo3::prelude::*;

/// Adds this file's names to the native module.
pub fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
