//! Chunked bodies on the wire, each cut at every place.

use super::{Chunk, Chunked, Step};
use crate::proto::http1::tests::{limited, random::Random};
use crate::proto::http1::{HeaderMap, Refusal, Rules};

/// What became of a body: its data and how many bytes it took; none when it is incomplete.
type Outcome = Result<Option<(Vec<u8>, usize)>, Refusal>;

/// Decodes `wire` as it arrives in pieces that end at `cuts`.
fn decode(wire: &[u8], cuts: impl IntoIterator<Item = usize>, rules: &Rules) -> Outcome {
    let (mut chunked, mut body, mut at) = (Chunked::default(), Vec::new(), 0);
    for cut in cuts.into_iter().chain([wire.len()]) {
        loop {
            let Step { consumed, chunk } = chunked.next(&wire[at..cut], rules)?;
            if let Chunk::Data(range) = &chunk {
                assert!(!range.is_empty() && range.end <= consumed);
                body.extend_from_slice(&wire[at..cut][range.clone()]);
            }
            at += consumed;
            match chunk {
                Chunk::Data(_) => {}
                Chunk::End => {
                    assert!(chunked.is_ended());
                    return Ok(Some((body, at)));
                }
                Chunk::Partial => break,
            }
        }
    }
    Ok(None)
}

/// Decodes `wire` whole, bytewise, cut at every place, and with bytes behind it.
fn read(wire: &[u8], rules: &Rules) -> Outcome {
    let whole = decode(wire, [], rules);
    let same = |other: Outcome, how: &str| match (&whole, &other) {
        (Err(whole), Err(other)) => assert_eq!(
            std::mem::discriminant(whole),
            std::mem::discriminant(other),
            "{how}: {}",
            wire.escape_ascii()
        ),
        _ => assert_eq!(whole, other, "{how}: {}", wire.escape_ascii()),
    };
    same(decode(wire, 1..wire.len(), rules), "bytewise");
    for cut in 1..wire.len() {
        same(decode(wire, [cut], rules), "cut");
    }
    if !matches!(whole, Ok(None)) {
        same(decode(&[wire, b"GET / HTTP/1.1\r\n\r\n"].concat(), [], rules), "followed");
    }
    whole
}

fn refusal(wire: &[u8], rules: &Rules) -> String {
    match read(wire, rules) {
        Err(refusal) => refusal.log_text(),
        other => panic!("{}: {other:?}", wire.escape_ascii()),
    }
}

