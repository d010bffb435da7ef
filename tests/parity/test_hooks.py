"""Every hook: its process, its order and what it sees, from the start to the end of a service."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parity.pair import SYNC, pair
from parity.rows import differences, needed
from support.cases import HOST
from support.processes import wait_for
from support.server import Server

CONFIG = Path(__file__).with_name("hooks_conf.py").read_text()
REQUESTS = [
    b"GET /hello?a=b#c HTTP/1.1\r\n" + HOST + b"X-Field: 1\r\nConnection: close\r\n\r\n",
    b"POST /count-input HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /unsized HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GET /fails HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GE(T / HTTP/1.1\r\n" + HOST + b"\r\n",
]

#: What hooks see otherwise, by the end of its name in `flat`, and why.
ROWS: dict[str, str] = {}

Call = dict[str, Any]


def trace(server: Server) -> list[Call]:
    """The calls so far; a line that is being written does not count."""
    path = server.home / "trace"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def calls(server: Server, hook: str) -> int:
    return sum(call["hook"] == hook for call in trace(server))


def wait_for_calls(server: Server, hook: str, count: int) -> None:
    """Until a hook was called so often."""
    wait_for(lambda: calls(server, hook) >= count, f"{count} calls of {hook}\n{server.tail()}")


def live(server: Server) -> list[Call]:
    """A whole life: requests, one worker more, one less, a reload, the end."""
    wait_for_calls(server, "post_worker_init", 1)
    for request in REQUESTS:
        with server.connect() as connection:
            connection.send(request)
            connection.read_to_end()
    wait_for_calls(server, "post_request", 4)
    server.kill(signal.SIGTTIN)
    wait_for_calls(server, "post_worker_init", 2)
    server.kill(signal.SIGTTOU)
    wait_for_calls(server, "child_exit", 1)
    server.kill(signal.SIGHUP)
    wait_for_calls(server, "child_exit", 2)
    wait_for_calls(server, "post_worker_init", 3)
    server.kill(signal.SIGTERM)
    assert server.process is not None
    assert server.process.wait(20) == 0
    return trace(server)


def by_process(found: list[Call]) -> dict[str, list[Call]]:
    """The calls of the arbiter, and of each worker by its age."""
    master = found[0]["pid"]
    ages = {call["pid"]: call["arguments"][1]["age"] for call in found if call["hook"] == "post_fork"}
    processes: dict[str, list[Call]] = {}
    for call in found:
        name = "master" if call["pid"] == master else f"worker {ages[call['pid']]}"
        processes.setdefault(name, []).append(call)
    return processes


def flat(found: list[Call]) -> dict[str, object]:
    """What each call saw: process, number of the call and hook, then class and attribute of an argument."""
    seen: dict[str, object] = {}
    for process, calls_there in by_process(found).items():
        for number, call in enumerate(calls_there):
            for argument in call["arguments"]:
                told = argument if isinstance(argument, dict) else {"value": argument}
                cls = str(told.get("type", "")).rpartition(".")[2]
                for key, value in told.items():
                    seen[f"{process} {number} {call['hook']} {cls}.{key}"] = value
    return seen


Lives = tuple[list[Call], list[Call]]


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    with pair("views:app", *SYNC, config=CONFIG) as both:
        yield both.ask(live)


def test_order(lives: Lives) -> None:
    theirs, ours = (
        {process: [call["hook"] for call in calls] for process, calls in by_process(life).items()}
        for life in lives
    )
    assert differences(theirs, ours) == []


def test_what_they_see(lives: Lives) -> None:
    theirs, ours = (flat(life) for life in lives)
    allowed = {key: row for key in {*theirs, *ours} for part, row in ROWS.items() if key.endswith(part)}
    assert (
        differences(
            theirs, ours, {key: row for key, row in allowed.items() if theirs.get(key) != ours.get(key)}
        )
        == []
    )
    idle = {
        part
        for part in ROWS
        if not any(key.endswith(part) and theirs.get(key) != ours.get(key) for key in allowed)
    }
    assert idle == set()


def test_every_row_is_needed() -> None:
    assert set(ROWS.values()) == needed("hooks")
