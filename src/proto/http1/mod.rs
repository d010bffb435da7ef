//! HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112) with Gunicorn's limits and tolerances: `Scan` finds where a request head
//! ends, `Head` takes it apart, `Chunked` decodes a body, `Refusal` is every way to say no.
//!
//! The order of use: bytes are appended to a buffer, `Scan::find` looks for the end of the head in it, `Head::parse`
//! gets exactly these bytes, and `Head::framing` says how the bytes behind them are to be read.

mod admit;
pub mod chunked;
pub mod encode;
mod error;
pub mod fields;
mod framing;
mod head;
mod lines;
mod repr;
mod request_line;
mod rules;
mod scan;

#[cfg(test)]
mod tests;

pub use chunked::{Chunk, Chunked, Step, Trailers};
pub use error::Refusal;
pub use framing::Framing;
pub use head::{Field, Head, Peer, Version};
pub use rules::{ForwarderHeaders, HeaderMap, Limits, Rules, SecureSchemeHeaders};
pub use scan::Scan;
