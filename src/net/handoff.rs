//! The handoff socket: workers of a service put connections into it that others take out, as from one more listener. A
//! Unix socket pair that the arbiter makes before it forks, and a page of shared memory which tells whether anybody would
//! take them. An upgraded program adopts both, so that two arbiters' workers share them for a while.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::net::Stream;
use crate::net::moved::{self, Moved, Past};
use crate::sys::mmap::SharedWords;
use crate::sys::rights;

/// Bytes that go with a connection at most. A longer message could be refused by a kernel with small buffers.
pub const LONGEST: usize = 64 * 1024;

/// The arbiters that may be alive at a time: an old one, and that of the program which takes its place.
const ARBITERS: usize = 2;

/// Both ends of the socket, and how many workers take connections from it.
#[derive(Debug)]
pub struct Handoff {
    sender: OwnedFd,
    receiver: OwnedFd,
    /// For each arbiter the number of its takers.
    page: SharedWords,
    which: usize,
    /// Where messages are received.
    buffer: Mutex<Vec<u8>>,
}

/// What became of an attempt to pass a connection on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// It is another's now: whoever has passed it must forget it.
    Yes,
    /// As many wait as may: another attempt can be made later.
    Full,
    /// Never: too much of it was read, or it cannot be sent.
    Never,
}

impl Handoff {
    /// A new one, to which this process writes its takers in the first word. Errors: those of socketpair(2) and mmap(2);
    /// not every system has sockets like this.
    pub fn new() -> io::Result<Self> {
        let (sender, receiver) = rights::pair()?;
        Ok(Self::of(sender, receiver, SharedWords::new(ARBITERS)?, 0))
    }

    /// Takes over the one of another program, by its [`Handoff::descriptors`]. `which` of the words is this arbiter's own:
    /// for a program that was executed in the place of another the same, for one that runs beside it the other. Errors:
    /// the page is none, or `which` is not below 2.
    pub fn adopt(sender: OwnedFd, receiver: OwnedFd, page: OwnedFd, which: usize) -> io::Result<Self> {
        if which >= ARBITERS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self::of(sender, receiver, SharedWords::adopt(page, ARBITERS)?, which))
    }

    fn of(sender: OwnedFd, receiver: OwnedFd, page: SharedWords, which: usize) -> Self {
        Self { sender, receiver, page, which, buffer: Mutex::default() }
    }

    /// What another program needs to adopt it: sender, receiver, page. `None`: only children can have it.
    pub fn descriptors(&self) -> Option<[BorrowedFd<'_>; 3]> {
        Some([self.sender.as_fd(), self.receiver.as_fd(), self.page.descriptor()?])
    }

    /// Which of the words is this arbiter's own: 0 or 1.
    pub fn which(&self) -> usize {
        self.which
    }

    /// So many workers of this arbiter take connections, and stay.
    pub fn set_takers(&self, takers: usize) {
        let word = self.word(self.which);
        if word.load(Ordering::Relaxed) != takers as u64 {
            word.store(takers as u64, Ordering::SeqCst);
        }
    }

    /// The other arbiter is gone, and its workers with it or soon.
    pub fn forget_other(&self) {
        self.word(1 - self.which).store(0, Ordering::SeqCst);
    }

    /// How many workers take connections, and stay: of both arbiters.
    pub fn takers(&self) -> u64 {
        (0..ARBITERS).map(|which| self.word(which).load(Ordering::Relaxed)).fold(0, u64::saturating_add)
    }

    /// Whether anybody takes connections.
    pub fn has_takers(&self) -> bool {
        self.takers() > 0
    }

    fn word(&self, which: usize) -> &AtomicU64 {
        &self.page.words()[which]
    }

    /// Puts a connection in, with the bytes that were read of it: `inbound`, one part after the other. Does not wait.
    pub fn pass(&self, stream: &Stream, past: Past, inbound: &[&[u8]]) -> Passed {
        let length: usize = inbound.iter().map(|part| part.len()).sum();
        let header = moved::header(past, stream.is_shared());
        if header.len() + length > LONGEST {
            return Passed::Never;
        }
        let parts: Vec<_> =
            [header.as_slice()].iter().chain(inbound).map(|part| IoSlice::new(part)).collect();
        match rights::send(self.sender.as_fd(), &parts, &[stream.as_fd()]) {
            Ok(()) => Passed::Yes,
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::ETOOMANYREFS) => Passed::Full,
                _ => Passed::Never,
            },
        }
    }

    /// Takes one connection out; `None`: a message that this program does not understand, whose connection is closed.
    ///
    /// Errors: `WouldBlock` when none waits; `EMFILE` when this process has no descriptor left: then it waits on.
    pub fn take(&self) -> io::Result<Option<Moved>> {
        // A message is lost when there is no descriptor for it.
        drop(self.receiver.try_clone()?);
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.resize(LONGEST, 0);
        let received = rights::receive(self.receiver.as_fd(), &mut buffer)?;
        let message = buffer.get(..received.length).filter(|_| !received.cut);
        let Some((past, shared, inbound)) = message.and_then(moved::parse) else { return Ok(None) };
        let Ok([fd]) = <[OwnedFd; 1]>::try_from(received.descriptors) else { return Ok(None) };
        let stream = Stream::plain(fd);
        if shared {
            stream.share();
        }
        Ok(Some(Moved { stream, past, inbound: inbound.to_vec() }))
    }

    /// The end of which connections are taken, for loops to watch.
    pub fn receiver(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn connection() -> (Stream, UnixStream) {
        let (server, client) = UnixStream::pair().expect("two ends");
        (Stream::plain(server.into()), client)
    }

    fn taken(handoff: &Handoff) -> Option<Moved> {
        handoff.take().expect("something waits")
    }

    #[test]
    fn a_connection_goes_on_with_its_past_and_its_bytes() {
        let handoff = Handoff::new().expect("a handoff socket");
        let (stream, mut client) = connection();
        let past = Past { requests: 3, head_since: 4, came_at: 5 };
        assert_eq!(handoff.pass(&stream, past, &[b"GET", b" /"]), Passed::Yes);
        drop(stream);
        let moved = taken(&handoff).expect("a message of ours");
        assert_eq!((moved.past, moved.inbound.as_slice()), (past, b"GET /".as_slice()));
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
        let header = moved::header(Past::default(), false);
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
}
