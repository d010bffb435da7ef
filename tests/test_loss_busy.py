"""One of two workers is in slow requests with all its hands: nobody else waits for them."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from support.steady import ROUNDS, Steady, service
from support.traffic import Lane
from support.wire import Connection, Response

pytestmark = [
    pytest.mark.ours(reason="a long request holds up everybody else's connection to its worker"),
    pytest.mark.timeout(60 + 20 * ROUNDS),
]

#: Seconds that the slow route takes.
SLOW = 5.0

#: Kept connections, many of which belong to the worker that becomes busy.
LANES = [Lane("kept", 20, 120), Lane("once", 4, 20), Lane("posting", 4, 8), Lane("dribbling", 2, 4)]


def held_by_one(steady: Steady, hands: int) -> list[Connection]:
    """Kept connections that belong to the same worker, one for each of its hands."""
    found: dict[str, list[Connection]] = {}
    for _ in range(200):
        connection = steady.server.connect()
        worker = connection.assert_open_at("/echo/1").header("X-Worker")
        assert worker is not None
        found.setdefault(worker, []).append(connection)
        if len(found[worker]) == hands:
            break
    enough = max(found.values(), key=len)
    for connection in (each for group in found.values() if group is not enough for each in group):
        connection.close()
    return enough


def occupy(connections: list[Connection]) -> list[Response]:
    """Sends a slow request on each at once, and waits for the responses."""
    responses: list[Response] = []

    def ask(connection: Connection) -> None:
        with connection:
            responses.append(connection.assert_open_at(f"/slow/{SLOW}"))

    threads = [threading.Thread(target=ask, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return responses


@pytest.mark.parametrize(("driver", "hands"), [("sync", 1), ("gthread", 4)])
def test_a_busy_worker_keeps_nobody_waiting(driver: str, hands: int) -> None:
    #: Slow requests that one worker had, in each round: it is fully busy if it has all of them.
    together: list[int] = []
    with Steady(f"one of two workers busy for 5 s, {driver}", service(driver), LANES) as steady:
        for steady.rounds in range(1, ROUNDS + 1):
            responses = occupy(held_by_one(steady, hands))
            assert len(responses) == hands
            workers = Counter(response.header("X-Worker") for response in responses)
            together.append(max(workers.values()))
    assert hands in together, together
