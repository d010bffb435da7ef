//! Addresses, listeners and streams.

mod listener;
mod stream;

pub use listener::{Address, Listener};
pub use stream::Stream;
