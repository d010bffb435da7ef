"""Clients that go on asking while a test does something to the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from .server import Server
from .wire import BadResponse, Connection


@dataclass
class Answer:
    """One answered request, or one that failed."""

    began: float
    seconds: float
    body: str
    error: OSError | BadResponse | None = None


class Load:
    """Threads that send one request after the other, each on a connection of its own, until the end."""

    def __init__(self, server: Server, target: str, clients: int = 2) -> None:
        self.server = server
        self.target = target
        self.answers: list[Answer] = []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join(30)

    def _run(self) -> None:
        while not self.ending.is_set():
            self.answers.append(timed(lambda: self.server.get(self.target).text))

    @property
    def errors(self) -> list[OSError | BadResponse]:
        """What went wrong."""
        return [answer.error for answer in self.answers if answer.error]

    @property
    def slowest(self) -> float:
        """Seconds of the longest request."""
        return max(answer.seconds for answer in self.answers)


class Kept:
    """One client that keeps its connection and asks again and again until it fails or the test ends."""

    def __init__(self, server: Server, target: str) -> None:
        self.connection: Connection = server.connect()
        self.target = target
        self.answers: list[Answer] = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.ending.is_set():
            answer = timed(lambda: self.connection.assert_open_at(self.target).text)
            self.answers.append(answer)
            if answer.error:
                return

    def end(self) -> None:
        """Stops asking."""
        self.ending.set()
        self.thread.join(30)
        self.connection.close()

    @property
    def failed(self) -> bool:
        """Whether the connection was lost."""
        return bool(self.answers) and self.answers[-1].error is not None


def timed(ask: Callable[[], str]) -> Answer:
    """One request, and how long it took."""
    began = time.monotonic()
    body = ""
    failure: OSError | BadResponse | None = None
    try:
        body = ask()
    except (OSError, BadResponse) as error:
        failure = error
    return Answer(began, time.monotonic() - began, body, failure)
