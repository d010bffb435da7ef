"""From the addresses of the configuration to listening sockets, with the retries that a restart needs.

A listener is an object around a `socket.socket`, which is `.sock`, and has all of its attributes too. The
native workers use its descriptor alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rgunicorn import util
from rgunicorn.errors import AddressError

if TYPE_CHECKING:
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger

#: How often an address is tried, one second apart: the process that is being replaced may still hold it.
ATTEMPTS = 5

#: The largest number that listen(2) takes. It cuts what it is given to the system's own limit.
_LARGEST_BACKLOG = 2**31 - 1
#: Where `struct tcp_info` has `tcpi_unacked`: of a listener, the connections that wait to be accepted.
_UNACKED = 24


class BaseSocket:
    """Listens on `address`, or takes over the descriptor `fd`, which is bound already. Raises OSError.

    With `later` it has the address, and nobody can connect before `listen_now`.
    """

    FAMILY: ClassVar[socket.AddressFamily]

    def __init__(
        self, address: Any, conf: Config, log: Logger, fd: int | None = None, later: bool = False
    ) -> None:
        self._later = later
        #: As the configuration has it; the real one is `getsockname()`.
        self.cfg_addr = address
        self.conf = conf
        self.log = log
        sock = socket.socket(self.FAMILY, socket.SOCK_STREAM) if fd is None else socket.socket(fileno=fd)
        try:
            self.sock = self.set_options(sock, bound=fd is not None)
        except BaseException:
            self.unlink()
            if fd is None:
                sock.close()
            raise

    def __str__(self) -> str:
        return f"<socket {self.sock.fileno()}>"

    def __getattr__(self, name: str) -> Any:
        # While `__init__` runs there is no socket yet.
        if name == "sock":
            raise AttributeError(name)
        return getattr(self.sock, name)

    def set_options(self, sock: socket.socket, bound: bool = False) -> socket.socket:
        """Makes it listen, without blocking; binds it unless it is `bound`. Gives the socket."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not bound:
            self.bind(sock)
        sock.setblocking(False)
        if not self._later:
            self._listen(sock)
        return sock

    def _listen(self, sock: socket.socket) -> None:
        if not _is_listening(sock):
            sock.listen(min(self.conf.backlog, _LARGEST_BACKLOG))

    def listen_now(self) -> None:
        """Lets clients connect. Raises OSError."""
        self._listen(self.sock)

    def bind(self, sock: socket.socket) -> None:
        """Binds it to the address."""
        sock.bind(self.cfg_addr)

    def fileno(self) -> int:
        """The descriptor; -1 when it is closed."""
        return self.sock.fileno()

    def close(self) -> None:
        """Closes this process's descriptor."""
        try:
            self.sock.close()
        except OSError as error:
            self.log.info("Error while closing socket %s", error)

    def release(self) -> None:
        """Closes this process's descriptor; the name can still be asked for."""
        with contextlib.suppress(OSError):
            name = self.sock.getsockname()
            self.close()
            self.sock = _Released(name)  # type: ignore[assignment]

    def unlink(self) -> None:
        """Removes what the socket has made in the file system. To be called before `close`."""

    def get_backlog(self) -> int:
        """How many connections wait to be accepted; -1 where the system does not tell."""
        return -1


