//! Lines of the access log.

use super::access::AccessFormat;
use super::format::{Atom, Part, compile};
use super::{Conclusion, Reason, Record, RequestId, RequestIds};
use crate::proto::http1::{Peer, Rules};
use crate::reactor::Request;

fn request(head: &str) -> Request {
    let mut request = Request::default();
    request.bytes.extend_from_slice(head.as_bytes());
    let Request { bytes, head, .. } = &mut request;
    head.parse(bytes, &Rules::default(), Peer::default()).expect("a good head");
    request
}

fn format(format: &str) -> AccessFormat {
    AccessFormat::new(format).expect("a format without Python's own conversions")
}

const DONE: Conclusion = Conclusion { reason: Reason::Ok, sending: Some(2_000_000) };

/// Calls `use_record` with a record of `request`.
fn with_record<T>(request: Option<&Request>, use_record: impl FnOnce(&Record<'_>) -> T) -> T {
    let id = RequestId::sanitized(b"name").expect("a name");
    use_record(&Record {
        request,
        peer: Some("10.1.2.3:4567".parse().expect("an address")),
        address: None,
        code: 200,
        sent: 13,
        took: 1_234_567_890,
        queue: Some(1_500_000),
        application: Some(1_234_567_890),
        conclusion: Some(DONE),
        id: Some(&id),
        process: 77,
        response_header: &|name| (name == "x-out").then(|| b"set".to_vec()),
        variable: &|name| (name == "wsgi.x").then(|| "v\u{e4}r".to_owned()),
    })
}

fn line(text: &str, request: Option<&Request>) -> String {
    let mut out = Vec::new();
    with_record(request, |record| format(text).write(&mut out, record));
    String::from_utf8(out).expect("a line is UTF-8")
}

#[test]
fn gunicorns_default_format() {
    let request = request("GET /a%20b?q=1 HTTP/1.1\r\nHost: x\r\nUser-Agent: wrk\r\n\r\n");
    let format = r#"%(h)s %(l)s %(u)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;
    let expected = "10.1.2.3 - - \"GET /a%20b?q=1 HTTP/1.1\" 200 13 \"-\" \"wrk\"\n";
    assert_eq!(line(format, Some(&request)), expected);
}

#[test]
fn every_other_atom() {
    let request = request(
        "POST /a%20b?q=1 HTTP/1.0\r\nAuthorization: Basic dXNlcjpwdw==\r\nX-In: one\r\nX-In: two\r\n\r\n",
    );
    let format = "%(m)s %(U)s %(q)s %(H)s %(B)d %(T)s %(M)s %(D)s %(L)s %(p)s %(u)s %({x-in}i)s %({x-out}o)s %({wsgi.x}e)s %(zz)s";
    let expected = "POST /a b q=1 HTTP/1.0 13 1 1234 1234567 1.234567 <77> user two set v\u{e4}r -\n";
    assert_eq!(line(format, Some(&request)), expected);
}

#[test]
fn the_atoms_that_gunicorn_has_not() {
    let format = "%(reason)s %(request_id)s %(queue_time)s %(app_time)s %(send_time)s";
    assert_eq!(line(format, None), "ok name 0.001500 1.234567 0.002000\n");
}

#[test]
fn a_client_can_forge_neither_a_line_nor_a_field() {
    let request = request("GET /%0a%22 HTTP/1.1\r\nHost: x\r\nUser-Agent: a\" 200 \\\" \u{e9}\r\n\r\n");
    let expected = r#""/\x0a\"" "a\" 200 \\\" Ã©""#;
    assert_eq!(line(r#""%(U)s" "%(a)s""#, Some(&request)).trim_end(), expected);
}

#[test]
fn a_user_name_stays_one_field() {
    // `a b"` and a newline
    let request = request("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YSBiIgo6cHc=\r\n\r\n");
    assert_eq!(line("%(u)s", Some(&request)), "a\\x20b\\\"\\x0a\n");
    assert!(line("json", Some(&request)).contains(r#""user":"a b\"\n","#));
}

#[test]
fn a_request_that_was_not_understood_has_a_line_too() {
    assert_eq!(line("%(h)s \"%(r)s\" %(s)s", None), "10.1.2.3 \"-\" 200\n");
    let record = Record::unserved(None, None, 0, Reason::ClientGone, 1);
    let mut out = Vec::new();
    format("[%(h)s] %(s)s %(reason)s %(app_time)s %(send_time)s").write(&mut out, &record);
    assert_eq!(out, b"[] 000 client_gone - -\n");
}

#[test]
fn widths_and_percent_signs() {
    assert_eq!(line("%%|%(s)5s|%(s)-5s|%q|100%", None), "%|  200|200  |%q|100%\n");
    let (_, parts) = compile("%(l)s%(l)s").expect("nothing special");
    assert_eq!(parts, [Part::Value(Atom::Nothing, 0), Part::Value(Atom::Nothing, 0)]);
}

#[test]
fn conversions_that_only_python_knows() {
    for format in ["%(D)09d", "%(s).2s", "%(T)f", "%(s)r", "%(s", "%(D)+d", "%(D)x"] {
        assert!(AccessFormat::new(format).is_none(), "{format}");
    }
}

#[test]
fn json_and_logfmt() {
    let request = request("GET /a%20b?q=%22 HTTP/1.1\r\nHost: x\r\nUser-Agent: a \"b\"\r\n\r\n");
    let json = line("json", Some(&request));
    let after_time = json.split_once("\",").expect("a time").1;
    let expected = concat!(
        r#""remote_addr":"10.1.2.3","user":null,"method":"GET","target":"/a%20b?q=%22","protocol":"HTTP/1.1","#,
        r#""status":200,"bytes":13,"duration":1.234567,"queue_time":0.001500,"app_time":1.234567,"send_time":0.002000,"#,
        r#""reason":"ok","request_id":"name","referer":null,"user_agent":"a \"b\"","pid":77}"#,
        "\n"
    );
    assert_eq!(after_time, expected);
    let logfmt = line("logfmt", Some(&request));
    assert!(logfmt.starts_with("time=2"));
    let expected =
        r#" remote_addr=10.1.2.3 user=- method=GET target="/a%20b?q=%22" protocol=HTTP/1.1 status=200 "#;
    assert!(logfmt.contains(expected), "{logfmt}");
    assert!(logfmt.ends_with(" user_agent=\"a \\\"b\\\"\" pid=77\n"), "{logfmt}");
}

#[test]
fn a_line_can_be_completed_later() {
    let mut format = format("%(s)s %(reason)12s %(m)s %(send_time)s|%(reason)s");
    let draft = with_record(None, |record| format.draft(record));
    let mut out = b"before\n".to_vec();
    format.complete(&mut out, &draft, Conclusion { reason: Reason::ClientGone, sending: Some(7_000) });
    assert_eq!(out, b"before\n200  client_gone - 0.000007|client_gone\n");
}

#[test]
fn names_of_requests() {
    let mut ids = RequestIds::random();
    let mut name = |fields: &str| {
        let request = request(&format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
        ids.of(&request).as_str().to_owned()
    };
    assert_eq!(name("X-Request-ID: a-1_b.2\r\n"), "a-1_b.2");
    assert_eq!(name("X-Request-ID: a\"b c\\\r\n"), "abc");
    assert_eq!(name(&format!("X-Request-ID: {}\r\n", "x".repeat(500))).len(), 128);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(name(&format!("traceparent: 00-{trace}-b7ad6b7169203331-01\r\n")), trace);
    let invalid = [
        format!("ff-{trace}-b7ad6b7169203331-01"),
        format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
        format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
        trace.to_owned(),
    ];
    let mut made: Vec<_> = invalid.iter().map(|field| name(&format!("traceparent: {field}\r\n"))).collect();
    made.push(name("X-Request-ID: \"\"\r\n"));
    assert!(made.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 5, "each is another one");
}
