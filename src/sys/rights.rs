//! Descriptors sent from one process to another, through a pair of Unix sockets (SCM_RIGHTS). A message arrives as a whole
//! or not at all, to one receiver only. No call blocks.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};

/// Descriptors that one message may bring; those of a longer list are closed by the kernel.
const MOST: usize = 4;

/// One message.
#[derive(Debug, Default)]
pub struct Received {
    /// Bytes of it in the buffer.
    pub length: usize,
    /// There were more bytes or descriptors than there was room for: the rest of them is lost.
    pub cut: bool,
    /// The descriptors, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

/// A pair of sockets that keep messages apart, both close-on-exec: what is sent to one is received from the other.
///
/// Errors: those of socketpair(2); not every system has such sockets.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = flags();
    let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    for end in [&one, &other] {
        nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    }
    Ok((one, other))
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn flags() -> SockFlag {
    SockFlag::SOCK_CLOEXEC
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn flags() -> SockFlag {
    SockFlag::empty()
}

/// Sends one message: `parts` one after the other, and copies of `descriptors`.
///
/// Errors: `WouldBlock` when as many messages wait as may; `EMSGSIZE` when this one is too long; `ETOOMANYREFS` when too many
/// descriptors are on their way.
pub fn send(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), parts, &rights, flags, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop).map_err(Into::into),
        }
    }
}

/// Takes one message. Errors: `WouldBlock` when none waits; `EMFILE` when this process has too many descriptors.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = nix::cmsg_space!([RawFd; MOST]);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = loop {
        let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), receive_flags());
        match received {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    let mut found = Received {
        length: message.bytes,
        cut: message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC),
        descriptors: Vec::new(),
    };
    // An error says that control data were cut: so do the flags, and the descriptors in it are lost to us.
    for message in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            // SAFETY: the kernel has made these descriptors for this message, and nobody else knows their numbers.
            found.descriptors.extend(numbers.iter().map(|&number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    Ok(found)
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn receive_flags() -> MsgFlags {
    MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn receive_flags() -> MsgFlags {
    MsgFlags::MSG_DONTWAIT
}
