//! Listening sockets: made from an address, shared by the arbiter with its workers through fork.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, getsockname, listen,
    setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, umask};

use crate::net::Stream;
use crate::sys;

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// IPv4 or IPv6.
    Inet(SocketAddr),
    /// A path in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    /// As Gunicorn prints it in `Listening at:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The file that a Unix socket made when it was bound. Another process may have put its own in the same place since.
#[derive(Clone, Debug)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let found = std::fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    /// Removes the file if it is still this one. To be called while the socket is open, which keeps the number of its
    /// file from being given to another.
    pub fn remove(&self) -> io::Result<()> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => {
                std::fs::remove_file(&self.path)
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A bound, listening, non-blocking socket; closed when dropped, its path left alone.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    address: Address,
    file: Option<SocketFile>,
}

impl Listener {
    /// Listens on a TCP address. SO_REUSEADDR is set, and TCP_NODELAY, which accepted connections inherit.
    pub fn tcp(address: SocketAddr, backlog: i32, reuse_port: bool) -> io::Result<Self> {
        let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let fd = stream_socket(family)?;
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
        if reuse_port {
            setsockopt(&fd, sockopt::ReusePort, &true)?;
        }
        bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        sys::socket::defer_accept(fd.as_fd());
        listen(&fd, accept_queue(backlog))?;
        let bound = inet_name(&fd)?.unwrap_or(address);
        Ok(Self { fd, address: Address::Inet(bound), file: None })
    }

    /// Listens on a Unix socket. `mask` is the umask under which its file is made; a socket left there by an earlier
    /// process is replaced, anything else is an error.
    pub fn unix(path: &Path, backlog: i32, mask: u32) -> io::Result<Self> {
        remove_stale(path)?;
        let fd = stream_socket(AddressFamily::Unix)?;
        let before = umask(Mode::from_bits_truncate(mask as libc::mode_t));
        let bound = bind(fd.as_raw_fd(), &UnixAddr::new(path)?);
        umask(before);
        bound?;
        let file = SocketFile::of(path)?;
        listen(&fd, accept_queue(backlog))?;
        Ok(Self { fd, address: Address::Unix(path.to_owned()), file: Some(file) })
    }

    /// The file of a Unix socket.
    pub fn file(&self) -> Option<&SocketFile> {
        self.file.as_ref()
    }

    /// Where it listens: for port 0 the port that the kernel chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A second handle on the same socket.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, address: self.address.clone(), file: self.file.clone() })
    }

    /// Takes one waiting connection; the peer is `None` on a Unix socket. `WouldBlock` when nobody waits.
    pub fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        let (fd, peer) = sys::socket::accept(self.fd.as_fd())?;
        Ok((Stream::plain(fd), peer))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = SockFlag::empty();
    Ok(socket(family, SockType::Stream, flags, None)?)
}

/// listen(2) takes any number and cuts it to the system's own limit; only nix is strict.
fn accept_queue(backlog: i32) -> Backlog {
    Backlog::new(backlog).unwrap_or(Backlog::MAXCONN)
}

fn inet_name(fd: &OwnedFd) -> io::Result<Option<SocketAddr>> {
    let name: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    let v4 = name.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    Ok(v4.or_else(|| name.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()))))
}

fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("'{}' is not a socket", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
