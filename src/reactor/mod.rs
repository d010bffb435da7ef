//! The event loop: owns every socket of a worker process. It accepts, reads, parses, enforces limits and deadlines,
//! hands out complete requests as [`Exchange`]s and sends what is left of responses. No Python, no logs. Any thread may
//! use it: its state is in a lock that is held for moments only, and nobody waits for events while holding it.

mod accept;
mod body;
mod client_wait;
mod connection;
mod crew;
mod date;
mod deadlines;
mod exchange;
mod finish;
mod handoff;
mod leaving;
mod loan;
mod notice;
mod outbound;
#[allow(clippy::module_inception)]
mod reactor;
mod refuse;
mod request;
mod settings;
mod shared;
mod spool;
mod stand_in;
#[cfg(test)]
mod tests;
mod turn;
mod understudy;
mod watch;
mod whole;

pub use body::Body;
pub use client_wait::ClientWait;
pub use connection::End;
pub use crew::{Crew, Turn};
pub use date::DateCache;
pub use deadlines::Wait;
pub use exchange::{BodyError, Exchange};
pub use notice::{Closed, Delivery, Notice, Rest};
pub use outbound::Payload;
pub use reactor::Reactor;
pub use request::Request;
pub use settings::ReactorSettings;
pub use shared::SharedReactor;
pub use spool::SpoolSettings;
pub use understudy::Tick;
