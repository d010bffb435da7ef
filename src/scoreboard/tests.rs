//! The scoreboard: what a worker says is what the arbiter reads, and a sleeping arbiter is woken once.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{Board, State};
use crate::sys::pipe;

/// method, target, peer, the text expected
type Case<'a> = (&'a [u8], &'a [u8], Option<SocketAddr>, &'a str);

fn board(slots: usize) -> (Arc<Board>, OwnedFd) {
    let (reader, writer) = pipe::nonblocking().unwrap();
    (Board::new(slots, writer).unwrap(), reader)
}

fn pokes(reader: &OwnedFd) -> usize {
    let mut count = 0;
    pipe::drain(reader, |_| count += 1).unwrap();
    count
}

#[test]
fn a_beat_counts_once_the_application_is_loaded() {
    let (board, reader) = board(1);
    let slot = board.claim().unwrap();
    slot.beat(3);
    assert_eq!((board.snapshot(0).state, pokes(&reader)), (State::Booting, 0));
    slot.loaded(5);
    assert_eq!((board.snapshot(0).state, board.snapshot(0).loaded, pokes(&reader)), (State::Booting, 5, 1));
    slot.beat(7);
    assert_eq!((board.snapshot(0).state, pokes(&reader)), (State::Beating, 1));
}

#[test]
fn a_slot_goes_through_its_states() {
    let (board, reader) = board(2);
    let slot = board.claim().unwrap();
    let state = || board.snapshot(slot.index()).state;
    assert_eq!(state(), State::Booting);
    slot.booted();
    assert_eq!((state(), pokes(&reader)), (State::Idle, 1));
    slot.logged();
    slot.begin(b"GET", b"/", None, 7);
    assert_eq!((state(), board.snapshot(slot.index()).busy_since), (State::Busy, 7));
    assert!(!board.is_logged(slot.index()));
    slot.count();
    slot.logged();
    assert!(board.is_logged(slot.index()));
    slot.end();
    assert_eq!((state(), board.snapshot(slot.index()).requests), (State::Idle, 1));
    assert_eq!(slot.counted(), 1);
    slot.beat(9);
    assert_eq!((state(), board.snapshot(slot.index()).beat), (State::Beating, 9));
    assert_eq!(pokes(&reader), 0);
    slot.retire();
    assert!(board.snapshot(slot.index()).retiring);
    assert_eq!(pokes(&reader), 1);
}

#[test]
fn slots_are_claimed_once_and_reused_clean() {
    let (board, _reader) = board(2);
    let first = board.claim().unwrap();
    let second = board.claim().unwrap();
    assert_ne!(first.index(), second.index());
    assert!(board.claim().is_none());
    second.retire();
    second.begin(b"GET", b"/", None, 7);
    board.release(second.index());
    let again = board.claim().unwrap();
    assert_eq!(again.index(), second.index());
    let snapshot = board.snapshot(again.index());
    assert_eq!((snapshot.state, snapshot.retiring, snapshot.busy_since), (State::Booting, false, 0));
    assert_eq!(board.request(again.index()).method, b"");
}

#[test]
fn a_sleeping_arbiter_is_woken_once() {
    let (board, reader) = board(2);
    let (one, two) = (board.claim().unwrap(), board.claim().unwrap());
    one.begin(b"GET", b"/", None, 1);
    assert_eq!(pokes(&reader), 0);
    board.announce_sleep();
    one.end();
    assert_eq!(pokes(&reader), 0);
    one.begin(b"GET", b"/", None, 2);
    two.begin(b"GET", b"/", None, 2);
    assert_eq!(pokes(&reader), 1);
    board.announce_sleep();
    board.withdraw_sleep();
    one.begin(b"GET", b"/", None, 3);
    assert_eq!(pokes(&reader), 0);
}

#[test]
fn a_request_line_is_readable_escaped_and_cut() {
    let (board, _reader) = board(1);
    let slot = board.claim().unwrap();
    let long = "x".repeat(1000);
    let cut = format!("GET {}...", "x".repeat(33 * 8));
    let v4: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    let v6: SocketAddr = "[2001:db8::1]:65535".parse().unwrap();
    let cases: [Case; 6] = [
        (b"GET", b"/slow?x=1", Some(v4), "GET /slow?x=1 from 127.0.0.1:5000"),
        (b"DELETE", b"/eight..", Some(v6), "DELETE /eight.. from [2001:db8::1]:65535"),
        (b"GET", b"/\r\nforged \x1b[0m\\", None, "GET /\\x0d\\x0aforged \\x1b[0m\\\\"),
        (b"GET", "/\u{e9}".as_bytes(), None, "GET /\\xc3\\xa9"),
        (b"GET", long.as_bytes(), None, &cut),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"*", None, "ABCDEFGHIJKLMNOPQRSTUVWX *"),
    ];
    for (method, target, peer, text) in cases {
        slot.begin(method, target, peer, 1);
        assert_eq!(board.request(slot.index()).to_string(), text);
    }
}

#[test]
fn reading_while_a_worker_writes_gives_one_request_or_the_other() {
    let (board, _reader) = board(1);
    let slot = board.claim().unwrap();
    let index = slot.index();
    slot.begin(b"GET", &[b'a'; 200], None, 1);
    let writer = std::thread::spawn(move || {
        for round in 0..20_000_u64 {
            let byte = if round % 2 == 0 { b'a' } else { b'b' };
            slot.begin(b"GET", &[byte; 200], None, round);
        }
    });
    while !writer.is_finished() {
        let target = board.request(index).target;
        assert_eq!(target.len(), 200);
    }
    writer.join().unwrap();
    assert_eq!(board.request(index).target, "b".repeat(200).as_bytes());
}

#[test]
fn lines_of_a_killed_worker_are_left_on_the_board() {
    let (board, _reader) = board(2);
    let (first, second) = (board.claim().expect("a place"), board.claim().expect("a place"));
    let mut lines = Vec::new();
    for number in 0..100 {
        let known = lines.len();
        lines.extend_from_slice(format!("{number} {}\n", "x".repeat(number % 11)).as_bytes());
        first.keep_lines(&lines, known);
        assert_eq!(board.unwritten(first.index()), [lines.clone(), Vec::new()]);
    }
    first.keep_unsent(b"unsent\n");
    assert_eq!(board.unwritten(first.index()), [lines, b"unsent\n".to_vec()]);
    assert_eq!(board.unwritten(second.index()), [b"", b""]);
    first.keep_lines(&[b'x'; 10_000], 0);
    assert_eq!(board.unwritten(first.index())[0].len(), 4152);
    board.release(first.index());
    let again = board.claim().expect("a place");
    assert_eq!((again.index(), board.unwritten(again.index())), (first.index(), [const { Vec::new() }; 2]));
}
