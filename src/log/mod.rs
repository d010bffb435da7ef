//! Logs: the access log, compiled once and formatted natively.
