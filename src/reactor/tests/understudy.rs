//! Every thread is inside the application: what happens meanwhile.

use std::os::fd::AsFd;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::reactor::accept::Accepting;

const LONG: usize = 3_000_000;

/// A service of which one request is out and stays out.
fn busy(settings: ReactorSettings) -> (Service, Exchange, UnixStream) {
    let service = Service::new(settings);
    let (exchange, client) = take_one(&service);
    (service, exchange, client)
}

fn take_one(service: &Service) -> (Exchange, UnixStream) {
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    (service.exchange(), client)
}

fn send_long(exchange: &mut Exchange) {
    exchange.send(b"", &vec![7; LONG], b"", false, || Box::new(vec![7; LONG])).expect("it is there");
}

#[test]
fn a_slow_reader_goes_on_receiving() {
    let service = Service::new(settings());
    let (mut first, mut reader) = take_one(&service);
    let (_busy, _client) = take_one(&service);
    send_long(&mut first);
    service.reactor.finish(first, End::Close);
    assert!(read_all(&mut reader) == vec![7; LONG]);
}

#[test]
fn a_slow_reader_goes_on_receiving_after_a_long_while() {
    let service = Service::new(settings());
    let (mut first, mut reader) = take_one(&service);
    let (_busy, _client) = take_one(&service);
    std::thread::sleep(Duration::from_millis(200));
    send_long(&mut first);
    service.reactor.finish(first, End::Close);
    assert!(read_all(&mut reader) == vec![7; LONG]);
}

#[test]
fn requests_are_read_ahead_and_served_by_the_next_thread_that_comes() {
    for pause in [0, 200] {
        let service = Service::new(settings());
        let (other, mut second) = take_one(&service);
        answer(&service.reactor, other, End::Keep);
        read(&mut second, OK.len());
        let (exchange, mut first) = take_one(&service);
        std::thread::sleep(Duration::from_millis(pause));
        second
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n")
            .and_then(|()| second.write_all(&[b'x'; 5000]))
            .expect("sent");
        service.until_state(|state| !state.ready.is_empty());
        answer(&service.reactor, exchange, End::Keep);
        read(&mut first, OK.len());
        let exchange = service.exchange();
        assert_eq!(exchange.method(), b"POST");
        answer(&service.reactor, exchange, End::Keep);
        read(&mut second, OK.len());
        // The doors are open again.
        let (exchange, _) = take_one(&service);
        service.reactor.finish(exchange, End::Cut);
    }
}

#[test]
fn who_is_read_ahead_starves_nobody() {
    let service = Service::new(settings());
    let mut clients: Vec<_> = (0..2)
        .map(|_| {
            let (exchange, client) = take_one(&service);
            answer(&service.reactor, exchange, End::Keep);
            client
        })
        .collect();
    let (mut exchange, _client) = take_one(&service);
    let mut newcomer = service.client();
    newcomer.write_all(b"GET /new HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    for _ in 0..20 {
        for client in &mut clients {
            client.set_nonblocking(true).expect("a socket");
            let _ = client.read(&mut [0; 1000]);
            client.set_nonblocking(false).expect("a socket");
            client.write_all(GET).expect("sent");
        }
        service.until_state(|state| !state.ready.is_empty());
        answer(&service.reactor, exchange, End::Keep);
        exchange = service.reactor.next_exchange().unwrap_or_else(|| service.exchange());
        if exchange.target() == b"/new" {
            return;
        }
    }
    panic!("the newcomer waits for ever");
}

#[test]
fn what_is_read_while_a_thread_works_does_not_keep_it_from_its_next_wait() {
    let service = Service::new(settings());
    let (other, mut second) = take_one(&service);
    answer(&service.reactor, other, End::Keep);
    read(&mut second, OK.len());
    let (exchange, _first) = take_one(&service);
    second.write_all(GET).expect("sent");
    service.until_state(|state| !state.ready.is_empty());
    answer(&service.reactor, exchange, End::Keep);
    // Whoever wants to connect is let in only then.
    assert!(service.reactor.next_exchange().is_none());
    answer(&service.reactor, service.exchange(), End::Keep);
    read(&mut second, OK.len());
}

