//! Which connections a worker takes and when it stops: only with a free hand, only as many as it may have, only while
//! there are descriptors, and none once it is leaving.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use mio::Token;
use mio::unix::SourceFd;

use crate::net::Stream;
use crate::reactor::connection::Connection;
use crate::reactor::deadlines::Wait;
use crate::reactor::exchange::Exchange;
use crate::reactor::notice::Notice;
use crate::reactor::reactor::{LISTENERS, Reactor, Slot};
use crate::sys::epoll;

/// How long accepting rests when descriptors have run out, in nanoseconds.
const EXHAUSTED_PAUSE: u64 = 100_000_000;

/// Whether new connections are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepting {
    Yes,
    /// Not now: there are as many connections as are allowed.
    Full,
    /// Not now: nobody has a hand free for them.
    Resting,
    /// Not before then: descriptors have run out.
    Exhausted(u64),
    /// Never again.
    Stopped,
}

impl Reactor {
    /// Takes connections until one has a complete request: new ones, and those that other workers pass on.
    pub(super) fn accept(&mut self) -> Option<Exchange> {
        if self.offers.take_turn() {
            self.take_over().or_else(|| self.accept_new())
        } else {
            self.accept_new().or_else(|| self.take_over())
        }
    }

    /// Somebody may wait outside of whom this worker was not told. Watched anew, listeners tell it with the next wait, and
    /// with each one after that until nobody is left.
    pub(super) fn look_outside(&mut self) {
        self.forget_listeners();
        self.try_again();
    }

    fn accept_new(&mut self) -> Option<Exchange> {
        while self.burst > 0 && self.acceptable != 0 && self.accepting == Accepting::Yes {
            if !self.has_room() {
                self.pause(Accepting::Full);
                return None;
            }
            let index = self.acceptable.trailing_zeros() as usize;
            match self.listeners[index].accept() {
                Ok((stream, peer)) => {
                    self.burst -= 1;
                    self.make_room();
                    if let Some(exchange) = self.adopt(stream, peer, index) {
                        return Some(exchange);
                    }
                }
                Err(error) => self.accept_failed(index, error),
            }
        }
        None
    }

    fn adopt(&mut self, stream: Stream, peer: Option<SocketAddr>, listener: usize) -> Option<Exchange> {
        let key = self.slots.insert(Slot::Here(Box::new(Connection::new(stream, peer, listener))));
        let exchange = self.read(key)?;
        Some(Exchange { came_at: self.knocked_at, ..exchange })
    }

    fn accept_failed(&mut self, index: usize, error: io::Error) {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                self.run_out(error);
            }
            // The client has gone again: the next one may wait behind it.
            Some(libc::ECONNABORTED | libc::EPROTO) => {}
            _ => self.acceptable &= !(1 << index),
        }
    }

    /// Descriptors have run out.
    pub(super) fn run_out(&mut self, error: io::Error) {
        if !self.evict_quiet() {
            self.notices.push(Notice::Exhausted(error));
            self.pause(Accepting::Exhausted(self.now + EXHAUSTED_PAUSE));
        }
    }

    fn is_full(&self) -> bool {
        self.slots.len() >= self.common.settings.worker_connections
    }

    /// Whether one more connection may come, perhaps in the place of one that can be done without.
    pub(super) fn has_room(&self) -> bool {
        !self.is_full() || self.oldest_quiet().is_some()
    }

    /// Before a wait: the kernel calls one worker for each who comes, which must not be one that cannot let him in.
    pub(super) fn let_siblings_accept(&mut self) {
        if self.accepting == Accepting::Yes && !self.has_room() {
            self.pause(Accepting::Full);
        }
    }

    /// One more connection has come.
    pub(super) fn make_room(&mut self) {
        if self.is_full() {
            self.evict_quiet();
        }
    }

    /// The connection that can best be done without: one that has been idle for the longest time, else one that has
    /// never sent a byte. Not one of which bytes have come that nobody has read yet.
    fn oldest_quiet(&self) -> Option<usize> {
        let quiet = |key: &usize| matches!(&self.slots[*key], Slot::Here(connection) if !connection.queued);
        let oldest = |wait| self.deadlines.oldest(wait).filter(quiet);
        oldest(Wait::Idle).or_else(|| oldest(Wait::First))
    }

    /// Closes that connection; `false` if there is none.
    fn evict_quiet(&mut self) -> bool {
        let Some(key) = self.oldest_quiet() else { return false };
        self.remove(key);
        true
    }

    pub(super) fn pause(&mut self, why: Accepting) {
        let watched = std::mem::replace(&mut self.accepting, why) == Accepting::Yes;
        self.acceptable = 0;
        if watched {
            self.forget_listeners();
            self.call_others();
        }
    }

    fn forget_listeners(&mut self) {
        self.forget_offers();
        for listener in &self.listeners {
            // A failure would only mean more wake-ups.
            let _ = self.registry.deregister(&mut SourceFd(&listener.as_fd().as_raw_fd()));
        }
    }

    pub(super) fn accept_again(&mut self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter().enumerate() {
            epoll::watch_listener(&self.registry, listener.as_fd(), Token(LISTENERS + index))?;
        }
        self.watch_offers()?;
        self.accepting = Accepting::Yes;
        Ok(())
    }

    /// Somebody waits outside since then, or may: unless others did before.
    pub(super) fn knock(&mut self, at: u64) {
        if self.acceptable == 0 && !self.stood_in {
            self.knocked_at = at;
        }
        self.stood_in = true;
    }

    /// Nobody has a hand free: who wants to connect waits in the kernel.
    pub fn rest(&mut self) {
        if self.accepting == Accepting::Yes {
            self.knock(self.polled_at);
            self.pause(Accepting::Resting);
        }
    }

    /// Somebody has a hand free again.
    pub fn rise(&mut self) {
        if self.accepting == Accepting::Resting {
            self.try_again();
        }
    }

    /// A connection has gone, or would if another came.
    pub(super) fn room_again(&mut self) {
        if self.accepting == Accepting::Full {
            self.try_again();
        }
    }

    /// Time has passed: there may be descriptors again.
    pub(super) fn rested(&mut self) {
        if matches!(self.accepting, Accepting::Exhausted(until) if until <= self.polled_at) {
            self.try_again();
        }
    }

    fn try_again(&mut self) {
        if self.accept_again().is_err() {
            // Some may be watched already, and cannot be a second time.
            self.forget_listeners();
            self.accepting = Accepting::Exhausted(self.now + EXHAUSTED_PAUSE);
        }
    }

    /// Whether nobody is accepted because nobody has a hand free.
    #[cfg(test)]
    pub(super) fn is_resting(&self) -> bool {
        self.accepting == Accepting::Resting
    }

    /// Whether the worker is leaving.
    pub(super) fn is_draining(&self) -> bool {
        self.accepting == Accepting::Stopped
    }
}
