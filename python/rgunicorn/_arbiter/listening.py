"""Who listens where: inherited sockets, those of the arbiter, those that each worker has for itself."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rgunicorn import _start, sock, systemd, util

if TYPE_CHECKING:
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger


@dataclass
class Opened:
    """The listeners of an arbiter that starts."""

    listeners: list[sock.BaseSocket]
    #: Those that only the workers of the arbiter before it serve, by their address.
    unwanted: dict[str, sock.BaseSocket] = field(default_factory=dict)
    of_systemd: bool = False


def shared_addresses(cfg: Config) -> list[util.Address]:
    """The addresses that the arbiter listens on."""
    own = own_addresses(cfg)
    return [address for address in cfg.address if address not in own]


def own_addresses(cfg: Config) -> list[util.Address]:
    """The addresses that every worker listens on for itself: with `reuse_port` the TCP ones, unless sockets
    were inherited, which stand for all."""
    if not cfg.reuse_port or any(isinstance(address, int) for address in cfg.address):
        return []
    return [address for address in cfg.address if isinstance(address, tuple)]


def open_shared(cfg: Config, log: Logger) -> Opened:
    """The listeners of the arbiter. Exits where one cannot be had."""
    passed = os.environ.pop("GUNICORN_FD", None)
    if _start.role() == _start.UPGRADE:
        return _open_as_successor(cfg, log, _start.LEFT)
    if passed and _start.predecessor():
        fds = [int(fd) for fd in passed.split(",") if fd.isdecimal()]
        return Opened(sock.create_sockets(cfg, log, fds))
    first, count = systemd.SD_LISTEN_FDS_START, systemd.listen_fds()
    if count:
        return Opened(sock.create_sockets(cfg, log, range(first, first + count)), of_systemd=True)
    if own_addresses(cfg):
        return Opened(sock.open_listeners(cfg, log, shared_addresses(cfg)))
    return Opened(sock.create_sockets(cfg, log))


def _open_as_successor(cfg: Config, log: Logger, left: dict[str, Any]) -> Opened:
    """Those of the arbiter before this one, as far as the configuration still has their addresses."""
    inherited = adopted(cfg, log, left["listeners"])
    if left["systemd"] or any(isinstance(address, int) for address in cfg.address):
        return Opened(inherited, of_systemd=left["systemd"])
    addresses = shared_addresses(cfg)
    kept = {str(listener.cfg_addr): listener for listener in inherited}
    made = iter(sock.open_listeners(cfg, log, [each for each in addresses if str(each) not in kept]))
    found = [kept.get(str(each)) or next(made) for each in addresses]
    unwanted = {name: listener for name, listener in kept.items() if listener not in found}
    return Opened(found, unwanted)


def open_own(cfg: Config, log: Logger, exit_status: int) -> list[sock.BaseSocket]:
    """The listeners of one worker, in its process. Exits with `exit_status` where one cannot be had.

    They listen when the worker has loaded the application: from then on the kernel gives them connections.
    """
    try:
        return sock.open_listeners(cfg, log, own_addresses(cfg), later=True)
    except SystemExit:
        sys.exit(exit_status)


def described(listeners: Iterable[sock.BaseSocket]) -> list[list[Any]]:
    """Listeners for a program that will have their descriptors: number, address and file of each."""
    found = []
    for each in listeners:
        # Bytes: an abstract name that was inherited.
        address = os.fsdecode(each.cfg_addr) if isinstance(each.cfg_addr, bytes) else each.cfg_addr
        found.append([each.fileno(), address, getattr(each, "file", None)])
    return found


def adopted(cfg: Config, log: Logger, descriptions: Iterable[list[Any]]) -> list[sock.BaseSocket]:
    """The listeners of the program that has described them. Raises RuntimeError."""
    found = []
    for fd, address, file in descriptions:
        listener = sock.inherit(cfg, log, fd)
        os.set_inheritable(fd, False)
        listener.cfg_addr = tuple(address) if isinstance(address, list) else address
        if isinstance(listener, sock.UnixSocket):
            listener.file = file and (file[0], file[1], file[2])
        found.append(listener)
    # Their workers may have been of another class.
    sock.hand_out_at_once(found)
    return found


def stop_listening(listeners: Iterable[sock.BaseSocket]) -> None:
    """The kernel gives them no more connections, whoever holds a copy of their descriptors."""
    for listener in listeners:
        with contextlib.suppress(OSError):
            listener.sock.shutdown(socket.SHUT_RDWR)
