//! System calls. With `wsgi/ffi.rs` the only place of `unsafe`.

pub mod clock;
pub mod fork;
pub mod mmap;
pub mod pipe;
pub mod signals;
