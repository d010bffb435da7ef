//! Why a request did not come to a regular end, by culprit.

use std::io;

use pyo3::PyErr;

use crate::proto::http1::Refusal;

/// The three culprits.
#[derive(Debug)]
pub enum Abort {
    /// The application raised.
    App(PyErr),
    /// The client is gone, or took nothing for too long.
    Client(io::Error),
    /// The request turned out to be bad while the application read its body.
    Request(Refusal),
}

impl From<PyErr> for Abort {
    fn from(error: PyErr) -> Self {
        Self::App(error)
    }
}

impl From<io::Error> for Abort {
    fn from(error: io::Error) -> Self {
        Self::Client(error)
    }
}
