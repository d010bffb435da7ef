//! Who waits outside is announced to one of the workers. That one may not let him in any more, or not for long.

use std::thread;

use super::*;
use crate::net::{Passed, Past, Stream};
use crate::reactor::accept::Accepting;

impl Service {
    /// It knows of those who are here.
    fn looks(&self) {
        self.reactor.poll(Some(Duration::from_millis(1))).expect("the loop turns");
    }

    /// The next request, by events alone.
    fn awaited(&self) -> Exchange {
        let began = Instant::now();
        loop {
            self.reactor.poll(Some(Duration::from_secs(5))).expect("the loop turns");
            assert!(began.elapsed() < Duration::from_secs(5), "nobody has told of it");
            if let Some(exchange) = self.reactor.next_exchange() {
                return exchange;
            }
        }
    }

    /// It waits for events, and is called for what `knock` does; before it knows, `meanwhile` happens to it.
    fn is_called_in_vain(&self, knock: impl FnOnce(), meanwhile: impl FnOnce(&mut Reactor)) {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| self.reactor.poll(Some(Duration::from_secs(1))));
            self.until_state(|state| state.watch.is_kept());
            // It is asleep only some instructions later. If not, the others are told too and the test shows nothing.
            thread::sleep(Duration::from_millis(20));
            let mut state = self.reactor.lock();
            knock();
            meanwhile(&mut state);
            drop(state);
            waiter.join().expect("no panic").expect("the loop turns");
        });
    }
}

impl Pair {
    fn called_in_vain(&self, knock: impl FnOnce(), meanwhile: impl FnOnce(&mut Reactor)) {
        self.from.looks();
        self.to.looks();
        self.from.is_called_in_vain(knock, meanwhile);
    }

    /// A third worker passes that connection on.
    fn put_in(&self, server: UnixStream) {
        let handoff = self.board.handoff().expect("it has one");
        assert_eq!(handoff.pass(&Stream::plain(server.into()), Past::default(), &[]), Passed::Yes);
    }

    fn first_leaves(&self, state: &mut Reactor) {
        self.set_takers(1);
        self.from.leaving.store(true, Ordering::Relaxed);
        state.drain();
    }
}

/// That client has sent a request.
fn asking(mut client: UnixStream) -> UnixStream {
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    client.write_all(GET).expect("sent");
    client
}

#[test]
fn who_was_announced_to_a_leaving_worker_is_let_in_by_another() {
    let pair = Pair::together(&settings());
    let mut client = None;
    let knock = || client = Some(asking(pair.from.client()));
    pair.called_in_vain(knock, |state| pair.first_leaves(state));
    pair.serve(&mut client.expect("it has knocked"), b"/", 1);
}

#[test]
fn of_two_who_were_announced_to_leaving_workers_both_are_let_in() {
    let board = Pair::board();
    let workers: [Service; 3] = Pair::at_one_listener(&board, &settings());
    board.handoff().expect("it has one").set_takers(1);
    workers.iter().for_each(Service::looks);
    let [first, second, last] = &workers;
    let mut clients = Vec::new();
    let leaves = |worker: &Service, state: &mut Reactor| {
        worker.leaving.store(true, Ordering::Relaxed);
        state.drain();
    };
    first.is_called_in_vain(
        || {
            clients.push(asking(last.client()));
            let other = || clients.push(asking(last.client()));
            second.is_called_in_vain(other, |state| leaves(second, state));
        },
        |state| leaves(first, state),
    );
    for client in &mut clients {
        answer(&last.reactor, last.awaited(), End::Close);
        assert_eq!(read_all(client), OK);
    }
}

#[test]
fn what_was_passed_on_and_announced_to_a_leaving_worker_is_taken_by_another() {
    let pair = Pair::together(&settings());
    let mut client = None;
    let knock = || {
        let (server, new) = UnixStream::pair().expect("two ends");
        client = Some(asking(new));
        pair.put_in(server);
    };
    pair.called_in_vain(knock, |state| pair.first_leaves(state));
    pair.serve(&mut client.expect("it has knocked"), b"/", 1);
}

#[test]
fn of_two_who_are_announced_at_once_one_does_not_wait_behind_the_other() {
    let pair = Pair::together(&settings());
    let mut clients = Vec::new();
    let knock = || {
        let (server, passed) = UnixStream::pair().expect("two ends");
        clients.extend([pair.from.client(), passed].map(asking));
        pair.put_in(server);
    };
    pair.called_in_vain(knock, |_| {});
    let first = pair.from.reactor.next_exchange().expect("two are there");
    let second = pair.to.exchange();
    answer(&pair.to.reactor, second, End::Close);
    answer(&pair.from.reactor, first, End::Close);
    for client in &mut clients {
        assert_eq!(read_all(client), OK);
    }
}

#[test]
fn who_was_announced_to_a_worker_that_has_no_room_any_more_is_let_in_by_another() {
    let pair = Pair::together(&settings());
    let mut client = None;
    let knock = || client = Some(asking(pair.from.client()));
    pair.called_in_vain(knock, |state| state.pause(Accepting::Full));
    pair.serve(&mut client.expect("it has knocked"), b"/", 1);
}

#[test]
fn calls_that_have_piled_up_are_heard_at_once() {
    let pair = Pair::together(&settings());
    let handoff = pair.board.handoff().expect("it has one");
    (0..100).for_each(|_| handoff.call());
    let (server, client) = UnixStream::pair().expect("two ends");
    pair.put_in(server);
    let mut passed = asking(client);
    let mut newcomer = asking(pair.to.client());
    pair.to.looks();
    // Who was passed on does not wait behind them.
    for client in [&mut passed, &mut newcomer] {
        answer(&pair.to.reactor, pair.to.awaited(), End::Close);
        assert_eq!(read_all(client), OK);
    }
    assert_eq!(handoff.take().expect_err("all of them").kind(), std::io::ErrorKind::WouldBlock);
}
