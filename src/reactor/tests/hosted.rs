//! What a loop of somebody else's needs to know: when there is something to do, and that nobody new is welcome.

use std::os::fd::AsFd;

use super::*;
use crate::sys::socket::{Readiness, wait};

/// Whether the reactor's descriptor tells of something within so many milliseconds.
fn tells(service: &Service, within: u64) -> bool {
    wait(service.reactor.as_fd(), Readiness::Read, Some(Duration::from_millis(within)))
        .expect("it can be asked")
}

/// One turn without waiting, with new connections or not.
fn turn(service: &Service, accepts: bool) -> Vec<Exchange> {
    service.reactor.poll(Some(Duration::ZERO)).expect("the loop turns");
    let mut reactor = service.reactor.lock();
    let next = if accepts { Reactor::next_exchange } else { Reactor::next_known };
    std::iter::from_fn(|| next(&mut reactor)).collect()
}

#[test]
fn the_descriptor_tells_of_clients_and_of_nothing_else() {
    let service = Service::new(settings());
    assert!(!tells(&service, 0));
    let mut client = service.client();
    client.write_all(GET).expect("sent");
    assert!(tells(&service, 5000));
    let mut exchanges = turn(&service, true);
    assert!(!tells(&service, 0));
    answer(&service.reactor, exchanges.pop().expect("a request"), End::Keep);
    assert!(exchanges.is_empty());
    // That it can be written to is new of a connection that is kept for the first time.
    assert!(turn(&service, true).is_empty());
    assert!(!tells(&service, 0));
    client.write_all(GET).expect("sent");
    assert!(tells(&service, 5000));
    assert_eq!(turn(&service, true).len(), 1);
}

#[test]
fn what_no_socket_tells_of_is_due() {
    let service = Service::new(settings());
    assert_eq!(service.reactor.lock().next_due(), None);
    let mut client = service.client();
    client.write_all(&GET.repeat(2)).expect("sent");
    let exchange = service.exchange();
    // The second request has come with the first.
    answer(&service.reactor, exchange, End::Keep);
    assert_eq!(service.reactor.lock().next_due(), Some(0));
    let mut exchanges = turn(&service, true);
    answer(&service.reactor, exchanges.pop().expect("a request"), End::Keep);
    turn(&service, true);
    let due = service.reactor.lock().next_due().expect("the end of the connection");
    assert!(due > clock::monotonic() + 4000 * MILLISECOND);
}

#[test]
fn who_is_not_welcome_waits_and_does_not_keep_the_loop_awake() {
    let service = Service::new(settings());
    service.reactor.be_hosted();
    let mut known = service.client();
    known.write_all(GET).expect("sent");
    answer(&service.reactor, service.exchange(), End::Keep);
    let mut stranger = service.client();
    stranger.write_all(GET).expect("sent");
    known.write_all(GET).expect("sent");
    assert!(tells(&service, 5000));
    // Those that are known are read.
    let exchanges = turn(&service, false);
    assert_eq!(exchanges.len(), 1);
    assert!(tells(&service, 0));
    service.reactor.lock().rest();
    assert!(!tells(&service, 50));
    assert_eq!(turn(&service, true).len(), 0);
    service.reactor.lock().rise();
    assert!(tells(&service, 5000));
    assert_eq!(turn(&service, true).len(), 1);
}

#[test]
fn at_the_end_connections_are_closed_and_those_that_are_out_end_with_their_request() {
    let service = Service::new(settings());
    let (mut served, mut idle) = (service.client(), service.client());
    served.write_all(GET).expect("sent");
    let exchange = service.exchange();
    service.until(|reactor, _| (reactor.lock().open_connections() == 2).then_some(()));
    service.reactor.lock().shut();
    assert!(read_all(&mut idle).is_empty());
    assert_eq!(service.reactor.lock().open_connections(), 1);
    answer(&service.reactor, exchange, End::Close);
    assert_eq!(read_all(&mut served), OK);
    assert!(UnixStream::connect(&service.path).is_err());
}
