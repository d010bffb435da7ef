//! Two workers of one service: connections go from one to the other.

use super::*;
use crate::net::Handoff;
use crate::reactor::deadlines::Wait;

mod calls;
mod whole;

/// Two reactors with listeners of their own, and what they share.
struct Pair {
    board: Arc<Board>,
    from: Service,
    to: Service,
}

impl Pair {
    fn new(settings: &ReactorSettings) -> Self {
        let board = Self::board();
        let [from, to] = [(), ()].map(|()| Service::on(&board, settings.clone()));
        let pair = Self { board, from, to };
        pair.set_takers(2);
        pair
    }

    /// Two at the same listener.
    fn together(settings: &ReactorSettings) -> Self {
        let board = Self::board();
        let [from, to] = Self::at_one_listener(&board, settings);
        let pair = Self { board, from, to };
        pair.set_takers(2);
        pair
    }

    /// The kernel calls the first of them that waits.
    fn at_one_listener<const MANY: usize>(board: &Arc<Board>, settings: &ReactorSettings) -> [Service; MANY] {
        let directory = Arc::new(tempfile::tempdir().expect("a directory"));
        let listener = UnixListener::bind(directory.path().join("socket")).expect("a listener");
        [(); MANY].map(|()| {
            let listener = listener.try_clone().expect("a copy");
            Service::at(listener, board, settings.clone(), directory.clone())
        })
    }

    fn board() -> Arc<Board> {
        let (_, waker) = pipe::nonblocking().expect("a pipe");
        let handoff = Handoff::new().expect("a handoff socket");
        Board::new(3, waker, Some(handoff)).expect("a board")
    }

    fn set_takers(&self, takers: usize) {
        self.board.handoff().expect("it has one").set_takers(takers);
    }

    /// The first worker was told to leave.
    fn leave(&self) {
        self.set_takers(1);
        self.from.leaving.store(true, Ordering::Relaxed);
        self.from.reactor.lock().drain();
    }

    /// A connection to the first worker that has had a request.
    fn kept(&self) -> UnixStream {
        let mut client = self.from.client();
        client.write_all(GET).expect("sent");
        answer(&self.from.reactor, self.from.exchange(), End::Keep);
        assert_eq!(read(&mut client, OK.len()), OK);
        client
    }

    /// The second worker answers the next request of that client.
    fn serve(&self, client: &mut UnixStream, target: &[u8], number: u32) {
        let exchange = self.to.exchange();
        assert_eq!((exchange.target(), exchange.request.number), (target, number));
        assert!(exchange.may_persist());
        answer(&self.to.reactor, exchange, End::Keep);
        assert_eq!(read(client, OK.len()), OK);
    }
}

fn connections(service: &Service) -> usize {
    service.reactor.lock().open_connections()
}

#[test]
fn an_idle_connection_of_a_leaving_worker_is_served_by_another() {
    let pair = Pair::new(&settings());
    let mut client = pair.kept();
    pair.leave();
    assert_eq!(connections(&pair.from), 0);
    assert!(pair.from.reactor.is_deserted());
    client.write_all(GET).expect("sent");
    pair.serve(&mut client, b"/", 2);
    assert_eq!(pair.board.snapshot(0).handed, 1);
    assert_eq!(pair.board.snapshot(1).handed, 0);
}

