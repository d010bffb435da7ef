"""Every hook: its process, its order and what it sees, from the start to the end of a service."""

from __future__ import annotations

import json
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from parity.lines import lines
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

#: What every hook sees otherwise, by the end of its name in `flat`, and why.
ALWAYS = {"Request.unreader": "unreader", "Response.version": "names"}

#: What some see otherwise, by the whole name, which begins with the life.
ROWS = {
    "whole master 7 child_exit SyncWorker.nr": "shared-count",
    "stuck master 4 child_exit SyncWorker.nr": "shared-count",
    # The requests that fail.
    "whole worker 1 9 post_request Response.headers_sent": "failed-response",
    "stuck worker 1 4 post_request Response.headers_sent": "failed-response",
    "whole worker 1 9 post_request Response.status": "failed-response",
    "stuck worker 1 4 post_request Response.status": "failed-response",
    "whole worker 1 9 post_request Response.status_code": "failed-response",
    "stuck worker 1 4 post_request Response.status_code": "failed-response",
}

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


def quick(server: Server) -> list[Call]:
    """A life that Ctrl-C ends."""
    wait_for_calls(server, "post_worker_init", 1)
    server.kill(signal.SIGINT)
    assert server.process is not None
    assert server.process.wait(20) == 0
    return trace(server)


def stuck(server: Server) -> list[Call]:
    """A request that takes longer than `timeout`, its worker's end, and the next one's beginning."""
    wait_for_calls(server, "post_worker_init", 1)
    with server.connect() as connection:
        connection.send(b"GET /sleep?60 HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b" 500 Internal Server Error\r\n" in connection.read_to_end()
    wait_for_calls(server, "post_worker_init", 2)
    server.kill(signal.SIGTERM)
    assert server.process is not None
    assert server.process.wait(20) == 0
    return trace(server)


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


def flat(life: str, found: list[Call]) -> dict[str, object]:
    """What each call saw, by life, process, number of the call, hook, and an attribute of an argument."""
    seen: dict[str, object] = {}
    for process, calls_there in by_process(found).items():
        for number, call in enumerate(calls_there):
            for argument in call["arguments"]:
                told = argument if isinstance(argument, dict) else {"value": argument}
                cls = str(told.get("type", "")).rpartition(".")[2]
                for key, value in told.items():
                    seen[f"{life} {process} {number} {call['hook']} {cls}.{key}"] = value
    return seen


#: The lines of the log that differ, by their beginning, and why.
LINES = {"[CRITICAL] WORKER TIMEOUT": "timeout"}


@dataclass(frozen=True)
class Life:
    """What both servers did in one kind of life: the calls of their hooks, and their logs."""

    name: str
    calls: tuple[list[Call], list[Call]]
    logs: tuple[str, str]


LIVES = {
    "whole": (live, ""),
    "quick": (quick, ""),
    "stuck": (stuck, "timeout = 1\n"),
}


@pytest.fixture(scope="module", params=LIVES)
def life(request: pytest.FixtureRequest) -> Life:
    """One kind of life, lived by both."""
    story, config = LIVES[request.param]
    with pair("views:app", *SYNC, config=CONFIG + config) as both:
        return Life(request.param, both.ask(story), both.ask(Server.log))


def test_order(life: Life) -> None:
    theirs, ours = (
        {process: [call["hook"] for call in calls] for process, calls in by_process(found).items()}
        for found in life.calls
    )
    assert differences(theirs, ours) == []


def test_what_they_see(life: Life) -> None:
    theirs, ours = (flat(life.name, found) for found in life.calls)
    different = {key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key)}
    allowed = {key: row for key in different for end, row in ALWAYS.items() if key.endswith(end)}
    allowed |= {key: row for key, row in ROWS.items() if key.startswith(life.name)}
    assert differences(theirs, ours, allowed) == []


def test_what_they_log(life: Life) -> None:
    """As many of each line, in whatever order the processes wrote them."""
    theirs, ours = (Counter(lines(log)) for log in life.logs)
    # Gunicorn repeats TERM at every turn of its loop; now and then a worker dies of the second one.
    del theirs["[INFO] Worker (pid:PID) was sent SIGTERM!"]
    different = {line for line in {*theirs, *ours} if theirs[line] != ours[line]}
    allowed = {line: row for line in different for start, row in LINES.items() if line.startswith(start)}
    assert differences(theirs, ours, allowed) == []
    assert bool(allowed) == (life.name == "stuck")


def test_every_row_is_needed() -> None:
    assert {*ALWAYS.values(), *ROWS.values(), *LINES.values()} == needed("hooks")
