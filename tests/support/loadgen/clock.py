"""What is to be done at which time, in the order of time."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable

Act = Callable[[], None]


class Clock:
    """A queue of things to do. Times are of `time.monotonic()`, which all processes of the machine share."""

    def __init__(self) -> None:
        self.queue: list[tuple[float, int, Act]] = []
        self.numbers = itertools.count()

    def at(self, when: float, act: Act) -> None:
        """Does something as soon as that time has come."""
        heapq.heappush(self.queue, (when, next(self.numbers), act))

    def wait(self, most: float) -> float:
        """Seconds until the next thing is due, at most that many."""
        if not self.queue:
            return most
        return min(most, max(0.0, self.queue[0][0] - time.monotonic()))

    def strike(self) -> None:
        """Does all that is due."""
        now = time.monotonic()
        while self.queue and self.queue[0][0] <= now:
            heapq.heappop(self.queue)[2]()
