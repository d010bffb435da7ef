//! The syntax that a response must keep, whoever wrote it: field names, field values, status lines. Nothing that
//! passes these checks can end a line, so an application cannot inject a header.

use crate::proto::class;

#[cfg(test)]
mod tests;

/// Whether `name` is a token (RFC 9110 section 5.6.2), as field names and methods must be.
pub fn is_token(name: &[u8]) -> bool {
    class::is_token(name)
}

/// Whether `value` may be sent as a field value (RFC 9110 section 5.5): SP, HTAB, 0x21-0x7E and 0x80-0xFF only.
pub fn is_field_value(value: &[u8]) -> bool {
    // Arithmetic instead of the table, for which the compiler has vector instructions; a test compares the two.
    !value.iter().fold(false, |bad, &byte| bad | (byte < 0x20) & (byte != b'\t') | (byte == 0x7f))
}

/// `value` without the SP and HTAB around it, which are no part of a field value.
pub fn trim(value: &[u8]) -> &[u8] {
    class::trim(value)
}

/// Whether `status` is what `start_response` may be given: three digits, alone or followed by a space and a reason
/// phrase (RFC 9112 section 4) in latin-1.
pub fn is_status(status: &[u8]) -> bool {
    let Some((code, rest)) = status.split_first_chunk::<3>() else { return false };
    code.iter().all(u8::is_ascii_digit) && (rest.is_empty() || (rest[0] == b' ' && is_field_value(rest)))
}
