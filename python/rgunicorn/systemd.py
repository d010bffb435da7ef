"""What systemd and its services say to each other: sockets that it has opened, states that it is told."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rgunicorn.glogging import Logger

#: The descriptor of the first socket that was passed; the others follow.
SD_LISTEN_FDS_START = 3


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


def sd_notify(state: str, logger: Logger, unset_environment: bool = False) -> None:
    """Sends `state`, lines of `NAME=VALUE`, to whoever NOTIFY_SOCKET names. A failure is only logged."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        # A name in the abstract namespace.
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            # A reader that hangs does not hold up the service.
            sock.settimeout(1)
            sock.sendto(state.encode(), address)
    except OSError:
        logger.debug("Exception while invoking sd_notify()", exc_info=True)
    finally:
        if unset_environment:
            os.environ.pop("NOTIFY_SOCKET", None)
