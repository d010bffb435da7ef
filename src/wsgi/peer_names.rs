//! Addresses as environ values.

use std::net::{IpAddr, SocketAddr};

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::ffi;

/// `REMOTE_ADDR`: made when it changes. Behind a proxy it never does.
#[derive(Default)]
pub struct PeerNames {
    last: Option<IpAddr>,
}

impl PeerNames {
    /// `REMOTE_ADDR` of a client, if it is another one than the last time.
    pub fn changed_address<'py>(
        &mut self,
        py: Python<'py>,
        peer: SocketAddr,
    ) -> Option<Bound<'py, PyString>> {
        if self.last == Some(peer.ip()) {
            return None;
        }
        self.last = Some(peer.ip());
        Some(PyString::new(py, &peer.ip().to_string()))
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
