//! How the body of a request is delimited (RFC 9112 section 6).

/// What follows a request head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Nothing: neither `Content-Length` nor `Transfer-Encoding` was there.
    #[default]
    None,
    /// That many bytes, as `Content-Length` said.
    Length(u64),
    /// Chunks, up to the last one and its trailers.
    Chunked,
}

/// The value of a `Content-Length` field (RFC 9110 section 8.6): digits only, leading zeros allowed. `None` when it is
/// anything else, a list included. A number that does not fit into 64 bits counts as the largest that does: whatever
/// limit there is, it is past it.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |length, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        Some(length.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}
