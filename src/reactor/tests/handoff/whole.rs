//! Requests that were complete before they moved.

use std::os::unix::fs::FileExt;

use super::*;
use crate::net::{Contents, Parcel, Passed, Past, Stream};

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request in two parts, the first of which holds the head and not the whole body.
fn posted(fields: &str, first: &[u8], rest: &[u8]) -> [Vec<u8>; 2] {
    let head = format!("POST /late HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    [[head.as_bytes(), first].concat(), rest.to_vec()]
}

fn with_length(length: usize) -> [Vec<u8>; 2] {
    let bytes = content(length);
    posted(&format!("Content-Length: {length}\r\n"), &bytes[..1], &bytes[1..])
}

/// In chunks of at most 50 000 bytes.
fn in_chunks(length: usize, end: &[u8]) -> [Vec<u8>; 2] {
    let mut chunks = Vec::new();
    for chunk in content(length).chunks(50_000) {
        chunks.extend_from_slice(format!("{:x};a=b\r\n", chunk.len()).as_bytes());
        chunks.extend_from_slice(&[chunk, b"\r\n"].concat());
    }
    chunks.extend_from_slice(end);
    posted("Transfer-Encoding: chunked\r\n", &chunks[..1], &chunks[1..])
}

/// Bytes of which none can be taken for another.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

fn whole_body(exchange: &Exchange) -> Vec<u8> {
    match &exchange.request.body {
        Body::Empty => Vec::new(),
        Body::File(file, length) => {
            let mut bytes = vec![0; *length as usize];
            file.read_exact_at(&mut bytes, 0).expect("the file is as long as it says");
            bytes
        }
        _ => body(exchange).to_vec(),
    }
}

impl Pair {
    fn of_memory(request_body_memory: usize) -> Self {
        let settings = settings();
        Self::new(&ReactorSettings {
            spool: SpoolSettings { request_body_memory, ..settings.spool },
            ..settings
        })
    }

    /// A kept connection of the first worker, which has read the start of a request.
    fn begun(&self, start: &[u8]) -> UnixStream {
        let mut client = self.kept();
        client.write_all(start).expect("sent");
        self.from.until(|reactor, _| reactor.lock().deadlines.oldest(Wait::Body));
        client
    }

    /// The first worker has no hand free until the exchange is given back.
    fn busy(&self) -> (Exchange, UnixStream) {
        let mut client = self.from.client();
        client.write_all(GET).expect("sent");
        (self.from.exchange(), client)
    }

    /// The second worker gets this request, and goes on with the connection.
    fn moves(&self, [start, rest]: [Vec<u8>; 2], bytes: &[u8], check: impl Fn(&Exchange)) {
        let mut client = self.begun(&start);
        let (held, _busy) = self.busy();
        let mut writer = client.try_clone().expect("a socket");
        let writer = std::thread::spawn(move || writer.write_all(&[&rest[..], NEXT].concat()).expect("sent"));
        let exchange = self.to.exchange();
        writer.join().expect("no panic");
        assert_eq!((exchange.target(), exchange.request.number), (b"/late".as_slice(), 2));
        assert!(exchange.may_persist());
        assert!(whole_body(&exchange) == bytes);
        check(&exchange);
        answer(&self.to.reactor, exchange, End::Keep);
        assert_eq!(read(&mut client, OK.len()), OK);
        self.serve(&mut client, b"/next", 3);
        assert_eq!(connections(&self.from), 1);
        self.from.reactor.finish(held, End::Cut);
    }
}

#[test]
fn a_body_moves_however_it_came_and_wherever_it_is_kept() {
    for memory in [1000, 1_000_000] {
        let pair = Pair::of_memory(memory);
        for length in [2, 900, 16_384, 16_385, 66_000, 300_000, 3_000_000] {
            let is_file = |exchange: &Exchange| matches!(exchange.request.body, Body::File(..));
            let check =
                |exchange: &Exchange| assert_eq!(is_file(exchange), length > memory, "{length} bytes");
            pair.moves(with_length(length), &content(length), check);
            pair.moves(in_chunks(length, b"0\r\n\r\n"), &content(length), check);
        }
        pair.moves(in_chunks(0, b"0\r\n\r\n"), b"", |_| {});
    }
}

#[test]
fn trailers_go_along() {
    let pair = Pair::of_memory(1000);
    for length in [10, 5000] {
        let request = in_chunks(length, b"0\r\nX-Sum: 1 2\r\nX-None:\r\n\r\n");
        pair.moves(request, &content(length), |exchange| {
            let fields = [(&b"X-Sum"[..], &b"1 2"[..]), (b"X-None", b"")];
            assert_eq!(exchange.request.trailers, fields.map(|(name, value)| (name.into(), value.into())));
        });
    }
}

#[test]
fn a_limit_counts_the_body_once() {
    let limit_request_body = 5000;
    let pair = Pair::new(&ReactorSettings { limit_request_body, ..settings() });
    pair.moves(in_chunks(5000, b"0\r\n\r\n"), &content(5000), |_| {});
    pair.moves(with_length(5000), &content(5000), |_| {});
}

#[test]
fn who_waits_for_a_100_is_told_once() {
    let pair = Pair::of_memory(1000);
    for fields in ["Content-Length: 3000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let [start, _] = posted(&format!("Expect: 100-continue\r\n{fields}"), b"", b"");
        let mut client = pair.begun(&start);
        let told = b"HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(read(&mut client, told.len()), told);
        let (held, _busy) = pair.busy();
        let chunks = [b"bb8\r\n", &content(3000)[..], b"\r\n0\r\n\r\n"].concat();
        client.write_all(if fields.starts_with('C') { &chunks[5..3005] } else { &chunks }).expect("sent");
        pair.serve(&mut client, b"/late", 2);
        pair.from.reactor.finish(held, End::Cut);
    }
}

#[test]
fn the_last_request_of_a_connection_is_the_last() {
    let pair = Pair::of_memory(1000);
    let [start, rest] =
        posted("Connection: close\r\nTransfer-Encoding: chunked\r\n", b"3\r\n", b"abc\r\n0\r\n\r\n");
    let mut client = pair.begun(&start);
    let _held = pair.busy();
    client.write_all(&rest).expect("sent");
    let exchange = pair.to.exchange();
    assert!(!exchange.may_persist());
    answer(&pair.to.reactor, exchange, End::Close);
    pair.to.serve_until_left(0);
    assert_eq!(read_all(&mut client), OK);
}

#[test]
fn a_head_that_was_changed_when_it_was_read_stays() {
    let mut settings = settings();
    settings.rules.permit_obsolete_folding = true;
    let pair = Pair::new(&settings);
    let [start, rest] = posted("X-Fold: a\r\n  b\r\nContent-Length: 2000\r\n", b"x", &[b'x'; 1999]);
    let mut client = pair.begun(&start);
    let (held, _busy) = pair.busy();
    client.write_all(&rest).expect("sent");
    pair.from.until_state(|state| state.ready.iter().any(|exchange| exchange.stays));
    // Others go by it.
    pair.from.reactor.finish(held, End::Cut);
    let exchange = pair.from.exchange();
    assert_eq!(
        (exchange.target(), exchange.request.field(b"X-Fold")),
        (b"/late".as_slice(), Some(&b"a b"[..]))
    );
    answer(&pair.from.reactor, exchange, End::Keep);
    assert_eq!(read(&mut client, OK.len()), OK);
    assert_eq!(connections(&pair.to), 0);
}

#[test]
fn more_bodies_move_than_the_socket_holds_and_none_is_lost() {
    let pair = Pair::of_memory(1_000_000);
    let sizes = (0..60).map(|number| [10, 10_000, 100_000][number % 3]);
    let mut clients: Vec<_> = sizes
        .map(|size| {
            let [start, rest] = with_length(size);
            (pair.begun(&start), rest, size)
        })
        .collect();
    let _held = pair.busy();
    for (client, rest, _) in &mut clients {
        client.write_all(rest).expect("sent");
    }
    let mut left = clients.len();
    pair.to.until(|reactor, exchange| {
        if let Some(exchange) = exchange {
            assert!(whole_body(&exchange) == content(whole_body(&exchange).len()));
            answer(reactor, exchange, End::Keep);
            left -= 1;
        }
        (left == 0).then_some(())
    });
    for (client, ..) in &mut clients {
        assert_eq!(read(client, OK.len()), OK);
    }
    assert_eq!(connections(&pair.from), 1);
}

#[test]
fn what_no_worker_sends_closes_the_connection() {
    let pair = Pair::of_memory(1000);
    let file = tempfile::tempfile().expect("a file");
    file.write_all_at(&[b'x'; 20], 0).expect("written");
    let long = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n";
    let (none, some) = (Contents::Bytes(b""), Contents::Bytes(b"xyz"));
    let parcels = [
        (&b""[..], none, &b""[..]),
        (&GET[..GET.len() - 1], none, b""),
        (&[GET, b"x"].concat(), none, b""),
        (GET, some, b""),
        (long, some, b""),
        (long, Contents::File(&file, 19), b""),
        (GET, none, b"\x09\0\0\0abc"),
        (GET, none, b"\0\0\0\0"),
        (GET, none, b"\0"),
    ];
    for (head, body, trailers) in parcels {
        let (server, mut client) = UnixStream::pair().expect("two ends");
        let stream = Stream::plain(server.into());
        let parcel = Parcel { head, body, trailers, behind: b"" };
        let handoff = pair.board.handoff().expect("it has one");
        assert_eq!(handoff.pass_whole(&stream, Past::default(), parcel), Passed::Yes);
        drop(stream);
        for _ in 0..2 {
            pair.to.reactor.poll(Some(Duration::from_millis(10))).expect("the loop turns");
            assert!(pair.to.reactor.next_exchange().is_none());
        }
        assert_eq!(read_all(&mut client), b"");
        assert_eq!(connections(&pair.to), 0);
    }
}

#[test]
fn a_worker_with_other_rules_refuses_by_them() {
    let pair = Pair::of_memory(1000);
    let (server, mut client) = UnixStream::pair().expect("two ends");
    let stream = Stream::plain(server.into());
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nX-Fold: a\r\n b\r\nContent-Length: 3\r\n\r\n";
    let parcel = Parcel { head, body: Contents::Bytes(b"abc"), trailers: b"", behind: b"" };
    let handoff = pair.board.handoff().expect("it has one");
    assert_eq!(handoff.pass_whole(&stream, Past::default(), parcel), Passed::Yes);
    stream.hand_over();
    drop(stream);
    let answer = pair.to.until(|reactor, exchange| {
        assert!(exchange.is_none());
        (!reactor.take_notices().is_empty()).then(|| read(&mut client, 12))
    });
    assert_eq!(answer, b"HTTP/1.1 400");
    drop(client);
    pair.to.serve_until_left(0);
}

#[test]
fn who_leaves_last_serves_what_was_passed_on_to_nobody() {
    let pair = Pair::of_memory(1000);
    let [start, rest] = in_chunks(5000, b"0\r\n\r\n");
    let mut client = pair.begun(&start);
    let (_held, _busy) = pair.busy();
    client.write_all(&rest).expect("sent");
    pair.from.until_state(|state| state.open_connections() == 1);
    pair.set_takers(0);
    pair.to.leaving.store(true, Ordering::Relaxed);
    pair.to.reactor.lock().drain();
    let exchange = pair.to.exchange();
    assert!(whole_body(&exchange) == content(5000));
    assert!(!exchange.may_persist());
    answer(&pair.to.reactor, exchange, End::Close);
    assert_eq!(read(&mut client, OK.len()), OK);
    pair.to.until(|reactor, _| reactor.is_deserted().then_some(()));
}
