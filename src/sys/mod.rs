//! System calls. With `wsgi/ffi.rs` the only place of `unsafe`.

pub mod mmap;
pub mod pipe;
