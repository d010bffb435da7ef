//! A request taken out of the reactor, with its connection: whoever holds it is the only one to touch that socket.
//! Responses go straight to the kernel; what it does not take is queued for the reactor.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::net::Handoff;
use crate::proto::http1::{Head, Refusal};
use crate::reactor::client_wait::ClientWait;
use crate::reactor::connection::Connection;
use crate::reactor::finish::FLUSH_TURN;
use crate::reactor::loan::{Loan, MOMENT};
use crate::reactor::outbound::{Flushed, Payload};
use crate::reactor::request::Request;
use crate::reactor::settings::ReactorSettings;
use crate::reactor::understudy::Understudy;
use crate::scoreboard::Slot;
use crate::sys::socket::Readiness;
use crate::sys::{clock, fork};

/// What every exchange of a worker shares.
pub(super) struct Common {
    pub settings: ReactorSettings,
    pub understudy: Understudy,
    /// The worker was told to leave.
    pub leaving: Arc<AtomicBool>,
    /// The worker's place in the service.
    pub slot: Slot,
}

impl Common {
    /// Whether the worker was told to leave.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Whether others take connections of workers that leave.
    pub fn has_takers(&self) -> bool {
        self.slot.handoff().is_some_and(Handoff::has_takers)
    }

    /// Whether somebody will be there for another request on a connection.
    fn has_future(&self) -> bool {
        !(self.is_leaving() || self.slot.is_service_ending()) || self.has_takers()
    }
}

/// Blocks that wait for each other are sent when they come to so many bytes.
const BATCH: usize = 16 * 1024;
/// A block of at most so many bytes is copied rather than kept.
const COPIED: usize = 4096;

/// A request that is being served. It must go back with [`crate::reactor::SharedReactor::finish`]; dropped, it closes the
/// connection.
pub struct Exchange {
    pub(super) key: usize,
    pub(super) connection: Box<Connection>,
    /// What was asked.
    pub request: Box<Request>,
    pub(super) common: Arc<Common>,
    pub(super) came_at: u64,
    pub(super) taken_at: u64,
    /// Where the understudy finds what is unsent, once something was.
    pub(super) loan: Option<Arc<Loan>>,
    /// It has it now.
    pub(super) lent: bool,
    /// When something was sent last, in nanoseconds; 0 = nothing yet.
    pub(super) sent_at: u64,
    /// No other worker could read it as it was read here.
    pub(super) stays: bool,
}

/// Why the rest of a streamed body cannot be read.
#[derive(Debug)]
pub enum BodyError {
    /// Its bytes are bad.
    Refused(Refusal),
    /// The peer closed the connection before its end.
    Premature,
    /// The peer was silent for longer than `body_timeout`.
    Silent,
    /// The socket failed.
    Io(io::Error),
}

impl Exchange {
    /// The parsed head.
    pub fn head(&self) -> &Head {
        &self.request.head
    }

    /// The method as it was sent.
    pub fn method(&self) -> &[u8] {
        self.request.part(self.request.head.method)
    }

    /// The target as it was sent.
    pub fn target(&self) -> &[u8] {
        self.request.part(self.request.head.target)
    }

    /// The minor version of the response: 0 to a client of HTTP/1.0, else 1, whatever higher version was named.
    pub fn response_minor(&self) -> u8 {
        self.request.head.version.of_answer().minor
    }

    /// When the events were fetched by which it was read, in nanoseconds of the monotonic clock: it had come by then.
    pub fn came_at(&self) -> u64 {
        self.came_at
    }

    /// Somebody begins to serve it only now.
    pub fn take_up(&mut self) {
        self.taken_at = clock::monotonic();
    }

    /// When somebody began to serve it, by the same clock.
    pub fn taken_at(&self) -> u64 {
        self.taken_at
    }

