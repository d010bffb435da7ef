"""Requests longer than `graceful_timeout` in a worker that leaves have `timeout` if the service goes on."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.class_rows import view
from support.processes import stays, wait_for
from support.server import Server
from support.wire import Closed, Connection

pytestmark = [
    pytest.mark.ours(reason="its gthread leaves its pool's threads to the watchdog"),
    pytest.mark.parametrize("threads", ["1", "2"], ids=["sync", "gthread"]),
]

GRACE = 1


def serving(serve: Serve, threads: str, *flags: str) -> Server:
    return serve("views:app", "--threads", threads, "--graceful-timeout", str(GRACE), *flags)


def begin(server: Server, target: str, begun: Path) -> Connection:
    """A request that has reached the application."""
    connection = server.connect()
    connection.send(view(target))
    wait_for(begun.exists, "the application to be called")
    return connection


def until(server: Server, path: Path) -> Connection:
    """A request that is in the application until `path` exists."""
    return begin(server, f"until?{path}", path.with_suffix(".begun"))


def reload(server: Server) -> int:
    """The worker that leaves: another one has taken its place."""
    old = server.worker()
    server.kill(signal.SIGHUP)
    wait_for(lambda: set(server.workers()) - {old}, "another worker")
    return old


def test_what_runs_is_finished_after_a_reload(serve: Serve, tmp_path: Path, threads: str) -> None:
    server = serving(serve, threads)
    path = tmp_path / "go"
    with until(server, path) as connection:
        old = reload(server)
        stays(lambda: processes.alive(old), "the old worker", 2 * GRACE)
        path.touch()
        assert connection.read_response().status == 200
    wait_for(lambda: not processes.alive(old), "its end")
    assert "is killed" not in server.log()


def test_a_response_is_sent_to_its_end(serve: Serve, threads: str) -> None:
    server = serving(serve, threads)
    with server.connect(receive_buffer=4096) as reader:
        reader.send(view("big?megabytes=20&as=generator", b"Connection: close\r\n"))
        size = len(reader.socket.recv(1))
        old = reload(server)
        stays(lambda: processes.alive(old), "the old worker", 2 * GRACE)
        while size < 20 << 20:
            data = reader.socket.recv(1 << 20)
            assert data, f"cut after {size} bytes"
            size += len(data)
    wait_for(lambda: not processes.alive(old), "its end")


def test_what_does_not_end_has_timeout(serve: Serve, tmp_path: Path, threads: str) -> None:
    server = serving(serve, threads, "--timeout", "2")
    with until(server, tmp_path / "never") as connection:
        began = time.monotonic()
        old = reload(server)
        wait_for(lambda: not processes.alive(old), "its end", 5)
        assert time.monotonic() - began > 1.4
        # What `timeout` raises in the application of a sync worker is an error like others.
        with contextlib.suppress(Closed):
            assert connection.read_response().status == 500
    assert server.get("/hello").status == 200


def test_the_end_of_the_service_waits_for_graceful_timeout_only(
    serve: Serve, tmp_path: Path, threads: str
) -> None:
    server = serving(serve, threads, "--timeout", "0")
    with until(server, tmp_path / "never"):
        old = reload(server)
        stays(lambda: processes.alive(old), "the old worker", 2 * GRACE)
        server.stop(seconds=10)
    assert not processes.alive(old)
