//! The `Date` of responses, formatted once a second.

use crate::proto::http1::encode;
use crate::sys::clock;

/// The current date as text.
#[derive(Debug)]
pub struct DateCache {
    second: u64,
    text: [u8; 29],
}

impl Default for DateCache {
    fn default() -> Self {
        Self { second: 0, text: encode::date(0) }
    }
}

impl DateCache {
    /// The date of now (RFC 9110, section 6.6.1).
    pub fn text(&mut self) -> &[u8; 29] {
        let second = clock::calendar_seconds();
        if second != self.second {
            (self.second, self.text) = (second, encode::date(second));
        }
        &self.text
    }
}