#[test]
fn one_whose_request_runs_follows_with_what_is_behind_it() {
    let pair = Pair::new(&settings());
    let mut client = pair.from.client();
    client.write_all(&[GET, b"GET /second HTTP/1.1\r\nHost: a\r\n\r\nGET /thi"].concat()).expect("sent");
    let exchange = pair.from.exchange();
    pair.leave();
    assert!(!pair.from.reactor.is_deserted());
    assert!(exchange.may_persist());
    answer(&pair.from.reactor, exchange, End::Keep);
    assert!(pair.from.reactor.is_deserted());
    assert_eq!(read(&mut client, OK.len()), OK);
    pair.serve(&mut client, b"/second", 2);
    client.write_all(b"rd HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    pair.serve(&mut client, b"/third", 3);
}

#[test]
fn a_head_goes_on_with_the_time_that_it_has_had() {
    let pair = Pair::new(&settings());
    let mut client = pair.kept();
    client.write_all(b"GET /slow HT").expect("sent");
    let since = pair.from.until(|reactor, _| {
        let state = reactor.lock();
        let key = state.deadlines.oldest(Wait::Head)?;
        state.deadlines.since(key)
    });
    std::thread::sleep(Duration::from_millis(50));
    pair.leave();
    pair.to.until(|reactor, _| {
        let state = reactor.lock();
        state.deadlines.oldest(Wait::Head).map(|key| assert_eq!(state.deadlines.since(key), Some(since)))
    });
    client.write_all(b"TP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    pair.serve(&mut client, b"/slow", 2);
}

#[test]
fn a_response_that_is_still_being_sent_is_finished_first() {
    let pair = Pair::new(&settings());
    let mut client = pair.from.client();
    client.write_all(GET).expect("sent");
    let mut exchange = pair.from.exchange();
    let long = vec![7; 3_000_000];
    exchange.send(b"", &long, b"", false, || Box::new(long.clone())).expect("it is there");
    pair.from.reactor.finish(exchange, End::Keep);
    pair.leave();
    assert_eq!(connections(&pair.from), 1);
    let mut reader = client.try_clone().expect("a socket");
    let reader = std::thread::spawn(move || read(&mut reader, 3_000_000));
    pair.from.until(|reactor, _| reactor.is_deserted().then_some(()));
    assert!(reader.join().expect("no panic") == long);
    client.write_all(GET).expect("sent");
    pair.serve(&mut client, b"/", 2);
}

#[test]
fn more_connections_move_than_the_socket_holds_and_none_is_lost() {
    const MANY: usize = 700;
    let pair = Pair::new(&ReactorSettings { worker_connections: 1000, ..settings() });
    let mut clients: Vec<_> = (0..MANY).map(|_| pair.kept()).collect();
    pair.leave();
    assert!((1..MANY).contains(&connections(&pair.from)));
    pair.to.until(|_, exchange| {
        assert!(exchange.is_none());
        pair.from.reactor.poll(Some(Duration::from_millis(1))).expect("the loop turns");
        (connections(&pair.to) == MANY).then_some(())
    });
    assert!(pair.from.reactor.is_deserted());
    for client in &mut clients {
        client.write_all(GET).expect("sent");
        pair.serve(client, b"/", 2);
    }
}

#[test]
fn without_takers_a_leaving_worker_answers_once_more_and_takes_what_others_have_left() {
    let pair = Pair::new(&settings());
    let mut first = pair.kept();
    pair.leave();
    pair.set_takers(0);
    // The other one leaves too, and has connections of its own.
    pair.to.leaving.store(true, Ordering::Relaxed);
    let mut second = pair.to.client();
    second.write_all(b"GET / HT").expect("sent");
    pair.to.reactor.lock().drain();
    assert!(!pair.to.reactor.is_deserted());
    let rests: [(&mut UnixStream, &[u8]); 2] =
        [(&mut first, GET), (&mut second, b"TP/1.1\r\nHost: a\r\n\r\n")];
    for (client, rest) in rests {
        client.write_all(rest).expect("sent");
        let exchange = pair.to.exchange();
        assert!(!exchange.may_persist());
        answer(&pair.to.reactor, exchange, End::Close);
        assert_eq!(read_all(client), OK);
    }
    pair.to.until(|reactor, _| reactor.is_deserted().then_some(()));
}

#[test]
fn who_has_as_many_as_allowed_takes_one_in_the_place_of_the_quietest() {
    let pair = Pair::new(&ReactorSettings { worker_connections: 2, ..settings() });
    let mut quiet: Vec<_> = (0..2)
        .map(|_| {
            let mut client = pair.to.client();
            client.write_all(GET).expect("sent");
            answer(&pair.to.reactor, pair.to.exchange(), End::Keep);
            client
        })
        .collect();
    let mut client = pair.kept();
    client.write_all(GET).expect("sent");
    pair.leave();
    pair.serve(&mut client, b"/", 2);
    assert_eq!(read_all(&mut quiet[0]), OK);
    assert_eq!(connections(&pair.to), 2);
}

#[test]
fn nobody_is_taken_while_no_connection_can_be_done_without() {
    let pair = Pair::new(&ReactorSettings { worker_connections: 1, ..settings() });
    let mut busy = pair.to.client();
    busy.write_all(GET).expect("sent");
    let exchange = pair.to.exchange();
    let mut client = pair.kept();
    client.write_all(GET).expect("sent");
    pair.leave();
    for _ in 0..3 {
        pair.to.reactor.poll(Some(Duration::from_millis(10))).expect("the loop turns");
        assert!(pair.to.reactor.next_exchange().is_none());
    }
    answer(&pair.to.reactor, exchange, End::Keep);
    pair.serve(&mut client, b"/", 2);
    assert_eq!(read_all(&mut busy), OK);
}

#[test]
fn a_client_that_has_gone_on_the_way_is_forgotten() {
    let pair = Pair::new(&settings());
    let client = pair.kept();
    drop(client);
    pair.leave();
    for _ in 0..3 {
        pair.to.reactor.poll(Some(Duration::from_millis(10))).expect("the loop turns");
        assert!(pair.to.reactor.next_exchange().is_none());
    }
    assert_eq!(connections(&pair.to), 0);
}

#[test]
fn a_kept_connection_does_not_wait_behind_a_long_request() {
    let pair = Pair::new(&settings());
    let mut clients: Vec<_> = (0..3).map(|_| pair.kept()).collect();
    let mut busy = pair.from.client();
    busy.write_all(GET).expect("sent");
    let exchange = pair.from.exchange();
    for client in &mut clients {
        client.write_all(b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
        pair.serve(client, b"/short", 2);
    }
    // They belong to the other one now.
    assert_eq!(connections(&pair.from), 1);
    answer(&pair.from.reactor, exchange, End::Keep);
    assert_eq!(read(&mut busy, OK.len()), OK);
}

#[test]
fn a_request_whose_body_came_late_moves_too() {
    let pair = Pair::new(&settings());
    let mut client = pair.kept();
    client.write_all(b"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n").expect("sent");
    pair.from.until(|reactor, _| reactor.lock().deadlines.oldest(Wait::Body));
    let mut busy = pair.from.client();
    busy.write_all(GET).expect("sent");
    let _exchange = pair.from.exchange();
    client.write_all(&[b'x'; 900]).expect("sent");
    client.write_all(GET).expect("sent");
    let exchange = pair.to.exchange();
    assert_eq!((exchange.target(), exchange.request.number), (b"/late".as_slice(), 2));
    assert_eq!(body(&exchange), [b'x'; 900]);
    answer(&pair.to.reactor, exchange, End::Keep);
    assert_eq!(read(&mut client, OK.len()), OK);
    pair.serve(&mut client, b"/", 3);
}

#[test]
fn alone_it_reads_ahead_as_ever() {
    let pair = Pair::new(&settings());
    pair.set_takers(1);
    let mut client = pair.kept();
    let mut busy = pair.from.client();
    busy.write_all(GET).expect("sent");
    let exchange = pair.from.exchange();
    client.write_all(GET).expect("sent");
    pair.from.until_state(|state| !state.ready.is_empty());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(connections(&pair.from), 2);
    answer(&pair.from.reactor, exchange, End::Keep);
    answer(&pair.from.reactor, pair.from.exchange(), End::Keep);
    assert_eq!(read(&mut client, OK.len()), OK);
}

#[test]
fn the_service_ends_connections_only_when_nobody_would_take_them() {
    let pair = Pair::new(&settings());
    let mut client = pair.from.client();
    client.write_all(GET).expect("sent");
    let exchange = pair.from.exchange();
    assert!(exchange.may_persist());
    pair.board.announce_end();
    assert!(exchange.may_persist());
    pair.set_takers(0);
    assert!(!exchange.may_persist());
    answer(&pair.from.reactor, exchange, End::Close);
    // Who comes meanwhile is served.
    let mut late = pair.from.client();
    late.write_all(GET).expect("sent");
    let exchange = pair.from.exchange();
    assert!(!exchange.may_persist());
    answer(&pair.from.reactor, exchange, End::Close);
    assert_eq!(read_all(&mut late), OK);
}

#[test]
fn who_waits_outside_of_a_worker_that_nobody_replaces_is_served() {
    let service = Service::new(settings());
    let mut clients: Vec<_> = (0..20).map(|_| service.client()).collect();
    clients.iter_mut().for_each(|client| client.write_all(GET).expect("sent"));
    service.leaving.store(true, Ordering::Relaxed);
    service.reactor.lock().drain();
    for _ in 0..clients.len() {
        let exchange = service.exchange();
        assert!(!exchange.may_persist());
        answer(&service.reactor, exchange, End::Close);
    }
    clients.iter_mut().for_each(|client| assert_eq!(read_all(client), OK));
    service.until(|reactor, _| reactor.is_deserted().then_some(()));
    assert!(UnixStream::connect(&service.path).is_err());
}