class _Released:
    """What is left of a socket that is closed: hooks that run at the end may look at it."""

    def __init__(self, name: Any) -> None:
        self._name = name

    def getsockname(self) -> Any:
        """Where it was bound."""
        return self._name

    def fileno(self) -> int:
        """None any more."""
        return -1

    def close(self) -> None:
        """It is."""

    def __getattr__(self, name: str) -> Any:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class TCPSocket(BaseSocket):
    """Listens on IPv4."""

    FAMILY = socket.AF_INET

    def __str__(self) -> str:
        host, port = self.sock.getsockname()[:2]
        return f"{_scheme(self.conf)}://{host}:{port}"

    def set_options(self, sock: socket.socket, bound: bool = False) -> socket.socket:
        """As every socket; accepted connections inherit TCP_NODELAY."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.conf.reuse_port and not bound:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return super().set_options(sock, bound)

    def get_backlog(self) -> int:
        """How many connections wait to be accepted; -1 where the system does not tell."""
        if sys.platform != "linux":
            return -1
        information = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        (waiting,) = struct.unpack_from("I", information, _UNACKED)
        return int(waiting)


class TCP6Socket(TCPSocket):
    """Listens on IPv6, and on IPv4 too where the system says so."""

    FAMILY = socket.AF_INET6

    def __str__(self) -> str:
        host, port = self.sock.getsockname()[:2]
        return f"{_scheme(self.conf)}://[{host}]:{port}"


class UnixSocket(BaseSocket):
    """Listens on a path, or on an abstract name, which begins with a NUL.

    The file is made under the setting `umask` and given to `user` and `group`. A socket that an earlier
    process has left there is replaced; anything else is a RuntimeError.
    """

    FAMILY = socket.AF_UNIX

    def __init__(
        self, addr: Any, conf: Config, log: Logger, fd: int | None = None, later: bool = False
    ) -> None:
        #: Path, device and inode of the file that `bind` made.
        self.file: tuple[str, int, int] | None = None
        super().__init__(addr, conf, log, fd, later)

    def __str__(self) -> str:
        name = self.sock.getsockname()
        return f"unix:{_printable(os.fsdecode(name))}"

    def bind(self, sock: socket.socket) -> None:
        """Binds it to the path."""
        if os.fsencode(self.cfg_addr).startswith(b"\0"):
            sock.bind(self.cfg_addr)
            return
        _remove_stale(self.cfg_addr)
        before = os.umask(self.conf.umask & 0o777)
        try:
            sock.bind(self.cfg_addr)
        finally:
            os.umask(before)
        # The directory may be another one when the time comes to remove it.
        path = os.path.abspath(self.cfg_addr)
        found = os.lstat(path)
        self.file = (path, found.st_dev, found.st_ino)
        util.chown(path, self.conf.uid, self.conf.gid)

    def unlink(self) -> None:
        """Removes the file if this socket has made it and no other has taken its place since.

        To be called before `close`: the open socket keeps its file's number from being given to another.
        """
        if self.file is None:
            return
        path, *identity = self.file
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(path)
            if [found.st_dev, found.st_ino] == identity:
                os.unlink(path)


def create_sockets(conf: Config, log: Logger, fds: Sequence[int] | None = None) -> list[BaseSocket]:
    """Listens on all addresses of `conf`. Exits with status 1 if one cannot be had.

    If there are inherited sockets, that is `fds` and addresses of the form `fd://`, there are no others.
    """
    passed = [inherit(conf, log, fd) for fd in fds or ()]
    # systemd's may have been named, too.
    named = dict.fromkeys(address for address in conf.address if isinstance(address, int))
    with _blaming(conf):
        inherited = [*passed, *(inherit(conf, log, fd) for fd in named if fd not in (fds or ()))]
    if inherited:
        return inherited
    return open_listeners(conf, log, conf.address)


def open_listeners(
    conf: Config, log: Logger, addresses: Iterable[util.Address], later: bool = False, patient: bool = True
) -> list[BaseSocket]:
    """Listens on `addresses`. Exits with status 1, and keeps none, if one cannot be had after some attempts.

    `later`: they have the addresses, and nobody can connect before `listen_now`. Not `patient`: there is one
    attempt, and AddressError.
    """
    attempt = _listen_patiently if patient else _listen_once
    listeners: list[BaseSocket] = []
    try:
        with _blaming(conf):
            for address in addresses:
                listeners.append(attempt(conf, log, address, later))
    except BaseException:
        close_sockets(listeners)
        raise
    return listeners


def close_sockets(listeners: Iterable[BaseSocket], unlink: bool = True) -> None:
    """Closes listeners; the files that they have made go too, if `unlink`."""
    for listener in listeners:
        try:
            if unlink:
                listener.unlink()
        finally:
            listener.close()


def hand_out_at_once(listeners: Iterable[BaseSocket]) -> None:
    """New connections come at once, no longer with their first bytes as native workers want it."""
    option = getattr(socket, "TCP_DEFER_ACCEPT", None)
    for listener in listeners:
        if option is not None and isinstance(listener, TCPSocket):
            listener.sock.setsockopt(socket.IPPROTO_TCP, option, 0)


def listen(conf: Config, log: Logger, address: Any, later: bool = False) -> BaseSocket:
    """Listens on one address, at once or not at all.

    Raises OSError; RuntimeError where the path of a Unix socket is taken by something else.
    """
    return _kind(address)(address, conf, log, later=later)


@contextlib.contextmanager
def _blaming(conf: Config) -> Iterator[None]:
    """In here it is an AddressError, which says where the address comes from, if nobody can listen there."""
    try:
        yield
    except AddressError:
        raise
    except RuntimeError as error:
        raise AddressError(conf.settings["bind"].blame(error)) from None


def _listen_once(conf: Config, log: Logger, address: Any, later: bool) -> BaseSocket:
    try:
        return listen(conf, log, address, later)
    except OSError as error:
        origin = conf.settings["bind"].source
        taken = f"cannot listen at {_shown(address)}: {error.strerror} (bind from {origin})"
        raise AddressError(taken) from None


def _listen_patiently(conf: Config, log: Logger, address: Any, later: bool) -> BaseSocket:
    name = _printable(str(address))
    for attempt in range(ATTEMPTS):
        try:
            return listen(conf, log, address, later)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                log.error("Connection in use: %s", name)
            elif error.errno == errno.EADDRNOTAVAIL:
                log.error("Invalid address: %s", name)
            log.error("connection to %s failed: %s", name, error)
            if isinstance(error, PermissionError):
                # Time brings no permission.
                break
        if attempt + 1 < ATTEMPTS:
            log.debug("Retrying in 1 second.")
            time.sleep(1)
    log.error("Can't connect to %s", name)
    sys.exit(1)


def inherit(conf: Config, log: Logger, fd: int) -> BaseSocket:
    """The listener of a descriptor that is bound already. It keeps its number. Raises RuntimeError."""
    try:
        with socket.socket(fileno=fd) as sock:
            address = sock.getsockname()
            # The object goes, the descriptor stays.
            sock.detach()
        return _kind(address)(address, conf, log, fd=fd)
    except OSError as error:
        raise RuntimeError(f"fd://{fd}: {error.strerror}") from error


def _kind(address: object) -> type[BaseSocket]:
    """The class of an address: a tuple's is IPv4 or IPv6, a text's is Unix."""
    if isinstance(address, tuple):
        return TCP6Socket if util.is_ipv6(address[0]) else TCPSocket
    if isinstance(address, (str, bytes)):
        return UnixSocket
    raise TypeError(f"Unable to create socket from: {address!r}")


def _shown(address: util.Address) -> str:
    """An address as it is written in the configuration."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if util.is_ipv6(host) else f"{host}:{port}"
    return f"unix:{_printable(str(address))}"


def _printable(name: str) -> str:
    """An abstract name as others print it: with `@` for its NUL."""
    return "@" + name[1:] if name.startswith("\0") else name


def _is_listening(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        # Not every system has this question.
        return False


def _scheme(conf: Config) -> str:
    return "https" if conf.is_ssl else "http"


def _remove_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise RuntimeError(f"unix:{path}: what is there is not a socket")
    os.unlink(path)
