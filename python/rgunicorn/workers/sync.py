"""The default worker class: one request at a time, in the main thread."""

from __future__ import annotations

from rgunicorn import _native
from rgunicorn.workers.base import Worker


class SyncWorker(Worker):
    """Serves with the native event loop; the application runs between two of its turns."""

    _alive = True

    @property
    def alive(self) -> bool:
        """Whether the worker goes on. The event loop looks at it after each signal."""
        return self._alive

    @alive.setter
    def alive(self, alive: bool) -> None:
        self._alive = alive
        if not alive and self.slot is not None:
            self.slot.leave()

    def notify(self) -> None:
        """Nothing to do: the event loop marks each request, and an idle worker need not prove its life."""

    def run(self) -> None:
        """Serves until `alive` is false."""
        _native.run_sync(self)
