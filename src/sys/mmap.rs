//! Memory that a process shares with the children it forks: anonymous, zeroed, and made of atomics only, so
//! that any process may read or write any word at any time without a data race.

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A run of shared 64-bit words, aligned to a page and zero at first. Pages that nobody touches cost no
/// memory.
pub struct SharedWords {
    start: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: the mapping is only ever reached as `&[AtomicU64]`, which is `Send + Sync`, and lives until `drop`.
unsafe impl Send for SharedWords {}
// SAFETY: as for `Send`.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Maps `len` words. Fails as mmap(2) does (`ENOMEM`), or with `InvalidInput` for no words or too many.
    pub fn new(len: usize) -> io::Result<Self> {
        let bytes = len.checked_mul(size_of::<AtomicU64>()).and_then(NonZeroUsize::new);
        let bytes = bytes.ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_SHARED)? };
        Ok(Self { start: start.cast(), len })
    }

    /// All the words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is page-aligned and owns `len` words until `drop`; zero is a valid `AtomicU64`, and
        // what other processes do to the words they do through atomics too.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: `new` mapped exactly this range, and no borrow of it outlives `self`. It unmaps this
        // process's view only.
        let _ = unsafe { munmap(self.start.cast(), self.len * size_of::<AtomicU64>()) };
    }
}
