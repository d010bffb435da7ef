//! The arbiter: decides which workers should exist, starts, watches and stops them.
//!
//! `plan` decides, `children` and `backoff` remember, `requests` words, `touch` looks at files, `run` carries out; everything that a user may subclass
//! or patch is asked of Python through `host`. Outside `plan` nothing decides to fork or to kill.

pub mod backoff;
pub mod carry;
pub mod children;
#[cfg(feature = "python")]
mod host;
pub mod line;
pub mod plan;
pub mod requests;
#[cfg(feature = "python")]
mod run;
pub mod touch;

#[cfg(feature = "python")]
pub use run::{End, run};
