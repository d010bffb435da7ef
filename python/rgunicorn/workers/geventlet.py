"""The worker class for eventlet: requests in green threads; the hub watches the native event loop."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

try:
    import eventlet
except ImportError:
    raise RuntimeError("eventlet worker requires eventlet 0.40.3 or higher") from None

from eventlet import hubs, wsgi

from rgunicorn.workers.base_async import AsyncWorker

if TYPE_CHECKING:
    from rgunicorn import _native

#: Of the time for a graceful end: what killed green threads have to clean up, in seconds.
_LAST_WORDS = 0.25


class EventletWorker(AsyncWorker):
    """Requests run in green threads. `patch()` is called before the application is imported."""

    KIND = "eventlet"
    limits_requests = True

    def patch(self) -> None:
        """Makes the standard library cooperative."""
        eventlet.monkey_patch()

    def init_process(self) -> None:
        """Patches, with a hub of this process, then goes on as every worker."""
        hubs.use_hub()
        # What a signal's handler raises in the middle of it eventlet takes for a failure, and goes on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self.SIGNALS)
        try:
            self.patch()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        super().init_process()

    def timeout_ctx(self) -> Any:
        """Around the wait for a request, for those with a loop of their own."""
        return eventlet.Timeout(self.cfg.keepalive or None, False)

    def is_already_handled(self, respiter: Any) -> bool:
        """Whether the application has answered by the socket, in eventlet's way too."""
        return getattr(wsgi.WSGI_LOCAL, "already_handled", False) or super().is_already_handled(respiter)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """INT and QUIT: leaves at once. In a green thread, where the hook may wait for something."""
        eventlet.spawn(super().handle_quit, sig, frame)

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """USR1: reopens the log files. In a green thread, because another one may hold their locks."""
        eventlet.spawn(self.reopen, super().handle_usr1, sig, frame)

    def run(self) -> None:
        """Serves until `alive` is false."""
        self.enter_native_loop()
        _HubLoop(self).run()


EventletWorker.RUNS = EventletWorker


class _HubLoop:
    """The native event loop in eventlet's hub. It takes its turns in the main green thread."""

    def __init__(self, worker: EventletWorker) -> None:
        self.worker = worker
        self.native = worker.embed(_wait, eventlet.getcurrent, _schedule)
        self.threads: set[Any] = set()
        #: SystemExit of a signal handler, raised in a request.
        self.exit: SystemExit | None = None

    def run(self) -> None:
        """Serves until the worker leaves. Raises SystemExit where a signal handler has."""
        every = 1.0 if self.worker.notifies else None
        try:
            while not self.turn():
                if not _wait(self.native.fileno(), False, every):
                    self.worker.notify()
            if self.exit is not None:
                raise self.exit
            if self.native.running:
                self.worker.log.warning("Worker graceful timeout (pid:%s)", self.worker.pid)
        finally:
            self.kill()
            self.native.close()

    def turn(self) -> bool:
        """Starts what requests there are. True: the worker leaves."""
        for call in self.native.turn(self.worker.worker_connections):
            thread = eventlet.spawn(self.serve, call)
            self.threads.add(thread)
            thread.link(self.threads.discard)
        if not self.worker.alive:
            self.native.drain()
        return self.native.is_done or self.exit is not None

    def serve(self, call: _native.Call) -> None:
        """Runs one request, in a green thread of its own."""
        try:
            call.run()
        except SystemExit as error:
            # An application's own ends nothing.
            if self.worker.leaves_at_once:
                self.exit = error
                self.worker.poke()

    def kill(self) -> None:
        """Raises GreenletExit in what still runs, and gives it a moment."""
        # What was spawned last may be the last words of the log.
        eventlet.sleep(0)
        for thread in list(self.threads):
            thread.kill()
        with eventlet.Timeout(_LAST_WORDS, False):
            while self.threads:
                eventlet.sleep(0.01)


def _schedule(function: Callable[[], None]) -> None:
    """Has it called in the hub."""
    hubs.get_hub().schedule_call_global(0, function)


class _TimeIsUp(Exception):
    """A wait was too long."""


def _wait(fd: int, write: bool, timeout: float | None) -> bool:
    """Waits in the hub for the descriptor. False: `timeout` seconds have passed."""
    try:
        hubs.trampoline(fd, read=not write, write=write, timeout=timeout, timeout_exc=_TimeIsUp)
    except _TimeIsUp:
        return False
    return True
