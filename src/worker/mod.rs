//! The drivers: who leads the reactor and who runs the application. Each is entered from the `run()` of its Python
//! worker class and returns when the worker should exit.

mod access;
pub mod embedded;
mod hand;
mod hooks;
mod journal;
mod leave;
mod outputs;
mod service;
mod setup;
pub mod sync;
pub mod threads;
mod watch;
mod watchdog;

pub use hooks::Hooks;
pub use setup::{ListenerSetup, Setup};
pub use watchdog::Host;
