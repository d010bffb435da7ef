"""One of two workers is in slow requests with all its hands: nobody else waits for them."""

from __future__ import annotations

from collections import Counter

import pytest

from support.occupied import held_by_one, occupy
from support.steady import ROUNDS, Steady, service
from support.traffic import Lane

pytestmark = [
    pytest.mark.ours(reason="a long request holds up everybody else's connection to its worker"),
    pytest.mark.timeout(60 + 20 * ROUNDS),
]

#: Kept connections, many of which belong to the worker that becomes busy.
LANES = [Lane("kept", 20, 120), Lane("once", 4, 20), Lane("posting", 4, 8), Lane("dribbling", 2, 4)]


@pytest.mark.parametrize(("driver", "hands"), [("sync", 1), ("gthread", 4)])
def test_a_busy_worker_keeps_nobody_waiting(driver: str, hands: int) -> None:
    #: Slow requests that one worker had, in each round: it is fully busy if it has all of them.
    together: list[int] = []
    with Steady(f"one of two workers busy for 5 s, {driver}", service(driver), LANES) as steady:
        for steady.rounds in range(1, ROUNDS + 1):
            responses = occupy(held_by_one(steady.server, hands))
            assert len(responses) == hands
            workers = Counter(response.header("X-Worker") for response in responses)
            together.append(max(workers.values()))
    assert hands in together, together
