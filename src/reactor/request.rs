//! One request as far as it has been received: the bytes of its head, where everything lies in them, and its body.

use crate::proto::Span;
use crate::proto::http1::{Head, Trailers};
use crate::reactor::body::{Body, Decoder, Sink};

/// A request. Reused from one to the next, so that the usual one allocates nothing.
#[derive(Debug, Default)]
pub struct Request {
    /// The head; an inline body behind it; nothing else.
    pub bytes: Vec<u8>,
    /// Where everything lies in `bytes`.
    pub head: Head,
    /// The body, once it is complete.
    pub body: Body,
    /// The fields behind the body, once it has been read.
    pub trailers: Trailers,
    /// 1 for the first request of its connection.
    pub number: u32,
    /// The body is still coming.
    pub(super) decoder: Option<Decoder>,
    pub(super) sink: Sink,
}

impl Request {
    /// The bytes of a part of the head.
    pub fn part(&self, span: Span) -> &[u8] {
        span.of(&self.bytes)
    }

    /// The value of the last field of that name, in any case.
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        let mut fields = self.head.fields.iter().rev();
        let field = fields.find(|field| self.part(field.name).eq_ignore_ascii_case(name))?;
        Some(self.part(field.value))
    }

    /// The head alone.
    pub fn copy(&self) -> Self {
        Self { bytes: self.bytes.clone(), head: self.head.clone(), number: self.number, ..Self::default() }
    }

    /// Whether the response may have no body because of the method (RFC 9110, section 9.3.2).
    pub fn is_head(&self) -> bool {
        self.part(self.head.method) == b"HEAD"
    }

    /// The last byte of the body has come.
    pub(super) fn end_body(&mut self) {
        if let Some(decoder) = self.decoder.take() {
            self.trailers = decoder.into_trailers();
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.body = Body::Empty;
        self.decoder = None;
        self.trailers.clear();
        self.sink = Sink::default();
    }
}

/// Room for the head in a fresh request, in bytes: most heads fit at once.
pub const HEAD_ROOM: usize = 16 * 1024;
/// Requests kept for reuse.
const KEPT: usize = 64;

/// Requests that are not in use.
#[derive(Debug, Default)]
pub struct Pool {
    // Boxed because a request moves through several owners: a pointer moves, not its 200 bytes.
    #[allow(clippy::vec_box)]
    free: Vec<Box<Request>>,
}

impl Pool {
    /// An empty request with at least [`HEAD_ROOM`] bytes of room.
    pub fn take(&mut self) -> Box<Request> {
        self.free.pop().unwrap_or_default()
    }

    /// Keeps a request for later, unless it is too large or there are enough.
    pub fn give(&mut self, mut request: Box<Request>) {
        if self.free.len() < KEPT && request.bytes.capacity() <= 4 * HEAD_ROOM {
            request.clear();
            self.free.push(request);
        }
    }
}
