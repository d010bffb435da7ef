"""From the addresses of the configuration to listening sockets, with the retries that a restart needs."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterable
from typing import Any

from rgunicorn import _native

#: How often an address is tried, one second apart: the process that is being replaced may still hold it.
ATTEMPTS = 5


def create_sockets(cfg: Any, log: Any, addresses: Iterable[Any] | None = None) -> list[_native.Listener]:
    """Listens on `addresses`, by default all those of `cfg`. Exits with status 1 if one cannot be had."""
    listeners: list[_native.Listener] = []
    for address in cfg.address if addresses is None else addresses:
        listener = _listen(cfg, log, address)
        if listener is None:
            close_sockets(listeners)
            log.error("Can't connect to %s", str(address))
            sys.exit(1)
        listeners.append(listener)
    return listeners


def close_sockets(listeners: Iterable[_native.Listener]) -> None:
    """Closes listeners and removes the files of Unix sockets."""
    for listener in listeners:
        try:
            listener.unlink()
        finally:
            listener.close()


def _listen(cfg: Any, log: Any, address: Any) -> _native.Listener | None:
    if isinstance(address, int):
        raise RuntimeError(f"fd://{address}: inherited sockets are not supported yet")
    reuse_port = bool(getattr(cfg, "reuse_port", False))
    for attempt in range(ATTEMPTS):
        try:
            return _native.Listener.bind(address, cfg.backlog, cfg.umask, reuse_port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                log.error("Connection in use: %s", str(address))
            elif error.errno == errno.EADDRNOTAVAIL:
                log.error("Invalid address: %s", str(address))
            log.error("connection to %s failed: %s", str(address), error)
        if attempt + 1 < ATTEMPTS:
            log.debug("Retrying in 1 second.")
            time.sleep(1)
    return None
