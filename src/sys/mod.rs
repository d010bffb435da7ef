//! System calls. With `wsgi/ffi.rs` the only place of `unsafe`.
