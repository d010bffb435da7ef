"""Who listens where: inherited sockets, those of the arbiter, those that each worker has for itself."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rgunicorn import sock, systemd, util

if TYPE_CHECKING:
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger


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


def open_shared(cfg: Config, log: Logger) -> tuple[list[sock.BaseSocket], bool]:
    """The listeners of the arbiter, and whether they came from systemd. Exits where one cannot be had."""
    first, count = systemd.SD_LISTEN_FDS_START, systemd.listen_fds()
    if count:
        return sock.create_sockets(cfg, log, range(first, first + count)), True
    if own_addresses(cfg):
        return sock.open_listeners(cfg, log, shared_addresses(cfg)), False
    return sock.create_sockets(cfg, log), False


def open_own(cfg: Config, log: Logger, exit_status: int) -> list[sock.BaseSocket]:
    """The listeners of one worker, in its process. Exits with `exit_status` where one cannot be had."""
    try:
        return sock.open_listeners(cfg, log, own_addresses(cfg))
    except SystemExit:
        sys.exit(exit_status)


def stop_listening(listeners: Iterable[sock.BaseSocket]) -> None:
    """The kernel gives them no more connections, whoever holds a copy of their descriptors."""
    for listener in listeners:
        with contextlib.suppress(OSError):
            listener.sock.shutdown(socket.SHUT_RDWR)
