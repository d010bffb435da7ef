"""The default worker class: one request at a time, in the main thread."""

from __future__ import annotations

from rgunicorn import _listening, _native
from rgunicorn.workers.base import Worker


class SyncWorker(Worker):
    """Serves with the native event loop; the application runs between two of its turns."""

    _alive = True
    _nr = 0

    @property
    def alive(self) -> bool:
        """Whether the worker goes on. The event loop looks at it after each signal."""
        return self._alive

    @alive.setter
    def alive(self, alive: bool) -> None:
        self._alive = alive
        if not alive and self.slot is not None:
            self.slot.leave()
            _listening.stop_listening(self.own_sockets)

    @property
    def nr(self) -> int:
        """How many requests it has taken to the application."""
        return self._nr + (0 if self.slot is None else self.slot.counted())

    @nr.setter
    def nr(self, nr: int) -> None:
        self._nr = nr - (0 if self.slot is None else self.slot.counted())

    def notify(self) -> None:
        """Nothing to do: the event loop marks each request, and an idle worker need not prove its life."""

    def run(self) -> None:
        """Serves until `alive` is false."""
        _native.run_sync(self)
