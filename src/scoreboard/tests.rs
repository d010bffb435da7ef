//! The scoreboard: what a worker says is what the arbiter reads, and a sleeping arbiter is woken once.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{Board, LANES, Lane, Running, Slot, State};
use crate::sys::pipe;

/// method, target, peer, the text expected
type Case<'a> = (&'a [u8], &'a [u8], Option<SocketAddr>, &'a str);

fn board(slots: usize) -> (Arc<Board>, OwnedFd) {
    let (reader, writer) = pipe::nonblocking().unwrap();
    (Board::new(slots, writer, None).unwrap(), reader)
}

/// What a worker does that serves one request at a time.
fn begin(slot: &Slot, method: &[u8], target: &[u8], peer: Option<SocketAddr>, now: u64) -> Lane {
    let lane = slot.lane(0).unwrap();
    lane.begin(method, target, peer, now);
    slot.busy(now);
    lane
}

fn pokes(reader: &OwnedFd) -> usize {
    let mut count = 0;
    pipe::drain(reader, |_| count += 1).unwrap();
    count
}

/// The only request that runs.
fn running(board: &Board, index: usize) -> Running {
    let [running] = board.running(index).try_into().expect("one request");
    running
}

/// When the requests that run have started.
fn since(board: &Board, index: usize) -> Vec<u64> {
    board.running(index).iter().map(|running| running.since).collect()
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
    slot.lane(0).unwrap().logged();
    let lane = begin(&slot, b"GET", b"/", None, 7);
    assert_eq!((state(), board.snapshot(slot.index()).busy_since), (State::Busy, 7));
    assert!(!running(&board, slot.index()).logged);
    slot.count();
    lane.logged();
    assert!(running(&board, slot.index()).logged);
    lane.end();
    slot.end();
    assert_eq!(board.running(slot.index()), []);
    assert_eq!((state(), board.snapshot(slot.index()).requests), (State::Idle, 1));
    assert_eq!(slot.counted(), 1);
    slot.beat(9);
    assert_eq!((state(), board.snapshot(slot.index()).beat), (State::Beating, 9));
    assert_eq!(pokes(&reader), 0);
    slot.retire();
    assert!(board.snapshot(slot.index()).retiring);
    assert_eq!(pokes(&reader), 1);
    assert!(!board.snapshot(slot.index()).stuck && !slot.is_late());
    slot.stuck();
    board.mark_late(slot.index());
    let seen = board.snapshot(slot.index());
    assert!(seen.stuck && seen.retiring && slot.is_late());
    assert_eq!(pokes(&reader), 1);
}

#[test]
fn a_watched_worker_has_to_beat_until_it_is_quiet() {
    let (board, reader) = board(1);
    let slot = board.claim().unwrap();
    let seen = || (board.snapshot(0).state, board.snapshot(0).beat);
    slot.watch(1);
    assert_eq!(seen(), (State::Booting, 0));
    slot.booted();
    assert_eq!(slot.last_sign(5), 5);
    pokes(&reader);
    board.announce_sleep();
    slot.watch(2);
    slot.watch(3);
    assert_eq!((seen(), pokes(&reader)), ((State::Beating, 2), 1));
    slot.beat(4);
    assert_eq!((seen(), slot.last_sign(9)), ((State::Beating, 4), 4));
    slot.quiet();
    assert_eq!((seen().0, slot.last_sign(9)), (State::Idle, 9));
    slot.busy(10);
    slot.watch(11);
    assert_eq!(seen(), (State::Busy, 4));
}

