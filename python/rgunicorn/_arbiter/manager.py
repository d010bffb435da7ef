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
#: Seconds that an application may take to load where the arbiter cannot tell meanwhile that it lives.
_LOADING = 600


class Phase(enum.Enum):
    """What the service does, in the word for its status."""

    STARTING = "Starting"
    SERVING = "Serving"
    RELOADING = "Reloading"
    STOPPING = "Stopping"


class Manager:
    """The service manager of an arbiter. Without NOTIFY_SOCKET there is none, and nothing is sent.

    Nor does an arbiter that follows another send anything: a service has one main process, and only that is
    listened to.
    """

    def __init__(self, log: Logger, follows: bool = False, renewed: bool = False) -> None:
        self._log = log
        self._is_there = bool(os.environ.get("NOTIFY_SOCKET"))
        self._follows = follows
        self._successor = 0
        self._phase = Phase.RELOADING if renewed else Phase.STARTING
        self._status = ""
        self._interval = systemd.watchdog_interval()
        # It has been told to be patient.
        self._waits = renewed
        self._next_beat = time.monotonic()

    def reloads(self) -> None:
        """A reload begins. To be called before it does: systemd takes the time of it from the message."""
        self._phase = Phase.RELOADING
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """The reload is over, whatever came of it: as soon as a worker serves, systemd is told so."""
        self._phase = Phase.STARTING

    def loads(self) -> None:
        """The program is about to be executed anew, and loads the application: until then it is silent."""
        if self._interval is not None:
            self._waits = True
            self._tell(f"WATCHDOG=1\nWATCHDOG_USEC={_LOADING * 1_000_000}")

    def promoted(self) -> None:
        """The arbiter that this one followed is gone."""
        self._follows = False
        self._tell(f"MAINPID={os.getpid()}")

    def stops(self, successor: int = 0) -> None:
        """This arbiter ends. So does the service, unless there is a successor. May be said several times."""
        if self._phase is not Phase.STOPPING:
            self._phase, self._successor = Phase.STOPPING, successor
            if not successor:
                self._tell("STOPPING=1")

    def ends(self) -> None:
        """This arbiter has ended what it did. Not earlier: only the main process can tell that it lives."""
        if self._successor:
            self._tell(f"MAINPID={self._successor}")

    def tend(self, wanted: int, serving: int, starting: int, leaving: int) -> float | None:
        """Tells what has changed, and that the arbiter lives if that is due; gives the seconds to the next.

        `wanted` is how many workers there should be; the others are how many there are, by what they do.
        """
        if not self._is_there or self._follows:
            return None
        if not self._successor:
            self._tell_status(wanted, serving, starting, leaving)
        return self._beat()

    def _tell_status(self, wanted: int, serving: int, starting: int, leaving: int) -> None:
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

    def _beat(self) -> float | None:
        if self._interval is None:
            return None
        now = time.monotonic()
        if now >= self._next_beat:
            resume = f"\nWATCHDOG_USEC={round(self._interval * 1e6)}" if self._waits else ""
            sent = systemd.sd_notify(f"WATCHDOG=1{resume}", self._log, wait=False)
            self._waits = self._waits and not sent
            # Half of the interval, as sd_watchdog_enabled(3) advises.
            self._next_beat = now + (self._interval / 2 if sent else min(_AGAIN, self._interval / 4))
        return self._next_beat - now

    def _tell(self, state: str) -> None:
        if not self._follows:
            systemd.sd_notify(state, self._log)


def _status(phase: Phase, wanted: int, serving: int, starting: int, leaving: int) -> str:
    if phase is Phase.STOPPING:
        return f"{phase.value}: {_workers(serving + starting + leaving)} left"
    parts = [f"{serving} of {_workers(wanted)}" if serving < wanted else _workers(serving)]
    parts += [f"{count} {doing}" for count, doing in ((starting, "starting"), (leaving, "leaving")) if count]
    return f"{phase.value}: {', '.join(parts)}"


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"
