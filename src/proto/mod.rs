//! Bytes to values and back. Pure: no sockets, no clock, no Python.

pub mod http1;
