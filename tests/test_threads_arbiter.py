"""What the arbiter knows of a worker with threads: every request that runs, and whether the process lives."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get
from support.processes import alive, stays, wait_for
from support.server import Server
from support.wire import Connection

SOURCE = """
import ctypes, os, pathlib, threading, time

def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = b"ok"
    if query:
        pathlib.Path(f"begun-{query}").touch()
    if path == "/until":
        while not os.path.exists("go"):
            time.sleep(0.01)
    elif path == "/holds":
        # A call of this kind keeps the interpreter to itself.
        ctypes.PyDLL(None).sleep(60)
    elif path == "/sleep":
        time.sleep(3)
    elif path == "/exit":
        os._exit(7)
    elif path == "/nr":
        worker = environ["test.worker"]
        body = f"{worker.nr} {time.monotonic() - worker.tmp.last_update():.1f}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
#: Gives the application its worker.
CONFIG = """
def post_worker_init(worker):
    application = worker.wsgi
    def wrapped(environ, start_response):
        environ["test.worker"] = worker
        return application(environ, start_response)
    worker.wsgi = wrapped
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def threaded(serve: Serve, log: Path, *flags: str, threads: int = 3) -> Server:
    form = "%(reason)s %(s)s %(m)s %(U)s?%(q)s"
    logs = ["--access-logfile", str(log), "--access-logformat", form]
    server = serve(
        "app:app",
        "-k",
        "gthread",
        "--threads",
        str(threads),
        *logs,
        *flags,
        source=SOURCE,
        config=CONFIG,
        launch=True,
    )
    server.files |= {f"run/{name}" for name in ("go", *(f"begun-{name}" for name in "abc"))}
    server.wait_until_listening()
    return server


def begin(server: Server, stack: ExitStack, *targets: str) -> list[Connection]:
    """Connections whose requests are in the application, one after the other."""
    connections = []
    for target in targets:
        connection = stack.enter_context(server.connect())
        connection.send(get(target=target.encode()))
        mark = server.directory / f"begun-{target.partition('?')[2]}"
        wait_for(mark.exists, f"{target} to begin")
        connections.append(connection)
    return connections


def lines(log: Path, number: int) -> list[str]:
    """The lines of the access log, when there are so many, in any order."""
    found: list[str] = []

    def complete() -> bool:
        found[:] = log.read_text().splitlines() if log.exists() else []
        return len(found) >= number

    wait_for(complete, f"{number} lines in the access log")
    return sorted(found)


def named(server: Server, worker: int) -> list[str]:
    """What the error log says the worker was serving, in the order of the log."""
    pattern = rf"\[ERROR\] Worker \(pid:{worker}\) was serving GET (\S+) from 127\.0\.0\.1:\d+, \d+\.\ds$"
    return re.findall(pattern, server.log(), re.MULTILINE)


@pytest.mark.ours("who dies while it serves has its requests named")
def test_a_killed_worker_has_all_its_requests_named(serve: Serve, log: Path) -> None:
    server = threaded(serve, log)
    worker = server.worker()
    targets = ["/until?a", "/until?b", "/until?c"]
    with ExitStack() as stack:
        connections = begin(server, stack, *targets)
        os.kill(worker, signal.SIGKILL)
        assert lines(log, 3) == [f"killed 000 GET {target}" for target in targets]
        for connection in connections:
            connection.assert_closed()
    told = server.wait_for_log(rf"Worker \(pid:{worker}\) was sent SIGKILL!$").end()
    assert named(server, worker) == targets
    assert server.log().index("was serving") > told
    wait_for(lambda: worker not in server.workers() and server.booted(), "another worker")
    server.stop()
    assert len(lines(log, 3)) == 3


@pytest.mark.ours("who dies while it serves has its requests named")
def test_a_request_that_is_over_is_not_named(serve: Serve, log: Path) -> None:
    """Nor that of a thread which has served and rests; the one that ends the process is."""
    server = threaded(serve, log)
    worker = server.worker()
    with ExitStack() as stack:
        first = begin(server, stack, "/until?a", "/until?b")
        (server.directory / "go").touch()
        assert [connection.read_response().status for connection in first] == [200, 200]
        begin(server, stack, "/exit?c")
        server.wait_for_log(rf"\[ERROR\] Worker \(pid:{worker}\) exited with code 7\.$")
        expected = ["killed 000 GET /exit?c", "ok 200 GET /until?a", "ok 200 GET /until?b"]
        assert lines(log, 3) == expected
        assert named(server, worker) == ["/exit?c"]


@pytest.mark.ours("a timeout names its requests")
def test_whoever_keeps_the_interpreter_is_a_timeout_that_names_everybody(serve: Serve, log: Path) -> None:
    server = threaded(serve, log, "--timeout", "1")
    worker = server.worker()
    with ExitStack() as stack:
        began = time.monotonic()
        connections = begin(server, stack, "/until?a", "/until?b", "/holds?c")
        late = rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{worker}\) GET /until\?a from 127\.0\.0\.1:\d+, \d\.\ds$"
        told = server.wait_for_log(late, 10).start()
        assert 0.9 < time.monotonic() - began < 6
        assert lines(log, 3) == [
            f"timeout 000 GET {target}" for target in ("/holds?c", "/until?a", "/until?b")
        ]
        for connection in connections:
            connection.assert_closed()
    killed = server.wait_for_log(rf"Worker \(pid:{worker}\) was sent SIGKILL!$").start()
    # Once, with the timeout.
    assert named(server, worker) == ["/until?b", "/holds?c"]
    assert told < server.log().index("was serving") < server.log().rindex("was serving") < killed
    wait_for(lambda: worker not in server.workers() and server.booted(), "another worker")


def test_a_request_may_take_longer_than_timeout(serve: Serve, log: Path) -> None:
    """`timeout` is about the process, which shows that it lives while a thread sleeps."""
    server = threaded(serve, log, "--timeout", "1")
    worker = server.worker()
    with ExitStack() as stack:
        [connection] = begin(server, stack, "/sleep?a")
        assert connection.read_response().status == 200
    assert "WORKER TIMEOUT" not in server.log()
    assert server.workers() == [worker]


def test_a_worker_that_has_served_need_not_show_that_it_lives(serve: Serve, log: Path) -> None:
    server = threaded(serve, log, "--timeout", "1")
    worker = server.worker()
    with ExitStack() as stack:
        connections = begin(server, stack, "/sleep?a", "/sleep?b")
        assert [connection.read_response().status for connection in connections] == [200, 200]
        stays(lambda: alive(worker), "the worker", 4)
    assert "WORKER TIMEOUT" not in server.log()


def test_a_worker_knows_how_many_requests_it_has_served(serve: Serve, log: Path) -> None:
    server = threaded(serve, log, "--timeout", "4")
    with ExitStack() as stack:
        first = begin(server, stack, "/sleep?a", "/sleep?b")
        assert [connection.read_response().status for connection in first] == [200, 200]
    number, silent = server.get("/nr").text.split()
    assert int(number) in (2, 3)
    assert float(silent) < 4


@pytest.mark.ours("waits for its threads")
def test_requests_that_outlast_graceful_timeout_have_their_lines(serve: Serve, log: Path) -> None:
    server = threaded(serve, log, "--graceful-timeout", "1")
    with ExitStack() as stack:
        begin(server, stack, "/until?a", "/until?b")
        server.stop()
    assert lines(log, 2) == ["shutdown 000 GET /until?a", "shutdown 000 GET /until?b"]
