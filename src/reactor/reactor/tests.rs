//! The loop on a Unix socket: what a client sends becomes exchanges, and what becomes of its connection.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::proto::forwarded::TrustedPeers;
use crate::proto::http1::Rules;
use crate::reactor::{Body, End, SpoolSettings};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MILLISECOND: u64 = 1_000_000;

struct Service {
    reactor: Reactor,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

fn settings() -> ReactorSettings {
    ReactorSettings {
        rules: Rules::default(),
        trusted: TrustedPeers::default(),
        keepalive: 5000 * MILLISECOND,
        header_timeout: 5000 * MILLISECOND,
        body_timeout: 5000 * MILLISECOND,
        send_timeout: 5000 * MILLISECOND,
        limit_request_body: 0,
        stream_request_body: false,
        worker_connections: 100,
        accept_burst: 1,
        spool: SpoolSettings {
            request_body_memory: 1000,
            response_memory: 100_000,
            response_file_limit: u64::MAX,
            directory: None,
        },
    }
}

impl Service {
    fn new(settings: ReactorSettings) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a listener");
        let listener = Listener::adopt(listener.into()).expect("a listener");
        let reactor = Reactor::new(settings, vec![listener], Arc::default()).expect("a reactor");
        Self { reactor, path, _directory: directory }
    }

    fn client(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).expect("the listener is there");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        client
    }

    /// Turns the loop until `done` gives something.
    fn until<T>(&mut self, mut done: impl FnMut(&mut Reactor, Option<Exchange>) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            self.reactor.poll(Some(Duration::from_millis(10))).expect("the loop turns");
            let exchange = self.reactor.next_exchange();
            if let Some(value) = done(&mut self.reactor, exchange) {
                return value;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "nothing happens");
        }
    }

    fn exchange(&mut self) -> Exchange {
        self.until(|_, exchange| exchange)
    }

    /// Answers every request until `connections` are left.
    fn serve_until_left(&mut self, connections: usize) {
        self.until(|reactor, exchange| {
            exchange.into_iter().for_each(|exchange| answer(reactor, exchange, End::Keep));
            (reactor.open_connections() == connections).then_some(())
        });
    }
}

fn answer(reactor: &mut Reactor, mut exchange: Exchange, end: End) {
    exchange.send_copied(OK, b"").expect("the client is there");
    reactor.finish(exchange, end);
}

fn read(client: &mut UnixStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).expect("so many bytes");
    bytes
}

fn read_all(client: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).expect("an end");
    bytes
}

fn body(exchange: &Exchange) -> &[u8] {
    match &exchange.request.body {
        Body::Inline(range) => &exchange.request.bytes[range.clone()],
        Body::Memory(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pipelined_requests_are_served_in_turn_on_one_connection() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    client.write_all(&GET.repeat(5)).expect("sent");
    for _ in 0..5 {
        let exchange = service.exchange();
        assert_eq!(exchange.target(), b"/");
        answer(&mut service.reactor, exchange, End::Keep);
    }
    assert_eq!(read(&mut client, 5 * OK.len()), OK.repeat(5));
    assert_eq!(service.reactor.open_connections(), 1);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    let request =
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let mut bytes = request.iter();
    let exchange = service.until(|_, exchange| {
        bytes.next().into_iter().for_each(|&byte| client.write_all(&[byte]).expect("sent"));
        exchange
    });
    assert!(bytes.next().is_none());
    assert_eq!(body(&exchange), b"abcde");
}

#[test]
fn a_long_head_may_come_in_pieces() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    let fields = (0..20).map(|at| format!("X-{at}: {}\r\n", "y".repeat(5000))).collect::<String>();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut pieces = request.as_bytes().chunks(777);
    let exchange = service.until(|_, exchange| {
        pieces.next().into_iter().for_each(|piece| client.write_all(piece).expect("sent"));
        exchange
    });
    assert_eq!(exchange.head().fields.len(), 21);
    assert!(exchange.request.bytes == request.as_bytes());
}

#[test]
fn a_client_that_sends_no_more_still_gets_its_answer() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    client.shutdown(std::net::Shutdown::Write).expect("half closed");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Keep)));
    service.serve_until_left(0);
    assert_eq!(read_all(&mut client), OK);
}

#[test]
fn half_a_head_is_refused_when_its_time_is_up_and_silence_is_not_answered() {
    let mut service = Service::new(ReactorSettings { header_timeout: 50 * MILLISECOND, ..settings() });
    let (mut half, mut silent) = (service.client(), service.client());
    half.write_all(b"GET / HT").expect("sent");
    service.until(|reactor, _| reactor.has_notices().then_some(()));
    half.shutdown(std::net::Shutdown::Write).expect("half closed");
    service.serve_until_left(0);
    assert!(read_all(&mut half).starts_with(b"HTTP/1.1 408 "));
    assert!(read_all(&mut silent).is_empty());
}

#[test]
fn an_empty_line_after_a_request_is_not_the_start_of_another() {
    let mut service = Service::new(ReactorSettings { header_timeout: 50 * MILLISECOND, ..settings() });
    let mut client = service.client();
    client.write_all(&[GET, b"\r\n"].concat()).expect("sent");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Keep)));
    let until = clock::monotonic() + 200 * MILLISECOND;
    service.until(|reactor, _| (reactor.now() > until).then_some(()));
    client.write_all(GET).expect("sent");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Close)));
    service.serve_until_left(0);
    assert_eq!(read_all(&mut client), OK.repeat(2));
}

