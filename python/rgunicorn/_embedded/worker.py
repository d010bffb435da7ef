"""Worker objects without an arbiter: made, told to leave and released by the program around them."""

from __future__ import annotations

import os
from concurrent import futures
from typing import TYPE_CHECKING, Any, cast

from rgunicorn import _native
from rgunicorn.workers._reactor import ReactorWorker
from rgunicorn.workers.gthread import ThreadWorker
from rgunicorn.workers.sync import SyncWorker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rgunicorn.app.base import BaseApplication
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger
    from rgunicorn.sock import BaseSocket


class Alone(ReactorWorker):
    """What the arbiter does for a worker, and `init_process`, as far as this one needs it."""

    def equip(self, app: Any) -> None:
        """Gives it the application, and what the native loop watches."""
        self.wsgi = app
        self.pid = os.getpid()
        self.slot = _native.Slot.alone()
        self.PIPE = os.pipe()
        # Nobody closes the other end before this one.
        self.lifeline, self._life = os.pipe()
        for end in self.PIPE:
            os.set_blocking(end, False)
        self.booted = True

    def leave(self) -> None:
        """Makes `run()` return when running requests are finished. From any thread."""
        self.alive = False

    def release_listeners(self) -> None:
        """They are the server's, which closes them."""

    def release(self) -> None:
        """Closes what `equip` has opened."""
        for end in (*self.PIPE, self.lifeline, self._life):
            os.close(end)
        self.slot = None


class OneThread(Alone, SyncWorker):
    """Serves in the thread that calls `run()`."""


class Threads(Alone, ThreadWorker):
    """Serves in threads that the interpreter waits for when it ends, as it does for other threads."""

    def get_thread_pool(self) -> futures.Executor:
        return futures.ThreadPoolExecutor(self.cfg.threads, thread_name_prefix="rgunicorn")

    def release(self) -> None:
        """As any; the threads end too."""
        if self.tpool is not None:
            self.tpool.shutdown(wait=False)
        # It has this object, so nothing would collect the two.
        self._driver = None
        super().release()


def make_worker(app: Any, cfg: Config, log: Logger, listeners: Sequence[BaseSocket]) -> Alone:
    """The worker for so many threads as the configuration says."""
    made = OneThread if cfg.threads == 1 else Threads
    # No worker asks for its `BaseApplication` once it has what that would load.
    worker = made(1, os.getpid(), list(listeners), cast("BaseApplication", None), 0, cfg, log)
    worker.equip(app)
    return worker
