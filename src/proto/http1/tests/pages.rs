//! The pages of refusals, byte for byte, and those refusals that no head can cause.

use crate::proto::http1::Refusal;

fn page(reason: &str, text: &str) -> Vec<u8> {
    let page = format!(
        "<html>\n  <head>\n    <title>{reason}</title>\n  </head>\n  <body>\n    <h1><p>{reason}</p></h1>\n    {text}\n  </body>\n</html>\n"
    );
    page.chars().map(|letter| letter as u8).collect()
}

#[test]
fn an_internal_error_says_nothing() {
    let page = Refusal::Internal.page();
    assert_eq!(page.len(), 141);
    assert_eq!(page, self::page("Internal Server Error", ""));
    assert_eq!(Refusal::Internal.status(), 500);
}

#[test]
fn texts_are_escaped_and_in_latin_1() {
    let refusal = Refusal::Header(b"<\"&'\xe9\xa0>"[..].into());
    let text = "Invalid HTTP Header: &#x27;&lt;&quot;&amp;\\&#x27;\u{e9}\\xa0&gt;&#x27;";
    assert_eq!(refusal.page(), page("Bad Request", text));
    assert_eq!(refusal.log_text(), "Invalid HTTP Header: '<\"&\\'\u{e9}\\xa0>'");
}

#[test]
fn every_page() {
    let some = |text: &[u8]| text.into();
    #[rustfmt::skip]
    let cases = [
        (Refusal::RequestLine(some(b"x")), 400, "Bad Request", "Invalid Request Line &#x27;Invalid HTTP request line: &#x27;x&#x27;&#x27;"),
        (Refusal::Method(some(b"x")), 400, "Bad Request", "Invalid Method &#x27;Invalid HTTP method: &#x27;x&#x27;&#x27;"),
        (Refusal::Version(some(b"x")), 400, "Bad Request", "Invalid HTTP Version &#x27;Invalid HTTP Version: &#x27;x&#x27;&#x27;"),
        (Refusal::UnsupportedVersion(2, 0), 400, "Bad Request", "Invalid HTTP Version &#x27;Invalid HTTP Version: (2, 0)&#x27;"),
        (Refusal::Header(some(b"x")), 400, "Bad Request", "Invalid HTTP Header: &#x27;x&#x27;"),
        (Refusal::HeaderName(some(b"x")), 400, "Bad Request", "Invalid HTTP header name: &#x27;x&#x27;"),
        (Refusal::ObsoleteFolding(some(b"x")), 400, "Bad Request", "Obsolete line folding is unacceptable: &#x27;x&#x27;"),
        (Refusal::HostMissing, 400, "Bad Request", "Missing Host header"),
        (Refusal::SchemeHeaders, 400, "Bad Request", "Contradictory scheme headers"),
        (Refusal::ProxyLine(some(b"x")), 400, "Bad Request", "&#x27;Invalid PROXY line: &#x27;x&#x27;&#x27;"),
        (Refusal::ChunkSize(some(b"\xe9\n")), 400, "Bad Request", "Invalid chunk size: b&#x27;\\xe9\\n&#x27;"),
        (Refusal::ChunkTerminator(some(b"X\r")), 400, "Bad Request", "Invalid chunk terminator is not &#x27;\\r\\n&#x27;: b&#x27;X\\r&#x27;"),
        (Refusal::ChunkExtension("bare CR not allowed"), 400, "Bad Request", "Invalid chunk extension: bare CR not allowed"),
        (Refusal::RequestLineTooLong { size: 4095, limit: 4094 }, 414, "URI Too Long", "Request Line is too large (4095 &gt; 4094)"),
        (Refusal::Expectation(some(b"foo")), 417, "Expectation Failed", "Unable to comply with expectation: &#x27;foo&#x27;"),
        (Refusal::TOO_MANY_FIELDS, 431, "Request Header Fields Too Large", "Error parsing headers: &#x27;limit request headers fields&#x27;"),
        (Refusal::ProxyForbidden("1.2.3.4".into()), 403, "Forbidden", "Request forbidden"),
        (Refusal::TransferCoding(some(b"x")), 501, "Bad Request", "Unsupported transfer coding: &#x27;x&#x27;"),
        (Refusal::outside_script_name(b"/env", b"/foo"), 500, "Bad Request", "Configuration problem: Request path &#x27;/env&#x27; does not start with SCRIPT_NAME &#x27;/foo&#x27;"),
        (Refusal::Timeout, 408, "Request Timeout", "Request was not received in time"),
        (Refusal::BodyTooLarge(100), 413, "Content Too Large", "Request Body is too large (&gt; 100)"),
        (Refusal::Overdue, 504, "Gateway Timeout", ""),
    ];
    for (refusal, status, reason, text) in cases {
        assert_eq!((refusal.status(), refusal.reason()), (status, reason));
        assert_eq!(refusal.page(), page(reason, text), "{refusal:?}");
        assert!(
            refusal.log_text().chars().all(|letter| !letter.is_control()),
            "{refusal:?} forges log lines"
        );
    }
}

#[test]
fn a_refusal_is_small() {
    assert!(size_of::<Result<(), Refusal>>() <= 24);
}