#[test]
fn requests_that_run_at_the_same_time_have_a_lane_each() {
    let (board, _reader) = board(2);
    let (slot, other) = (board.claim().unwrap(), board.claim().unwrap());
    let index = slot.index();
    let lanes: Vec<_> = (0..LANES).map(|lane| slot.lane(lane).unwrap()).collect();
    assert!(slot.lane(LANES).is_none());
    assert!(since(&board, index).is_empty());
    lanes[63].name(b"the last");
    lanes[63].begin(b"GET", b"/63", None, 7);
    lanes[0].begin(b"GET", b"/0", None, 9);
    lanes[5].begin(b"GET", b"/5", None, 8);
    lanes[5].logged();
    other.lane(5).unwrap().begin(b"PUT", b"/other", None, 1);
    let running = board.running(index);
    let targets: Vec<_> = running.iter().map(|running| running.request.target.as_slice()).collect();
    assert_eq!(targets, [b"/63".as_slice(), b"/5", b"/0"]);
    assert_eq!(running[0].request.name, b"the last");
    assert_eq!(running.iter().map(|running| running.logged).collect::<Vec<_>>(), [false, true, false]);
    lanes[63].end();
    lanes[5].begin(b"GET", b"/5", None, 10);
    assert_eq!(since(&board, index), [9, 10]);
    assert!(!board.running(index)[1].logged);
    assert_eq!(since(&board, other.index()), [1]);
    board.release(index);
    let again = board.claim().unwrap();
    assert_eq!((again.index(), since(&board, index).len()), (index, 0));
    again.lane(63).unwrap().begin(b"GET", b"/", None, 1);
    assert_eq!(board.running(index)[0].request.name, b"");
    assert_eq!(since(&board, other.index()), [1]);
}

#[test]
fn slots_are_claimed_once_and_reused_clean() {
    let (board, _reader) = board(2);
    let first = board.claim().unwrap();
    let second = board.claim().unwrap();
    assert_ne!(first.index(), second.index());
    assert!(board.claim().is_none());
    second.retire();
    begin(&second, b"GET", b"/", None, 7);
    board.release(second.index());
    let again = board.claim().unwrap();
    assert_eq!(again.index(), second.index());
    let snapshot = board.snapshot(again.index());
    assert_eq!((snapshot.state, snapshot.retiring, snapshot.busy_since), (State::Booting, false, 0));
    assert_eq!(board.running(again.index()), []);
}

#[test]
fn a_sleeping_arbiter_is_woken_once() {
    let (board, reader) = board(2);
    let (one, two) = (board.claim().unwrap(), board.claim().unwrap());
    begin(&one, b"GET", b"/", None, 1);
    assert_eq!(pokes(&reader), 0);
    board.announce_sleep();
    one.end();
    assert_eq!(pokes(&reader), 0);
    begin(&one, b"GET", b"/", None, 2);
    begin(&two, b"GET", b"/", None, 2);
    assert_eq!(pokes(&reader), 1);
    board.announce_sleep();
    board.withdraw_sleep();
    begin(&one, b"GET", b"/", None, 3);
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
        begin(&slot, method, target, peer, 1);
        assert_eq!(running(&board, slot.index()).request.to_string(), text);
    }
}

#[test]
fn reading_while_a_worker_writes_gives_one_request_or_the_other() {
    let (board, _reader) = board(1);
    let slot = board.claim().unwrap();
    let index = slot.index();
    begin(&slot, b"GET", &[b'a'; 200], None, 1);
    let writer = std::thread::spawn(move || {
        for round in 1..=20_000_u64 {
            let byte = if round % 2 == 0 { b'a' } else { b'b' };
            begin(&slot, b"GET", &[byte; 200], None, round);
        }
    });
    while !writer.is_finished() {
        let target = running(&board, index).request.target;
        assert_eq!(target.len(), 200);
    }
    writer.join().unwrap();
    assert_eq!(running(&board, index).request.target, "a".repeat(200).as_bytes());
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

#[test]
fn places_that_nobody_uses_cost_no_memory() {
    const WORKERS: usize = 200;
    const PAGE: usize = 4096;
    let (board, _reader) = board(WORKERS);
    for _ in 0..2 {
        for index in 0..WORKERS {
            let lane = board.claim().unwrap().lane(0).unwrap();
            lane.begin(b"GET", b"/", None, 1);
            assert_eq!(since(&board, index), [1]);
        }
        // A slot is much smaller than a page; the two areas for lines have the beginning of each written.
        let used = resident(board.lane(0, 0).as_ptr() as usize);
        assert!(used <= WORKERS * 3 * PAGE, "{used}");
        (0..WORKERS).for_each(|index| board.release(index));
    }
}

/// Bytes in memory of the mapping with this address.
fn resident(address: usize) -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = maps.lines().skip_while(|line| {
        let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
        let parse = |text| usize::from_str_radix(text, 16).ok();
        let range = range.and_then(|(start, end)| Some(parse(start)?..parse(end)?));
        range.is_none_or(|range| !range.contains(&address))
    });
    let line = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
