//! Every refusal of a head, with the exact words of its page.

use super::{PROXY, Peer, STRANGER, TLS_PROXY, read, tolerant, wire};
use crate::proto::http1::{HeaderMap, Rules};

/// The head (newlines are CRLF, the empty line at the end is added), the status, and the page's text before escaping.
type Case = (&'static str, u16, &'static str);

fn refuses(cases: &[Case], rules: &Rules, peer: Peer) {
    for (head, status, text) in cases {
        let Err(refusal) = read(&wire(head), rules, peer) else { panic!("{head:?} was accepted") };
        assert_eq!((refusal.status(), refusal.page_text().as_str()), (*status, *text), "for {head:?}");
    }
}

#[test]
fn request_lines() {
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("\n\nGET / HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: '''"),
        ("GET", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET''"),
        ("GET /", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET /''"),
        ("GET  / HTTP/1.1\nHost: h", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET  / HTTP/1.1''"),
        ("GET  HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET  HTTP/1.1''"),
        ("GET /\u{e9} HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET /\u{e9} HTTP/1.1''"),
        ("GET /\x7f HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET /\\x7f HTTP/1.1''"),
        ("GET /\0 HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET /\\x00 HTTP/1.1''"),
        ("GET /\t HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET /\\t HTTP/1.1''"),
        ("GET * HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET * HTTP/1.1''"),
        ("GET foo HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET foo HTTP/1.1''"),
        ("GET foo?http://h HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET foo?http://h HTTP/1.1''"),
        ("GET http:///x HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET http:///x HTTP/1.1''"),
        ("GET http://[::1/x HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET http://[::1/x HTTP/1.1''"),
        ("GET http://h:x/ HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET http://h:x/ HTTP/1.1''"),
        ("GET 1http://h/ HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'GET 1http://h/ HTTP/1.1''"),
        ("CONNECT h HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'CONNECT h HTTP/1.1''"),
        ("CONNECT h: HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'CONNECT h: HTTP/1.1''"),
        ("CONNECT :80 HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'CONNECT :80 HTTP/1.1''"),
        ("CONNECT /x HTTP/1.1", 400, "Invalid Request Line 'Invalid HTTP request line: 'CONNECT /x HTTP/1.1''"),
        ("get / HTTP/1.1", 400, "Invalid Method 'Invalid HTTP method: 'get''"),
        ("GE / HTTP/1.1", 400, "Invalid Method 'Invalid HTTP method: 'GE''"),
        ("GET# / HTTP/1.1", 400, "Invalid Method 'Invalid HTTP method: 'GET#''"),
        ("GE(T / HTTP/1.1", 400, "Invalid Method 'Invalid HTTP method: 'GE(T''"),
        (" / HTTP/1.1", 400, "Invalid Method 'Invalid HTTP method: '''"),
        ("G'T / HTTP/1.1\n: x", 400, "Invalid HTTP Header: ': x'"),
        ("G\"'T / HTTP/1.1", 400, "Invalid Method 'Invalid HTTP method: 'G\"\\'T''"),
        ("G(' / HTTP/1.1", 400, "Invalid Method 'Invalid HTTP method: \"G('\"'"),
        ("ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1", 400, "Invalid Method 'Invalid HTTP method: 'ABCDEFGHIJKLMNOPQRSTU''"),
        ("GET / http/1.1", 400, "Invalid HTTP Version 'Invalid HTTP Version: 'http/1.1''"),
        ("GET / HTTP/1", 400, "Invalid HTTP Version 'Invalid HTTP Version: 'HTTP/1''"),
        ("GET / HTTP/1.11", 400, "Invalid HTTP Version 'Invalid HTTP Version: 'HTTP/1.11''"),
        ("GET / HTTP/1.1 ", 400, "Invalid HTTP Version 'Invalid HTTP Version: 'HTTP/1.1 ''"),
        ("GET / HTTP/1.1\r", 400, "Invalid HTTP Version 'Invalid HTTP Version: 'HTTP/1.1\\r''"),
        ("GET / x HTTP/1.1", 400, "Invalid HTTP Version 'Invalid HTTP Version: 'x HTTP/1.1''"),
        ("GET / ", 400, "Invalid HTTP Version 'Invalid HTTP Version: '''"),
        ("GET / HTTP/2.0", 400, "Invalid HTTP Version 'Invalid HTTP Version: (2, 0)'"),
        ("GET / HTTP/0.9", 400, "Invalid HTTP Version 'Invalid HTTP Version: (0, 9)'"),
    ];
    refuses(cases, &Rules::default(), STRANGER);
}

#[test]
fn no_tolerance_lets_everything_through() {
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("g(t / HTTP/1.1", 400, "Invalid Method 'Invalid HTTP method: 'g(t''"),
        ("GET / HTTP/11", 400, "Invalid HTTP Version 'Invalid HTTP Version: 'HTTP/11''"),
        ("GET / HTTP/1.1\nA b : c", 400, "Invalid HTTP header name: 'A b'"),
        ("GET / HTTP/1.1\n : c", 400, "Invalid HTTP header name: ''"),
        ("GET / HTTP/1.1\n A: c", 400, "Invalid HTTP header name: ' A'"),
        ("GET / HTTP/1.1\nHost: h\nA: b\n \0", 400, "Invalid HTTP Header: 'A'"),
        ("GET / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked,\n chunked", 400, "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
        ("GET / HTTP/1.1\nHost: h\nContent-Length: 1\n 2", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
    ];
    refuses(cases, &tolerant(), STRANGER);
}

#[test]
fn header_lines() {
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("GET / HTTP/1.1\nnonsense", 400, "Invalid HTTP Header: 'nonsense'"),
        ("GET / HTTP/1.1\n: value", 400, "Invalid HTTP Header: ': value'"),
        ("GET / HTTP/1.1\n<a&b>", 400, "Invalid HTTP Header: '<a&b>'"),
        ("GET / HTTP/1.1\nX : y", 400, "Invalid HTTP header name: 'X '"),
        ("GET / HTTP/1.1\nX\t: y", 400, "Invalid HTTP header name: 'X\\t'"),
        ("GET / HTTP/1.1\n X: y", 400, "Invalid HTTP header name: ' X'"),
        ("GET / HTTP/1.1\nX(: y", 400, "Invalid HTTP header name: 'X('"),
        ("GET / HTTP/1.1\nX\u{e9}: y", 400, "Invalid HTTP header name: 'X\u{e9}'"),
        ("GET / HTTP/1.1\nfolded: a\n b", 400, "Obsolete line folding is unacceptable: 'FOLDED'"),
        ("GET / HTTP/1.1\nfolded: a\n\tb", 400, "Obsolete line folding is unacceptable: 'FOLDED'"),
        ("GET / HTTP/1.1\nx-a: \0", 400, "Invalid HTTP Header: 'X-A'"),
        ("GET / HTTP/1.1\nx-a: b\rc", 400, "Invalid HTTP Header: 'X-A'"),
        ("GET / HTTP/1.1\nx-a: b\r", 400, "Invalid HTTP Header: 'X-A'"),
        ("GET / HTTP/1.1\nx-a: b\x7f", 400, "Invalid HTTP Header: 'X-A'"),
        ("GET / HTTP/1.1\nx-a: \x1bb", 400, "Invalid HTTP Header: 'X-A'"),
        ("GET / HTTP/1.1\nHost: h\nExpect: foo", 417, "Unable to comply with expectation: 'foo'"),
        ("GET / HTTP/1.0\nExpect:", 417, "Unable to comply with expectation: ''"),
        ("GET / HTTP/1.1\nHost: h\nContent-Type: a/b\nContent-Type: a/b", 400, "Invalid HTTP Header: 'CONTENT-TYPE'"),
    ];
    refuses(cases, &Rules::default(), STRANGER);
}

#[test]
fn hosts() {
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("GET / HTTP/1.1", 400, "Missing Host header"),
        ("GET / HTTP/1.1\nA: b", 400, "Missing Host header"),
        ("GET / HTTP/1.7\nA: b", 400, "Missing Host header"),
        ("GET http://h/ HTTP/1.1\nA: b", 400, "Missing Host header"),
        ("GET / HTTP/1.1\nHost: h\nHost: h", 400, "Invalid HTTP Header: 'HOST'"),
        ("GET / HTTP/1.0\nhost: h\nHOST: g", 400, "Invalid HTTP Header: 'HOST'"),
        ("GET / HTTP/1.1\nHost: a b", 400, "Invalid HTTP Header: 'HOST'"),
        ("GET / HTTP/1.1\nHost: a/b", 400, "Invalid HTTP Header: 'HOST'"),
        ("GET / HTTP/1.1\nHost: u@h", 400, "Invalid HTTP Header: 'HOST'"),
        ("GET / HTTP/1.1\nHost: h:8x", 400, "Invalid HTTP Header: 'HOST'"),
        ("GET / HTTP/1.1\nHost: ::1", 400, "Invalid HTTP Header: 'HOST'"),
        ("GET / HTTP/1.1\nHost: [::1", 400, "Invalid HTTP Header: 'HOST'"),
        ("GET / HTTP/1.0\nHost: h\u{e9}", 400, "Invalid HTTP Header: 'HOST'"),
    ];
    refuses(cases, &Rules::default(), STRANGER);
}

#[test]
fn body_framing() {
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("POST / HTTP/1.1\nHost: h\nContent-Length:", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: -1", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: +1", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: 1_0", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: 0x1", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: 3, 3", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: \u{b2}", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: 3\nContent-Length: 3", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: 3\nTransfer-Encoding: chunked", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nContent-Length: x", 400, "Invalid HTTP Header: 'CONTENT-LENGTH'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: gzip\nContent-Length: 3", 400, "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: gzip", 400, "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: identity", 400, "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked, gzip", 400, "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked, identity", 400, "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked", 400, "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
        ("POST / HTTP/1.0\nTransfer-Encoding: chunked", 400, "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding:", 501, "Unsupported transfer coding: ''"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked,", 501, "Unsupported transfer coding: 'chunked,'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: br, chunked", 501, "Unsupported transfer coding: 'br, chunked'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked;q=1", 501, "Unsupported transfer coding: 'chunked;q=1'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: \"chunked\"", 501, "Unsupported transfer coding: '\"chunked\"'"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: \u{b}chunked", 400, "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
    ];
    refuses(cases, &Rules::default(), STRANGER);
}

#[test]
fn what_only_proxies_may_say() {
    let contradictory = "GET / HTTP/1.1\nHost: h\nX-Forwarded-Proto: https\nX-Forwarded-Ssl: off";
    let cases = [(contradictory, 400, "Contradictory scheme headers")];
    refuses(&cases, &Rules::default(), PROXY);
    refuses(&cases, &Rules::default(), TLS_PROXY);

    let rules = Rules { header_map: HeaderMap::Refuse, ..Rules::default() };
    let named = "GET / HTTP/1.1\nHost: h\nscript_name: /x";
    refuses(&[(named, 400, "Invalid HTTP header name: 'SCRIPT_NAME'")], &rules, STRANGER);
    let unnamed = "GET / HTTP/1.1\nHost: h\nx_y: z";
    refuses(&[(unnamed, 400, "Invalid HTTP header name: 'X_Y'")], &rules, PROXY);
}

#[test]
fn bare_line_feeds_at_once() {
    use crate::proto::http1::Scan;
    let request_line = "Invalid Request Line 'Invalid HTTP request line: 'bare LF as line terminator''";
    let header = "Invalid HTTP Header: 'bare LF as line terminator'";
    let cases: [(&[u8], &str); 6] = [
        (b"\n", request_line),
        (b"\r\n\n", request_line),
        (b"GET / HTTP/1.1\n", request_line),
        (b"GET / HTTP/1.1\r\n\n", header),
        (b"GET / HTTP/1.1\r\nHost: h\n", header),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\n", header),
    ];
    for (bytes, text) in cases {
        let mut scan = Scan::default();
        assert!(matches!(scan.find(&bytes[..bytes.len() - 1], &Rules::default()), Ok(None)));
        for mut scan in [scan, Scan::default()] {
            let refusal = scan.find(bytes, &Rules::default()).unwrap_err();
            assert_eq!((refusal.status(), refusal.page_text().as_str()), (400, text), "for {bytes:?}");
        }
    }
}

#[test]
fn a_refused_request_is_known_as_far_as_it_was_understood() {
    let rules = Rules::default();
    let mut head = crate::proto::http1::Head::default();
    let mut bytes = wire("POST /path HTTP/1.1\nHost: h\nContent-Length: x");
    head.parse(&mut bytes, &rules, STRANGER).unwrap_err();
    assert_eq!((head.method.of(&bytes), head.target.of(&bytes)), (&b"POST"[..], &b"/path"[..]));
    let mut bytes = wire("nonsense");
    head.parse(&mut bytes, &rules, STRANGER).unwrap_err();
    assert_eq!((head.method.of(&bytes), head.target.of(&bytes)), (&b""[..], &b""[..]));
}
