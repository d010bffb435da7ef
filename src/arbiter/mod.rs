//! The arbiter: decides which workers should exist, starts, watches and stops them.
//!
//! `plan` decides, `children`, `backoff` and `tally` remember, `requests` words, `memory`, `oom` and `touch` look, `carry` is
//! what a program leaves to the next one, `run` and `burial` carry out; everything that a user may subclass or patch is
//! asked of Python through `host`. Outside `plan` nothing decides to fork or to kill.

pub mod backoff;
#[cfg(feature = "python")]
mod burial;
pub mod carry;
pub mod children;
#[cfg(feature = "python")]
mod host;
pub mod line;
pub mod memory;
pub mod oom;
pub mod plan;
pub mod requests;
#[cfg(feature = "python")]
mod run;
pub mod tally;
pub mod touch;

#[cfg(feature = "python")]
pub use run::{End, run};
