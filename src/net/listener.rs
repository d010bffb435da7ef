//! Listening sockets of a worker. They are made in Python and come here by their descriptors; this is the side that
//! accepts.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt};

use crate::net::Stream;
use crate::sys;

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// IPv4 or IPv6.
    Inet(SocketAddr),
    /// A path in the file system; an abstract name has a NUL before it.
    Unix(PathBuf),
}

/// A listening, non-blocking socket; closed when dropped, its path left alone.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    address: Address,
}

impl Listener {
    /// Takes over a socket that is bound and listens. TCP ones will hand a connection out with its first bytes: that is
    /// told the kernel here, by who reads at once, because worker classes of other makers may not want it.
    ///
    /// Errors: it is no socket, or of a family that HTTP is not spoken on.
    pub fn adopt(fd: OwnedFd) -> io::Result<Self> {
        let address = address(fd.as_fd())?;
        sys::socket::set_nonblocking(fd.as_fd())?;
        if matches!(address, Address::Inet(_)) {
            sys::socket::defer_accept(fd.as_fd());
        }
        Ok(Self { fd, address })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether other sockets listen at the same address, with queues of their own (`reuse_port`): what waits in this one
    /// nobody else can accept.
    pub fn is_own(&self) -> bool {
        getsockopt(&self.fd, sockopt::ReusePort).unwrap_or(false)
    }

    /// Will be stopped soon: who connects from now on can be accepted at once, because the kernel would reset whom it keeps to
    /// itself by then.
    pub fn expect_stop(&self) {
        if matches!(self.address, Address::Inet(_)) {
            sys::socket::accept_at_once(self.fd.as_fd());
        }
    }

    /// Nobody can connect here any more, whoever else holds the socket.
    pub fn stop(&self) {
        sys::socket::shutdown(self.fd.as_fd());
    }

    /// Takes one waiting connection; the peer is `None` on a Unix socket. `WouldBlock` when nobody waits.
    pub fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        // A service that is started on the same socket may have made it blocking: then the worker would wait here.
        sys::socket::keep_nonblocking(self.fd.as_fd())?;
        let (fd, peer) = sys::socket::accept(self.fd.as_fd())?;
        Ok((Stream::plain(fd), peer))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Which of the listeners at `addresses` has accepted a connection, counted from 0. Where none can have, as after a change
/// of addresses, one of the same kind stands for it. Errors: those of getsockname(2).
pub fn accepted_by(addresses: &[Address], connection: BorrowedFd<'_>) -> io::Result<usize> {
    let name = address(connection)?;
    let find = |fits: &dyn Fn(&Address) -> bool| addresses.iter().position(fits);
    let same = find(&|listener| *listener == name);
    let wildcard = || find(&|listener| is_any(listener, &name));
    let kind = std::mem::discriminant(&name);
    let kin = || find(&|listener| std::mem::discriminant(listener) == kind);
    Ok(same.or_else(wildcard).or_else(kin).unwrap_or(0))
}

/// Whether `listener` listens at all addresses, and on the port of `name`.
fn is_any(listener: &Address, name: &Address) -> bool {
    match (listener, name) {
        (Address::Inet(listener), Address::Inet(name)) => {
            let same_kind = listener.is_ipv4() == name.is_ipv4();
            same_kind && listener.ip().is_unspecified() && listener.port() == name.port()
        }
        _ => false,
    }
}

fn address(fd: BorrowedFd<'_>) -> io::Result<Address> {
    let name: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    match name.family() {
        Some(AddressFamily::Inet) => {
            name.as_sockaddr_in().map(|v4| Address::Inet(SocketAddr::V4((*v4).into())))
        }
        Some(AddressFamily::Inet6) => {
            name.as_sockaddr_in6().map(|v6| Address::Inet(SocketAddr::V6((*v6).into())))
        }
        Some(AddressFamily::Unix) => Some(Address::Unix(unix_name(&name))),
        _ => None,
    }
    .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "a listener is neither IPv4, IPv6 nor Unix"))
}

fn unix_name(name: &SockaddrStorage) -> PathBuf {
    let Some(unix) = name.as_unix_addr() else { return PathBuf::new() };
    #[cfg(target_os = "linux")]
    if let Some(name) = unix.as_abstract() {
        use std::os::unix::ffi::OsStringExt;
        return std::ffi::OsString::from_vec([b"\0", name].concat()).into();
    }
    unix.path().map(PathBuf::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::*;

    #[test]
    fn nobody_waits_where_somebody_else_has_made_the_socket_blocking() {
        let held = TcpListener::bind("127.0.0.1:0").expect("a port");
        let listener = Listener::adopt(held.try_clone().expect("a copy").into()).expect("it listens");
        fcntl(&held, FcntlArg::F_SETFL(OFlag::empty())).expect("blocking");
        assert_eq!(listener.accept().expect_err("nobody").kind(), io::ErrorKind::WouldBlock);
    }
}
