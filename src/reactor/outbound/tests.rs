//! What is queued arrives whole and in order, however little the kernel takes at a time.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A stream whose other end takes what it likes, and that end.
fn pair() -> (Stream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    ours.set_nonblocking(true).expect("no blocking");
    (Stream::plain(ours.into()), theirs)
}

fn settings(memory: usize, limit: u64) -> SpoolSettings {
    SpoolSettings {
        request_body_memory: 0,
        response_memory: memory,
        response_file_limit: limit,
        directory: None,
    }
}

/// Bytes that differ from their neighbours, so that a gap or a swap shows.
fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251 + seed) as u8).collect()
}

fn file(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room on the disk");
    Arc::new(file)
}

/// Flushes and reads by turns until nothing is left; gives what arrived.
fn drain(outbound: &mut Outbound, stream: &Stream, theirs: &mut UnixStream) -> Vec<u8> {
    theirs.set_nonblocking(true).expect("no blocking");
    let mut received = Vec::new();
    loop {
        let flushed = outbound.flush(stream, 100_000).expect("the peer is there");
        // `Err` is `WouldBlock`: everything that was there has been read.
        let _ = theirs.read_to_end(&mut received);
        if flushed == Flushed::All {
            return received;
        }
    }
}

struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn pieces_of_every_kind_arrive_in_order() {
    let (stream, mut theirs) = pair();
    let (mut outbound, mut expected) = (Outbound::default(), Vec::new());
    for round in 0..40 {
        let (small, large, stored) = (pattern(10, round), pattern(70_000, round), pattern(30_000, round + 9));
        outbound.push(&small);
        outbound.push_shared(Box::new(large.clone()), 5);
        outbound.push(&small);
        outbound.push_file(file(&stored), 11, 20_000);
        expected.extend([&small, &large[5..], &small, &stored[11..20_011]].concat());
    }
    let received = drain(&mut outbound, &stream, &mut theirs);
    assert!(received == expected);
    assert!(outbound.is_empty());
    assert_eq!(outbound.in_memory(), 0);
}

#[test]
fn a_full_kernel_is_told_from_a_spent_budget() {
    let (stream, _theirs) = pair();
    let mut outbound = Outbound::default();
    (0..100).for_each(|round| outbound.push_shared(Box::new(pattern(100_000, round)), 0));
    assert_eq!(outbound.flush(&stream, 1).expect("the peer is there"), Flushed::More);
    let full = outbound.flush(&stream, usize::MAX).expect("the peer is there");
    assert!(matches!(full, Flushed::Blocked { .. }));
    assert_eq!(outbound.flush(&stream, usize::MAX).ok(), Some(Flushed::Blocked { progress: false }));
}

#[test]
fn what_moves_to_a_file_keeps_its_place() {
    let (stream, mut theirs) = pair();
    let settings = settings(50_000, u64::MAX);
    let (mut outbound, mut expected) = (Outbound::default(), Vec::new());
    let stored = pattern(40_000, 3);
    for round in 0..60 {
        let block = pattern(30_000, round);
        outbound.push(&block);
        outbound.push_file(file(&stored), 0, 1000);
        outbound.flush(&stream, 7000).expect("the peer is there");
        outbound.spill(&settings);
        assert!(outbound.in_memory() <= 50_000);
        expected.extend([&block, &stored[..1000]].concat());
    }
    assert!(drain(&mut outbound, &stream, &mut theirs) == expected);
}

#[test]
fn only_a_file_past_its_limit_makes_the_application_wait() {
    let (stream, mut theirs) = pair();
    let settings = settings(10_000, 100_000);
    let mut outbound = Outbound::default();
    outbound.push(&pattern(90_000, 1));
    outbound.spill(&settings);
    assert!(!outbound.is_full(&settings));
    outbound.push(&pattern(20_000, 2));
    outbound.spill(&settings);
    assert!(outbound.is_full(&settings));
    drain(&mut outbound, &stream, &mut theirs);
    assert!(!outbound.is_full(&settings));
}

#[test]
fn without_a_directory_for_files_it_stays_in_memory_and_is_full() {
    let (stream, mut theirs) = pair();
    let nowhere = SpoolSettings { directory: Some(PathBuf::from("/nowhere/at/all")), ..settings(10, 100) };
    let mut outbound = Outbound::default();
    let block = pattern(500_000, 4);
    outbound.push(&block);
    outbound.spill(&nowhere);
    assert!(outbound.is_full(&nowhere));
    assert!(drain(&mut outbound, &stream, &mut theirs) == block);
}

#[test]
fn a_file_that_became_shorter_is_an_error() {
    let (stream, _theirs) = pair();
    let mut outbound = Outbound::default();
    outbound.push_file(file(b"short"), 0, 10);
    let error = outbound.flush(&stream, usize::MAX).expect_err("five bytes are missing");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_peer_that_is_gone_is_an_error() {
    let (stream, theirs) = pair();
    drop(theirs);
    let mut outbound = Outbound::default();
    outbound.push(b"hello");
    assert!(outbound.flush(&stream, usize::MAX).is_err());
}

#[test]
fn a_blocking_socket_does_not_make_a_file_block() {
    let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
    let stream = Stream::plain(ours.into());
    let stored = pattern(3_000_000, 5);
    let mut outbound = Outbound::default();
    outbound.push_file(file(&stored), 0, 3_000_000);
    let first = outbound.flush(&stream, usize::MAX).expect("the peer is there");
    assert_eq!(first, Flushed::Blocked { progress: true });
    assert!(drain(&mut outbound, &stream, &mut theirs) == stored);
}

#[test]
fn shared_bytes_are_given_up_when_they_are_sent_or_only_when_asked() {
    let (stream, _theirs) = pair();
    let dropped = Arc::new(AtomicUsize::new(0));
    let payload = || Box::new(Counted(pattern(100, 6), dropped.clone()));
    let mut outbound = Outbound::default();
    outbound.push_shared(payload(), 0);
    assert_eq!(outbound.flush_and_keep(&stream, usize::MAX).ok(), Some(Flushed::All));
    assert_eq!((outbound.is_empty(), dropped.load(Ordering::Relaxed)), (true, 0));
    outbound.release();
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    outbound.push_shared(payload(), 0);
    assert_eq!(outbound.flush(&stream, usize::MAX).ok(), Some(Flushed::All));
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}