#[test]
fn bodies_that_are_accepted() {
    let long = "5;".to_string() + &"x".repeat(8000) + "\r\nhello\r\n0\r\n\r\n";
    let cases: [(&[u8], &[u8]); 19] = [
        (b"0\r\n\r\n", b""),
        (b"000\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"00000000000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"2\r\n\r\n\r\n1\r\n0\r\n0\r\n\r\n", b"\r\n0"),
        (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789"),
        (b"5;a\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5 ;a=b;c\r\nhello\r\n0;last\r\n\r\n", b"hello"),
        (b"5\t ; a = b ; c = \"d;\\\"e \" ;f\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;a=\"\"\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;a=\"\\\\\"\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;a=\"\xff\t\"\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"0\r\nA: b\r\n\r\n", b""),
        (b"0\r\nA: b\r\nC:\r\nD_E: f\r\n\r\n", b""),
        (b"0\r\nX-Te: b\r\nTE-X: c\r\n\r\n", b""),
        (b"1\r\n\n\r\n0\r\n\r\n", b"\n"),
        (b"1\r\n\r\r\n0\r\n\r\n", b"\r"),
        (b"3\r\nabc\r\n0\r\nA: \xff\r\n\r\n", b"abc"),
        (b"5;12345\r\nhello\r\n0\r\n\r\n", b"hello"),
    ];
    for (wire, body) in cases {
        assert_eq!(read(wire, &Rules::default()), Ok(Some((body.to_vec(), wire.len()))));
    }
    assert_eq!(decode(long.as_bytes(), [], &Rules::default()), Ok(Some((b"hello".to_vec(), long.len()))));
}

#[test]
fn bodies_that_are_incomplete() {
    let wire = b"5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n";
    for length in 0..wire.len() {
        assert_eq!(read(&wire[..length], &Rules::default()), Ok(None));
    }
}

#[test]
fn sizes_that_are_refused() {
    let cases: [(&[u8], &str); 14] = [
        (b"\r\n", "b''"),
        (b";a\r\n", "b''"),
        (b" 5\r\n", "b' 5'"),
        (b"5 \r\n", "b'5 '"),
        (b"+5\r\n", "b'+5'"),
        (b"-5\r\n", "b'-5'"),
        (b"0x5\r\n", "b'0x5'"),
        (b"5_0\r\n", "b'5_0'"),
        (b"g\r\n", "b'g'"),
        (b"5\r;a\r\n", "b'5\\r'"),
        (b"5\n", "b'5\\n'"),
        (b"\n", "b'\\n'"),
        (b"5;a\n", "b'5;a\\n'"),
        (b"10000000000000000\r\n", "b'10000000000000000'"),
    ];
    for (wire, shown) in cases {
        assert_eq!(refusal(wire, &Rules::default()), format!("Invalid chunk size: {shown}"));
    }
    let largest = decode(b"ffffffffffffffff\r\nab", [], &Rules::default());
    assert_eq!(largest, Ok(None));
}

#[test]
fn extensions_that_are_refused() {
    let invalid: [&[u8]; 13] = [
        b"5;\r\n",
        b"5;;a\r\n",
        b"5;a;\r\n",
        b"5;=b\r\n",
        b"5;a=\r\n",
        b"5;a b\r\n",
        b"5;a=\"b\r\n",
        b"5;a=\"b\"c\r\n",
        b"5;a=\"\\\r\n",
        b"5;a=b c\r\n",
        b"5;a=\"\0\"\r\n",
        b"5;a \r\n",
        b"5;\xe9\r\n",
    ];
    for wire in invalid {
        let text = refusal(wire, &Rules::default());
        assert_eq!(text, "Invalid chunk extension: invalid chunk extension", "{}", wire.escape_ascii());
    }
    assert_eq!(refusal(b"5;a\rb\r\n", &Rules::default()), "Invalid chunk extension: bare CR not allowed");
    assert_eq!(refusal(b"5;a\r\r\n", &Rules::default()), "Invalid chunk extension: bare CR not allowed");
}

#[test]
fn chunks_must_end_where_they_say() {
    let cases: [(&[u8], &str); 4] = [
        (b"5\r\nhelloXY", "b'XY'"),
        (b"5\r\nhello\n0", "b'\\n0'"),
        (b"5\r\nhello\r0", "b'\\r0'"),
        (b"4\r\nhello\r\n", "b'o\\r'"),
    ];
    for (wire, shown) in cases {
        assert_eq!(
            refusal(wire, &Rules::default()),
            format!("Invalid chunk terminator is not '\\r\\n': {shown}")
        );
    }
    // One wrong byte would do to refuse, but then the page would tell how the bytes arrived.
    assert_eq!(decode(b"5\r\nhelloX", [], &Rules::default()), Ok(None));
}

#[test]
fn trailers_that_are_refused() {
    let cases: [(&[u8], &str); 11] = [
        (b"0\r\nHost: h\r\n\r\n", "Invalid HTTP header name: 'HOST'"),
        (b"0\r\ncontent-length: 1\r\n\r\n", "Invalid HTTP header name: 'CONTENT-LENGTH'"),
        (b"0\r\nA: b\r\nTransfer-Encoding: x\r\n\r\n", "Invalid HTTP header name: 'TRANSFER-ENCODING'"),
        (b"0\r\nTrailer: x\r\n\r\n", "Invalid HTTP header name: 'TRAILER'"),
        (b"0\r\nAuthorization: x\r\n\r\n", "Invalid HTTP header name: 'AUTHORIZATION'"),
        (b"0\r\nTe: x\r\n\r\n", "Invalid HTTP header name: 'TE'"),
        (b"0\r\nnonsense\r\n\r\n", "Invalid HTTP Header: 'nonsense'"),
        (b"0\r\nA : b\r\n\r\n", "Invalid HTTP header name: 'A '"),
        (b"0\r\nA: b\r\n c\r\n\r\n", "Obsolete line folding is unacceptable: 'A'"),
        (b"0\r\nA: b\n", "Invalid HTTP Header: 'bare LF as line terminator'"),
        (b"0\r\n\n", "Invalid HTTP Header: 'bare LF as line terminator'"),
    ];
    for (wire, text) in cases {
        assert_eq!(refusal(wire, &Rules::default()), text);
    }
    let refuse = Rules { header_map: HeaderMap::Refuse, ..Rules::default() };
    assert_eq!(refusal(b"0\r\na_b: c\r\n\r\n", &refuse), "Invalid HTTP header name: 'A_B'");
    let folding = Rules { permit_obsolete_folding: true, ..Rules::default() };
    assert!(matches!(read(b"0\r\nA: b\r\n c\r\n\r\n", &folding), Ok(Some(_))));
}

#[test]
fn limits() {
    let rules = limited(4094, 2, 20);
    let size = "Invalid chunk size: b'000000000000000000000'";
    assert_eq!(decode(b"000000000000000005\r\n", [], &rules), Ok(None));
    assert_eq!(decode(&[b'0'; 21], [], &rules).unwrap_err().log_text(), size);
    assert_eq!(decode(&[b'0'; 20], [], &rules), Ok(None));
    assert!(read(b"0000000000000000005\r\n", &rules).is_err());

    let many = b"0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n";
    assert_eq!(refusal(many, &rules), "limit request headers fields");
    let long = b"0\r\nA: 4567890123456789\r\n\r\n";
    assert_eq!(refusal(long, &rules), "limit request headers fields size");
    let endless = [&b"0\r\n"[..], &b"A_B: c\r\n".repeat(7)].concat();
    assert_eq!(refusal(&endless, &rules), "limit request trailer section size");
    // Ended by a bare LF too: however it arrives, the limit is what it is refused for.
    assert_eq!(refusal(b"0\r\nA: 45678901234567890123\n", &rules), "limit request headers fields size");
}

#[test]
fn random_bytes() {
    let mut random = Random::new(3);
    let spice: &[u8] = b"\r\n\r\n;=\"\\ :0123afg_A\0\xff";
    for _ in 0..20_000 {
        let mut wire = b"3;a=\"b\"\r\nabc\r\n0\r\nA: b\r\n\r\n".to_vec();
        for _ in 0..random.below(5) {
            let at = random.below(wire.len());
            match random.below(3) {
                0 => wire[at] = spice[random.below(spice.len())],
                1 => wire.insert(at, spice[random.below(spice.len())]),
                _ => drop(wire.remove(at)),
            }
        }
        let _ = read(&wire, &Rules::default());
    }
}
