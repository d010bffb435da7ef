//! `chunk-ext` (RFC 9112 section 7.1.1): checked, because what two readers could end at different places must not pass;
//! then ignored, because no extension is known.

use crate::proto::class::{self, TOKEN};
use crate::proto::http1::Refusal;

const INVALID: Refusal = Refusal::ChunkExtension("invalid chunk extension");

/// Checks `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, from the first `;` to the end of the line.
pub(super) fn check(mut rest: &[u8]) -> Result<(), Refusal> {
    if rest.contains(&b'\r') {
        return Err(Refusal::ChunkExtension("bare CR not allowed"));
    }
    while let Some(one) = rest.strip_prefix(b";") {
        rest = after_one(class::trim_start(one)).ok_or(INVALID)?;
        if class::trim_start(rest).starts_with(b";") {
            rest = class::trim_start(rest);
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(INVALID) }
}

/// What follows `name [ BWS "=" BWS value ]`.
fn after_one(one: &[u8]) -> Option<&[u8]> {
    let rest = after_token(one)?;
    let Some(value) = class::trim_start(rest).strip_prefix(b"=") else { return Some(rest) };
    let value = class::trim_start(value);
    if value.starts_with(b"\"") { after_quoted(value) } else { after_token(value) }
}

fn after_token(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().position(|&byte| !class::is(byte, TOKEN)).unwrap_or(bytes.len());
    (length > 0).then(|| &bytes[length..])
}

/// RFC 9110 section 5.6.4: `DQUOTE *( qdtext / quoted-pair ) DQUOTE`.
fn after_quoted(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(&bytes[at + 1..]),
            b'\\' if class::is(*bytes.get(at + 1)?, class::VALUE) => at += 2,
            byte if byte != b'\\' && class::is(byte, class::VALUE) => at += 1,
            _ => return None,
        }
    }
}
