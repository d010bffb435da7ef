//! Logs: the access log, compiled once and formatted natively. The error log is Python's: see `rgunicorn.glogging`.

pub mod access;
mod format;

#[cfg(test)]
mod tests;
