//! rgunicorn: Gunicorn's behaviour on a Rust core. This file lists the modules; docs/architecture.md says how they
//! fit together and who may name whom.

pub mod arbiter;
pub mod log;
pub mod net;
pub mod proto;
#[cfg(feature = "python")]
mod py;
pub mod reactor;
pub mod scoreboard;
pub mod settings;
pub mod sys;
#[cfg(feature = "python")]
pub mod worker;
#[cfg(feature = "python")]
pub mod wsgi;
