"""Both servers on the same application and configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from support.server import Server

Seen = TypeVar("Seen")

#: Gunicorn's flags for its `sync` worker, which `Server` would not choose.
SYNC = ["--worker-class", "sync"]


class Pair:
    """Gunicorn and rgunicorn, started and listening."""

    def __init__(self, theirs: Server, ours: Server) -> None:
        self.theirs = theirs
        self.ours = ours

    def ask(self, question: Callable[[Server], Seen]) -> tuple[Seen, Seen]:
        """What each answers, Gunicorn first."""
        return question(self.theirs), question(self.ours)


@contextmanager
def pair(app: str, *flags: str, **settings: object) -> Iterator[Pair]:
    """Starts both with the same `flags` and `settings` of `Server`; ends both, however."""
    servers = [Server(app, *flags, program=program, **settings) for program in ("gunicorn", "rgunicorn")]  # type: ignore[arg-type]
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_until_bound()
        yield Pair(*servers)
    finally:
        for server in servers:
            server.destroy()


def without(mapping: Mapping[str, object], *keys: str) -> dict[str, object]:
    """A copy that lacks `keys`."""
    return {key: value for key, value in mapping.items() if key not in keys}
