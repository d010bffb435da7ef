//! Addresses, listeners and streams, and the way of a stream from one worker to another.

mod handoff;
mod listener;
mod moved;
mod stream;

pub use handoff::{Contents, Handoff, Parcel, Passed, Taken};
pub use listener::{Address, Listener, accepted_by};
pub use moved::{Layout, Moved, Past};
pub use stream::Stream;
