//! Addresses as environ values.

use std::net::{IpAddr, SocketAddr};

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::ffi;

/// `REMOTE_ADDR`, remembered for the address seen last: behind a proxy it is always the same one.
#[derive(Default)]
pub struct PeerNames {
    last: Option<(IpAddr, Py<PyString>)>,
}

impl PeerNames {
    /// `REMOTE_ADDR` of a client.
    pub fn address<'py>(&mut self, py: Python<'py>, peer: SocketAddr) -> Bound<'py, PyString> {
        match &self.last {
            Some((ip, text)) if *ip == peer.ip() => text.bind(py).clone(),
            _ => {
                let text = PyString::new(py, &peer.ip().to_string());
                self.last = Some((peer.ip(), text.clone().unbind()));
                text
            }
        }
    }

    /// `REMOTE_PORT` of a client.
    pub fn port<'py>(py: Python<'py>, peer: SocketAddr) -> Bound<'py, PyString> {
        let mut digits = [0; 5];
        let mut at = digits.len();
        let mut port = peer.port();
        loop {
            at -= 1;
            digits[at] = b'0' + (port % 10) as u8;
            port /= 10;
            if port == 0 {
                return ffi::text(py, &digits[at..]);
            }
        }
    }
}
