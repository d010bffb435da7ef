//! Logs: the access log, compiled once and formatted natively. The error log is Python's: see `rgunicorn.glogging`.

pub mod access;
mod escape;
mod format;
mod reason;
mod record;
mod request_id;

#[cfg(test)]
mod tests;

pub use reason::Reason;
pub use record::{Conclusion, Record};
pub use request_id::{RequestId, RequestIds};
