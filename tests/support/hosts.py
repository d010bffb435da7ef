"""Worker classes with loops of their own, where the native server is a guest: the least that a host does."""

from __future__ import annotations

import math
import os
import queue
import selectors
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import greenlet

from rgunicorn import _native
from rgunicorn.workers._reactor import ReactorWorker

#: How many requests the hosts with a limit run at once.
HANDS = 2


class Bare(ReactorWorker):
    """Watches the descriptor, and serves each request on the spot."""

    KIND = "bare"
    #: How often the loop went round, for applications to tell.
    turns: ClassVar[int] = 0

    def run(self) -> None:
        """Serves until the server is done."""
        self.enter_native_loop()
        self.server = _native.Embedded(self, *self.prepare())
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.server.fileno(), selectors.EVENT_READ, self.turn)
        while not self.server.is_done:
            for key, _ in self.selector.select(self.patience()):
                key.data()
        self.server.close()
        self.log.info("The server is closed.")
        self.finish()

    def turn(self) -> None:
        """The server has something to do."""
        Bare.turns += 1
        for call in self.server.turn(*self.hands()):
            self.start(call)

    def prepare(self) -> tuple[Any, ...]:
        """What the server is made with besides the worker."""
        return ()

    def hands(self) -> tuple[int, ...]:
        """How many requests may run at a time."""
        return ()

    def patience(self) -> float | None:
        """How long the loop may sleep."""
        return None

    def start(self, call: _native.Call) -> None:
        """Has a call run."""
        call.run()

    def finish(self) -> None:
        """The server is done."""


Bare.RUNS = Bare


class OneByOne(Bare):
    """Never takes more than one."""

    KIND = "one by one"

    def hands(self) -> tuple[int, ...]:
        return (1,)


class Careless(Bare):
    """Loses the first call that is a request, and runs all others twice."""

    KIND = "careless"
    _has_lost = False

    def start(self, call: _native.Call) -> None:
        if self.server.running and not self._has_lost:
            self._has_lost = True
            return
        call.run()
        try:
            call.run()
        except RuntimeError as error:
            self.log.info("it said: %s", error)


class Limited(Bare):
    """Has each call run by a thread, `HANDS` at a time."""

    KIND = "limited"

    def prepare(self) -> tuple[Any, ...]:
        self.calls: queue.SimpleQueue[_native.Call | None] = queue.SimpleQueue()
        self.threads = [threading.Thread(target=self.work) for _ in range(HANDS)]
        for thread in self.threads:
            thread.start()
        return (None, True)

    def work(self) -> None:
        """The life of a thread."""
        while (call := self.calls.get()) is not None:
            call.run()

    def hands(self) -> tuple[int, ...]:
        return (HANDS,)

    def start(self, call: _native.Call) -> None:
        self.calls.put(call)

    def finish(self) -> None:
        for _ in self.threads:
            self.calls.put(None)
        for thread in self.threads:
            thread.join()


class Greenlets(Bare):
    """Has each call run in a greenlet. What waits, the server or `sleep`, waits in the loop."""

    KIND = "greenlets"
    #: The one of this process, for applications.
    worker: ClassVar[Greenlets]

    def prepare(self) -> tuple[Any, ...]:
        Greenlets.worker = self
        self.hub = greenlet.getcurrent()
        #: Those that sleep, with the time at which they have slept enough.
        self.asleep: dict[greenlet.greenlet, float] = {}
        return (self.wait,)

    def start(self, call: _native.Call) -> None:
        greenlet.greenlet(call.run, self.hub).switch()

    def patience(self) -> float | None:
        for sleeper, until in list(self.asleep.items()):
            if until <= time.monotonic():
                sleeper.switch(False)
        until = min(self.asleep.values(), default=math.inf)
        return None if until == math.inf else max(0.0, until - time.monotonic())

    def wait(self, fd: int, write: bool, timeout: float | None) -> bool:
        """As the server wants it. While there is a file `interrupt`, it raises."""
        signs = Path(os.environ["SIGNS"])
        (signs / "waited").touch()
        if (signs / "interrupt").exists():
            raise InterruptedError("somebody raised in this greenlet")
        sleeper, key = greenlet.getcurrent(), os.dup(fd)
        events = selectors.EVENT_WRITE if write else selectors.EVENT_READ
        self.selector.register(key, events, lambda: sleeper.switch(True))
        try:
            return self.sleep(math.inf if timeout is None else timeout)
        finally:
            self.selector.unregister(key)
            os.close(key)

    def sleep(self, seconds: float) -> bool:
        """Others run meanwhile. False: the time is up."""
        sleeper = greenlet.getcurrent()
        self.asleep[sleeper] = time.monotonic() + seconds
        try:
            return bool(self.hub.switch())
        finally:
            del self.asleep[sleeper]
