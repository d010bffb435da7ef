//! Decoding of paths. (The forms of targets are tested with whole heads.)

use super::{decode, is_host};

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = b"kept".to_vec();
    decode(path, &mut out);
    out.split_off(4)
}

#[test]
fn percent_encodings() {
    let cases: [(&[u8], &[u8]); 9] = [
        (b"", b""),
        (b"/plain", b"/plain"),
        (b"/%41%7a", b"/Az"),
        (b"%2F%00%ff%FF", b"/\0\xff\xff"),
        (b"%", b"%"),
        (b"%4", b"%4"),
        (b"%zz%4z%z4%41", b"%zz%4z%z4A"),
        (b"%%41", b"%A"),
        (b"%2541", b"%41"),
    ];
    for (path, wanted) in cases {
        assert_eq!(decoded(path), wanted, "{}", path.escape_ascii());
    }
}

#[test]
fn hosts() {
    assert!(is_host(b"[v1.a:b]:1"));
    for host in ["[]", "[a]", "[::1]x", "[::1]:x", "a:b:c", "a[::1]", "a\\b", "a?b", "a#b"] {
        assert!(!is_host(host.as_bytes()), "{host}");
    }
}
