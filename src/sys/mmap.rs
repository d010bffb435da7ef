//! Memory that processes share: zeroed at first, without a name in the file system, and made of atomics only, so that any
//! process may read or write any word at any time without a data race. Children have it by the fork; a program that takes
//! the place of another gets its descriptor.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use super::file;

/// A run of shared 64-bit words, aligned to a page and zero at first. Pages that nobody touches cost no
/// memory.
#[derive(Debug)]
pub struct SharedWords {
    start: NonNull<AtomicU64>,
    len: usize,
    memory: Option<OwnedFd>,
}

// SAFETY: the mapping is only ever reached as `&[AtomicU64]`, which is `Send + Sync`, and lives until `drop`.
unsafe impl Send for SharedWords {}
// SAFETY: as for `Send`.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Maps `len` new words. Fails as mmap(2) does (`ENOMEM`), or with `InvalidInput` for no words or too many.
    pub fn new(len: usize) -> io::Result<Self> {
        // Without a descriptor (too many are open, or `ulimit -f` is smaller) only children can have the memory.
        let memory = file::anonymous("rgunicorn", size(len)?.get() as u64).ok();
        Self::map(memory, len)
    }

    /// Maps words that another program has made: `memory` is its descriptor. Fails as mmap(2) does, or with `InvalidData`
    /// if there are less than `len`.
    pub fn adopt(memory: OwnedFd, len: usize) -> io::Result<Self> {
        let memory = File::from(memory);
        // A page behind the end of the file would be fatal to touch.
        if memory.metadata()?.len() < size(len)?.get() as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Self::map(Some(memory.into()), len)
    }

    fn map(memory: Option<OwnedFd>, len: usize) -> io::Result<Self> {
        let (bytes, flags) = (size(len)?, MapFlags::MAP_SHARED);
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory; the file is never cut.
        let start = unsafe {
            match &memory {
                Some(memory) => mmap(None, bytes, access, flags, memory, 0)?,
                None => mmap_anonymous(None, bytes, access, flags)?,
            }
        };
        Ok(Self { start: start.cast(), len, memory })
    }

    /// The memory, for a program that is to `adopt` it; closed when a program is executed unless somebody says otherwise.
    /// `None`: only children can have it.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.memory.as_ref().map(AsFd::as_fd)
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
        // SAFETY: `map` mapped exactly this range, and no borrow of it outlives `self`. It unmaps this
        // process's view only.
        let _ = unsafe { munmap(self.start.cast(), self.len * size_of::<AtomicU64>()) };
    }
}

fn size(len: usize) -> io::Result<NonZeroUsize> {
    let bytes = len.checked_mul(size_of::<AtomicU64>()).and_then(NonZeroUsize::new);
    bytes.ok_or(io::ErrorKind::InvalidInput.into())
}
