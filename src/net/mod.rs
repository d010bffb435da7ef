//! Addresses, listeners and streams.

mod listener;
mod stream;

pub use listener::{Address, Listener, SocketFile};
pub use stream::Stream;
