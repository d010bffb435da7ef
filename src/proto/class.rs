//! Byte classes of RFC 9110 and RFC 3986, as one table made at compile time: a bit of `CLASS[byte]` per class.

/// RFC 9110 section 5.6.2: `tchar`.
pub(crate) const TOKEN: u8 = 1;
/// What a field value may hold: HTAB, SP, VCHAR, obs-text (RFC 9110 section 5.5).
pub(crate) const VALUE: u8 = 2;
/// RFC 3986 `reg-name`: unreserved, sub-delims, and `%` of a percent-encoding.
pub(crate) const REG_NAME: u8 = 4;
/// A hexadecimal digit.
pub(crate) const HEX: u8 = 8;
/// RFC 3986 section 3.1: what may follow the first letter of a scheme.
pub(crate) const SCHEME: u8 = 16;

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const DIGIT: &[u8] = b"0123456789";

const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    table = mark(table, TOKEN | REG_NAME | SCHEME, UPPER);
    table = mark(table, TOKEN | REG_NAME | SCHEME, LOWER);
    table = mark(table, TOKEN | REG_NAME | SCHEME | HEX, DIGIT);
    table = mark(table, HEX, b"abcdefABCDEF");
    table = mark(table, TOKEN, b"!#$%&'*+-.^_`|~");
    table = mark(table, REG_NAME, b"-._~!$&'()*+,;=%");
    table = mark(table, SCHEME, b"+-.");
    let mut byte = 0;
    while byte < 256 {
        if byte == 0x09 || (byte >= 0x20 && byte != 0x7f) {
            table[byte] |= VALUE;
        }
        byte += 1;
    }
    table
};

const fn mark(mut table: [u8; 256], class: u8, bytes: &[u8]) -> [u8; 256] {
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] |= class;
        i += 1;
    }
    table
}

/// Whether `byte` is of `class`.
pub(crate) const fn is(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

/// Whether every byte is of `class`. Looks at all of them without a branch: nearly always they are.
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().fold(class, |common, &byte| common & CLASS[byte as usize]) != 0
}

/// Whether `bytes` is a token (RFC 9110 section 5.6.2): at least one `tchar`, nothing else.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// `bytes` without SP and HTAB at both ends (RFC 9110: OWS).
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// `bytes` without SP and HTAB at its start.
pub(crate) fn trim_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(bytes.len());
    &bytes[start..]
}

/// `bytes` without SP and HTAB at its end.
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
    &bytes[..end]
}
