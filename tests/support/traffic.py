"""Steady load on a server, by the generator in a process of its own, and what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from .loadgen.ledger import Failure, quantile
from .wire import Address

TESTS = Path(__file__).parents[1]

#: Seconds that the load may take to become steady, and to end.
PATIENCE = 20.0


class Lane(NamedTuple):
    """Clients of one style, and how many requests a second all of them send together."""

    style: str
    clients: int
    rate: float


#: Kept and new connections, requests in pieces, pipelined ones, slow readers, hardly used connections.
MIX = (
    Lane("kept", 10, 60),
    Lane("once", 6, 50),
    Lane("pipelined", 2, 4),
    Lane("posting", 4, 8),
    Lane("dribbling", 4, 8),
    Lane("reading", 2, 1),
    Lane("idling", 8, 8),
)


class Answered(NamedTuple):
    """A response: when it was due (of `time.monotonic()`), seconds, and from whom."""

    due: float
    latency: float
    style: str
    worker: str
    version: str


@dataclass
class Outcome:
    """What came of a run. Times are of `time.monotonic()`."""

    answers: list[Answered]
    failures: list[Failure]
    #: When a kept connection ended without a request on it, how, and the worker that had it.
    closed_idle: list[tuple[float, str, str]]
    summary: dict[str, Any]

    @staticmethod
    def parse(text: str) -> Outcome:
        """What the generator has written."""
        raw = json.loads(text)
        began = raw["began"]
        failures = [Failure(**failure) for failure in raw["failures"]]
        for failure in failures:
            failure.at += began
            failure.due += began
        return Outcome(
            answers=[Answered(began + due, *rest) for due, *rest in raw["answers"]],
            failures=failures,
            closed_idle=[(began + when, kind, worker) for when, kind, worker in raw["closed_idle"]],
            summary=raw["summary"],
        )

    @property
    def slowest(self) -> Answered:
        """The response with the longest latency."""
        return max(self.answers, key=lambda answer: answer.latency)

    def quantile(self, part: float, *styles: str) -> float:
        """The latency in seconds that this part of the responses (of these styles) does not exceed."""
        return quantile(
            sorted(each.latency for each in self.answers if not styles or each.style in styles), part
        )

    def workers(self) -> set[int]:
        """The workers that have answered."""
        return {int(answer.worker) for answer in self.answers}

    def tell(self) -> str:
        """One line for people: what failed, and how slow it was."""
        found = self.summary
        slowest = self.slowest
        return (
            f"{found['requests']} requests, {found['failed']} failed {found['kinds'] or ''}, "
            f"p50 {1000 * found['p50']:.1f} p99 {1000 * found['p99']:.1f} p99.9 {1000 * found['p999']:.1f} "
            f"slowest {1000 * slowest.latency:.0f} ms ({slowest.style}), closed while idle "
            f"{found['closed while idle']}, announced {found['announced']}, lag {1000 * found['lag']:.0f} ms"
        )

    def failed(self) -> str:
        """The failures, for the message of a test."""
        kinds = Counter((failure.style, failure.kind) for failure in self.failures)
        return "\n".join([f"{self.tell()}; {dict(kinds)}", *map(str, self.failures[:12])])

    def assert_nothing_lost(self, bound: float) -> None:
        """No request failed, and none took that many seconds and those that the generator was late."""
        assert not self.failures, self.failed()
        most = bound + float(self.summary["lag"])
        assert self.slowest.latency < most, f"{self.slowest}\n{self.tell()}"


class Traffic:
    """The generator: it runs, steadily, in the body of a `with`; afterwards there is an `outcome`."""

    def __init__(
        self, addresses: Sequence[Address], lanes: Sequence[Lane] = MIX, patience: float = PATIENCE
    ) -> None:
        config = {
            "addresses": list(addresses),
            "lanes": [lane._asdict() for lane in lanes],
            "patience": patience,
        }
        self.patience = patience
        self.command = [sys.executable, "-m", "support.loadgen", json.dumps(config)]
        self.found: Outcome | None = None

    def start(self) -> Traffic:
        """Starts it and waits for nothing."""
        self.process = subprocess.Popen(
            self.command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def wait_until_steady(self) -> None:
        """Waits until every client has had answers."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "steady\n", f"the load generator said {line!r}"

    def end(self) -> Outcome:
        """Asks nothing more, waits for what is out, and tells what has happened."""
        text, _ = self.process.communicate(timeout=self.patience + PATIENCE)
        assert self.process.returncode == 0, "the load generator has failed: see standard error"
        self.found = Outcome.parse(text.removeprefix("steady\n"))
        return self.found

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        assert self.found is not None, "the load has not ended"
        return self.found

    def __enter__(self) -> Traffic:
        self.start()
        try:
            self.wait_until_steady()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self.found is None:
                self.end()
        finally:
            self._kill()

    def _kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def window(outcome: Outcome, begin: float, end: float | None = None) -> list[Answered]:
    """The answers to what was due between two times."""
    last = time.monotonic() if end is None else end
    return [answer for answer in outcome.answers if begin <= answer.due <= last]
