//! Addresses, listeners and streams, and the way of a stream from one worker to another.

mod handoff;
mod listener;
mod moved;
mod stream;

pub use handoff::{Handoff, Passed};
pub use listener::{Address, Listener, accepted_by};
pub use moved::{Moved, Past};
pub use stream::Stream;
