//! Every way to refuse a request: the status, the page that the client gets and the words for the log. The wording is
//! Gunicorn's, because monitors and tests match it.

use super::repr;

/// Why a request is refused. The payloads are the peer's bytes; they are shown escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request line is malformed.
    RequestLine(Box<[u8]>),
    /// The method is no method.
    Method(Box<[u8]>),
    /// The version is not `HTTP/d.d`.
    Version(Box<[u8]>),
    /// The version (major, minor) is one that is not served.
    UnsupportedVersion(u8, u8),
    /// A header line or the value of the header with that name is malformed, or it must not be there.
    Header(Box<[u8]>),
    /// HTTP/1.1 without `Host` (RFC 9112 section 3.2).
    HostMissing,
    /// A header name is malformed, or it must not be there.
    HeaderName(Box<[u8]>),
    /// The header with that name goes on in a second line.
    ObsoleteFolding(Box<[u8]>),
    /// Two `secure_scheme_headers` contradict each other.
    SchemeHeaders,
    /// The PROXY line is malformed.
    ProxyLine(Box<[u8]>),
    /// The peer at that address may not send a PROXY header.
    ProxyForbidden(Box<str>),
    /// What should be the size of a chunk.
    ChunkSize(Box<[u8]>),
    /// What should be the CRLF after a chunk.
    ChunkTerminator(Box<[u8]>),
    /// A chunk extension is malformed: what is wrong.
    ChunkExtension(&'static str),
    /// The request line is longer than `limit_request_line`; both in bytes.
    RequestLineTooLong {
        /// What was received.
        size: u32,
        /// What is allowed.
        limit: u32,
    },
    /// `limit_request_fields` or `limit_request_field_size` is exceeded: in what.
    HeadersTooLarge(&'static str),
    /// The value of an `Expect` that is not `100-continue`.
    Expectation(Box<[u8]>),
    /// A `Transfer-Encoding` that is not served.
    TransferCoding(Box<[u8]>),
    /// The proxy in front and our settings disagree: how.
    Configuration(Box<str>),
    /// The request did not come in time.
    Timeout,
    /// The body is longer than `limit_request_body`, in bytes.
    BodyTooLarge(u64),
    /// Something failed on our side; the client learns no more.
    Internal,
    /// The application has had the request for longer than `request_timeout`.
    Overdue,
}

impl Refusal {
    pub(super) const BARE_LF: &'static [u8] = b"bare LF as line terminator";
    pub(super) const TOO_MANY_FIELDS: Refusal = Refusal::HeadersTooLarge("limit request headers fields");
    pub(super) const FIELD_TOO_LARGE: Refusal = Refusal::HeadersTooLarge("limit request headers fields size");
    pub(super) const SECTION_TOO_LARGE: Refusal = Refusal::HeadersTooLarge("max buffer headers");
    pub(super) const TRAILERS_TOO_LARGE: Refusal =
        Refusal::HeadersTooLarge("limit request trailer section size");

    /// `Header` with the name in upper case, as Gunicorn shows it.
    pub(super) fn header(name: &[u8]) -> Refusal {
        Refusal::Header(name.to_ascii_uppercase().into())
    }

    /// `HeaderName` with the name in upper case.
    pub(super) fn header_name(name: &[u8]) -> Refusal {
        Refusal::HeaderName(name.to_ascii_uppercase().into())
    }

    /// A request whose path is not below `SCRIPT_NAME`.
    pub(crate) fn outside_script_name(path: &[u8], script_name: &[u8]) -> Refusal {
        let mut text = String::from("Request path ");
        repr::push_str(&mut text, path);
        text.push_str(" does not start with SCRIPT_NAME ");
        repr::push_str(&mut text, script_name);
        Refusal::Configuration(text.into())
    }

    /// The status code of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::ProxyForbidden(_) => 403,
            Refusal::Timeout => 408,
            Refusal::BodyTooLarge(_) => 413,
            Refusal::RequestLineTooLong { .. } => 414,
            Refusal::Expectation(_) => 417,
            Refusal::HeadersTooLarge(_) => 431,
            Refusal::Configuration(_) | Refusal::Internal => 500,
            Refusal::TransferCoding(_) => 501,
            Refusal::Overdue => 504,
            _ => 400,
        }
    }

    /// The reason phrase of the answer. Gunicorn says "Bad Request" for its own 500 and 501 too.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::ProxyForbidden(_) => "Forbidden",
            Refusal::Timeout => "Request Timeout",
            Refusal::BodyTooLarge(_) => "Content Too Large",
            Refusal::RequestLineTooLong { .. } => "URI Too Long",
            Refusal::Expectation(_) => "Expectation Failed",
            Refusal::HeadersTooLarge(_) => "Request Header Fields Too Large",
            Refusal::Internal => "Internal Server Error",
            Refusal::Overdue => "Gateway Timeout",
            _ => "Bad Request",
        }
    }

    /// What happened, in one line for the log (after `Invalid request from ip=...: `): `str()` of Gunicorn's exception.
    pub fn log_text(&self) -> String {
        match self {
            Refusal::RequestLine(line) => shown("Invalid HTTP request line: ", line),
            Refusal::Method(method) => shown("Invalid HTTP method: ", method),
            Refusal::Version(version) => shown("Invalid HTTP Version: ", version),
            Refusal::UnsupportedVersion(major, minor) => format!("Invalid HTTP Version: ({major}, {minor})"),
            Refusal::Header(header) => shown("Invalid HTTP Header: ", header),
            Refusal::HostMissing => "Missing Host header".into(),
            Refusal::HeaderName(name) => shown("Invalid HTTP header name: ", name),
            Refusal::ObsoleteFolding(name) => shown("Obsolete line folding is unacceptable: ", name),
            Refusal::SchemeHeaders => "Contradictory scheme headers".into(),
            Refusal::ProxyLine(line) => shown("Invalid PROXY line: ", line),
            Refusal::ProxyForbidden(host) => format!("Proxy request from '{host}' not allowed"),
            Refusal::ChunkSize(size) => shown_bytes("Invalid chunk size: ", size),
            Refusal::ChunkTerminator(end) => shown_bytes("Invalid chunk terminator is not '\\r\\n': ", end),
            Refusal::ChunkExtension(fault) => format!("Invalid chunk extension: {fault}"),
            Refusal::RequestLineTooLong { size, limit } => {
                format!("Request Line is too large ({size} > {limit})")
            }
            Refusal::HeadersTooLarge(what) => (*what).into(),
            Refusal::Expectation(value) => shown("Unable to comply with expectation: ", value),
            Refusal::TransferCoding(value) => shown("Unsupported transfer coding: ", value),
            Refusal::Configuration(fault) => format!("Configuration problem: {fault}"),
            Refusal::Timeout => "Request was not received in time".into(),
            Refusal::BodyTooLarge(limit) => format!("Request Body is too large (> {limit})"),
            Refusal::Internal | Refusal::Overdue => String::new(),
        }
    }

    /// What the page says, not yet escaped for HTML.
    pub(super) fn page_text(&self) -> String {
        let text = self.log_text();
        match self {
            Refusal::RequestLine(_) => format!("Invalid Request Line '{text}'"),
            Refusal::Method(_) => format!("Invalid Method '{text}'"),
            Refusal::Version(_) | Refusal::UnsupportedVersion(..) => format!("Invalid HTTP Version '{text}'"),
            Refusal::ProxyLine(_) => format!("'{text}'"),
            Refusal::ProxyForbidden(_) => "Request forbidden".into(),
            Refusal::HeadersTooLarge(_) => format!("Error parsing headers: '{text}'"),
            _ => text,
        }
    }

    /// The body of the answer, `text/html` in latin-1.
    pub fn page(&self) -> Vec<u8> {
        let reason = self.reason();
        let text = repr::html_escape(&self.page_text());
        let page = format!(
            "<html>\n  <head>\n    <title>{reason}</title>\n  </head>\n  <body>\n    <h1><p>{reason}</p></h1>\n    \
             {text}\n  </body>\n</html>\n"
        );
        page.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect()
    }
}

fn shown(what: &str, bytes: &[u8]) -> String {
    let mut text = String::from(what);
    repr::push_str(&mut text, bytes);
    text
}

fn shown_bytes(what: &str, bytes: &[u8]) -> String {
    let mut text = String::from(what);
    repr::push_bytes(&mut text, bytes);
    text
}
