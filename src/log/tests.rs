//! Lines of the access log.

use super::access::{AccessFormat, Record};
use super::format::{Atom, Part, parse};
use crate::proto::http1::{Peer, Rules};
use crate::reactor::Request;

fn request(head: &str) -> Request {
    let mut request = Request::default();
    request.bytes.extend_from_slice(head.as_bytes());
    let Request { bytes, head, .. } = &mut request;
    head.parse(bytes, &Rules::default(), Peer::default()).expect("a good head");
    request
}

fn line(format: &str, request: Option<&Request>) -> String {
    let mut out = Vec::new();
    let record = Record {
        request,
        peer: Some("10.1.2.3:4567".parse().expect("an address")),
        code: 200,
        sent: 13,
        took: 1_234_567_890,
        time: "[20/Nov/2026:04:38:51 +0000]",
        process: 77,
        response_header: &|name| (name == "x-out").then(|| b"set".to_vec()),
        variable: &|name| (name == "wsgi.x").then(|| b"var".to_vec()),
    };
    AccessFormat::new(format).write(&mut out, &record);
    String::from_utf8(out).expect("a line is UTF-8")
}

#[test]
fn gunicorns_default_format() {
    let request = request("GET /a%20b?q=1 HTTP/1.1\r\nHost: x\r\nUser-Agent: wrk\r\n\r\n");
    let format = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;
    let expected =
        "10.1.2.3 - - [20/Nov/2026:04:38:51 +0000] \"GET /a%20b?q=1 HTTP/1.1\" 200 13 \"-\" \"wrk\"\n";
    assert_eq!(line(format, Some(&request)), expected);
}

#[test]
fn every_other_atom() {
    let request = request(
        "POST /a%20b?q=1 HTTP/1.0\r\nAuthorization: Basic dXNlcjpwdw==\r\nX-In: one\r\nX-In: two\r\n\r\n",
    );
    let format = "%(m)s %(U)s %(q)s %(H)s %(B)d %(T)s %(M)s %(D)s %(L)s %(p)s %(u)s %({x-in}i)s %({x-out}o)s %({wsgi.x}e)s %(zz)s";
    let expected = "POST /a b q=1 HTTP/1.0 13 1 1234 1234567 1.234567 <77> user two set var -\n";
    assert_eq!(line(format, Some(&request)), expected);
}

#[test]
fn a_client_can_forge_neither_a_line_nor_a_field() {
    let request = request("GET /%0a%22 HTTP/1.1\r\nHost: x\r\nUser-Agent: a\" 200 \\\" \u{e9}\r\n\r\n");
    let expected = r#""/\x0a\"" "a\" 200 \\\" Ã©""#;
    assert_eq!(line(r#""%(U)s" "%(a)s""#, Some(&request)).trim_end(), expected);
}

#[test]
fn a_request_that_was_not_understood_has_a_line_too() {
    assert_eq!(line("%(h)s \"%(r)s\" %(s)s", None), "10.1.2.3 \"-\" 200\n");
}

#[test]
fn widths_and_percent_signs() {
    assert_eq!(line("%%|%(s)5s|%(s)-5s|%(D)09q|100%", None), "%|  200|200  |%(D)09q|100%\n");
    assert_eq!(parse("%(l)s%(l)s"), [Part::Value(Atom::Nothing, 0), Part::Value(Atom::Nothing, 0)]);
}
