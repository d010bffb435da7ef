"""What users write as text becomes what it names: classes, addresses, directories.

And the small tools that worker classes share: processes, files, the bytes on a socket.
"""

from __future__ import annotations

import contextlib
import email.utils
import fcntl
import html
import importlib
import importlib.metadata
import inspect
import os
import random
import re
import socket
import sys
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from rgunicorn import _start
from rgunicorn._app_uri import import_app as import_app
from rgunicorn._app_uri import make_fail_app as make_fail_app
from rgunicorn._process import daemonize as daemonize
from rgunicorn._process import flush_streams as flush_streams
from rgunicorn._process import get_username as get_username
from rgunicorn._process import print_out as print_out
from rgunicorn._process import set_owner_process as set_owner_process
from rgunicorn._start import getcwd as getcwd
from rgunicorn.workers import SUPPORTED_WORKERS

# A TCP host and port, the path of a Unix socket, or the descriptor of an inherited socket.
Address = tuple[str, int] | str | int

# Short names that Gunicorn has or had, of classes that do not exist here yet.
MISSING_WORKER_CLASSES = ("asgi",)

# The group of entry points that offer them.
WORKER_CLASSES = "gunicorn.workers"

DEFAULT_PORT = "8000"
DEFAULT_WORKER = "rgunicorn.workers.sync.SyncWorker"

# Fields of a response that concern one connection: they are the server's, not the application's.
hop_headers = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
        "server",
        "date",
    )
)


# Where the server was started. Relative paths in settings start here, whatever `chdir` has done since.
START_DIRECTORY = _start.DIRECTORY


def chdir(directory: str) -> None:
    """Go there, and let modules be imported from there first."""
    os.chdir(directory)
    if directory not in sys.path:
        sys.path.insert(0, directory)


def parse_address(netloc: str, default_port: str = DEFAULT_PORT) -> Address:
    """What one entry of the setting `bind` names. Raises RuntimeError."""
    unix = re.match(r"unix:(//)?", netloc)
    if unix:
        path = netloc[unix.end() :]
        if not path:
            # The kernel would choose a name that nobody knows.
            raise RuntimeError(f"{netloc!r} names no path.")
        # An abstract name: no shell can write the NUL that it begins with.
        return "\0" + path[2:] if path.startswith("\\0") else path
    if netloc.startswith("fd://"):
        fd = netloc.removeprefix("fd://")
        if not fd.isdecimal():
            raise RuntimeError(f"{fd!r} is not a valid file descriptor.")
        return int(fd)
    host, port = _host_and_port(netloc.removeprefix("tcp://"), default_port)
    try:
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise RuntimeError(f"{port!r} is not a valid port number.")
    return host.lower(), number


def _host_and_port(netloc: str, default_port: str) -> tuple[str, str]:
    if netloc.startswith("[") and "]" in netloc:
        host, _, rest = netloc[1:].partition("]")
        return host, rest[1:] if rest.startswith(":") else default_port
    if ":" in netloc:
        # An IPv6 address without brackets has no port that could be told apart: it fails as a bad port.
        host, port = netloc.split(":")[:2]
        return host, port
    return netloc or "0.0.0.0", default_port


def load_class(uri: str | type, default: str = DEFAULT_WORKER, section: str = WORKER_CLASSES) -> Any:
    """The class that a setting names. Raises RuntimeError.

    `section` is the entry point group to ask, `default` the name of the entry point if `egg:` says none.
    """
    if isinstance(uri, type):
        return uri
    if uri in MISSING_WORKER_CLASSES:
        available = ", ".join(SUPPORTED_WORKERS)
        missing = f"worker class {uri!r} is not part of this version of rgunicorn"
        raise RuntimeError(f"{missing}; available: {available}")
    try:
        return _named_class(uri, default, section)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        if section == WORKER_CLASSES and not set(uri) & set(".:#"):
            reason += f"; available: {', '.join(SUPPORTED_WORKERS)}"
        raise RuntimeError(f"class uri {uri!r} invalid or not found: {reason}") from error


def _named_class(uri: str, default: str, section: str) -> Any:
    if uri.startswith("egg:"):
        distribution, _, name = uri[len("egg:") :].partition("#")
        return load_entry_point(distribution, section, name or default)
    path = SUPPORTED_WORKERS.get(uri.removeprefix("#"), uri)
    module, dot, name = path.rpartition(".")
    if not dot:
        return load_entry_point("gunicorn", section, path.removeprefix("#"))
    return getattr(importlib.import_module(module), name)


def load_entry_point(distribution: str, group: str, name: str) -> Any:
    """What an installed distribution offers under that name in that group. Raises ImportError."""
    for entry in importlib.metadata.distribution(distribution).entry_points:
        if entry.group == group and entry.name == name:
            return entry.load()
    raise ImportError(f"Entry point {(group, name)!r} not found")


