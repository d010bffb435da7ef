//! Bytes to values and back. Pure: no sockets, no clock, no Python; bytes that a peer sent never panic here, they are
//! refused.

mod class;
pub mod forwarded;
pub mod http1;
pub mod script_name;
mod span;
pub mod target;

pub use span::Span;
