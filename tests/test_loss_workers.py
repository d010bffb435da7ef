"""Workers come and go under load: no request fails, and none waits for a new worker."""

from __future__ import annotations

import os
import signal
import time

import pytest

from support import processes
from support.processes import wait_for
from support.steady import ROUNDS, Steady, service
from support.traffic import MIX

pytestmark = [
    pytest.mark.ours(reason="connections and requests are lost with the workers that had them"),
    pytest.mark.timeout(60 + 20 * ROUNDS),
]

DRIVERS = pytest.mark.parametrize("driver", ["sync", "gthread"])


@DRIVERS
def test_one_worker_more_and_one_less(driver: str) -> None:
    with Steady(f"TTIN and TTOU, {driver}", service(driver)) as steady:
        for steady.rounds in range(1, ROUNDS + 1):
            steady.kill(signal.SIGTTIN)
            steady.wait_for_workers(3)
            steady.kill(signal.SIGTTOU)
            steady.wait_for_workers(2)


@DRIVERS
def test_workers_that_have_served_enough(driver: str) -> None:
    """Each round replaces every worker."""
    with Steady(f"max_requests 200, {driver}", service(driver, "--max-requests", "200")) as steady:
        for steady.rounds in range(1, ROUNDS + 1):
            before = steady.workers()
            wait_for(lambda before=before: not set(steady.workers()) & set(before), "other workers", 40)


@DRIVERS
def test_workers_that_have_grown(driver: str) -> None:
    """Each round lets workers leak until one of them is replaced.

    With pauses: where somebody is too large each time that the arbiter looks, it looks more and more seldom.
    After one who was it looks four seconds later.
    """
    limit = 100
    with Steady(
        f"max_worker_memory, {driver}", service(driver, "--max-worker-memory", f"{limit}M")
    ) as steady:
        for steady.rounds in range(1, ROUNDS + 1):
            before = steady.workers()
            while max(map(processes.private_memory, before)) < limit << 20:
                assert steady.server.get("/leak/10").body == b"leaked\n"
            wait_for(
                lambda before=before: set(before) - set(steady.workers()), "the end of a large worker", 40
            )
            wait_for(lambda: len(steady.booted()) == 2, "two workers")
            time.sleep(5)


@DRIVERS
def test_a_killed_worker_loses_what_it_held(driver: str) -> None:
    """At most one request on each connection that it had, and nobody else's."""
    lanes = [lane for lane in MIX if lane.style != "pipelined"]
    held: dict[int, int] = {}
    with Steady(f"kill -9 of a worker, {driver}", service(driver), lanes, lossy=True) as steady:
        for steady.rounds in range(1, ROUNDS + 1):
            victim = steady.workers()[0]
            # So that it takes no further connection once they are counted.
            os.kill(victim, signal.SIGSTOP)
            wait_for(lambda victim=victim: processes.stat(victim)[0] == "T", "its halt")
            held[victim] = len(processes.sockets(victim) - processes.sockets(steady.arbiter))
            os.kill(victim, signal.SIGKILL)
            steady.wait_for_successors([victim])
        time.sleep(0.1)
    failures = steady.outcome.failures
    connections = {failure.connection for failure in failures}
    assert len(failures) == len(connections), f"twice on one connection\n{steady.outcome.failed()}"
    for victim, most in held.items():
        lost = [failure for failure in failures if failure.worker == str(victim)]
        assert len(lost) <= most, steady.outcome.failed()
    known = {str(victim) for victim in held} | {""}
    assert {failure.worker for failure in failures} <= known, steady.outcome.failed()
    assert len(failures) <= sum(held.values()), steady.outcome.failed()
    assert {failure.kind for failure in failures} <= {"reset", "closed", "truncated"}, steady.outcome.failed()
    assert steady.outcome.slowest.latency < steady.bound, steady.outcome.tell()