def get_arity(function: Callable[..., Any]) -> int:
    """How many arguments a callable takes by position; those with defaults count, `*args` does not."""
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(parameter.kind in by_position for parameter in parameters)


def is_glob_pattern(value: str) -> bool:
    """Whether a path stands for several."""
    return any(character in value for character in "*?[")


def is_ipv6(addr: str) -> bool:
    """Whether it is the text of an IPv6 address."""
    try:
        socket.inet_pton(socket.AF_INET6, addr.partition("%")[0])
    except OSError:
        return False
    return True


# Processes and files.


def chown(path: str, uid: int, gid: int) -> None:
    """Gives a file to a user and a group."""
    os.chown(path, uid, gid)


def unlink(filename: str) -> None:
    """Removes a file, if it is there."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(filename)


def check_is_writable(path: str) -> None:
    """Raises RuntimeError if nothing can be appended to the file, which is made if it is not there."""
    try:
        with open(path, "a"):
            pass
    except OSError as error:
        raise RuntimeError(f"Error: '{path}' isn't writable [{error!r}]") from error


def close_on_exec(fd: int | Any) -> None:
    """Keeps a descriptor, or a file's, from programs that the process runs."""
    fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.fcntl(fd, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)


def set_non_blocking(fd: int | Any) -> None:
    """Calls on a descriptor, or a file's, do not wait."""
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)


def has_fileno(obj: object) -> bool:
    """Whether an object has a descriptor."""
    try:
        obj.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return False
    return True


def seed() -> None:
    """Makes the process's random numbers different from its siblings'."""
    random.seed()


def set_process_title(title: str) -> None:
    """Shows `title` in the list of processes, where the package setproctitle is installed."""
    try:
        setproctitle = importlib.import_module("setproctitle")
    except ImportError:
        return
    setproctitle.setproctitle(f"gunicorn: {title}")


# The bytes on a socket.


def close(sock: Any) -> None:
    """Closes a socket, whatever state it is in."""
    with contextlib.suppress(OSError):
        sock.close()


def close_graceful(sock: Any, timeout: float = 2.0, max_drain: int = 65536) -> None:
    """Closes a socket so that what was sent arrives: a peer that is still sending would answer with a reset.

    Waits for the peer's end for `timeout` seconds, and for `max_drain` bytes, at most.
    """
    deadline = time.monotonic() + timeout
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while max_drain > 0 and (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            received = len(sock.recv(min(max_drain, 8192)))
            if not received:
                break
            max_drain -= received
    close(sock)


def write_chunk(sock: Any, data: bytes | str) -> None:
    """Sends one chunk of a chunked body. No data is the last chunk."""
    encoded = data.encode() if isinstance(data, str) else data
    sock.sendall(b"%X\r\n%b\r\n" % (len(encoded), encoded))


def write(sock: Any, data: bytes, chunked: bool = False) -> None:
    """Sends bytes, as they are or as a chunk."""
    if chunked:
        write_chunk(sock, data)
    else:
        sock.sendall(data)


def write_nonblock(sock: Any, data: bytes, chunked: bool = False) -> None:
    """Sends bytes without waiting; a socket that waits is made to wait again afterwards."""
    timeout = sock.gettimeout()
    sock.setblocking(False)
    try:
        write(sock, data, chunked)
    finally:
        sock.settimeout(timeout)


def write_error(sock: Any, status_int: int, reason: str, mesg: str) -> None:
    """Sends an error page as the server's own, which closes the connection. `mesg` is text, not HTML."""
    page = _ERROR_PAGE.format(reason=reason, text=html.escape(mesg))
    head = f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nDate: {http_date()}\r\n"
    head += f"Content-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n"
    write_nonblock(sock, (head + page).encode("latin-1", "replace"))


_ERROR_PAGE = """\
<html>
  <head>
    <title>{reason}</title>
  </head>
  <body>
    <h1><p>{reason}</p></h1>
    {text}
  </body>
</html>
"""


def http_date(timestamp: float | None = None) -> str:
    """A time, in seconds since the epoch or now, as HTTP writes it."""
    return email.utils.formatdate(timestamp, usegmt=True)


def is_hoppish(header: str) -> bool:
    """Whether a response's field concerns the connection, so that an application may not set it."""
    return header.strip().lower() in hop_headers


def to_bytestring(value: str | bytes, encoding: str = "utf8") -> bytes:
    """Text as bytes; bytes as they are. Raises TypeError for anything else."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value.encode(encoding)


def bytes_to_str(b: str | bytes) -> str:
    """The text of a WSGI environ for bytes: one character for each byte."""
    return b if isinstance(b, str) else b.decode("latin-1")


def unquote_to_wsgi_str(string: str) -> str:
    """A path of a URI as the environ has it: decoded, one character for each byte."""
    return bytes_to_str(urllib.parse.unquote_to_bytes(string))
