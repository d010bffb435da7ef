//! Several threads take turns.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::*;

/// Threads that serve `/N` in N milliseconds, and tell who did.
struct Threads {
    service: Service,
    crew: Arc<Crew>,
    threads: Vec<JoinHandle<()>>,
    served: Receiver<usize>,
}

impl Threads {
    fn new(count: usize) -> Self {
        let service = Service::new(settings());
        let crew = Arc::new(Crew::new(service.reactor.clone()));
        let (sender, served) = channel();
        let threads = (0..count).map(|name| {
            let (crew, reactor, sender) = (crew.clone(), service.reactor.clone(), sender.clone());
            thread::spawn(move || live(name, &crew, &reactor, &sender))
        });
        Self { threads: threads.collect(), crew, service, served }
    }

    fn client(&self, milliseconds: u32) -> UnixStream {
        let mut client = self.service.client();
        ask(&mut client, milliseconds);
        client
    }

    fn who(&self) -> usize {
        self.served.recv_timeout(Duration::from_secs(10)).expect("somebody serves")
    }

    /// As after a run of requests that took that long.
    fn pretend(&self, nanoseconds: u64) {
        let mut state = self.service.reactor.lock();
        for _ in 0..100 {
            state.watch.take();
            state.watch.give_back(nanoseconds);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.crew.stop();
        self.threads.drain(..).for_each(|thread| thread.join().expect("no thread panics"));
    }
}

fn live(name: usize, crew: &Crew, reactor: &SharedReactor, served: &Sender<usize>) {
    loop {
        match crew.rest(None).expect("the loop turns") {
            Turn::Stop => return,
            Turn::Look => drop(reactor.take_notices()),
            Turn::Serve(mut exchange) => {
                let target = str::from_utf8(&exchange.target()[1..]).expect("a number");
                thread::sleep(Duration::from_millis(target.parse().expect("a number")));
                let sent = exchange.send_copied(OK, b"");
                reactor.finish(exchange, if sent.is_ok() { End::Keep } else { End::Cut });
                let _ = served.send(name);
            }
        }
    }
}

fn ask(client: &mut UnixStream, milliseconds: u32) {
    let request = format!("GET /{milliseconds} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.write_all(request.as_bytes()).expect("sent");
}

#[test]
fn short_requests_stay_on_one_thread() {
    let threads = Threads::new(4);
    threads.service.until_state(|state| state.watch.followers == 3);
    let mut client = threads.client(0);
    let mut last = threads.who();
    let mut changes = 0;
    for _ in 0..100 {
        read(&mut client, OK.len());
        ask(&mut client, 0);
        let who = threads.who();
        changes += u32::from(who != last);
        last = who;
    }
    // A machine that is busy with other things may make one of them look long.
    assert!(changes <= 5, "{changes}");
}

#[test]
fn after_long_requests_several_run_at_a_time() {
    let threads = Threads::new(3);
    threads.pretend(5_000_000);
    let mut clients: Vec<_> = (0..3).map(|_| threads.client(300)).collect();
    let started = Instant::now();
    let mut who: Vec<_> = clients.iter().map(|_| threads.who()).collect();
    assert!(started.elapsed() < Duration::from_millis(600));
    who.sort_unstable();
    assert_eq!(who, [0, 1, 2]);
    clients.iter_mut().for_each(|client| drop(read(client, OK.len())));
}

#[test]
fn a_short_request_passes_long_ones() {
    let threads = Threads::new(3);
    threads.pretend(5_000_000);
    let _long = [threads.client(1000), threads.client(1000)];
    let started = Instant::now();
    let mut client = threads.client(1);
    for _ in 0..20 {
        read(&mut client, OK.len());
        ask(&mut client, 1);
    }
    assert!(started.elapsed() < Duration::from_millis(900));
}

#[test]
fn requests_on_kept_connections_come_through_whoever_waits() {
    let threads = Threads::new(2);
    threads.pretend(5_000_000);
    let mut clients = [threads.client(5), threads.client(5), threads.client(5)];
    for _ in 0..40 {
        for client in &mut clients {
            read(client, OK.len());
            ask(client, 5);
        }
    }
}

#[test]
fn a_pipeline_is_not_forgotten_while_another_thread_waits() {
    let threads = Threads::new(2);
    threads.pretend(5_000_000);
    let mut client = threads.service.client();
    client.write_all(&b"GET /5 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50)).expect("sent");
    assert_eq!(read(&mut client, 50 * OK.len()), OK.repeat(50));
}

#[test]
fn who_waits_to_be_called_stops_too() {
    let threads = Threads::new(5);
    threads.pretend(5_000_000);
    let _client = threads.client(50);
    threads.who();
}

#[test]
fn a_free_thread_is_called_when_a_request_turns_out_to_be_long() {
    let threads = Threads::new(2);
    threads.service.until_state(|state| state.watch.followers == 1);
    let _long = threads.client(1000);
    let started = Instant::now();
    let mut client = threads.client(0);
    read(&mut client, OK.len());
    assert!(started.elapsed() < Duration::from_millis(800));
}
