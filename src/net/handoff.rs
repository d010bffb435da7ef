//! The handoff socket: workers of a service put connections into it that others take out, as from one more listener. A
//! Unix socket pair that the arbiter makes before it forks, and a page of shared memory which tells whether anybody would
//! take them. An upgraded program adopts both, so that two arbiters' workers share them for a while.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::net::Stream;
use crate::net::moved::{self, Layout, Message, Moved, Past};
use crate::sys::mmap::SharedWords;
use crate::sys::socket::{self, Readiness};
use crate::sys::{file, rights};

/// Bytes that go with a connection at most. A longer message could be refused by a kernel with small buffers.
pub const LONGEST: usize = 64 * 1024;

/// Bytes of a body that go along in a message; a longer one goes apart, so that there is room for many messages.
const INLINE: usize = 16 * 1024;

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

impl Passed {
    fn failed(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::ETOOMANYREFS) => Self::Full,
            Some(libc::EMFILE | libc::ENFILE) => Self::Full,
            _ => Self::Never,
        }
    }
}

/// What somebody has put in.
#[derive(Debug)]
pub enum Taken {
    /// A connection.
    Connection(Moved),
    /// A [`Handoff::call`].
    Call,
    /// A message that this program does not understand. The connection that came with it is closed.
    Unknown,
}

/// A complete request that goes along with its connection.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'a> {
    /// Its head.
    pub head: &'a [u8],
    /// Its body without the framing.
    pub body: Contents<'a>,
    /// The fields behind it, in a form that only the sender and the receiver know.
    pub trailers: &'a [u8],
    /// What was read behind it.
    pub behind: &'a [u8],
}

/// Where a body is.
#[derive(Clone, Copy, Debug)]
pub enum Contents<'a> {
    /// Here.
    Bytes(&'a [u8]),
    /// In so many bytes at the start of a file.
    File(&'a File, u64),
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
        let header = moved::header(past, stream.is_shared(), None);
        let parts: Vec<_> =
            [header.as_slice()].iter().chain(inbound).map(|part| IoSlice::new(part)).collect();
        self.send(&parts, &[stream.as_fd()])
    }

    /// Puts a connection in, with a complete request. Does not wait.
    pub fn pass_whole(&self, stream: &Stream, past: Past, parcel: Parcel<'_>) -> Passed {
        let (inline, body, file) = match parcel.body {
            Contents::Bytes(bytes) if bytes.len() > INLINE => {
                return self.pass_apart(stream, past, parcel, bytes);
            }
            Contents::Bytes(bytes) => (bytes, bytes.len() as u64, None),
            Contents::File(file, length) => (&b""[..], length, Some(file.as_fd())),
        };
        let Parcel { head, trailers, behind, .. } = parcel;
        let (Ok(first), Ok(last)) = (u32::try_from(head.len()), u32::try_from(trailers.len())) else {
            return Passed::Never;
        };
        let layout = Layout { head: first, trailers: last, body, apart: file.is_some() };
        let header = moved::header(past, stream.is_shared(), Some(layout));
        let parts = [&header, head, inline, trailers, behind].map(IoSlice::new);
        let descriptors: Vec<_> = [stream.as_fd()].into_iter().chain(file).collect();
        self.send(&parts, &descriptors)
    }

    fn pass_apart(&self, stream: &Stream, past: Past, parcel: Parcel<'_>, bytes: &[u8]) -> Passed {
        // Otherwise a copy would be made each time that there is no room.
        if !socket::wait(self.sender.as_fd(), Readiness::Write, Some(Duration::ZERO)).unwrap_or(false) {
            return Passed::Full;
        }
        match in_memory(bytes) {
            Ok(copy) => {
                let body = Contents::File(&copy, bytes.len() as u64);
                self.pass_whole(stream, past, Parcel { body, ..parcel })
            }
            Err(error) => Passed::failed(&error),
        }
    }

    fn send(&self, parts: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> Passed {
        if parts.iter().map(|part| part.len()).sum::<usize>() > LONGEST {
            return Passed::Never;
        }
        match rights::send(self.sender.as_fd(), parts, descriptors) {
            Ok(()) => Passed::Yes,
            Err(error) => Passed::failed(&error),
        }
    }

    /// Somebody waits at a listener or here, of whom perhaps only a worker was told that does not take him: the kernel
    /// wakes one for each who comes. Another one looks, as soon as it waits for events; does nothing if there is none.
    pub fn call(&self) {
        if self.has_takers() {
            // Without room there is enough to look for.
            let _ = self.send(&[IoSlice::new(moved::CALL)], &[]);
        }
    }

    /// Takes out what has waited longest.
    ///
    /// Errors: `WouldBlock` when nothing waits; `EMFILE` when this process has no descriptor left: then it waits on.
    pub fn take(&self) -> io::Result<Taken> {
        // A message is lost when there is no descriptor for it, or for the body of its request.
        drop((self.receiver.try_clone()?, self.receiver.try_clone()?));
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.resize(LONGEST, 0);
        let received = rights::receive(self.receiver.as_fd(), &mut buffer)?;
        let bytes = buffer.get(..received.length).filter(|_| !received.cut);
        if bytes == Some(moved::CALL) {
            return Ok(Taken::Call);
        }
        let moved = bytes.and_then(moved::parse).and_then(|message| unpack(message, received.descriptors));
        Ok(moved.map_or(Taken::Unknown, Taken::Connection))
    }

    /// The end of which connections are taken, for loops to watch.
    pub fn receiver(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

/// Memory with a descriptor that holds these bytes.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let memory = File::from(file::anonymous("rgunicorn-body", bytes.len() as u64)?);
    memory.write_all_at(bytes, 0)?;
    Ok(memory)
}

/// The connection of that message. `None` unless the descriptors are what there must be.
fn unpack(message: Message<'_>, descriptors: Vec<OwnedFd>) -> Option<Moved> {
    let (fd, file) = match message.whole.filter(|whole| whole.apart) {
        Some(layout) => {
            let [fd, file] = <[OwnedFd; 2]>::try_from(descriptors).ok()?;
            (fd, Some(body_of(layout, file)?))
        }
        None => (<[OwnedFd; 1]>::try_from(descriptors).ok()?.into_iter().next()?, None),
    };
    let stream = Stream::plain(fd);
    if message.shared {
        stream.share();
    }
    let Message { past, whole, bytes, .. } = message;
    Some(Moved { stream, past, whole, file, bytes: bytes.to_vec() })
}

/// A file with a body, if it is as long as that.
fn body_of(layout: Layout, file: OwnedFd) -> Option<File> {
    let file = File::from(file);
    let found = file.metadata().ok()?;
    (found.is_file() && found.len() >= layout.body).then_some(file)
}

#[cfg(test)]
mod tests;
