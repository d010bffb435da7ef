//! One thread leads the loop.

use super::*;

#[test]
fn pipelined_requests_are_served_in_turn_on_one_connection() {
    let service = Service::new(settings());
    let mut client = service.client();
    client.write_all(&GET.repeat(5)).expect("sent");
    for _ in 0..5 {
        let exchange = service.exchange();
        assert_eq!(exchange.target(), b"/");
        answer(&service.reactor, exchange, End::Keep);
    }
    assert_eq!(read(&mut client, 5 * OK.len()), OK.repeat(5));
    assert_eq!(service.reactor.lock().open_connections(), 1);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let service = Service::new(settings());
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
    let service = Service::new(settings());
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
    let service = Service::new(settings());
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    client.shutdown(std::net::Shutdown::Write).expect("half closed");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Keep)));
    service.serve_until_left(0);
    assert_eq!(read_all(&mut client), OK);
}

#[test]
fn half_a_head_is_refused_when_its_time_is_up_and_silence_is_not_answered() {
    let service = Service::new(ReactorSettings { header_timeout: 50 * MILLISECOND, ..settings() });
    let (mut half, mut silent) = (service.client(), service.client());
    half.write_all(b"GET / HT").expect("sent");
    service.until(|reactor, _| reactor.lock().has_notices().then_some(()));
    half.shutdown(std::net::Shutdown::Write).expect("half closed");
    service.serve_until_left(0);
    assert!(read_all(&mut half).starts_with(b"HTTP/1.1 408 "));
    assert!(read_all(&mut silent).is_empty());
}

#[test]
fn an_empty_line_after_a_request_is_not_the_start_of_another() {
    let service = Service::new(ReactorSettings { header_timeout: 50 * MILLISECOND, ..settings() });
    let mut client = service.client();
    client.write_all(&[GET, b"\r\n"].concat()).expect("sent");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Keep)));
    let until = clock::monotonic() + 200 * MILLISECOND;
    service.until(|reactor, _| (reactor.lock().now() > until).then_some(()));
    client.write_all(GET).expect("sent");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Close)));
    service.serve_until_left(0);
    assert_eq!(read_all(&mut client), OK.repeat(2));
}

#[test]
fn a_kept_connection_ends_when_it_is_idle_for_too_long() {
    let service = Service::new(ReactorSettings { keepalive: 50 * MILLISECOND, ..settings() });
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Keep)));
    service.serve_until_left(0);
    assert_eq!(read_all(&mut client), OK);
}

#[test]
fn an_idle_connection_makes_room_and_a_busy_one_does_not() {
    let service = Service::new(ReactorSettings { worker_connections: 2, ..settings() });
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
    let service = Service::new(ReactorSettings { worker_connections: 1, ..settings() });
    let (mut first, mut second) = (service.client(), service.client());
    second.write_all(GET).expect("sent");
    first.write_all(&GET[..9]).expect("sent");
    let turns = clock::monotonic() + 50 * MILLISECOND;
    service.until(|reactor, exchange| {
        assert!(exchange.is_none());
        (reactor.lock().now() > turns).then_some(())
    });
    first.write_all(&GET[9..]).expect("sent");
    for client in [&mut first, &mut second] {
        service.until(|reactor, exchange| exchange.map(|exchange| answer(reactor, exchange, End::Close)));
        assert_eq!(read_all(client), OK);
    }
}

#[test]
fn who_waits_is_accepted_in_the_place_of_a_quiet_one_while_the_quietest_has_a_request() {
    let keepalive = 60_000 * MILLISECOND;
    let service = Service::new(ReactorSettings { worker_connections: 2, keepalive, ..settings() });
    let mut kept = [service.client(), service.client()];
    for client in &mut kept {
        client.write_all(GET).expect("sent");
        answer(&service.reactor, service.exchange(), End::Keep);
    }
    let mut newcomer = service.client();
    newcomer.write_all(GET).expect("sent");
    kept[0].write_all(GET).expect("sent");
    // It takes long.
    let first = service.exchange();
    answer(&service.reactor, service.exchange(), End::Close);
    assert_eq!(read_all(&mut newcomer), OK);
    assert_eq!(read_all(&mut kept[1]), OK);
    answer(&service.reactor, first, End::Close);
    assert_eq!(read_all(&mut kept[0]), OK.repeat(2));
}

#[test]
fn a_long_body_goes_to_a_file() {
    let service = Service::new(settings());
    let mut client = service.client();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n";
    client.write_all(&[head.as_slice(), &[7; 50_000], GET].concat()).expect("sent");
    let mut exchange = service.exchange();
    let Body::File(file, 50_000) = std::mem::take(&mut exchange.request.body) else { panic!("no file") };
    let mut stored = Vec::new();
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut [0; 50_000], 0).expect("all of it");
    (&file).read_to_end(&mut stored).expect("no more than that");
    assert!(stored.is_empty());
    answer(&service.reactor, exchange, End::Keep);
    let exchange = service.exchange();
    assert_eq!(exchange.method(), b"GET");
}

