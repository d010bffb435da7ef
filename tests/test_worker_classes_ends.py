"""How requests, workers and the service end, in every worker class."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.class_rows import view
from support.classes import Kind, differs
from support.load import Load
from support.processes import stays, wait_for
from support.server import Server
from support.wire import BadResponse, Closed, Connection

pytestmark = differs("gevent's own server: compared by its answers alone", "gunicorn-gevent_pywsgi")
NOT_SYNC = ("gunicorn-gthread", "gunicorn-gevent", "gunicorn-gevent_pywsgi", "gunicorn-tornado")
LOSES_ACCEPTED = "connections that it has accepted and not read from are closed"


@pytest.fixture(scope="module")
def server(kind: Kind, serve_kind: Serve) -> Server:
    return kind.serve(serve_kind)


def begin(server: Server, path: Path) -> Connection:
    """A request that is in the application until `path` exists."""
    connection = server.connect()
    connection.send(view(f"until?{path}"))
    wait_for(path.with_suffix(".begun").exists, "the application to be called")
    return connection


# Requests


@differs("the response is made as a whole, and never sent", "tornado")
def test_a_response_that_fails_on_its_way_is_cut(server: Server) -> None:
    for _ in range(3):
        with server.connect() as connection, pytest.raises((Closed, BadResponse)):
            connection.request(view("fails-after-head"))
    assert server.get("/hello").body == b"hello\n"


@differs("the exception ends the worker, or nobody answers", *NOT_SYNC)
@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt"])
def test_what_would_end_a_process_ends_a_request(error: str, server: Server) -> None:
    workers = server.workers()
    for _ in range(3):
        assert server.get(f"/raises?{error}").status == 500
    assert server.get("/hello").body == b"hello\n"
    assert server.workers() == workers


# The service


def test_term_lets_a_request_finish(kind: Kind, serve: Serve, tmp_path: Path) -> None:
    server = kind.serve(serve)
    with begin(server, tmp_path / "go") as connection:
        server.kill(signal.SIGTERM)
        server.wait_for_log(r"\[INFO\] Handling signal: term$")
        (tmp_path / "go").touch()
        response = connection.read_response()
        assert response.body == b"hello\n"
        # Gunicorn may have decided before the signal came, and then waits for another request.
        if kind.is_ours or not response.persists:
            connection.assert_closed()
    server.wait_for_exit(0)


@differs("keeps no connections", "gunicorn-sync")
@differs("goes on as if nothing had been", "gunicorn-gevent_pywsgi", "gunicorn-tornado")
def test_term_answers_a_kept_connection_once_more_and_closes_it(
    kind: Kind, serve: Serve, tmp_path: Path
) -> None:
    server = kind.serve(serve)
    with server.connect() as kept:
        kept.assert_open_at("/hello")
        with begin(server, tmp_path / "go") as connection:
            server.kill(signal.SIGTERM)
            server.wait_for_log(r"\[INFO\] Handling signal: term$")
            kept.send(view("hello"))
            (tmp_path / "go").touch()
            assert connection.read_response().body == b"hello\n"
        response = kept.read_response()
        while response.persists:
            # The signal was still on its way to the worker.
            response = kept.request(view("hello"))
        assert response.body == b"hello\n"
        kept.assert_closed()
    server.wait_for_exit(0)


@differs("a client that only connects holds a worker, a thread or a greenlet", "gunicorn")
def test_term_does_not_wait_for_idle_clients(kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve)
    with server.connect() as idle, server.connect() as silent:
        idle.assert_open_at("/hello")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
        idle.assert_closed()
        silent.assert_closed()


def test_term_waits_no_longer_than_graceful_timeout(kind: Kind, serve: Serve, tmp_path: Path) -> None:
    server = kind.serve(serve, "views:app", "--graceful-timeout", "1")
    with begin(server, tmp_path / "never"):
        began = time.monotonic()
        server.stop()
        assert 0.4 < time.monotonic() - began < 5


@differs("the process waits for its threads", "gunicorn-gthread")
@differs("its loop catches the exit", "gunicorn-tornado")
def test_quit_is_quick(kind: Kind, serve: Serve, tmp_path: Path) -> None:
    server = kind.serve(serve)
    with begin(server, tmp_path / "never"):
        began = time.monotonic()
        server.stop(signal.SIGQUIT)
        assert time.monotonic() - began < 4


def test_workers_end_when_the_arbiter_is_killed(kind: Kind, serve: Serve) -> None:
    # Gunicorn's sync workers look only every timeout/2 seconds.
    server = kind.serve(serve, "views:app", *([] if kind.is_ours else ["--timeout", "2"]))
    workers = server.workers()
    server.kill(signal.SIGKILL)
    wait_for(lambda: not any(map(processes.alive, workers)), "the workers to end", 5)
    server.wait_for_exit(-signal.SIGKILL)


# Replacement


VERSION = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"old"]
"""


