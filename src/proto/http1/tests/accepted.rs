//! Heads that are accepted, and what is read from them.

use super::{PROXY, Parsed, Peer, STRANGER, TLS_PROXY, limited, read, tolerant, wire};
use crate::proto::forwarded::Scheme;
use crate::proto::http1::{ForwarderHeaders, Framing, HeaderMap, Rules, SecureSchemeHeaders, Version};
use crate::proto::target::Form;

fn accepts(text: &str, rules: &Rules, peer: Peer) -> Parsed {
    read(&wire(text), rules, peer).unwrap_or_else(|refusal| panic!("{text:?}: {}", refusal.log_text()))
}

fn plainly(text: &str) -> Parsed {
    accepts(text, &Rules::default(), STRANGER)
}

#[test]
fn request_lines() {
    // line, form, path, query, fragment, authority
    let cases = [
        ("GET / HTTP/1.1", Form::Origin, "/", "", "", ""),
        ("GET /a/b;c?d=e?f HTTP/1.1", Form::Origin, "/a/b;c", "d=e?f", "", ""),
        ("GET /a?b#c?d HTTP/1.1", Form::Origin, "/a", "b", "c?d", ""),
        ("GET /a#b?c HTTP/1.1", Form::Origin, "/a", "", "b?c", ""),
        ("GET /? HTTP/1.1", Form::Origin, "/", "", "", ""),
        ("GET //a//b HTTP/1.1", Form::Origin, "//a//b", "", "", ""),
        ("GET /http://x HTTP/1.1", Form::Origin, "/http://x", "", "", ""),
        ("GET /%zz\"<>[]{}|^` HTTP/1.1", Form::Origin, "/%zz\"<>[]{}|^`", "", "", ""),
        ("OPTIONS * HTTP/1.1", Form::Asterisk, "*", "", "", ""),
        ("GET http://h HTTP/1.1", Form::Absolute, "", "", "", "h"),
        ("GET http://h:8/p?q#f HTTP/1.1", Form::Absolute, "/p", "q", "f", "h:8"),
        ("GET http://h?q HTTP/1.1", Form::Absolute, "", "q", "", "h"),
        ("GET ftp+x://u:p@[::1]:8/p HTTP/1.1", Form::Absolute, "/p", "", "", "[::1]:8"),
        ("CONNECT a:80 HTTP/1.1", Form::Authority, "80", "", "", "a:80"),
        ("CONNECT 1.2.3.4:80 HTTP/1.1", Form::Authority, "1.2.3.4:80", "", "", "1.2.3.4:80"),
        ("CONNECT [::1]:80 HTTP/1.1", Form::Authority, "[::1]:80", "", "", "[::1]:80"),
        ("ABCDEFGHIJKLMNOPQRST / HTTP/1.1", Form::Origin, "/", "", "", ""),
        ("M-SEARCH / HTTP/1.1", Form::Origin, "/", "", "", ""),
    ];
    for (line, form, path, query, fragment, authority) in cases {
        for empty_line in ["", "\n"] {
            let Parsed { head, bytes } = plainly(&format!("{empty_line}{line}\nHost: there"));
            let [method, target, version] =
                line.split(' ').collect::<Vec<_>>().try_into().expect("three parts");
            assert_eq!(head.method.of(&bytes), method.as_bytes());
            assert_eq!(head.target.of(&bytes), target.as_bytes());
            assert_eq!((head.version, version), (Version::HTTP_11, "HTTP/1.1"));
            assert_eq!(head.form, form, "for {line}");
            let parts = [head.path, head.query, head.fragment, head.authority];
            assert_eq!(
                parts.map(|part| part.of(&bytes)),
                [path, query, fragment, authority].map(str::as_bytes)
            );
        }
    }
}

#[test]
fn versions() {
    for (version, rules) in [
        ("1.0", Rules::default()),
        ("1.1", Rules::default()),
        ("1.2", Rules::default()),
        ("1.9", Rules::default()),
        ("0.9", tolerant()),
        ("2.0", tolerant()),
        ("3.5", tolerant()),
    ] {
        let parsed = accepts(&format!("GET / HTTP/{version}\nHost: h"), &rules, STRANGER);
        assert_eq!(parsed.head.version.to_string(), format!("HTTP/{version}"));
        let answer = if ["0.9", "1.0"].contains(&version) { Version::HTTP_10 } else { Version::HTTP_11 };
        assert_eq!(parsed.head.version.of_answer(), answer);
    }
}

#[test]
fn unconventional_methods() {
    let parsed = accepts("get#x / HTTP/1.0", &tolerant(), STRANGER);
    assert_eq!(parsed.head.method.of(&parsed.bytes), b"GET#X");
    let as_sent = Rules { casefold_http_method: false, ..tolerant() };
    let parsed = accepts("a / HTTP/1.0", &as_sent, STRANGER);
    assert_eq!(parsed.head.method.of(&parsed.bytes), b"a");
    let parsed = accepts("options * HTTP/1.0", &tolerant(), STRANGER);
    assert_eq!(parsed.head.form, Form::Asterisk);
}