    /// The client's address; `None` on a Unix socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.connection.peer
    }

    /// Which listener took the connection, counted from 0.
    pub fn listener(&self) -> usize {
        self.connection.listener
    }

    /// The client's socket.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.connection.stream.as_fd()
    }

    /// Whoever has a handle on the client's socket goes on with it when this exchange is over. What waits is sent before,
    /// as far as the kernel takes it.
    pub fn hand_over(&mut self) {
        self.connection.stream.hand_over();
        // If the socket has failed, whoever uses it will hear of it too.
        let _ = self.reclaim().and_then(|()| self.flush());
    }

    /// Whether somebody else may go on with the client's socket.
    pub fn is_handed_over(&self) -> bool {
        self.connection.stream.is_handed_over()
    }

    /// Whether the kernel takes all of the response now. Errors: those of the socket.
    pub fn is_sent(&mut self) -> io::Result<bool> {
        self.reclaim()?;
        let Connection { outbound, stream, .. } = &mut *self.connection;
        Ok(outbound.is_empty() || matches!(outbound.flush(stream, FLUSH_TURN)?, Flushed::All))
    }

    /// Asks the reactor for a [`crate::reactor::Notice::Sent`] with this ticket when the response has been sent, or
    /// never will be.
    pub fn follow(&mut self, ticket: u64) {
        self.connection.ticket = Some(ticket);
    }

    /// Whether another request may follow on this connection, as far as the request and the service are concerned.
    pub fn may_persist(&self) -> bool {
        self.request.head.persist
            && self.common.has_future()
            && self.common.settings.keepalive > 0
            && self.request.decoder.is_none()
    }

    /// Sends `lead`, `body` and `tail`. What the kernel does not take is queued: the body by reference, through
    /// `keep`. With `more`, another block may follow: then a short one that comes right after the last waits a moment
    /// for it, in the hands of the understudy. Errors: those of the socket.
    pub fn send(
        &mut self,
        lead: &[u8],
        body: &[u8],
        tail: &[u8],
        more: bool,
        keep: impl FnOnce() -> Payload,
    ) -> io::Result<()> {
        self.reclaim()?;
        let now = if more { clock::monotonic() } else { 0 };
        if more && self.may_wait(lead.len() + body.len() + tail.len(), now) {
            let outbound = &mut self.connection.outbound;
            [lead, body, tail].into_iter().for_each(|bytes| outbound.push(bytes));
            self.lend();
            return Ok(());
        }
        let queued = !self.connection.outbound.is_empty();
        let sent = if queued { 0 } else { self.send_now(lead, body, tail)? };
        self.sent_at = now;
        if sent < lead.len() + body.len() + tail.len() {
            self.queue_rest(lead, body, tail, sent, keep);
            if queued {
                self.flush()?;
            }
            self.connection.outbound.spill(&self.common.settings.spool);
            if more {
                self.lend();
            }
        }
        Ok(())
    }

    /// Whether a block of `size` bytes may wait for the next one.
    fn may_wait(&self, size: usize, now: u64) -> bool {
        // Counted from the last send, so that the first of them never waits longer than a moment.
        self.sent_at != 0
            && now - self.sent_at < MOMENT
            && self.connection.outbound.in_memory() + size <= BATCH
            && !fork::is_forked_child()
            && self.common.understudy.is_there()
    }

    fn queue_rest(
        &mut self,
        lead: &[u8],
        body: &[u8],
        tail: &[u8],
        sent: usize,
        keep: impl FnOnce() -> Payload,
    ) {
        let outbound = &mut self.connection.outbound;
        outbound.push(&lead[sent.min(lead.len())..]);
        let sent = sent.saturating_sub(lead.len());
        if body.len() - sent.min(body.len()) > COPIED {
            outbound.push_shared(keep(), sent);
        } else {
            outbound.push(&body[sent.min(body.len())..]);
        }
        outbound.push(&tail[sent.saturating_sub(body.len()).min(tail.len())..]);
    }

    /// Sends two slices, copying what the kernel does not take. For heads and other small things. The application may work
    /// on for long, if only to clean up: what is unsent goes out meanwhile.
    pub fn send_copied(&mut self, first: &[u8], second: &[u8]) -> io::Result<()> {
        self.reclaim()?;
        let queued = !self.connection.outbound.is_empty();
        let sent = if queued { 0 } else { self.send_now(first, second, b"")? };
        let outbound = &mut self.connection.outbound;
        outbound.push(&first[sent.min(first.len())..]);
        outbound.push(&second[sent.saturating_sub(first.len()).min(second.len())..]);
        if queued {
            self.flush()?;
        }
        self.connection.outbound.spill(&self.common.settings.spool);
        self.lend();
        Ok(())
    }

    /// Sends `lead`, then `length` bytes of `file` from `offset` on, without reading them into this process. What is unsent
    /// goes out as that of [`Exchange::send_copied`].
    pub fn send_with_file(&mut self, lead: &[u8], file: File, offset: u64, length: u64) -> io::Result<()> {
        self.reclaim()?;
        let outbound = &mut self.connection.outbound;
        outbound.push(lead);
        outbound.push_file(Arc::new(file), offset, length);
        self.flush()?;
        self.lend();
        Ok(())
    }

    fn send_now(&mut self, lead: &[u8], body: &[u8], tail: &[u8]) -> io::Result<usize> {
        let stream = &self.connection.stream;
        let sent = match (body.is_empty(), tail.is_empty()) {
            (true, true) => stream.send(lead),
            (false, true) => stream.send_vectored(&[IoSlice::new(lead), IoSlice::new(body)]),
            _ => stream.send_vectored(&[IoSlice::new(lead), IoSlice::new(body), IoSlice::new(tail)]),
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<Flushed> {
        let Connection { outbound, stream, .. } = &mut *self.connection;
        outbound.flush(stream, usize::MAX)
    }

    /// Leaves what is unsent to the understudy while the application works on.
    fn lend(&mut self) {
        let Connection { outbound, stream, .. } = &mut *self.connection;
        // In a process that the application has forked there is no such thread.
        if outbound.is_empty() || fork::is_forked_child() {
            return;
        }
        let understudy = &self.common.understudy;
        let loan = self.loan.get_or_insert_with(|| understudy.open_loan(stream));
        loan.put(std::mem::take(outbound), self.sent_at);
        understudy.lent();
        self.lent = true;
    }

    /// Takes back what was left to the understudy.
    pub(super) fn reclaim(&mut self) -> io::Result<()> {
        // In a process that the application has forked its lock may be held for ever.
        if std::mem::take(&mut self.lent)
            && let Some(loan) = &self.loan
            && !fork::is_forked_child()
        {
            self.connection.outbound = loan.take_back()?;
            self.connection.outbound.release();
        }
        Ok(())
    }

    /// Whether so much is unsent that the application must wait: see [`Exchange::make_room`].
    pub fn is_full(&mut self) -> io::Result<bool> {
        if !self.lent {
            return Ok(false);
        }
        self.reclaim()?;
        let full = self.is_outbound_full();
        if !full {
            self.lend();
        }
        Ok(full)
    }

    fn is_outbound_full(&self) -> bool {
        self.connection.outbound.is_full(&self.common.settings.spool)
    }

    /// Sends what the kernel takes now. `None`: enough of it is gone, the application may go on. Else that must be waited
    /// for, and this be called again. The understudy sends nothing meanwhile: it would fill whatever room a slow reader
    /// makes before the kernel calls the socket writable, and the wait would seem too long. Errors: those of the socket.
    pub fn make_room(&mut self) -> io::Result<Option<ClientWait>> {
        self.reclaim()?;
        if self.is_outbound_full() {
            self.flush()?;
        }
        if self.is_outbound_full() {
            let patience = self.common.settings.send_timeout;
            return Ok(Some(ClientWait::new(&self.connection.stream, Readiness::Write, patience)));
        }
        self.lend();
        Ok(None)
    }

    /// What of a streamed body can be had without waiting: appends it to `out`.
    /// `Some(true)` = the body has ended, `Some(false)` = there was something, `None` = nothing for now.
    pub fn read_body(&mut self, out: &mut Vec<u8>) -> Result<Option<bool>, BodyError> {
        loop {
            let Some(decoder) = &mut self.request.decoder else { return Ok(Some(true)) };
            let inbound = &mut self.connection.inbound;
            let (rules, limit) = (&self.common.settings.rules, self.common.settings.limit_request_body);
            let found = decoder.next(inbound, rules, limit).map_err(BodyError::Refused)?;
            out.extend_from_slice(&inbound[found.data.clone()]);
            inbound.drain(..found.consumed);
            if found.end {
                self.request.end_body();
                return Ok(Some(true));
            }
            if !found.data.is_empty() {
                return Ok(Some(false));
            }
            if found.consumed == 0 && !self.receive_more()? {
                return Ok(None);
            }
        }
    }

    fn receive_more(&mut self) -> Result<bool, BodyError> {
        const BLOCK: usize = 64 * 1024;
        // Of what comes while the exchange is out the loop does not tell.
        self.connection.readable = true;
        let mut inbound = std::mem::take(&mut self.connection.inbound);
        let received = self.connection.receive(&mut inbound, BLOCK);
        self.connection.inbound = inbound;
        match received {
            Ok(received) => Ok(received.is_some()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(BodyError::Premature),
            Err(error) => Err(BodyError::Io(error)),
        }
    }

    /// What to wait for when [`Exchange::read_body`] had nothing; when the time is up, the body is [`BodyError::Silent`].
    pub fn body_wait(&self) -> ClientWait {
        ClientWait::new(&self.connection.stream, Readiness::Read, self.common.settings.body_timeout)
    }
}
