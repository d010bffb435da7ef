"""The native loop inside the event loop of a program."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING

from rgunicorn import _native

if TYPE_CHECKING:
    from rgunicorn._embedded.worker import Alone

#: Requests that one turn serves at most where it serves them itself: the loop has other things to do.
MOST = 16


class Turns:
    """Turns the native loop whenever it is told to. A turn does not wait."""

    def __init__(self, worker: Alone) -> None:
        self._worker = worker
        self._threads: int = worker.cfg.threads
        several = self._threads > 1
        self._embedded = _native.Embedded(worker, multithread=several)
        self._pool = futures.ThreadPoolExecutor(self._threads, "rgunicorn") if several else None

    def fileno(self) -> int:
        """Readable when there is something to do for a turn."""
        return self._embedded.fileno()

    def turn(self) -> None:
        """Serves what has come: here, or in the threads that are free."""
        if self._pool is None:
            for call in self._embedded.turn(MOST):
                call.run()
        else:
            for call in self._embedded.turn(self._threads):
                self._pool.submit(call.run)

    def drain(self) -> None:
        """Begins to leave."""
        self._worker.alive = False
        self._embedded.drain()

    @property
    def is_done(self) -> bool:
        """It has left, or its time to do so is over."""
        return self._embedded.is_done

    def close(self) -> None:
        """Ends it at once. Threads end after the request that they serve."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._embedded.close()
