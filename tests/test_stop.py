"""The end of the service: what happens in which order, how long it takes, and what is told."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get
from support.load import Load
from support.processes import stays, wait_for
from support.server import Server
from support.wire import Connection

pytestmark = pytest.mark.ours("Gunicorn has neither shutdown_delay nor a line at the end")

SUMS = r"\[INFO\] Requests served: (\d+), connections handed over: (\d+), requests cut: (\d+)\.$"


def begin(server: Server, path: Path) -> Connection:
    """A request that a worker is busy with until `path` exists."""
    connection = server.connect()
    connection.send(get(target=f"/until?{path}".encode()))
    wait_for(path.with_suffix(".begun").exists, "the application to be called")
    return connection


def sums(server: Server) -> tuple[int, ...]:
    """What the service says at its end, once."""
    found = server.wait_for_log(SUMS)
    assert len(re.findall(SUMS, server.log(), re.MULTILINE)) == 1
    return tuple(int(number) for number in found.groups())


def delayed(serve: Serve, seconds: str, *flags: str) -> Server:
    """A service that was told to end, and serves on for so long."""
    server = serve("views:app", "--shutdown-delay", seconds, *flags)
    server.kill(signal.SIGTERM)
    server.wait_for_log(rf"\[INFO\] The service ends\. It goes on accepting for {seconds} seconds\.$")
    return server


# shutdown_delay


def test_for_the_delay_it_goes_on_accepting(serve: Serve) -> None:
    began = time.monotonic()
    server = delayed(serve, "2", "-w", "2")
    with Load(server, "/hello", clients=1) as load:
        stays(lambda: not load.errors and server.get("/hello").status == 200, "serving", 1.0)
        assert len(server.workers()) == 2
    server.wait_for_exit(0)
    assert 2 <= time.monotonic() - began < 10
    lines = [
        "Handling signal: term",
        "The service ends",
        "Worker exiting",
        "Requests served",
        "Shutting down: Master",
    ]
    at = [server.log().index(line) for line in lines]
    assert at == sorted(at)


def test_responses_end_their_connections_meanwhile(serve: Serve) -> None:
    server = delayed(serve, "30")
    with server.connect() as connection:
        response = connection.request(get(target=b"/hello"))
        assert not response.persists
    server.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_ends_the_delay(number: signal.Signals, serve: Serve) -> None:
    server = delayed(serve, "60")
    began = time.monotonic()
    server.stop(number)
    assert time.monotonic() - began < 5
    assert server.log().count("Handling signal") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_know_no_delay(number: signal.Signals, serve: Serve) -> None:
    server = serve("views:app", "--shutdown-delay", "60")
    server.stop(number)


def test_a_worker_that_dies_in_the_delay_is_replaced(serve: Serve) -> None:
    server = delayed(serve, "60", "-w", "1")
    worker = server.worker()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: worker not in server.workers() and server.booted(), "another worker")
    assert server.get("/hello").status == 200
    server.stop()


def test_nothing_else_is_changed_in_the_delay(serve: Serve) -> None:
    server = delayed(serve, "60", "-w", "2")
    workers = server.workers()
    for name in ("hup", "ttin", "ttou", "usr2", "winch"):
        server.kill(getattr(signal, f"SIG{name.upper()}"))
        server.wait_for_log(f"Handling signal: {name}$")
    stays(lambda: server.workers() == workers, "the workers", 0.3)
    server.stop()


def test_a_request_that_runs_when_the_delay_is_over_finishes(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", "--shutdown-delay", "1", "-w", "2")
    path = tmp_path / "go"
    with begin(server, path) as connection:
        server.kill(signal.SIGTERM)
        wait_for(lambda: len(server.workers()) == 1, "the idle worker to leave")
        path.touch()
        assert connection.read_response().body == b"hello\n"
    server.wait_for_exit(0)


def test_whoever_supervises_hears_of_it_at_once_and_once(serve: Serve, tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(address))
        supervisor.settimeout(10)
        server = serve("views:app", "--shutdown-delay", "60", env={"NOTIFY_SOCKET": str(address)})
        server.kill(signal.SIGTERM)
        heard = []
        while "STOPPING=1" not in heard:
            heard += supervisor.recv(4096).decode().splitlines()
        assert server.get("/hello").status == 200
        server.stop()
        supervisor.settimeout(0)
        try:
            while True:
                heard += supervisor.recv(4096).decode().splitlines()
        except BlockingIOError:
            pass
    assert heard.count("STOPPING=1") == 1


# The line at the end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "eventlet", "tornado"])
def test_the_end_says_what_was_served(number: signal.Signals, kind: str, serve: Serve) -> None:
    if kind not in ("sync", "gthread"):
        pytest.importorskip(kind)
    server = serve("views:app", "-w", "2", "-k", kind)
    for _ in range(5):
        server.get("/hello")
    server.stop(number)
    assert sums(server) == (5, 0, 0)


def test_workers_of_the_whole_life_count(serve: Serve) -> None:
    server = serve("views:app", "-w", "2", "--max-requests", "3")
    for _ in range(20):
        assert server.get("/hello").status == 200
    old = server.workers()
    server.kill(signal.SIGHUP)
    wait_for(lambda: not set(old) & set(server.workers()) and len(server.booted()) == 2, "new workers")
    server.get("/hello")
    server.stop()
    assert sums(server) == (21, 0, 0)


@pytest.mark.parametrize("flags", [[], ["--threads", "2"]], ids=["sync", "gthread"])
def test_requests_that_do_not_end_are_cut(flags: list[str], serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", "--graceful-timeout", "1", *flags)
    server.get("/hello")
    with begin(server, tmp_path / "never"):
        server.stop()
    assert sums(server) == (1, 0, 1)


def test_requests_of_a_killed_worker_are_cut(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", "-w", "1")
    worker = server.worker()
    with begin(server, tmp_path / "never"):
        os.kill(worker, signal.SIGKILL)
        server.wait_for_log(rf"Worker \(pid:{worker}\) was serving GET /until")
        wait_for(server.booted, "another worker")
    server.stop()
    assert sums(server) == (0, 0, 1)


def test_workers_that_are_told_to_leave_with_the_arbiter_end_quietly(serve: Serve) -> None:
    """As by a supervisor that signals a whole group."""
    server = serve("views:app", "-w", "4")
    server.get("/hello")
    os.killpg(server.pid, signal.SIGTERM)
    server.wait_for_exit(0)
    assert sums(server) == (1, 0, 0)
    log = server.log()
    assert log.count("Worker exiting") == 4
    assert log.count("Shutting down: Master") == log.count("Handling signal: term") == 1
    assert not re.search("WARNING|ERROR|die young", log)
