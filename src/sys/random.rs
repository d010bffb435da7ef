//! Randomness from the kernel.

use super::clock;

/// Random bytes.
pub fn bytes<const COUNT: usize>() -> [u8; COUNT] {
    let mut bytes = [0_u8; COUNT];
    // SAFETY: the buffer is valid for COUNT bytes, which is all that is written.
    let result = unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), COUNT) };
    if result != 0 {
        // A sandbox that forbids the call: nothing secret hangs on these bytes, they must only differ.
        let seed = clock::monotonic() ^ u64::from(std::process::id()) << 40;
        bytes.iter_mut().zip(seed.to_ne_bytes().iter().cycle()).for_each(|(byte, seed)| *byte = *seed);
    }
    bytes
}
