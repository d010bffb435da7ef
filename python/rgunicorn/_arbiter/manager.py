"""What systemd, the service manager, is told: that a service is ready, reloads, stops, lives, and how it is.

It sends only; whether the service runs is decided elsewhere.
"""

from __future__ import annotations

import enum
import os
import time
from typing import TYPE_CHECKING

from rgunicorn import systemd

if TYPE_CHECKING:
    from rgunicorn.glogging import Logger

#: Seconds until a sign of life that could not be sent is tried again; less if it is wanted more often.
_AGAIN = 1.0


class Phase(enum.Enum):
    """What the service does, in the word for its status."""

    STARTING = "Starting"
    SERVING = "Serving"
    RELOADING = "Reloading"
    STOPPING = "Stopping"


class Manager:
    """The service manager of an arbiter. Without NOTIFY_SOCKET there is none, and nothing is sent."""

    def __init__(self, log: Logger, is_second: bool = False) -> None:
        self._log = log
        # Another arbiter is the main process of the service: only that is listened to.
        self._is_second = is_second
        self._is_there = bool(os.environ.get("NOTIFY_SOCKET"))
        self._phase = Phase.STARTING
        self._status = ""
        interval = systemd.watchdog_interval()
        # Half of it, as sd_watchdog_enabled(3) advises.
        self._beat_every = None if interval is None else interval / 2
        self._next_beat = time.monotonic()

    def reloads(self) -> None:
        """A reload begins. To be called before it does: systemd takes the time of it from the message."""
        self._phase = Phase.RELOADING
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """The reload is over, whatever came of it: as soon as a worker serves, systemd is told so."""
        self._phase = Phase.STARTING

    def goes_on_reloading(self) -> None:
        """The program was executed anew in a reload, which goes on."""
        self._phase = Phase.RELOADING

    def takes_over(self, pid: int) -> None:
        """The arbiter before this one is gone: this process is the main one."""
        self._is_second = False
        self._tell(f"MAINPID={pid}")

    def stops(self, successor: int) -> None:
        """The service ends, or is left to the arbiter `successor` (0: none). It may be said several times."""
        if self._phase is not Phase.STOPPING:
            self._phase = Phase.STOPPING
            self._tell(f"MAINPID={successor}" if successor else "STOPPING=1")

    def tend(self, wanted: int, serving: int, starting: int, leaving: int) -> float | None:
        """Tells what has changed, and that the arbiter lives if that is due; gives the seconds to the next.

        `wanted` is how many workers there should be; the others are how many there are, by what they do.
        """
        if not self._is_there or self._is_second:
            return None
        # Not before: who starts a unit wants to know whether it works. Where none is wanted, none will come.
        ready = self._phase is Phase.STARTING and (serving > 0 or wanted == 0)
        if ready:
            self._phase = Phase.SERVING
        status = f"STATUS={_status(self._phase, wanted, serving, starting, leaving)}"
        if ready:
            self._tell(f"READY=1\n{status}")
        elif status != self._status:
            systemd.sd_notify(status, self._log, wait=False)
        self._status = status
        return self._beat()

    def _beat(self) -> float | None:
        if self._beat_every is None:
            return None
        now = time.monotonic()
        if now >= self._next_beat:
            sent = systemd.sd_notify("WATCHDOG=1", self._log, wait=False)
            self._next_beat = now + (self._beat_every if sent else min(_AGAIN, self._beat_every / 2))
        return self._next_beat - now

    def _tell(self, state: str) -> None:
        if not self._is_second:
            systemd.sd_notify(state, self._log)


def _status(phase: Phase, wanted: int, serving: int, starting: int, leaving: int) -> str:
    if phase is Phase.STOPPING:
        return f"{phase.value}: {_workers(serving + starting + leaving)} left"
    parts = [f"{serving} of {_workers(wanted)}" if serving < wanted else _workers(serving)]
    parts += [f"{count} {doing}" for count, doing in ((starting, "starting"), (leaving, "leaving")) if count]
    return f"{phase.value}: {', '.join(parts)}"


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"