#[test]
fn a_newcomer_comes_before_the_kept_connection_that_was_heard_of_with_it() {
    let service = Service::new(settings());
    let (exchange, mut kept) = take_one(&service);
    answer(&service.reactor, exchange, End::Keep);
    read(&mut kept, OK.len());
    let mut newcomer = service.client();
    newcomer.write_all(b"GET /new HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    kept.write_all(GET).expect("sent");
    let exchange = service.exchange();
    assert_eq!(exchange.target(), b"/new");
    answer(&service.reactor, exchange, End::Keep);
    answer(&service.reactor, service.exchange(), End::Keep);
    read(&mut kept, OK.len());
}

#[test]
fn a_newcomer_comes_between_two_requests_of_those_who_are_here() {
    let service = Service::new(settings());
    let mut clients: Vec<_> = (0..4)
        .map(|_| {
            let (exchange, client) = take_one(&service);
            answer(&service.reactor, exchange, End::Keep);
            client
        })
        .collect();
    clients.iter_mut().for_each(|client| client.write_all(GET).expect("sent"));
    let mut newcomers: Vec<_> = (0..2).map(|_| service.client()).collect();
    newcomers.iter_mut().for_each(|client| {
        client.write_all(b"GET /new HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    });
    service.reactor.poll(Some(Duration::ZERO)).expect("the loop turns");
    let targets: Vec<_> = std::iter::from_fn(|| {
        let exchange = service.reactor.next_exchange()?;
        let target = exchange.target().to_vec();
        answer(&service.reactor, exchange, End::Keep);
        Some(target)
    })
    .collect();
    let new = |place: &usize| targets[*place] == b"/new";
    let places: Vec<usize> = (0..targets.len()).filter(new).collect();
    assert!(places == [1, 3] || places == [0, 2], "{places:?}");
}

#[test]
fn who_does_not_finish_its_head_is_told_in_time() {
    for pause in [0, 200] {
        let limits = ReactorSettings { header_timeout: 300 * MILLISECOND, ..settings() };
        let service = Service::new(limits);
        let mut slow = service.client();
        slow.write_all(b"GET / HT").expect("sent");
        service.until(|reactor, _| (reactor.lock().open_connections() == 1).then_some(()));
        let (_exchange, _client) = take_one(&service);
        std::thread::sleep(Duration::from_millis(pause));
        assert!(read_all(&mut slow).starts_with(b"HTTP/1.1 408"));
    }
}

#[test]
fn kept_connections_expire() {
    let service = Service::new(ReactorSettings { keepalive: 300 * MILLISECOND, ..settings() });
    let (exchange, mut idle) = take_one(&service);
    answer(&service.reactor, exchange, End::Keep);
    let (_exchange, _client) = take_one(&service);
    assert_eq!(read_all(&mut idle), OK);
}

#[test]
fn nobody_is_accepted_and_the_loop_does_not_spin_for_who_waits_to_be() {
    let (service, exchange, _client) = busy(settings());
    let mut newcomer = service.client();
    newcomer.write_all(GET).expect("sent");
    service.until_state(|state| state.is_resting());
    let waits = service.reactor.lock().open_connections();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(service.reactor.lock().open_connections(), waits);
    answer(&service.reactor, exchange, End::Keep);
    let exchange = service.exchange();
    answer(&service.reactor, exchange, End::Keep);
    read(&mut newcomer, OK.len());
}

#[test]
fn a_thread_that_comes_back_waits_itself_at_once() {
    for pause in [0, 10, 200, 300] {
        let (service, exchange, mut client) = busy(settings());
        std::thread::sleep(Duration::from_millis(pause));
        let started = Instant::now();
        answer(&service.reactor, exchange, End::Keep);
        let mut next = client.try_clone().expect("a socket");
        let sender = std::thread::spawn(move || next.write_all(GET).expect("sent"));
        let exchange = service.exchange();
        assert!(started.elapsed() < Duration::from_millis(150), "{:?}", started.elapsed());
        answer(&service.reactor, exchange, End::Keep);
        sender.join().expect("no panic");
        read(&mut client, 2 * OK.len());
    }
}

#[test]
fn several_exchanges_send_at_a_time() {
    let service = Service::new(settings());
    let mut pairs: Vec<_> = (0..3).map(|_| take_one(&service)).collect();
    for (exchange, _) in &mut pairs {
        exchange.send(b"", &vec![7; LONG], b"", true, || Box::new(vec![7; LONG])).expect("it is there");
    }
    for (_, client) in &mut pairs {
        assert!(read(client, LONG) == vec![7; LONG]);
    }
    for (exchange, mut client) in pairs {
        service.reactor.finish(exchange, End::Close);
        assert!(read_all(&mut client).is_empty());
    }
}

#[test]
fn blocks_are_sent_within_moments_however_long_the_understudy_has_waited() {
    let (service, mut exchange, mut client) = busy(settings());
    client.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    for pause in [1, 300] {
        std::thread::sleep(Duration::from_millis(pause));
        for block in [b"first", b"other"] {
            exchange.send(b"", block, b"", true, || unreachable!()).expect("the client is there");
        }
        assert_eq!(read(&mut client, 10), b"firstother");
    }
    service.reactor.finish(exchange, End::Close);
}

#[test]
fn the_tick_comes_while_a_request_is_served_and_not_before() {
    let service = Service::new(settings());
    let ticks = Arc::new(AtomicUsize::new(0));
    let counter = ticks.clone();
    service.reactor.on_tick(Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    }));
    let (exchange, _client) = take_one(&service);
    answer(&service.reactor, exchange, End::Keep);
    let (exchange, _client) = take_one(&service);
    assert_eq!(ticks.load(Ordering::SeqCst), 0);
    let started = Instant::now();
    while ticks.load(Ordering::SeqCst) < 2 {
        assert!(started.elapsed() < Duration::from_secs(10), "no tick");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(started.elapsed() > Duration::from_millis(1500));
    answer(&service.reactor, exchange, End::Keep);
}

#[test]
fn the_thread_ends_with_the_reactor() {
    let (service, exchange, _client) = busy(settings());
    answer(&service.reactor, exchange, End::Keep);
    let weak = Arc::downgrade(&service.reactor);
    drop(service);
    let started = Instant::now();
    while weak.strong_count() > 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "somebody keeps it");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn it_does_not_look_all_the_time_for_descriptors_that_it_would_not_take() {
    let (service, _exchange, _client) = busy(settings());
    let mut state = service.reactor.lock();
    state.accepting = Accepting::Exhausted(state.now);
    let most = Duration::from_secs(1);
    assert_eq!(state.begin_stand_in(most), Some(most));
}

#[test]
fn what_it_hears_from_the_callers_descriptors_keeps_no_thread_waiting() {
    let (service, exchange, _client) = busy(settings());
    let (watched, other) = UnixStream::pair().expect("two ends");
    service.reactor.lock().watch(watched.as_fd(), 3).expect("watched");
    drop(other);
    service.until_state(|state| state.woken != 0);
    service.reactor.finish(exchange, End::Cut);
    let began = Instant::now();
    service.reactor.poll(Some(Duration::from_secs(10))).expect("the loop turns");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(service.reactor.lock().take_woken(), 1 << 3);
}

#[test]
fn what_it_hears_of_the_end_keeps_no_thread_waiting() {
    let service = Service::new(settings());
    let mut state = service.reactor.lock();
    state.watch.stopped = true;
    assert_eq!(state.begin_wait(None), Some(Duration::ZERO));
}