@differs(LOSES_ACCEPTED, "gunicorn-gevent", "gunicorn-gevent_pywsgi", "gunicorn-tornado")
def test_hup_brings_new_code_and_fails_no_request(kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve, "app:app", source=VERSION)
    (old,) = server.workers()
    (server.directory / "app.py").write_text(VERSION.replace("old", "new"))
    with Load(server, "/") as load:
        wait_for(lambda: len(load.answers) > 10, "some answers")
        server.kill(signal.SIGHUP)
        wait_for(lambda: server.workers() and old not in server.workers(), "a new worker")
        wait_for(lambda: load.answers and load.answers[-1].body == "new", "the new code")
    assert load.errors == []


def test_hup_lets_a_request_finish(kind: Kind, serve: Serve, tmp_path: Path) -> None:
    server = kind.serve(serve)
    (old,) = server.workers()
    with begin(server, tmp_path / "go") as connection:
        server.kill(signal.SIGHUP)
        wait_for(lambda: set(server.workers()) - {old}, "a new worker")
        assert server.get("/hello").status == 200
        (tmp_path / "go").touch()
        assert connection.read_response().body == b"hello\n"
    wait_for(lambda: server.workers() and old not in server.workers(), "the old worker to end")


@differs("does not count requests", "gunicorn-gevent_pywsgi")
@differs(LOSES_ACCEPTED, "gunicorn-gevent", "gunicorn-tornado")
def test_max_requests_replaces_workers_and_fails_no_request(kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve, "views:app", "--max-requests", "20")
    with Load(server, "/pid") as load:
        wait_for(lambda: len({answer.body for answer in load.answers}) > 3, "three replacements")
    assert load.errors == []


# What `timeout` means

#: Whether a worker of each class is late when a request waits for too long, and when it computes too long.
LATE = {
    "sync": (True, True),
    "gthread": (False, False),
    "gevent": (False, True),
    "gevent_pywsgi": (False, True),
    "eventlet": (False, True),
    "tornado": (True, True),
}


@differs("a worker that has not beaten yet is never late", "gunicorn-tornado")
def test_timeout_is_for_workers_that_do_not_come_back(kind: Kind, serve: Serve) -> None:
    """A worker that serves one request at a time, or a loop that a request blocks."""
    server = kind.serve(serve, "views:app", "--timeout", "2")
    for view_, is_late in zip(("sleep", "spin"), LATE[kind.worker], strict=True):
        (worker,) = server.workers()
        with server.connect() as connection:
            connection.send(view(f"{view_}?{60 if is_late else 3}"))
            if not is_late:
                assert connection.read_response().body == b"hello\n"
                assert server.workers() == [worker]
                continue
            server.wait_for_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{worker}\)")
        wait_for(lambda worker=worker: server.workers() and worker not in server.workers(), "its replacement")  # type: ignore[misc]
        assert server.get("/hello").status == 200


@differs("a slow client holds a worker, and an idle loop ticks once a second", "gunicorn")
def test_an_idle_worker_is_never_late(kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve, "views:app", "--timeout", "1")
    workers = server.workers()
    with server.connect() as connection:
        connection.send(b"GET /hello HTTP/1.1\r\n")
        stays(lambda: server.workers() == workers, "the worker", 2.2)
    assert "WORKER TIMEOUT" not in server.log()


def test_a_worker_that_is_killed_is_replaced(kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: server.workers() and worker not in server.workers(), "another worker")
    assert server.get("/hello").status == 200
