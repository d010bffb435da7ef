//! What a request is called in every log: the name that it brings, or a new one.

use crate::reactor::Request;
use crate::sys::random;

/// Characters that are kept of a name.
const MOST: usize = 128;
/// Random bytes at the start of the names that a worker gives.
const RANDOM: usize = 12;

/// The name of one request: up to 128 characters that may stand in any log, header or URL.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    text: [u8; MOST],
    length: usize,
}

impl RequestId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever put into it.
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }

    /// What of `text` may be in a name; `None` if that is nothing.
    pub fn sanitized(text: &[u8]) -> Option<Self> {
        let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(byte);
        let mut id = Self { text: [0; MOST], length: 0 };
        for (place, &byte) in id.text.iter_mut().zip(text.iter().filter(|byte| harmless(byte))) {
            *place = byte;
            id.length += 1;
        }
        (id.length > 0).then_some(id)
    }
}

/// Names requests: by `X-Request-ID`, else by the trace of `traceparent`, else anew.
pub struct RequestIds {
    random: [u8; RANDOM],
    counter: u32,
}

impl RequestIds {
    /// To be made in the worker's own process: names begin with its random number.
    pub fn random() -> Self {
        Self { random: random::bytes(), counter: 0 }
    }

    /// The name of `request`.
    pub fn of(&mut self, request: &Request) -> RequestId {
        let given = request.field(b"x-request-id").and_then(RequestId::sanitized);
        let traced = || trace_id(request.field(b"traceparent")?);
        given.or_else(traced).unwrap_or_else(|| self.next())
    }

    /// A new name: 32 hexadecimal digits.
    fn next(&mut self) -> RequestId {
        self.counter = self.counter.wrapping_add(1);
        if self.counter == 0 {
            self.random = random::bytes();
        }
        let mut bytes = [0; RANDOM + 4];
        bytes[..RANDOM].copy_from_slice(&self.random);
        bytes[RANDOM..].copy_from_slice(&self.counter.to_be_bytes());
        let mut id = RequestId { text: [0; MOST], length: 2 * bytes.len() };
        data_encoding::HEXLOWER.encode_mut(&bytes, &mut id.text[..2 * bytes.len()]);
        id
    }
}

/// The trace id in a `traceparent` field (W3C Trace Context, section 3.2.2); `None` if the field is not valid.
fn trace_id(field: &[u8]) -> Option<RequestId> {
    let mut parts = field.split(|&byte| byte == b'-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let flags = parts.next()?;
    let is_hex = |part: &[u8], length| {
        part.len() == length && part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let valid = is_hex(version, 2)
        && version != b"ff"
        && is_hex(trace, 32)
        && trace.iter().any(|&byte| byte != b'0')
        && is_hex(parent, 16)
        && flags.len() >= 2;
    RequestId::sanitized(trace).filter(|_| valid)
}