#[test]
fn fields() {
    let cases: [(&str, &[&str]); 7] = [
        ("GET / HTTP/1.0", &[]),
        ("GET / HTTP/1.1\nHost:\nX:\nY:  \t ", &["Host: ", "X: ", "Y: "]),
        ("GET / HTTP/1.1\nhOsT: h:80\nX-A: \t b c\t", &["hOsT: h:80", "X-A: b c"]),
        ("GET / HTTP/1.0\nA: b:c\nA: d", &["A: b:c", "A: d"]),
        ("GET / HTTP/1.0\nA: \u{80}\u{ff}\tb", &["A: \u{80}\u{ff}\tb"]),
        ("GET / HTTP/1.0\n!#$%&'*+-.^`|~9: x", &["!#$%&'*+-.^`|~9: x"]),
        ("GET / HTTP/1.0\nX_Y: dropped\nX-Y: kept", &["X-Y: kept"]),
    ];
    for (head, fields) in cases {
        assert_eq!(plainly(head).fields(), fields, "for {head:?}");
    }
}

#[test]
fn more_fields_than_fit_the_first_attempts() {
    for count in [31, 32, 33, 100, 127, 128, 129, 300] {
        let rules = limited(4094, 1000, 8190);
        let lines: String = (0..count).map(|n| format!("\nX-{n}: {n}")).collect();
        let parsed = accepts(&format!("GET / HTTP/1.0{lines}"), &rules, STRANGER);
        let wanted: Vec<String> = (0..count).map(|n| format!("X-{n}: {n}")).collect();
        assert_eq!(parsed.fields(), wanted);
    }
}

#[test]
fn folded_lines_are_joined_with_one_space() {
    let cases: [(&str, &[&str]); 5] = [
        ("GET / HTTP/1.0\nA: b\n c\n \t d \nE: f", &["A: b c d", "E: f"]),
        ("GET / HTTP/1.0\nA:\n b", &["A: b"]),
        ("GET / HTTP/1.0\nA: b\n ", &["A: b"]),
        ("GET / HTTP/1.0\nA: b\n \n c\nE:f", &["A: b  c", "E: f"]),
        ("GET / HTTP/1.0\nA  : b\nC\t:\n\n", &["A: b", "C: "]),
    ];
    for (head, fields) in cases {
        let text = head.trim_end_matches('\n');
        assert_eq!(accepts(text, &tolerant(), STRANGER).fields(), fields, "for {head:?}");
    }
    let chunked =
        accepts("GET / HTTP/1.1\nHost: h\nTransfer-Encoding: gzip,\n chunked", &tolerant(), STRANGER);
    assert_eq!(chunked.head.framing, Framing::Chunked);
}

#[test]
fn hosts() {
    for host in
        ["", "h", "h:", "h:80", "a.b-c_d~", "%41", "[::1]", "[::1]:80", "[fe80::1%25eth0]", "1.2.3.4:5"]
    {
        let Parsed { head, bytes } = plainly(&format!("GET / HTTP/1.1\nHost: {host}"));
        assert_eq!(head.host.map(|span| span.of(&bytes)), Some(host.as_bytes()));
    }
    assert_eq!(plainly("GET / HTTP/1.0").head.host, None);
}

#[test]
fn an_absolute_target_replaces_the_host() {
    let parsed = plainly("GET http://real:81/p HTTP/1.1\nA: b\nHost: fake\nC: d");
    assert_eq!(parsed.fields(), ["A: b", "Host: real:81", "C: d"]);
    assert_eq!(parsed.head.host.map(|span| span.of(&parsed.bytes)), Some(&b"real:81"[..]));
    let parsed = plainly("GET http://real/p HTTP/1.0");
    assert_eq!(parsed.head.host.map(|span| span.of(&parsed.bytes)), Some(&b"real"[..]));
}

#[test]
fn body_framing() {
    let cases = [
        ("", Framing::None),
        ("\nContent-Length: 0", Framing::Length(0)),
        ("\ncontent-length: 0042", Framing::Length(42)),
        ("\nContent-Length: 18446744073709551615", Framing::Length(u64::MAX)),
        ("\nContent-Length: 99999999999999999999999", Framing::Length(u64::MAX)),
        ("\nTransfer-Encoding: chunked", Framing::Chunked),
        ("\nTransfer-Encoding: \tCHUNKED\t ", Framing::Chunked),
        ("\nTransfer-Encoding: identity , chunked", Framing::Chunked),
        ("\nTransfer-Encoding: gzip\nTransfer-Encoding: chunked", Framing::Chunked),
        ("\nTransfer_Encoding: chunked", Framing::None),
    ];
    for (fields, framing) in cases {
        assert_eq!(plainly(&format!("POST / HTTP/1.1\nHost: h{fields}")).head.framing, framing, "{fields:?}");
    }
}

