"""The servers as data: how each is started with two workers, and what it can do at all."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import wait_for
from support.server import Server
from support.steady import ACTIVATE, source
from support.wire import BadResponse

BENCHES = Path(__file__).resolve().parents[1]
#: Where `benches/setup.sh`, or `make compare-reliability`, installs the peers.
PEERS = BENCHES / ".venv" / "bin"
OWN = Path(sys.executable).parent

GRANIAN = "--interface wsgi --http 1 --no-ws --workers 2 --respawn-failed-workers"
NONE = "has none"


@dataclass(frozen=True)
class Contender:
    """One server. `{port}` in its words is where it listens."""

    name: str
    words: Sequence[str]
    #: Requests that a worker runs at once.
    hands: int
    #: By scenario: flags for it.
    flags: dict[str, list[str]] = field(default_factory=dict)
    #: By scenario: why it cannot be shown.
    unable: dict[str, str] = field(default_factory=dict)

    def server(self, scenario: str, listener: socket.socket | None = None) -> Started:
        """One that is to be started for a scenario, with a socket that somebody else holds or its own."""
        return Started([*self.words, *self.flags.get(scenario, [])], listener)


class Started(Server):
    """A server by its command line, on a port of its own."""

    def __init__(self, words: Sequence[str], listener: socket.socket | None) -> None:
        with listener.dup() if listener else socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        super().__init__("app:app", source=source("1"), binds=[])
        self.words = [word.format(port=self.port) for word in words]
        self.addresses = [("127.0.0.1", self.port)]
        if listener:
            self.descriptors = [listener.fileno()]
            self.prefix = [sys.executable, "-c", ACTIVATE, str(listener.fileno())]

    def command(self) -> list[str]:
        """The command line."""
        return [*self.prefix, *self.words]

    def wait_until_listening(self) -> None:
        """Waits until it answers, and a little more: so that every worker does."""
        wait_for(self.answers, f"an answer of {self.words[0]}\n{self.tail()}", 20)

    def answers(self) -> bool:
        """Whether it answers."""
        try:
            return self.get("/echo/1").status == 200
        except (OSError, BadResponse):
            return False


def gunicorn_like(program: Path, *flags: str) -> list[str]:
    """The command line of rgunicorn or Gunicorn."""
    return [str(program), "-w", "2", "-b", "127.0.0.1:{port}", *flags, "app:app"]


RECYCLED = {"preload": ["--preload"], "max_requests": ["--max-requests", "200"]}
OURS = {**RECYCLED, "memory": ["--max-worker-memory", "100M"], "upgrade": ["--pid", "pid"]}
THEIRS = {**RECYCLED, "upgrade": ["--pid", "pid"]}
GUNICORN_LACKS = {"memory": NONE}
#: Gunicorn keeps a connection for two seconds unless told otherwise.
GUNICORN = ["--no-control-socket", "--keep-alive", "75"]

CONTENDERS = [
    Contender("rgunicorn, sync", gunicorn_like(OWN / "rgunicorn"), 1, OURS),
    Contender("rgunicorn, 4 threads", gunicorn_like(OWN / "rgunicorn", "--threads", "4"), 4, OURS),
    Contender("Gunicorn, sync", gunicorn_like(OWN / "gunicorn", *GUNICORN), 1, THEIRS, GUNICORN_LACKS),
    Contender(
        "Gunicorn, 4 threads",
        gunicorn_like(OWN / "gunicorn", *GUNICORN, "-k", "gthread", "--threads", "4"),
        4,
        THEIRS,
        GUNICORN_LACKS,
    ),
    Contender(
        "Granian, 4 threads",
        [
            *[str(PEERS / "granian"), *GRANIAN.split(), "--blocking-threads", "4"],
            *["--host", "127.0.0.1", "--port", "{port}", "app:app"],
        ],
        4,
        {"memory": ["--workers-max-rss", "130", "--rss-sample-interval", "1"]},
        {
            "preload": NONE,
            "workers": "number is fixed",
            "max_requests": "by age only, from 60 s",
            "upgrade": NONE,
            "takeover": NONE,
        },
    ),
]
