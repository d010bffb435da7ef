//! `limit_request_line`, `limit_request_fields`, `limit_request_field_size`, at the limit and one past it.

use super::{Refusal, STRANGER, Scan, limited, read, tolerant, wire};
use crate::proto::http1::Rules;

const TOO_MANY: &str = "Error parsing headers: 'limit request headers fields'";
const TOO_LARGE: &str = "Error parsing headers: 'limit request headers fields size'";

fn outcome(text: &str, rules: &Rules) -> (u16, String) {
    match read(&wire(text), rules, STRANGER) {
        Ok(_) => (200, String::new()),
        Err(refusal) => (refusal.status(), refusal.page_text()),
    }
}

fn line_of(length: usize) -> String {
    format!("GET /{} HTTP/1.0", "a".repeat(length - 14))
}

#[test]
fn request_lines() {
    for (setting, limit) in [(4094, 4094), (20, 20), (8189, 8189), (8190, 8190), (9000, 8190)] {
        let rules = limited(setting, 100, 8190);
        assert_eq!(outcome(&line_of(limit), &rules).0, 200);
        let wanted = format!("Request Line is too large ({} > {limit})", limit + 1);
        assert_eq!(outcome(&line_of(limit + 1), &rules), (414, wanted));
        assert_eq!(outcome(&format!("\n{}", line_of(limit)), &rules).0, 200);
    }
    let unlimited = limited(0, 100, 8190);
    let wire = wire(&line_of(100_000));
    assert_eq!(Scan::default().find(&wire, &unlimited), Ok(Some(wire.len())));
}

#[test]
fn an_endless_request_line_is_refused_at_the_limit() {
    let rules = limited(100, 100, 8190);
    let mut scan = Scan::default();
    assert_eq!(scan.find(&[b'a'; 102], &rules), Ok(None));
    assert_eq!(scan.find(&[b'a'; 103], &rules), Err(Refusal::RequestLineTooLong { size: 103, limit: 100 }));
}

#[test]
fn numbers_of_fields() {
    for (setting, limit) in [(1, 1), (5, 5), (100, 100), (200, 200)] {
        let rules = limited(4094, setting, 8190);
        let head = |count: usize| format!("GET / HTTP/1.0{}", "\nA: b".repeat(count));
        assert_eq!(outcome(&head(limit), &rules).0, 200);
        assert_eq!(outcome(&head(limit + 1), &rules), (431, TOO_MANY.into()));
    }
}

#[test]
fn dropped_and_continued_lines_are_free() {
    let rules = Rules { permit_obsolete_folding: true, ..limited(4094, 2, 8190) };
    let free = "\nA_B: c".repeat(20);
    assert_eq!(outcome(&format!("GET / HTTP/1.0{free}\nA: b\nC: d{free}"), &rules), (431, TOO_MANY.into()));
    assert_eq!(outcome(&format!("GET / HTTP/1.0{free}\nA: b\nC: d"), &rules).0, 200);
    assert_eq!(outcome(&format!("GET / HTTP/1.0{free}\nA: b\nC: d\nE: f"), &rules), (431, TOO_MANY.into()));
    let folds = "\n x".repeat(20);
    assert_eq!(outcome(&format!("GET / HTTP/1.0\nA: b{folds}\nC: d{folds}"), &rules).0, 200);
    assert_eq!(
        outcome(&format!("GET / HTTP/1.0\nA: b{folds}\nC: d{folds}\nE: f"), &rules),
        (431, TOO_MANY.into())
    );
}

#[test]
fn too_many_fields_are_refused_before_the_head_is_complete() {
    let bytes = format!("GET / HTTP/1.0\r\n{}", "A: b\r\n".repeat(101));
    assert_eq!(Scan::default().find(bytes.as_bytes(), &Rules::default()), Err(Refusal::TOO_MANY_FIELDS));
}

#[test]
fn sizes_of_fields() {
    for (setting, limit) in [(8190, 8190), (0, 8190), (10, 10), (20_000, 20_000)] {
        let rules = limited(4094, 100, setting);
        let head = |size: usize| format!("GET / HTTP/1.0\nA:{}", "b".repeat(size - 4));
        assert_eq!(outcome(&head(limit), &rules).0, 200);
        assert_eq!(outcome(&head(limit + 1), &rules), (431, TOO_LARGE.into()));
    }
}

#[test]
fn a_folded_field_counts_with_all_its_lines() {
    let rules = Rules { permit_obsolete_folding: true, ..limited(4094, 100, 20) };
    assert_eq!(outcome("GET / HTTP/1.0\nA: 34567\n 12345678", &rules).0, 431);
    assert_eq!(outcome("GET / HTTP/1.0\nA: 34567\n 1234567\nB: c", &rules).0, 200);
}

#[test]
fn an_endless_section_is_refused() {
    let rules = Rules { permit_obsolete_folding: true, ..limited(100, 2, 30) };
    let bytes = format!("GET / HTTP/1.0\r\n{}", "A_B: c\r\n".repeat(20));
    let refusal = Scan::default().find(bytes.as_bytes(), &rules).unwrap_err();
    assert_eq!(
        (refusal.status(), refusal.page_text().as_str()),
        (431, "Error parsing headers: 'max buffer headers'")
    );
    assert_eq!(tolerant().limits.largest_head(), 4094 + 100 * 8192 + 8);
}

#[test]
fn limits_that_multiply_beyond_all_bounds_are_bounded() {
    assert!(limited(u64::MAX, u64::MAX, u64::MAX).limits.largest_head() < u32::MAX as usize);
}

#[test]
fn heads_that_arrive_bytewise_are_looked_at_once() {
    // A million bytes, a find for each, and lines of which none counts: quadratic work would take minutes.
    let rules = limited(4094, 32768, 8190);
    let mut bytes = b"GET / HTTP/1.0\r\n".to_vec();
    let mut scan = Scan::default();
    for _ in 0..200_000 {
        for &byte in b"_: x\r\n" {
            bytes.push(byte);
            assert_eq!(scan.find(&bytes, &rules), Ok(None));
        }
    }
}

#[test]
fn a_scan_knows_whether_a_request_has_begun() {
    let mut scan = Scan::default();
    for (bytes, idle) in
        [("", true), ("\r", false), ("\r\n", true), ("\r\nG", false), ("\r\nGET / HTTP/1.0\r\n", false)]
    {
        scan.find(bytes.as_bytes(), &Rules::default()).unwrap();
        assert_eq!(scan.is_idle(), idle, "after {bytes:?}");
    }
}
