"""The worker classes as data: what each needs, how it is started, and what is only its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .processes import wait_for
from .server import COMMAND, IS_GUNICORN, Server

#: The package that a class is made of, and the flags that its tests start it with.
CLASSES: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "sync": (None, ()),
    "gthread": (None, ("--threads", "4")),
    "gevent": ("gevent", ()),
    "gevent_pywsgi": ("gevent", ()),
    "eventlet": ("eventlet", ()),
    "tornado": ("tornado", ()),
}

#: Those of them that Gunicorn 27 has.
GUNICORNS = ("sync", "gthread", "gevent", "gevent_pywsgi", "tornado")

#: Classes that read requests with the reactor.
NATIVE = ("sync", "gthread", "gevent", "gevent_pywsgi", "eventlet")


@dataclass(frozen=True)
class Kind:
    """One worker class of one server."""

    program: str
    worker: str

    def __str__(self) -> str:
        return f"{self.server}-{self.worker}"

    @property
    def server(self) -> str:
        """`rgunicorn` or `gunicorn`."""
        return Path(self.program).name

    @property
    def is_ours(self) -> bool:
        """Whether it is not Gunicorn's."""
        return self.server != "gunicorn"

    @property
    def is_native(self) -> bool:
        """Whether the reactor reads its requests."""
        return self.is_ours and self.worker in NATIVE

    @property
    def is_one_at_a_time(self) -> bool:
        """Whether a request that blocks holds the next one up."""
        return self.worker in ("sync", "tornado")

    @property
    def keeps_connections(self) -> bool:
        """Whether a connection can have a second request."""
        return self.is_ours or self.worker != "sync"

    @property
    def missing(self) -> str | None:
        """Why it cannot be tried here; None if it can."""
        package = CLASSES[self.worker][0]
        if package and importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
        return None

    def matches(self, names: Iterable[str]) -> bool:
        """Whether one of the names means it: a server's, a class's, or both with a hyphen between."""
        return bool({self.server, self.worker, str(self)} & set(names))

    def flags(self, *flags: str) -> list[str]:
        """The flags that choose it, and `flags` after them."""
        return ["--worker-class", self.worker, *CLASSES[self.worker][1], *flags]

    def serve(
        self, serve: Callable[..., Server], app: str = "views:app", *flags: str, **settings: Any
    ) -> Server:
        """Starts a server of this kind, and waits until it serves."""
        if self.is_ours or self.worker != "sync":
            return serve(app, *self.flags(*flags), program=self.program, **settings)
        # It waits with select(2), so that nobody sees from outside when it has booted.
        server = serve(app, *self.flags(*flags), program=self.program, launch=True, **settings)
        server.wait_until_bound()
        wait_for(lambda: len(server.workers()) >= server.wanted_workers(), "its workers")
        return server


#: Every class of the server under test, and of Gunicorn beside it.
KINDS = [
    Kind(program, worker)
    for program in ([COMMAND] if IS_GUNICORN else [COMMAND, "gunicorn"])
    for worker in CLASSES
    if Path(program).name != "gunicorn" or worker in GUNICORNS
]


def differs(reason: str, *names: str) -> pytest.MarkDecorator:
    """A test that does not hold for the kinds that `names` mean, on purpose."""
    return pytest.mark.differs(reason, *names)
