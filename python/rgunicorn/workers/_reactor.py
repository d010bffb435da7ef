"""What the worker classes share that serve with the native event loop."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import ClassVar

from rgunicorn._arbiter import listening
from rgunicorn.http.wsgi import overwritten
from rgunicorn.workers.base import Worker

#: Taken here, before eventlet replaces it by one that may wait.
_write = os.write


class ReactorWorker(Worker):
    """Serves with the native event loop.

    A subclass may override what a `Worker` has. What Gunicorn's class of its name has besides belongs to a
    loop in Python that does not exist here: a subclass that overrides any of it, and not `run()` itself, is
    refused.
    """

    #: What such a class is called in messages.
    KIND: ClassVar[str]
    #: The class whose `run()` enters the native loop.
    RUNS: ClassVar[type[ReactorWorker]]
    #: The steps of Gunicorn's loop, of which the native one calls none.
    STEPS: ClassVar[tuple[str, ...]] = ()

    limits_requests = True
    counts_requests = True

    _alive = True
    _nr = 0
    _is_native = False

    @classmethod
    def setup(cls) -> None:
        """Called in the arbiter once the class is chosen. Raises RuntimeError: it cannot be honoured."""
        overwritten("SERVER")
        mistake = cls._ignored_step(cls) if cls.run is cls.RUNS.run else None
        if mistake:
            raise RuntimeError(mistake)

    @property
    def alive(self) -> bool:
        """Whether the worker goes on. The event loop looks at it after each signal."""
        return self._alive

    @alive.setter
    def alive(self, alive: bool) -> None:
        self._alive = alive
        if not alive and self.slot is not None:
            self.slot.leave()
            if not self._is_native:
                listening.stop_listening(self.own_sockets)
            self.poke()

    def release_listeners(self) -> None:
        """Closes this worker's copies of the listeners.

        Called when the worker leaves by the native loop, which has copies of its own: who has connected by
        then is served.
        """
        for listener in self.sockets:
            listener.release()

    def poke(self) -> None:
        """Has the native loop look at signals, at `alive` and at the log files. Any thread may call this."""
        if self.PIPE:
            with contextlib.suppress(BlockingIOError):
                _write(self.PIPE[1], b"1")

    @property
    def nr(self) -> int:
        """How many requests it has taken to the application."""
        return self._nr + (0 if self.slot is None else self.slot.counted())

    @nr.setter
    def nr(self, nr: int) -> None:
        self._nr = nr - (0 if self.slot is None else self.slot.counted())

    @property
    def notifies(self) -> bool:
        """Whether somebody has overridden `notify()`, which the event loop calls only then."""
        return getattr(self.notify, "__func__", None) is not self.RUNS.notify

    def notify(self) -> None:
        """Says that the worker lives, if it is served by a `run()` of its own.

        The native loop marks each request, and is not late while it has none.
        """
        if not self._is_native:
            super().notify()

    def enter_native_loop(self) -> None:
        """To be called before the native loop is: refuses what it would ignore."""
        # Again: a subclass may have its own `setup()`, or a `run()` that comes here.
        mistake = self._ignored_step(type(self)) or self._ignored_step(self)
        if mistake:
            self.log.error(mistake)
            sys.exit(3)
        self._is_native = True

    @classmethod
    def _ignored_step(cls, owner: object) -> str | None:
        """What to say of a worker class, or a worker, with a method that would never be called."""
        for name in cls.STEPS:
            method = getattr(owner, name, None)
            inherited = getattr(cls.RUNS, name, None)
            if getattr(method, "__func__", method) is not inherited:
                made = owner if isinstance(owner, type) else type(owner)
                shown = f"{made.__module__}.{made.__qualname__}"
                return f"{shown} overrides {name}(), which the native {cls.KIND} worker never calls"
        return None