#[test]
fn a_client_that_waits_for_it_is_told_to_continue() {
    let service = Service::new(settings());
    let mut client = service.client();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .expect("sent");
    let turns = clock::monotonic() + 30 * MILLISECOND;
    service.until(|reactor, exchange| {
        assert!(exchange.is_none());
        (reactor.lock().now() > turns).then_some(())
    });
    assert_eq!(read(&mut client, 25), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"abc").expect("sent");
    assert_eq!(body(&service.exchange()), b"abc");
}

#[test]
fn one_that_has_not_read_its_last_answer_is_told_to_continue_when_it_has() {
    let service = Service::new(settings());
    let mut client = service.client();
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    client.write_all(&[GET, post].concat()).expect("sent");
    let exchange = service.exchange();
    // All of it is the kernel's, which takes no more.
    let sent: usize = std::iter::from_fn(|| exchange.connection.stream.send(&[7; 1000]).ok()).sum();
    service.reactor.finish(exchange, End::Keep);
    service.until(|reactor, _| reactor.lock().deadlines.oldest(Wait::Body));
    assert_eq!(read(&mut client, sent), vec![7; sent]);
    service.reactor.poll(Some(Duration::from_secs(5))).expect("the loop turns");
    assert_eq!(read(&mut client, 25), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"abc").expect("sent");
    assert_eq!(body(&service.exchange()), b"abc");
}

#[test]
fn a_slow_reader_gets_all_of_it_and_then_its_next_answer() {
    let service = Service::new(settings());
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
    let service = Service::new(ReactorSettings { send_timeout: 50 * MILLISECOND, ..settings() });
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
    let service = Service::new(settings());
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
    let service = Service::new(settings());
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
    let service = Service::new(settings());
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    let exchange = service.exchange();
    service.reactor.lock().drain();
    assert!(exchange.may_persist());
    answer(&service.reactor, exchange, End::Close);
    service.serve_until_left(0);
    assert_eq!(read_all(&mut client), OK);
    assert!(UnixStream::connect(&service.path).is_err());
}

#[test]
fn what_a_socket_tells_while_its_request_is_served_is_remembered() {
    let service = Service::new(settings());
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    answer(&service.reactor, service.exchange(), End::Keep);
    client.write_all(GET).expect("sent");
    let exchange = service.exchange();
    client.write_all(GET).expect("sent");
    // Its one event comes now.
    service.until(|reactor, _| reactor.lock().is_readable_out(exchange.key).then_some(()));
    answer(&service.reactor, exchange, End::Keep);
    let exchange = service.exchange();
    drop(client);
    service.until(|reactor, _| reactor.lock().is_readable_out(exchange.key).then_some(()));
    service.reactor.finish(exchange, End::Keep);
    service.serve_until_left(0);
}

#[test]
fn of_more_requests_than_one_wait_tells_of_none_is_late() {
    const MANY: usize = 300;
    let (keepalive, worker_connections) = (2000 * MILLISECOND, MANY);
    let service = Service::new(ReactorSettings { keepalive, worker_connections, ..settings() });
    let kept = |_| {
        let mut client = service.client();
        client.write_all(GET).expect("sent");
        answer(&service.reactor, service.exchange(), End::Keep);
        read(&mut client, OK.len());
        client
    };
    let mut clients: Vec<_> = (0..MANY).map(kept).collect();
    clients.iter_mut().for_each(|client| client.write_all(GET).expect("sent"));
    std::thread::sleep(Duration::from_nanos(keepalive));
    for _ in 0..MANY {
        answer(&service.reactor, service.exchange(), End::Close);
    }
    clients.iter_mut().for_each(|client| assert_eq!(read_all(client), OK));
}

#[test]
fn what_the_socket_tells_of_a_request_that_is_served_is_kept_whatever_key_is_read() {
    let service = Service::new(settings());
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    answer(&service.reactor, service.exchange(), End::Keep);
    read(&mut client, OK.len());
    client.write_all(GET).expect("sent");
    let exchange = service.exchange();
    client.write_all(GET).expect("sent");
    let told = |state: &Reactor| state.is_readable_out(exchange.key);
    service.until_state(told);
    let mut state = service.reactor.lock();
    // An earlier connection had the same key, and was closed before its turn came.
    state.readable.push_back(exchange.key);
    assert!(state.next_known().is_none());
    assert!(told(&state));
}

#[test]
fn a_request_that_is_abandoned_is_not_read_on() {
    let service = Service::new(settings());
    let mut client = service.client();
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").expect("sent");
    service.until(|reactor, _| (reactor.lock().open_connections() == 1).then_some(()));
    assert_eq!(service.reactor.lock().abandon().len(), 1);
    assert_eq!(read_all(&mut client), b"");
}
