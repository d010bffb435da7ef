"""What systemd and its services say to each other: sockets that it has opened, states that it is told."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rgunicorn.glogging import Logger

#: The descriptor of the first socket that was passed; the others follow.
SD_LISTEN_FDS_START = 3

#: Seconds that a message may wait for its reader: one that hangs does not hold up the service.
_PATIENCE = 1.0


def listen_fds(unset_environment: bool = True) -> int:
    """How many sockets were passed to this process. 0 if there are none, or if they are meant for another.

    With `unset_environment` the variables that say so go, so that no child takes them for its own.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return 0
    count = os.environ.get("LISTEN_FDS", "")
    if unset_environment:
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
            os.environ.pop(name, None)
    return int(count) if count.isdecimal() else 0


def sd_notify(state: str, logger: Logger, unset_environment: bool = False, wait: bool = True) -> bool:
    """Sends `state`, lines of `NAME=VALUE`, to whoever NOTIFY_SOCKET names, and tells whether that worked.

    A failure is only logged. Without `wait` a reader whose queue is full is one.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        # A name in the abstract namespace.
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(_PATIENCE if wait else 0)
            sock.sendto(state.encode(), address)
    except OSError:
        logger.debug("Exception while invoking sd_notify()", exc_info=True)
        return False
    finally:
        if unset_environment:
            os.environ.pop("NOTIFY_SOCKET", None)
    return True


def watchdog_interval() -> float | None:
    """Seconds within which systemd wants to hear of this process again and again; None if it does not."""
    if os.environ.get("WATCHDOG_PID") not in (None, "", str(os.getpid())):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) else None


def forget_watchdog() -> None:
    """In a child: nothing that runs there answers for its parent."""
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        with contextlib.suppress(KeyError):
            del os.environ[name]
