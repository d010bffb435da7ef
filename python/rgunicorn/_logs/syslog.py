"""Syslog: where it is, which facility is meant, and a handler that copes with a server that goes away."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rgunicorn.config import Config

#: The facilities by their names.
SYSLOG_FACILITIES = {
    "auth": 4,
    "authpriv": 10,
    "cron": 9,
    "daemon": 3,
    "ftp": 11,
    "kern": 0,
    "lpr": 6,
    "mail": 2,
    "news": 7,
    "security": 4,
    "syslog": 5,
    "user": 1,
    "uucp": 8,
    **{f"local{number}": 16 + number for number in range(8)},
}

_SOCKET_TYPES = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}

#: How long a server may take to accept a line, in seconds. While it takes one, no request is served.
PATIENCE = 2.0


def parse_syslog_address(addr: str) -> tuple[int | None, str | tuple[str, int]]:
    """`udp://HOST:PORT`, `tcp://HOST:PORT` or `unix://PATH#TYPE` as a socket type and an address.

    The type is None for whichever works. RuntimeError: it is none of these.
    """
    scheme, separator, rest = addr.partition("://")
    if scheme == "unix" and separator:
        path, _, wanted = rest.partition("#")
        return (socket.SOCK_DGRAM if wanted == "dgram" else None), path
    if scheme not in _SOCKET_TYPES or not separator:
        raise RuntimeError("invalid syslog address")
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, colon, port = rest.partition(":")
        if colon and not port:
            raise RuntimeError(f"{port!r} is not a valid port number.")
    if port and not port.isdigit():
        raise RuntimeError(f"{port!r} is not a valid port number.")
    return _SOCKET_TYPES[scheme], (host.lower() or "localhost", int(port or 514))


def make_handler(cfg: Config) -> logging.Handler:
    """A handler as the settings ask for it. RuntimeError: they are bad, or nobody listens there."""
    try:
        facility = SYSLOG_FACILITIES[cfg.syslog_facility.lower()]
    except KeyError:
        raise RuntimeError("unknown facility name") from None
    kind, address = parse_syslog_address(cfg.syslog_addr)
    try:
        return _SyslogHandler(address, facility, kind)
    except OSError as error:
        raise RuntimeError(f"syslog at {cfg.syslog_addr} cannot be reached: {error}") from error


class _SyslogHandler(logging.handlers.SysLogHandler):
    """As the standard library's, but it waits for no slow server, and finds one again that was away."""

    #: None while there is no connection.
    socket: Any

    def __init__(self, address: str | tuple[str, int], facility: int, socktype: int | None) -> None:
        super().__init__(address, facility, socktype)  # type: ignore[arg-type]
        self._limit_waits()

    def _limit_waits(self) -> None:
        if self.socket is not None:
            # It may be closed: nobody listens any more.
            with contextlib.suppress(OSError):
                self.socket.settimeout(PATIENCE)

    def createSocket(self) -> None:
        """Connects, from Python 3.11 on also when an earlier connection was lost."""
        super().createSocket()  # type: ignore[misc]
        self._limit_waits()

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a record."""
        super().emit(record)
        # A Unix socket that was connected anew within `emit`.
        self._limit_waits()

    def handleError(self, record: logging.LogRecord) -> None:
        """A record was not sent. The connection is no longer in step: the next record makes a new one."""
        if self.socktype == socket.SOCK_STREAM and hasattr(logging.handlers.SysLogHandler, "createSocket"):
            # There is none where connecting anew has failed.
            if self.socket is not None:
                with contextlib.suppress(OSError):
                    self.socket.close()
            self.socket = None
        super().handleError(record)