#[test]
fn connections_that_persist() {
    let cases = [
        ("GET / HTTP/1.1\nHost: h", true),
        ("GET / HTTP/1.2\nHost: h", true),
        ("GET / HTTP/1.1\nHost: h\nConnection: Close", false),
        ("GET / HTTP/1.1\nHost: h\nConnection: foo, close", false),
        ("GET / HTTP/1.1\nHost: h\nConnection: keep-alive\nConnection: close", false),
        ("GET / HTTP/1.1\nHost: h\nConnection: closed", true),
        ("GET / HTTP/1.1\nHost: h\nConnection: upgrade\nUpgrade: websocket", true),
        ("GET / HTTP/1.0", false),
        ("GET / HTTP/1.0\nConnection: Keep-Alive", true),
        ("GET / HTTP/1.0\nConnection: TE,keep-alive , x", true),
        ("GET / HTTP/1.0\nConnection: keep-alive, close", false),
        ("CONNECT a:80 HTTP/1.1\nHost: a", false),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: deflate, chunked", false),
    ];
    for (head, persist) in cases {
        let parsed = plainly(head);
        assert_eq!(parsed.head.persist, persist, "for {head:?}");
        assert_eq!(parsed.head.upgrade, head.contains("Upgrade"));
    }
}

#[test]
fn expectations() {
    for (head, expected) in [
        ("GET / HTTP/1.1\nHost: h\nExpect: 100-Continue", true),
        ("GET / HTTP/1.0\nExpect: 100-continue", false),
        ("GET / HTTP/1.1\nHost: h", false),
    ] {
        assert_eq!(plainly(head).head.expect_continue, expected);
    }
}

#[test]
fn schemes() {
    let rules = Rules::default();
    let tls = Peer { trusted: false, tls: true };
    let head = |fields: &str| format!("GET / HTTP/1.1\nHost: h{fields}");
    for (fields, peer, scheme) in [
        ("", STRANGER, Scheme::Http),
        ("", tls, Scheme::Https),
        ("\nX-Forwarded-Proto: https", STRANGER, Scheme::Http),
        ("\nX-Forwarded-Proto: http", tls, Scheme::Https),
        ("\nX-Forwarded-Proto: https", PROXY, Scheme::Https),
        ("\nx-forwarded-ssl: on\nX-Forwarded-Protocol: ssl", PROXY, Scheme::Https),
        ("\nX-Forwarded-Proto: HTTPS", PROXY, Scheme::Http),
        ("\nX-Forwarded-Proto: http", TLS_PROXY, Scheme::Http),
    ] {
        assert_eq!(accepts(&head(fields), &rules, peer).head.scheme, scheme, "for {fields:?}");
    }
    let own = Rules {
        secure_scheme_headers: SecureSchemeHeaders::new([("X-SAFE", "yes"), ("X-Mixed", "yes")]),
        ..Rules::default()
    };
    assert_eq!(accepts(&head("\nx-safe: yes"), &own, PROXY).head.scheme, Scheme::Https);
    assert_eq!(accepts(&head("\nX-Mixed: yes"), &own, PROXY).head.scheme, Scheme::Http);
    assert_eq!(accepts(&head("\nX-Forwarded-Proto: https"), &own, PROXY).head.scheme, Scheme::Http);
}

#[test]
fn names_with_an_underscore() {
    let text = "GET / HTTP/1.0\nA_B: 1\nScript_Name: /x\nC_D: 2";
    let kept = |rules: &Rules, peer| accepts(text, rules, peer).fields();
    let dangerous = Rules { header_map: HeaderMap::Dangerous, ..Rules::default() };
    let all = Rules { forwarder_headers: ForwarderHeaders::new(["*"]), ..Rules::default() };
    let named = Rules { forwarder_headers: ForwarderHeaders::new(["A_B", "c_d"]), ..Rules::default() };
    assert!(kept(&Rules::default(), STRANGER).is_empty());
    assert_eq!(kept(&Rules::default(), PROXY), ["Script_Name: /x"]);
    assert_eq!(kept(&all, PROXY).len(), 3);
    assert!(kept(&all, STRANGER).is_empty());
    assert_eq!(kept(&named, PROXY), ["A_B: 1"]);
    assert_eq!(kept(&dangerous, STRANGER).len(), 3);

    for (rules, peer, script_name) in [
        (&Rules::default(), PROXY, Some("/x")),
        (&all, PROXY, Some("/x")),
        (&named, PROXY, None),
        (&dangerous, STRANGER, None),
    ] {
        let Parsed { head, bytes } = accepts(text, rules, peer);
        assert_eq!(head.script_name.map(|span| span.of(&bytes)), script_name.map(str::as_bytes));
    }
}

#[test]
fn a_used_head_keeps_nothing_of_the_last_request() {
    let rules = Rules::default();
    let mut parsed = accepts(
        "POST http://h/p?q#f HTTP/1.0\nHost: x\nScript_Name: /s\nX-Forwarded-Proto: https\nUpgrade: x\nContent-Length: 3",
        &rules,
        PROXY,
    );
    let mut bytes = wire("GET / HTTP/1.1\nHost: h");
    parsed.head.parse(&mut bytes, &rules, STRANGER).unwrap();
    let fresh = accepts("GET / HTTP/1.1\nHost: h", &rules, STRANGER);
    assert_eq!(format!("{:?}", parsed.head), format!("{:?}", fresh.head));
}
