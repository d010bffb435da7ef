//! What goes into the handoff socket comes out, and nothing else.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::*;

fn connection() -> (Stream, UnixStream) {
    let (server, client) = UnixStream::pair().expect("two ends");
    (Stream::plain(server.into()), client)
}

fn taken(handoff: &Handoff) -> Option<Moved> {
    match handoff.take().expect("something waits") {
        Taken::Connection(moved) => Some(moved),
        Taken::Call => panic!("nobody has called"),
        Taken::Unknown => None,
    }
}

#[test]
fn a_call_comes_through_if_there_is_somebody_to_hear_it() {
    let handoff = Handoff::new().expect("a handoff socket");
    handoff.call();
    assert_eq!(handoff.take().expect_err("empty").kind(), io::ErrorKind::WouldBlock);
    handoff.set_takers(1);
    handoff.call();
    assert!(matches!(handoff.take(), Ok(Taken::Call)));
}

#[test]
fn a_connection_goes_on_with_its_past_and_its_bytes() {
    let handoff = Handoff::new().expect("a handoff socket");
    let (stream, mut client) = connection();
    let past = Past { requests: 3, head_since: 4, came_at: 5 };
    assert_eq!(handoff.pass(&stream, past, &[b"GET", b" /"]), Passed::Yes);
    drop(stream);
    let moved = taken(&handoff).expect("a message of ours");
    assert_eq!((moved.past, moved.bytes.as_slice()), (past, b"GET /".as_slice()));
    assert_eq!(moved.stream.send(b"hello").expect("sent"), 5);
    drop(moved);
    let mut received = Vec::new();
    client.read_to_end(&mut received).expect("an end");
    assert_eq!(received, b"hello");
    assert_eq!(handoff.take().expect_err("empty").kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_full_queue_takes_more_when_somebody_has_taken_one() {
    let handoff = Handoff::new().expect("a handoff socket");
    let (stream, _client) = connection();
    let mut waiting = 0;
    while handoff.pass(&stream, Past::default(), &[]) == Passed::Yes {
        waiting += 1;
    }
    assert_eq!(handoff.pass(&stream, Past::default(), &[]), Passed::Full);
    for _ in 0..waiting {
        assert!(taken(&handoff).is_some());
    }
    assert_eq!(handoff.pass(&stream, Past::default(), &[]), Passed::Yes);
}

#[test]
fn what_is_too_long_stays() {
    let handoff = Handoff::new().expect("a handoff socket");
    let (stream, _client) = connection();
    assert_eq!(handoff.pass(&stream, Past::default(), &[&[0; LONGEST]]), Passed::Never);
    assert_eq!(handoff.take().expect_err("empty").kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn the_connection_of_a_message_that_nobody_understands_is_closed() {
    let handoff = Handoff::new().expect("a handoff socket");
    for garbage in [&b""[..], b"\x01", &[9; 100], &[0; 2 * LONGEST]] {
        let (server, mut client) = UnixStream::pair().expect("two ends");
        let parts = [IoSlice::new(garbage)];
        rights::send(handoff.sender.as_fd(), &parts, &[server.as_fd()]).expect("room");
        drop(server);
        assert!(taken(&handoff).is_none());
        assert_eq!(client.read(&mut [0; 10]).expect("an end"), 0);
    }
    // None at all, and more than one.
    let header = moved::header(Past::default(), false, None);
    let (server, mut client) = UnixStream::pair().expect("two ends");
    for count in [0, 2, 3] {
        let descriptors = vec![server.as_fd(); count];
        let parts = [IoSlice::new(&header)];
        rights::send(handoff.sender.as_fd(), &parts, &descriptors).expect("room");
        assert!(taken(&handoff).is_none());
    }
    drop(server);
    assert_eq!(client.read(&mut [0; 10]).expect("an end"), 0);
    assert!(client.write(b"x").is_err());
}

#[test]
fn each_arbiter_has_a_word_for_its_takers() {
    let old = Handoff::new().expect("a handoff socket");
    assert!(!old.has_takers());
    let copies = || old.descriptors().expect("a page").map(|fd| fd.try_clone_to_owned().expect("a copy"));
    let [sender, receiver, page] = copies();
    let new = Handoff::adopt(sender, receiver, page, 1).expect("the same");
    old.set_takers(2);
    new.set_takers(3);
    assert_eq!((old.takers(), new.takers()), (5, 5));
    old.set_takers(0);
    assert!(old.has_takers());
    new.set_takers(0);
    assert!(!old.has_takers());
    old.set_takers(1);
    new.forget_other();
    assert!(!new.has_takers());
    let [sender, receiver, page] = copies();
    assert!(Handoff::adopt(sender, receiver, page, 2).is_err());
    let [sender, receiver, _] = copies();
    let empty = tempfile::tempfile().expect("a file");
    assert!(Handoff::adopt(sender, receiver, empty.into(), 0).is_err());
}

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\n\r\n";

fn parcel<'a>(body: Contents<'a>) -> Parcel<'a> {
    Parcel { head: POST, body, trailers: b"sum", behind: b"GET" }
}

fn read(file: &File, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0).expect("so many");
    bytes
}

#[test]
fn a_complete_request_goes_along() {
    let handoff = Handoff::new().expect("a handoff socket");
    let (stream, _client) = connection();
    for length in [0, 1, INLINE, INLINE + 1, 1_000_000] {
        let body: Vec<_> = (0..length).map(|at| at as u8).collect();
        let passed = handoff.pass_whole(&stream, Past::default(), parcel(Contents::Bytes(&body)));
        assert_eq!(passed, Passed::Yes);
        let moved = taken(&handoff).expect("a message of ours");
        let layout = moved.whole.expect("a request");
        assert_eq!((layout.head, layout.trailers, layout.body), (POST.len() as u32, 3, length as u64));
        assert_eq!(layout.apart, length > INLINE);
        assert_eq!(moved.file.is_some(), layout.apart);
        let inline = if layout.apart { b"" } else { body.as_slice() };
        assert_eq!(moved.bytes, [POST, inline, b"sumGET"].concat());
        assert!(moved.file.is_none_or(|file| read(&file, length) == body));
    }
}

#[test]
fn a_file_goes_along_as_it_is() {
    let handoff = Handoff::new().expect("a handoff socket");
    let (stream, _client) = connection();
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&[7; 100_000]).expect("written");
    let passed = handoff.pass_whole(&stream, Past::default(), parcel(Contents::File(&file, 100_000)));
    assert_eq!(passed, Passed::Yes);
    drop(file);
    let moved = taken(&handoff).expect("a message of ours");
    assert_eq!(read(&moved.file.expect("it came along"), 100_000), [7; 100_000]);
}