#[test]
fn a_kept_connection_ends_when_it_is_idle_for_too_long() {
    let mut service = Service::new(ReactorSettings { keepalive: 50 * MILLISECOND, ..settings() });
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Keep)));
    service.serve_until_left(0);
    assert_eq!(read_all(&mut client), OK);
}

#[test]
fn an_idle_connection_makes_room_and_a_busy_one_does_not() {
    let mut service = Service::new(ReactorSettings { worker_connections: 2, ..settings() });
    let (mut idle, mut half) = (service.client(), service.client());
    idle.write_all(GET).expect("sent");
    half.write_all(&GET[..9]).expect("sent");
    service.serve_until_left(2);
    assert_eq!(read(&mut idle, OK.len()), OK);
    let mut third = service.client();
    third.write_all(GET).expect("sent");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Close)));
    assert_eq!(read_all(&mut third), OK);
    assert!(read_all(&mut idle).is_empty());
    half.write_all(&GET[9..]).expect("sent");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Close)));
    assert_eq!(read_all(&mut half), OK);
}

#[test]
fn who_waits_while_all_are_busy_is_accepted_when_one_ends() {
    let mut service = Service::new(ReactorSettings { worker_connections: 1, ..settings() });
    let (mut first, mut second) = (service.client(), service.client());
    second.write_all(GET).expect("sent");
    first.write_all(&GET[..9]).expect("sent");
    let turns = clock::monotonic() + 50 * MILLISECOND;
    service.until(|reactor, exchange| {
        assert!(exchange.is_none());
        (reactor.now() > turns).then_some(())
    });
    first.write_all(&GET[9..]).expect("sent");
    for client in [&mut first, &mut second] {
        service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Close)));
        assert_eq!(read_all(client), OK);
    }
}

#[test]
fn a_long_body_goes_to_a_file() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n";
    client.write_all(&[head.as_slice(), &[7; 50_000], GET].concat()).expect("sent");
    let mut exchange = service.exchange();
    let Body::File(file, 50_000) = std::mem::take(&mut exchange.request.body) else { panic!("no file") };
    let mut stored = Vec::new();
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut [0; 50_000], 0).expect("all of it");
    (&file).read_to_end(&mut stored).expect("no more than that");
    assert!(stored.is_empty());
    answer(&mut service.reactor, exchange, End::Keep);
    let exchange = service.exchange();
    assert_eq!(exchange.method(), b"GET");
}

#[test]
fn a_client_that_waits_for_it_is_told_to_continue() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .expect("sent");
    let turns = clock::monotonic() + 30 * MILLISECOND;
    service.until(|reactor, exchange| {
        assert!(exchange.is_none());
        (reactor.now() > turns).then_some(())
    });
    assert_eq!(read(&mut client, 25), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"abc").expect("sent");
    assert_eq!(body(&service.exchange()), b"abc");
}

#[test]
fn a_slow_reader_gets_all_of_it_and_then_its_next_answer() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    client.write_all(&GET.repeat(2)).expect("sent");
    let long = vec![9; 3_000_000];
    let mut exchange = service.exchange();
    let payload = long.clone();
    exchange.send(b"head", &long, b"tail", false, move || Box::new(payload)).expect("the client is there");
    service.reactor.finish(exchange, End::Keep);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let bytes = read(&mut client, 3_000_008 + OK.len());
        sender.send(bytes).expect("somebody listens");
    });
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Keep)));
    // The second answer may have found the socket full.
    let received = service.until(|_, _| receiver.try_recv().ok());
    assert!(received == [b"head", long.as_slice(), b"tail", OK].concat());
}

#[test]
fn a_reader_that_takes_nothing_is_dropped() {
    let mut service = Service::new(ReactorSettings { send_timeout: 50 * MILLISECOND, ..settings() });
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    let mut exchange = service.exchange();
    exchange.send(b"", &[0; 3_000_000], b"", false, || Box::new(vec![0; 3_000_000])).expect("it is there");
    service.reactor.finish(exchange, End::Keep);
    service.serve_until_left(0);
    assert!(matches!(
        service.reactor.take_notices()[..],
        [Notice::Silent { peer: None, wait: Wait::Send, request: None }]
    ));
}

#[test]
fn a_client_that_is_gone_when_its_answer_is_ready_leaves_nothing_behind() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    let mut exchange = service.exchange();
    drop(client);
    let sent = exchange.send_copied(OK, b"");
    service.reactor.finish(exchange, if sent.is_ok() { End::Keep } else { End::Cut });
    service.serve_until_left(0);
}

#[test]
fn who_sends_more_after_the_last_answer_can_still_read_it() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    client.write_all(&[GET, b"and more"].concat()).expect("sent");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Close)));
    client.write_all(b"and still more").expect("it still listens");
    assert_eq!(read_all(&mut client), OK);
    drop(client);
    service.serve_until_left(0);
}

#[test]
fn a_leaving_reactor_accepts_nobody_and_ends_with_its_connections() {
    let mut service = Service::new(settings());
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    let exchange = service.exchange();
    service.reactor.drain();
    assert!(exchange.may_persist());
    answer(&mut service.reactor, exchange, End::Close);
    service.serve_until_left(0);
    assert_eq!(read_all(&mut client), OK);
    assert!(UnixStream::connect(&service.path).is_err());
}
