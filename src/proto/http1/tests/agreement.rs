//! httparse and the line-by-line way read the same fields from the same sections.

use super::random::Random;
use crate::proto::http1::{Rules, lines};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn by_httparse(section: &[u8]) -> Option<Fields> {
    let mut room = [httparse::EMPTY_HEADER; 64];
    let Ok(httparse::Status::Complete((length, fields))) = httparse::parse_headers(section, &mut room) else {
        return None;
    };
    assert_eq!(length, section.len());
    Some(fields.iter().map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec())).collect())
}

fn by_lines(section: &[u8]) -> Option<Fields> {
    let (mut at, mut fields) = (0, Vec::new());
    while section[at..] != *b"\r\n" {
        let raw = lines::field_at(section, at, &Rules::default()).ok()??;
        assert!(!raw.folded);
        fields.push((raw.field.name.of(section).to_vec(), raw.field.value.of(section).to_vec()));
        at = raw.next;
    }
    Some(fields)
}

#[test]
fn both_ways_accept_the_same_sections_and_read_the_same_fields() {
    let pieces: [&[u8]; 22] = [
        b"a",
        b"Host",
        b"-",
        b"_",
        b":",
        b": ",
        b":",
        b" ",
        b"\t",
        b"\r\n",
        b"\r\n",
        b"\r",
        b"x y",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"\0",
        b"\x1f",
        b"(",
        b"abcdefghijklmnopqrstuvwxyz0123456789",
        b"\r\nB: c\r\n",
        b"~",
    ];
    let mut random = Random::new(7);
    let mut accepted = 0;
    for _ in 0..200_000 {
        let mut section = Vec::new();
        for _ in 0..random.below(12) {
            section.extend_from_slice(pieces[random.below(pieces.len())]);
        }
        while section.starts_with(b"\r\n") {
            section.drain(..2);
        }
        section.extend_from_slice(if section.is_empty() { b"\r\n" } else { b"\r\n\r\n" });
        if let Some(end) = memchr::memmem::find(&section, b"\r\n\r\n") {
            section.truncate(end + 4);
        }
        let fields = by_httparse(&section);
        assert_eq!(fields, by_lines(&section), "for {:?}", section.escape_ascii().to_string());
        accepted += usize::from(fields.is_some());
    }
    assert!(accepted > 1000, "only {accepted} sections were worth comparing");
}

#[test]
fn every_byte_in_a_name_and_in_a_value() {
    for byte in (0..=255).filter(|byte| *byte != b'\n') {
        // At several places, because httparse looks at 8, 16 or 32 bytes at once.
        for before in [0, 1, 7, 8, 15, 16, 31, 32, 40] {
            for after in [0, 1, 40] {
                let (front, back) = ("a".repeat(before).into_bytes(), "b".repeat(after).into_bytes());
                let name = [&front[..], &[byte], &back, b": c\r\n\r\n"].concat();
                let value = [b"N:", &front[..], &[byte], &back, b"\r\n\r\n"].concat();
                for section in [name, value] {
                    let shown = section.escape_ascii().to_string();
                    assert_eq!(by_httparse(&section), by_lines(&section), "for {shown}");
                }
            }
        }
    }
}
