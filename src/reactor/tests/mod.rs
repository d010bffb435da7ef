//! The loop on a Unix socket: what a client sends becomes exchanges, and what becomes of its connection.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::net::Listener;
use crate::proto::forwarded::TrustedPeers;
use crate::proto::http1::Rules;
use crate::scoreboard::Board;
use crate::sys::{clock, pipe};

mod connections;
mod crew;
mod handoff;
mod hosted;
mod understudy;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MILLISECOND: u64 = 1_000_000;

struct Service {
    reactor: Arc<SharedReactor>,
    leaving: Arc<AtomicBool>,
    path: PathBuf,
    _directory: Arc<TempDir>,
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
        let (_, waker) = pipe::nonblocking().expect("a pipe");
        Self::on(&Board::new(1, waker, None).expect("a board"), settings)
    }

    /// That of one more worker on this board.
    fn on(board: &Arc<Board>, settings: ReactorSettings) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a listener");
        Self::at(listener, board, settings, Arc::new(directory))
    }

    /// One that listens there, with others perhaps. The directory is removed after the last of them.
    fn at(
        listener: impl Into<OwnedFd>,
        board: &Arc<Board>,
        settings: ReactorSettings,
        directory: Arc<TempDir>,
    ) -> Self {
        let slot = board.claim().expect("a place");
        let path = directory.path().join("socket");
        let leaving = Arc::new(AtomicBool::new(false));
        let listener = Listener::adopt(listener.into()).expect("a listener");
        let reactor = SharedReactor::new(settings, vec![listener], slot, leaving.clone()).expect("a reactor");
        Self { reactor, leaving, path, _directory: directory }
    }

    fn client(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).expect("the listener is there");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        client
    }

    /// Waits, without turning the loop.
    fn until_state(&self, done: impl Fn(&Reactor) -> bool) {
        let started = Instant::now();
        while !done(&self.reactor.lock()) {
            assert!(started.elapsed() < Duration::from_secs(10), "nothing happens");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Turns the loop until `done` gives something. Each wait may be long: what the loop does not hear of is late.
    fn until<T>(&self, mut done: impl FnMut(&SharedReactor, Option<Exchange>) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            self.reactor.poll(Some(Duration::from_millis(1000))).expect("the loop turns");
            let exchange = self.reactor.next_exchange();
            if let Some(value) = done(&self.reactor, exchange) {
                return value;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "nothing happens");
        }
    }

    fn exchange(&self) -> Exchange {
        self.until(|_, exchange| exchange)
    }

    /// Answers every request until `connections` are left.
    fn serve_until_left(&self, connections: usize) {
        self.until(|reactor, exchange| {
            exchange.into_iter().for_each(|exchange| answer(reactor, exchange, End::Keep));
            (reactor.lock().open_connections() == connections).then_some(())
        });
    }
}

fn answer(reactor: &SharedReactor, mut exchange: Exchange, end: End) {
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
