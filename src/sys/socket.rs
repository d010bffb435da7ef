//! Sockets: accept, receive, send. Every call is non-blocking whatever the descriptor's own flag says, because an
//! application that takes its client's socket over may make it blocking.

use std::io::{self, IoSlice};
use std::mem::{MaybeUninit, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{SockaddrLike, SockaddrStorage, getsockname};

use super::retry;

/// Takes one connection from `listener`. The address is `None` for a peer on a Unix socket.
///
/// Errors: `WouldBlock` when nothing waits; `EMFILE` and its kin when the process or the machine is out of descriptors.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let fd = retry(|| {
        // SAFETY: `storage` and `length` are valid for writes, and `length` tells the size of `storage`.
        #[cfg(any(target_os = "linux", target_os = "freebsd"))]
        let fd = unsafe {
            let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            libc::accept4(listener.as_raw_fd(), storage.as_mut_ptr().cast(), &mut length, flags)
        };
        // SAFETY: as above.
        #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
        let fd = unsafe { libc::accept(listener.as_raw_fd(), storage.as_mut_ptr().cast(), &mut length) };
        fd as isize
    })?;
    // SAFETY: accept4 gave a new descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // SAFETY: zeroed memory is a valid sockaddr_storage, and accept4 filled what it knows.
    Ok((fd, internet_address(&unsafe { storage.assume_init() })))
}

fn internet_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: ss_family says that the storage holds a sockaddr_in.
            let v4 = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: ss_family says that the storage holds a sockaddr_in6.
            let v6 = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id)))
        }
        _ => None,
    }
}

/// Who is at the other end; `None` on a Unix socket. Errors: `NotConnected` when the connection has failed.
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<Option<SocketAddr>> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: `storage` and `length` are valid for writes, and `length` tells the size of `storage`.
    retry(|| unsafe {
        libc::getpeername(socket.as_raw_fd(), storage.as_mut_ptr().cast(), &mut length) as isize
    })?;
    // SAFETY: zeroed memory is a valid sockaddr_storage, and getpeername filled what it knows.
    Ok(internet_address(&unsafe { storage.assume_init() }))
}

/// Appends what the socket holds to `buffer`, at most `most` bytes, and gives the number of bytes (0 = end of stream).
/// The buffer grows by `most` at once if it has not that much spare room.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    buffer.reserve(most);
    let spare = buffer.spare_capacity_mut();
    let (room, length) = (spare.as_mut_ptr(), spare.len().min(most));
    let received = retry(|| {
        // SAFETY: `room` is valid for writes of `length` bytes.
        unsafe { libc::recv(socket.as_raw_fd(), room.cast(), length, libc::MSG_DONTWAIT) }
    })?;
    // SAFETY: recv initialised the first `received` spare bytes, and `received <= length`.
    unsafe { buffer.set_len(buffer.len() + received) };
    Ok(received)
}

/// Sends one slice; gives how many bytes the kernel took.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    retry(|| {
        // SAFETY: `bytes` is valid for reads of its length.
        unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), FLAGS) }
    })
}

/// Sends several slices in one call; gives how many bytes the kernel took.
pub fn send_vectored(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: an all-zero msghdr is valid (no name, no control data).
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len() as _;
    retry(|| {
        // SAFETY: IoSlice has iovec's layout on Unix, and `slices` outlives the call, which only reads it.
        unsafe { libc::sendmsg(socket.as_raw_fd(), &message, FLAGS) }
    })
}

const FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Sends up to `count` bytes of `file` from `offset`; gives how many went (0 = the file has ended before). They are not
/// copied through this process where sendfile(2) can be used: it has no flag of its own to say that it must not block.
pub fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    if is_nonblocking(socket)? {
        let mut offset = offset as libc::off_t;
        return retry(|| {
            // SAFETY: both descriptors are open, and `offset` is valid for writes.
            unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), &mut offset, count) }
        });
    }
    let mut buffer = vec![0; count.min(64 * 1024)];
    let read = nix::sys::uio::pread(file, &mut buffer, offset as libc::off_t)?;
    if read == 0 { Ok(0) } else { send(socket, &buffer[..read]) }
}

