"""What has happened to the requests of a run, and the sums of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field


@dataclass
class Failure:
    """A request without the response that was due to it."""

    #: Seconds since the run began, when it was seen and when the request was due.
    at: float
    due: float
    style: str
    #: refused, reset, closed, truncated, status, body, malformed, unasked or timeout.
    kind: str
    detail: str
    #: The connection, and what it has had before: responses, seconds, the last worker's pid.
    connection: int
    served: int
    age: float
    worker: str


@dataclass
class Ledger:
    """The whole run."""

    #: `time.monotonic()` at its begin; all other times count from it.
    began: float = field(default_factory=time.monotonic)
    #: When it was due, its latency in seconds, its style, the worker, the version of the application.
    answers: list[tuple[float, float, str, str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    #: Kept connections that ended when nothing was asked on them, and how: it costs no request.
    closed_idle: list[tuple[float, str, str]] = field(default_factory=list)
    #: Kept connections whose end a response had announced.
    announced: int = 0
    #: Requests sent behind one whose response announced the end: they are sent again.
    sent_again: int = 0
    connections: int = 0
    #: How late the generator itself was, at most, in seconds.
    lag: float = 0.0

    def since(self, when: float) -> float:
        """Seconds from the begin of the run to a time of `time.monotonic()`."""
        return round(when - self.began, 5)

    def as_json(self) -> dict[str, object]:
        """All of it, with the sums."""
        return {**asdict(self), "summary": self.summary()}

    def summary(self) -> dict[str, object]:
        """Totals, and latencies in seconds."""
        latencies = sorted(answer[1] for answer in self.answers)
        slowest = max(self.answers, key=lambda answer: answer[1], default=None)
        return {
            "requests": len(self.answers) + len(self.failures),
            "failed": len(self.failures),
            "kinds": dict(Counter(failure.kind for failure in self.failures)),
            "styles": dict(Counter(answer[2] for answer in self.answers)),
            "p50": quantile(latencies, 0.5),
            "p99": quantile(latencies, 0.99),
            "p999": quantile(latencies, 0.999),
            "max": latencies[-1] if latencies else 0.0,
            "slowest": slowest,
            "closed while idle": len(self.closed_idle),
            "announced": self.announced,
            "sent again": self.sent_again,
            "connections": self.connections,
            "lag": self.lag,
        }


def quantile(ordered: list[float], part: float) -> float:
    """The value that this part of the ordered ones does not exceed (nearest rank)."""
    if not ordered:
        return 0.0
    rank = -(-len(ordered) * part // 1)
    return ordered[max(0, int(rank) - 1)]
