"""Workers leave while hardly anybody asks: no other client comes and wakes a worker for both."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from conftest import Serve
from support.load import Load
from support.processes import wait_for
from support.server import Server
from support.steady import BOUND, DRIVERS, ROUNDS

pytestmark = [
    pytest.mark.ours(reason="connections and requests are lost with the workers that had them"),
    pytest.mark.timeout(60 + 20 * ROUNDS),
]

SOURCE = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def reload(server: Server) -> None:
    """Other workers take the place of all."""
    before = server.workers()
    server.kill(signal.SIGHUP)
    wait_for(lambda: not set(server.workers()) & set(before), "other workers")
    wait_for(lambda: len(server.workers()) == len(before), "as many workers")


def grow_and_shrink(server: Server) -> None:
    """One more worker, then one less."""
    count = len(server.workers())
    server.kill(signal.SIGTTIN)
    wait_for(lambda: len(server.workers()) == count + 1, "one more")
    server.kill(signal.SIGTTOU)
    wait_for(lambda: len(server.workers()) == count, "one less")


@pytest.mark.parametrize("act", [reload, grow_and_shrink])
@pytest.mark.parametrize("driver", ["sync", "gthread", "gevent"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_client_at_a_time(serve: Serve, driver: str, workers: str, act: Callable[[Server], None]) -> None:
    if driver == "gevent":
        pytest.importorskip("gevent")
    server = serve("app:app", "-w", workers, *DRIVERS[driver], source=SOURCE)
    with Load(server, "/", clients=1) as load:
        for _ in range(6 * ROUNDS):
            act(server)
    assert load.errors == []
    assert load.slowest < BOUND
