//! The drivers: who leads the reactor and who runs the application. Each is entered from the `run()` of its Python
//! worker class and returns when the worker should exit.

mod access;
mod hooks;
mod journal;
mod outputs;
mod serve;
mod setup;
pub mod sync;

pub use hooks::Hooks;
pub use setup::{ListenerSetup, Setup};