/// The address family (`AF_INET` and the like).
pub fn family(socket: BorrowedFd<'_>) -> io::Result<i32> {
    let name: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    Ok(name.family().map_or(libc::AF_UNSPEC, |family| family as i32))
}

/// Calls on this description of the socket, whoever makes them, do not wait.
pub fn set_nonblocking(socket: BorrowedFd<'_>) -> io::Result<()> {
    let flags = nix::fcntl::fcntl(socket, nix::fcntl::FcntlArg::F_GETFL)?;
    let flags = nix::fcntl::OFlag::from_bits_retain(flags) | nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(socket, nix::fcntl::FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// As [`set_nonblocking`], of a socket for which that was said before, but that others hold too: each of them can take it
/// back for all.
pub fn keep_nonblocking(socket: BorrowedFd<'_>) -> io::Result<()> {
    let flags = nix::fcntl::fcntl(socket, nix::fcntl::FcntlArg::F_GETFL)?;
    if flags & libc::O_NONBLOCK == 0 { set_nonblocking(socket) } else { Ok(()) }
}

#[cfg(target_os = "linux")]
fn is_nonblocking(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let flags = nix::fcntl::fcntl(socket, nix::fcntl::FcntlArg::F_GETFL)?;
    Ok(flags & libc::O_NONBLOCK != 0)
}

/// Waits until `socket` is ready for `what`; `false` when `timeout` (`None` = for ever) passed first.
///
/// Errors: `Interrupted` when a signal has come, whose handlers the caller may want to run.
pub fn wait(socket: BorrowedFd<'_>, what: Readiness, timeout: Option<Duration>) -> io::Result<bool> {
    let flags = match what {
        Readiness::Read => PollFlags::POLLIN,
        Readiness::Write => PollFlags::POLLOUT,
    };
    let timeout = timeout.map_or(PollTimeout::NONE, |t| PollTimeout::try_from(t).unwrap_or(PollTimeout::MAX));
    Ok(poll(&mut [PollFd::new(socket.as_fd(), flags)], timeout)? > 0)
}

/// What [`wait`] waits for.
#[derive(Clone, Copy, Debug)]
pub enum Readiness {
    /// Bytes, an end of stream or an error can be read.
    Read,
    /// There is room to send, or an error.
    Write,
}

/// Tells the peer that nothing more will come; what it sends can still be received.
pub fn shutdown_write(socket: BorrowedFd<'_>) {
    // The peer may be gone already: then there is nobody to tell.
    let _ = nix::sys::socket::shutdown(socket.as_raw_fd(), nix::sys::socket::Shutdown::Write);
}

/// Ends the connection in both directions, whoever else holds a descriptor of it.
pub fn shutdown(socket: BorrowedFd<'_>) {
    // As above.
    let _ = nix::sys::socket::shutdown(socket.as_raw_fd(), nix::sys::socket::Shutdown::Both);
}

/// Lets the kernel keep a new connection to itself until its first bytes are there, for about a second at most. Whoever
/// accepts it then can serve it at once, without being woken twice; a client that only connects wakes nobody.
pub fn defer_accept(listener: BorrowedFd<'_>) {
    set_defer_accept(listener, 1);
}

/// Connections come before their first bytes again, from the next one on.
pub fn accept_at_once(listener: BorrowedFd<'_>) {
    set_defer_accept(listener, 0);
}

fn set_defer_accept(listener: BorrowedFd<'_>, seconds: libc::c_int) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the option takes an int, and its size is told. A kernel that refuses it hands connections out at once.
        unsafe {
            libc::setsockopt(
                listener.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_DEFER_ACCEPT,
                (&raw const seconds).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (listener, seconds);
}
