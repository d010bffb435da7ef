"""What an arbiter tells of its workers: metrics, systemd, and the requests that ended with them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from rgunicorn._logs import access

if TYPE_CHECKING:
    from rgunicorn._arbiter.manager import Manager
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger
    from rgunicorn.sock import BaseSocket
    from rgunicorn.workers.base import Worker

#: Seconds between two reports of the connections that wait, as long as nothing else wakes the arbiter.
BACKLOG_EVERY = 1.0


class Reports:
    """A part of `Arbiter`."""

    cfg: Config
    log: Logger
    LISTENERS: list[BaseSocket]
    WORKERS: dict[int, Worker]
    num_workers: int
    _manager: Manager

    def tend(self, serving: int, starting: int, leaving: int) -> float | None:
        """What is to be told from time to time, or has changed: to be called before the arbiter sleeps.

        Takes how many workers there are, by what they do. Gives the seconds to the next call; None: any time.
        """
        pauses = (self._report_backlog(), self._manager.tend(self.num_workers, serving, starting, leaving))
        return min((pause for pause in pauses if pause is not None), default=None)

    def log_cut_request(
        self,
        pid: int,
        method: str,
        target: str,
        address: str | None,
        name: str,
        seconds: float,
        reason: str,
    ) -> None:
        """A worker has ended in the middle of this request: writes its line in the access log."""
        environ = {
            "REQUEST_METHOD": method,
            "RAW_URI": target,
            "REMOTE_ADDR": address or "",
            "rgunicorn.pid": pid,
            "rgunicorn.reason": reason,
        }
        if name:
            environ["rgunicorn.request_id"] = name
        access.log_cut(self.log, environ, seconds)

    def write_access_lines(self, lines: bytes) -> None:
        """A worker was killed before it had written these lines of the access log: writes them for it."""
        for fd in access.native_files(self.log) or []:
            # As the worker: what cannot be written is lost.
            with contextlib.suppress(OSError):
                if access.has_room(fd):
                    os.write(fd, lines)

    def _report_backlog(self) -> float | None:
        """Sends how many connections wait to be accepted, if wanted; gives the seconds to the next report."""
        if not self.cfg.enable_backlog_metric:
            return None
        known = [waiting for waiting in map(_backlog, self.LISTENERS) if waiting >= 0]
        if known:
            extra = {"metric": "gunicorn.backlog", "value": sum(known), "mtype": "histogram"}
            self.log.debug(f"socket backlog: {sum(known)}", extra=extra)
        return BACKLOG_EVERY

    def _report_count(self) -> None:
        """Sends how many workers there are."""
        count = len(self.WORKERS)
        extra = {"metric": "gunicorn.workers", "value": count, "mtype": "gauge"}
        self.log.debug(f"{count} workers", extra=extra)


def _backlog(listener: BaseSocket) -> int:
    """How many connections wait at a listener; -1 if it does not tell."""
    try:
        return int(listener.get_backlog())
    except OSError:
        return -1
