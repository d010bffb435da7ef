"""Where a server inside a program listens: the forms of `bind`, and the listeners that they become."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rgunicorn import sock, util

if TYPE_CHECKING:
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger

#: One address: a text as for `--bind`, a host and a port, or a socket that is bound already.
One = str | tuple[str, int] | socket.socket
Bind = One | Iterable[One]


def listen(bind: Bind, cfg: Config, log: Logger) -> list[sock.BaseSocket]:
    """Listens on every address of `bind`.

    TypeError: it has none of these forms. ValueError: a text names no address. OSError, RuntimeError: one
    cannot be had; then none is kept.
    """
    ones: list[object]
    if isinstance(bind, (str, tuple, socket.socket)) or not isinstance(bind, Iterable):
        ones = [bind]
    else:
        ones = list(bind)
    if not ones:
        raise ValueError("bind names no address")
    addresses = [_address(one) for one in ones]
    listeners: list[sock.BaseSocket] = []
    try:
        for address in addresses:
            listeners.append(_open(address, cfg, log))
    except BaseException:
        sock.close_sockets(listeners)
        raise
    return listeners


def _address(one: object) -> util.Address | socket.socket:
    if isinstance(one, str):
        try:
            return util.parse_address(one)
        except RuntimeError as error:
            raise ValueError(f"{error} (bind)") from None
    if isinstance(one, tuple) and [type(part) for part in one] == [str, int]:
        return one
    if isinstance(one, socket.socket):
        return one
    raise TypeError(f"bind takes 'HOST:PORT', 'unix:PATH', (host, port), a socket, or a list: not {one!r}")


def _open(address: util.Address | socket.socket, cfg: Config, log: Logger) -> sock.BaseSocket:
    if isinstance(address, socket.socket):
        # The program's own stays open when the server closes.
        return sock.inherit(cfg, log, os.dup(address.fileno()))
    if isinstance(address, int):
        return sock.inherit(cfg, log, address)
    try:
        return sock.listen(cfg, log, address)
    except OSError as error:
        # Of several addresses, which? Python shows it behind the reason.
        error.filename = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
        raise


def name(listener: sock.BaseSocket) -> tuple[str, int] | str:
    """The real address: host and port, or the path of a Unix socket."""
    address = listener.sock.getsockname()
    return address[:2] if isinstance(address, tuple) else os.fsdecode(address)
