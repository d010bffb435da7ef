"""The threaded worker class: as many requests at a time as there are threads."""

from __future__ import annotations

import threading
import time
from concurrent import futures
from typing import TYPE_CHECKING

from rgunicorn import _native
from rgunicorn.workers._reactor import ReactorWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger

#: How long threads may take to end in any case, in seconds.
_LEAST = 0.1


class ThreadWorker(ReactorWorker):
    """Threads take turns at the native event loop: whoever finds a request serves it.

    The main thread handles signals.
    """

    KIND = "threaded"
    STEPS = (
        "set_accept_enabled",
        "enqueue_req",
        "accept",
        "on_client_socket_readable",
        "on_pending_socket_readable",
        "murder_keepalived",
        "murder_pending",
        "is_parent_alive",
        "wait_for_and_dispatch_events",
        "finish_request",
        "handle",
        "handle_request",
        "handle_error",
    )

    #: A pool in which the threads are to run, if somebody has overridden `get_thread_pool`.
    tpool: futures.Executor | None = None
    _driver: _native.Threads | None = None

    @classmethod
    def check_config(cls, cfg: Config, log: Logger) -> None:
        """Called in the arbiter: warns of what will not work as it was meant."""
        if cfg.keepalive and cfg.worker_connections <= cfg.threads:
            log.warning(
                "No keepalived connections can be handled. "
                "Check the number of worker connections and threads."
            )

    @property
    def nr_conns(self) -> int:
        """How many connections are open."""
        return 0 if self._driver is None else self._driver.connections()

    def get_thread_pool(self) -> futures.Executor:
        """A pool with room for `threads` threads. Override it to have them prepared in some way."""
        return futures.ThreadPoolExecutor(max_workers=self.cfg.threads)

    def run(self) -> None:
        """Serves until `alive` is false."""
        self.enter_native_loop()
        driver = self._driver = _native.Threads(self)
        wait = self._start(driver)
        patience = 0.0
        try:
            patience = driver.watch()
        finally:
            driver.stop()
            # What they serve is cut off if they are not done by then.
            self.has_stuck_threads = not wait(max(patience, _LEAST))
            driver.close()

    def _start(self, driver: _native.Threads) -> Callable[[float], bool]:
        """Starts the threads. Gives what waits for them so many seconds, and says whether all have ended."""
        if type(self).get_thread_pool is not ThreadWorker.get_thread_pool:
            pool = self.tpool = self.get_thread_pool()
            done = [pool.submit(driver.serve, index) for index in range(self.cfg.threads)]
            for future in done:
                future.add_done_callback(self._on_end)
            return lambda seconds: not futures.wait(done, timeout=seconds).not_done
        threads = [
            threading.Thread(target=self._serve, args=(driver, index), name=f"rgunicorn_{index}", daemon=True)
            for index in range(self.cfg.threads)
        ]
        for thread in threads:
            thread.start()
        return lambda seconds: _join(threads, seconds)

    def _serve(self, driver: _native.Threads, index: int) -> None:
        """The life of one thread."""
        try:
            driver.serve(index)
        except BaseException as error:
            self._lose(error)

    def _on_end(self, future: futures.Future[None]) -> None:
        error = future.exception()
        if error is not None:
            self._lose(error)

    def _lose(self, error: BaseException) -> None:
        """A thread has failed, or could not be prepared: another worker takes the place of this one."""
        if self.alive:
            self.log.error("A thread of the worker has ended, so the worker leaves", exc_info=error)
            self.alive = False


ThreadWorker.RUNS = ThreadWorker


def _join(threads: list[threading.Thread], seconds: float) -> bool:
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