#[test]
fn a_large_body_waits_for_room_like_a_small_one() {
    let handoff = Handoff::new().expect("a handoff socket");
    let (stream, _client) = connection();
    let large = vec![0; INLINE + 1];
    let mut waiting = 0;
    while handoff.pass_whole(&stream, Past::default(), parcel(Contents::Bytes(&large))) == Passed::Yes {
        waiting += 1;
    }
    assert!(waiting > 20, "{waiting}");
    for _ in 0..waiting {
        assert!(taken(&handoff).is_some());
    }
    let passed = handoff.pass_whole(&stream, Past::default(), parcel(Contents::Bytes(&large)));
    assert_eq!(passed, Passed::Yes);
}

#[test]
fn a_body_apart_is_a_file_of_its_length_or_the_message_is_closed() {
    let handoff = Handoff::new().expect("a handoff socket");
    let layout = Layout { head: 0, trailers: 0, body: 10, apart: true };
    let header = moved::header(Past::default(), false, Some(layout));
    let short = tempfile::tempfile().expect("a file");
    short.set_len(9).expect("9 bytes");
    for others in 0..4 {
        let (server, mut client) = UnixStream::pair().expect("two ends");
        let descriptors: Vec<_> = match others {
            0 => vec![server.as_fd()],
            1 => vec![server.as_fd(), server.as_fd()],
            2 => vec![server.as_fd(), short.as_fd()],
            _ => vec![server.as_fd(), short.as_fd(), short.as_fd()],
        };
        rights::send(handoff.sender.as_fd(), &[IoSlice::new(&header)], &descriptors).expect("room");
        drop(descriptors);
        drop(server);
        assert!(taken(&handoff).is_none());
        assert_eq!(client.read(&mut [0; 10]).expect("an end"), 0);
    }
}
