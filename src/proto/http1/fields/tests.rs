//! What a response may and may not hold.

use crate::proto::class;

use super::{is_field_value, is_status, is_token};

#[test]
fn names() {
    for name in ["A", "x-y_z", "!#$%&'*+-.^_`|~09"] {
        assert!(is_token(name.as_bytes()), "{name}");
    }
    for name in ["", "a b", "a:", "a\r\n", "\u{e9}", "a\"", "a(", "a/b", "a\0"] {
        assert!(!is_token(name.as_bytes()), "{name}");
    }
}

#[test]
fn values() {
    for value in [&b""[..], b" a\tb ", b"\x21\x7e", b"\x80\xff"] {
        assert!(is_field_value(value), "{value:?}");
    }
    for value in [&b"\0"[..], b"a\rb", b"a\nb", b"\r\n", b"\x7f", b"\x1f", b"\x0b"] {
        assert!(!is_field_value(value), "{value:?}");
    }
}

#[test]
fn the_arithmetic_for_values_agrees_with_the_table() {
    for byte in 0..=255 {
        assert_eq!(is_field_value(&[b'a', byte]), class::is(byte, class::VALUE), "{byte:#x}");
    }
}

#[test]
fn statuses() {
    for status in [&b"200 OK"[..], b"200", b"999 X", b"200 ", b"404 N\xe9 \t", b"200  x"] {
        assert!(is_status(status), "{status:?}");
    }
    for status in
        [&b""[..], b"20", b"2000", b"200OK", b"abc", b" 200 OK", b"200\tOK", b"200 O\r\nK", b"200 O\0"]
    {
        assert!(!is_status(status), "{status:?}");
    }
}
