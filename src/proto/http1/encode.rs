//! Values to the bytes of a response: status line, the server's own fields, the application's, chunks (RFC 9112).

use std::time::{Duration, SystemTime};

/// What the server says of the connection in its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Another request may follow.
    KeepAlive,
    /// This response is the last.
    Close,
    /// The application switches protocols.
    Upgrade,
}

/// A response head, in the order in which Gunicorn sends it.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// Minor version: 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub minor: u8,
    /// Code and reason: `200 OK`.
    pub status: &'a [u8],
    /// The `Server` field's value; no field if it is empty.
    pub server: &'a [u8],
    /// An IMF-fixdate, from [`date`].
    pub date: &'a [u8; 29],
    /// The `Connection` field.
    pub connection: Connection,
    /// Whether the body is sent in chunks.
    pub chunked: bool,
    /// The application's fields, each as [`field`] writes it.
    pub fields: &'a [u8],
}

impl ResponseHead<'_> {
    /// Appends the head, with the empty line that ends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(192 + self.status.len() + self.fields.len());
        out.extend_from_slice(if self.minor == 0 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
        out.extend_from_slice(self.status);
        if self.status.len() == 3 {
            // The space stands even where there is no reason phrase (RFC 9112, section 4).
            out.push(b' ');
        }
        if !self.server.is_empty() {
            out.extend_from_slice(b"\r\nServer: ");
            out.extend_from_slice(self.server);
        }
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(self.date);
        out.extend_from_slice(match self.connection {
            Connection::KeepAlive => b"\r\nConnection: keep-alive\r\n".as_slice(),
            Connection::Close => b"\r\nConnection: close\r\n",
            Connection::Upgrade => b"\r\nConnection: upgrade\r\n",
        });
        if self.chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        out.extend_from_slice(self.fields);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends `name: value` and the line end. Both must have been checked: nothing here refuses.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends a 103 response (RFC 8297); `fields` as [`field`] writes them.
pub fn early_hints(out: &mut Vec<u8>, fields: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n");
    out.extend_from_slice(fields);
    out.extend_from_slice(b"\r\n");
}

/// The whole response with which the server itself refuses a request: Gunicorn's page, with a `Date`
/// (RFC 9110, section 6.6.1).
pub fn error_response(out: &mut Vec<u8>, code: u16, reason: &str, page: &[u8], date: &[u8; 29]) {
    out.extend_from_slice(format!("HTTP/1.1 {code} {reason}\r\nDate: ").as_bytes());
    out.extend_from_slice(date);
    let length = page.len();
    out.extend_from_slice(
        format!("\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n")
            .as_bytes(),
    );
    out.extend_from_slice(page);
}

/// Appends the size line that opens a chunk.
pub fn chunk_size(out: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|digit| DIGITS[(size >> (4 * digit)) & 15]));
    out.extend_from_slice(b"\r\n");
}

/// What follows a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";
/// What follows the last chunk's data.
pub const FINAL_CHUNK_END: &[u8] = b"\r\n0\r\n\r\n";
/// The end of a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The IMF-fixdate (RFC 9110, section 5.6.7) of a moment in seconds since 1970.
pub fn date(seconds: u64) -> [u8; 29] {
    // The format has 29 characters for every year up to 9999; httpdate panics past it, so later moments stay there.
    const YEAR_9999: u64 = 253_402_300_799;
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(YEAR_9999));
    let mut text = [b' '; 29];
    text.copy_from_slice(httpdate::fmt_http_date(moment).as_bytes());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_gunicorns_order() {
        let mut out = Vec::new();
        let head = ResponseHead {
            minor: 1,
            status: b"200 OK",
            server: b"rgunicorn",
            date: &date(784_111_777),
            connection: Connection::KeepAlive,
            chunked: true,
            fields: b"X: y\r\n",
        };
        head.encode(&mut out);
        assert_eq!(
            out,
            b"HTTP/1.1 200 OK\r\nServer: rgunicorn\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
              Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
        );
    }

    #[test]
    fn chunk_sizes_are_uppercase_hexadecimal_without_leading_zeros() {
        for size in [0, 1, 9, 10, 15, 16, 255, 256, 4095, 65536, usize::MAX] {
            let mut out = Vec::new();
            chunk_size(&mut out, size);
            assert_eq!(out, format!("{size:X}\r\n").as_bytes());
        }
    }

    #[test]
    fn dates_past_the_format_stay_at_its_end() {
        assert_eq!(&date(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
