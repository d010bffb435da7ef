"""The worker classes that run each request in a greenlet: gevent and eventlet, with their real packages."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.cases import get
from support.load import Load
from support.processes import alive, wait_for
from support.server import IS_GUNICORN, Server
from support.wire import Closed, Connection

CLASSES = ["gevent", pytest.param("eventlet", marks=pytest.mark.ours("eventlet left Gunicorn in 26"))]


@pytest.fixture(params=CLASSES)
def kind(request: pytest.FixtureRequest) -> str:
    """The worker class."""
    return str(request.param)


@pytest.fixture(scope="module", params=CLASSES)
def shared(request: pytest.FixtureRequest, serve_module: Serve) -> Server:
    """One worker for tests that leave it as it was."""
    return serve_module("green:app", "-k", request.param)


@contextlib.contextmanager
def asked(server: Server, target: str, count: int = 1) -> Iterator[list[Connection]]:
    """Connections on which a request has been sent."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(count)]
        for connection in connections:
            connection.send(get(target=target.encode()))
        yield connections


def seconds_of(server: Server, target: str = "/") -> float:
    """How long a request takes."""
    began = time.monotonic()
    assert server.get(target).status == 200
    return time.monotonic() - began


# Many at once


def test_five_hundred_sleepers_are_served_together(shared: Server) -> None:
    connections = [shared.connect() for _ in range(500)]
    began = time.monotonic()
    for connection in connections:
        connection.send(get(target=b"/sleep?0.2"))
    bodies = [connection.read_response().text for connection in connections]
    assert time.monotonic() - began < 1
    assert max(map(int, bodies)) > 400
    for connection in connections:
        connection.close()


def test_a_request_is_served_beside_one_that_waits(shared: Server) -> None:
    with asked(shared, "/sleep?1") as (waiting,):
        assert seconds_of(shared) < 0.5
        assert waiting.read_response().status == 200


def test_what_blocks_is_patched_before_the_application_is_imported(kind: str, serve: Serve) -> None:
    source = (
        "from socket import socket\nfrom time import sleep\nfrom threading import local\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [' '.join(each.__module__ for each in (socket, sleep, local)).encode()]\n"
    )
    server = serve("app:app", "-k", kind, source=source)
    assert [name.split(".")[0].strip("_") for name in server.get().text.split()] == [kind] * 3


def test_thread_locals_are_of_one_request(shared: Server) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(shared.connect()) for _ in range(50)]
        for number, connection in enumerate(connections):
            connection.send(get(target=b"/local?%d" % number))
        for number, connection in enumerate(connections):
            assert json.loads(connection.read_response().body) == [None, str(number)]


@pytest.mark.ours("a connection has one greenlet for all of its requests")
def test_thread_locals_do_not_outlive_their_request(shared: Server) -> None:
    with shared.connect() as connection:
        for _ in range(3):
            assert json.loads(connection.request(get(target=b"/local?1")).body) == [None, "1"]


FLASK = """
import contextvars, time
from flask import Flask, g, request, session

app = Flask(__name__)
app.secret_key = "secret"
held = contextvars.ContextVar("held", default="nothing")

@app.before_request
def remember():
    g.name, g.before = request.args["name"], held.get()
    held.set(g.name)

@app.get("/")
def page():
    before = session.get("name")
    session["name"] = g.name
    time.sleep(0.02)
    return [g.before, before, g.name, request.args["name"], held.get()]
"""


def test_contexts_and_sessions_of_flask_stay_apart(kind: str, serve: Serve) -> None:
    server = serve("app:app", "-k", kind, source=FLASK)
    connections = [server.connect() for _ in range(30)]
    cookies = [b""] * len(connections)
    for turn in range(3):
        for number, connection in enumerate(connections):
            connection.send(get(cookies[number], target=b"/?name=%d-%d" % (number, turn)))
        for number, connection in enumerate(connections):
            response = connection.read_response()
            now, before = f"{number}-{turn}", f"{number}-{turn - 1}" if turn else None
            found = json.loads(response.body)
            assert found[1:] == [before, now, now, now]
            if not IS_GUNICORN:
                # There one greenlet, and what it has set, serves all requests of a connection.
                assert found[0] == "nothing"
            cookie = (response.header("Set-Cookie") or "").partition(";")[0]
            cookies[number] = f"Cookie: {cookie}\r\n".encode()
    for connection in connections:
        connection.close()


# Clients that are slow


@pytest.mark.parametrize("streamed", [False, True])
def test_a_slow_upload_holds_nobody(streamed: bool, kind: str, serve: Serve) -> None:
    config = "stream_request_body = True" if streamed and not IS_GUNICORN else ""
    server = serve("green:app", "-k", kind, config=config)
    head = b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    uploads = [server.connect() for _ in range(20)]
    for upload in uploads:
        upload.send(head + b"x" * 50_000)
    assert max(seconds_of(server) for _ in range(10)) < 0.5
    for upload in uploads:
        upload.send(b"x" * 50_000)
    assert [upload.read_response().text for upload in uploads] == ["100000"] * 20
    for upload in uploads:
        upload.close()


@pytest.mark.ours("the settings are not Gunicorn's")
def test_a_streamed_upload_that_stays_silent_is_given_up(kind: str, serve: Serve) -> None:
    server = serve("green:app", "-k", kind, config="stream_request_body = True\nbody_timeout = 1\n")
    with server.connect() as upload:
        began = time.monotonic()
        upload.send(b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx")
        assert seconds_of(server) < 0.5
        assert upload.read_response().status == 408
        assert 0.8 < time.monotonic() - began < 4


def test_a_slow_reader_holds_nobody(kind: str, serve: Serve) -> None:
    """Not even when the application must wait for it."""
    config = "" if IS_GUNICORN else "response_memory = 100_000\nresponse_file_limit = 1_000_000\n"
    server = serve("green:app", "-k", kind, config=config)
    readers = [server.connect(receive_buffer=4096) for _ in range(5)]
    for reader in readers:
        reader.send(get(target=b"/flood?20000000"))
        reader.read_head()
    assert max(seconds_of(server) for _ in range(10)) < 0.5
    for reader in readers:
        assert sum(map(len, [reader._chunks()])) == 20_000_000
        reader.close()


@pytest.mark.ours("the settings are not Gunicorn's")
def test_a_reader_that_stays_silent_is_given_up(kind: str, serve: Serve) -> None:
    config = "response_memory = 100_000\nresponse_file_limit = 1_000_000\nsend_timeout = 1\n"
    server = serve("green:app", "-k", kind, config=config)
    # What the first request opens stays.
    seconds_of(server)
    idle = len(processes.descriptors(server.worker()))
    with server.connect(receive_buffer=4096) as reader:
        reader.send(get(target=b"/flood?20000000"))
        wait_for(lambda: len(processes.descriptors(server.worker())) > idle, "the connection")
        wait_for(lambda: len(processes.descriptors(server.worker())) <= idle, "its end")
        with pytest.raises(Closed):
            reader.read_response()
    assert seconds_of(server) < 0.5


@pytest.mark.ours("a greenlet for each of them, and no deadline for their heads")
def test_hundreds_of_slow_clients_hold_nothing(kind: str, serve: Serve) -> None:
    server = serve("green:app", "-k", kind)
    slow = [server.connect() for _ in range(300)]
    for number, client in enumerate(slow):
        half_head = b"GET / HTTP/1.1\r\nHost: local"
        half_body = b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello"
        client.send([b"", half_head, half_body][number % 3])
    seconds = [seconds_of(server) for _ in range(100)]
    assert max(seconds) < 0.5
    for number, client in enumerate(slow):
        client.send([get(), b"host\r\n\r\n", b"world"][number % 3])
        assert client.read_response().status == 200
        client.close()


def test_blocks_leave_while_the_application_waits(shared: Server) -> None:
    with asked(shared, "/steps") as (connection,):
        began = time.monotonic()
        connection.read_head()
        while b"0" not in connection.buffer:
            connection._fill()
        assert time.monotonic() - began < 0.08
        assert connection._chunks() == b"01234"


# Errors


@pytest.mark.ours("there is no answer, and the connection stays open until it times out")
@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GreenletExit", "OSError", "KeyError"])
def test_whatever_an_application_raises_is_a_500(name: str, shared: Server) -> None:
    worker = shared.worker()
    with asked(shared, "/sleep?0.3") as (other,):
        assert shared.get(f"/raises?{name}").status == 500
        shared.wait_for_log(rf"\[ERROR\] Error handling request /raises\?{name}$" if IS_GUNICORN else name)
        assert other.read_response().status == 200
    assert shared.worker() == worker


def test_a_greenlet_that_blocks_the_hub_is_ended(kind: str, serve: Serve) -> None:
    server = serve("green:app", "-k", kind, "--timeout", "1")
    before = server.worker()
    with asked(server, "/block?30"):
        server.wait_for_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{before}\)")
        if not IS_GUNICORN:
            server.wait_for_log(r"GET /block\?30")
        wait_for(lambda: server.booted() and before not in server.workers(), "another worker")
    assert server.get().text == "hello"


def test_one_that_waits_is_not(kind: str, serve: Serve) -> None:
    server = serve("green:app", "-k", kind, "--timeout", "1")
    assert server.get("/sleep?2.5").status == 200
    assert "WORKER TIMEOUT" not in server.log()


# The end


def test_term_lets_requests_finish(kind: str, serve: Serve, tmp_path: Path) -> None:
    server = serve("green:app", "-k", kind)
    gates = [tmp_path / f"gate-{number}" for number in range(3)]
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(asked(server, f"/until?{gate}"))[0] for gate in gates]
        for gate in gates:
            wait_for(gate.with_suffix(".begun").exists, "the request")
        os.kill(server.pid, signal.SIGTERM)
        server.wait_for_log(r"Handling signal: term")
        for gate, connection in zip(gates, connections, strict=True):
            gate.touch()
            assert connection.read_response().text == "done"
    server.wait_for_exit(0)


@pytest.mark.ours("there is no answer")
def test_an_application_that_exits_ends_no_other_request(kind: str, serve: Serve, tmp_path: Path) -> None:
    """Not even when the worker is leaving, when a signal's handler could have raised it."""
    server = serve("green:app", "-k", kind)
    gate = tmp_path / "gate"
    with asked(server, f"/until?{gate}") as (other,), server.connect() as connection:
        wait_for(gate.with_suffix(".begun").exists, "the request")
        worker = server.worker()
        assert connection.request(get()).text == "hello"
        os.kill(worker, signal.SIGTERM)
        assert connection.request(get(target=b"/raises?SystemExit")).status == 500
        gate.touch()
        assert other.read_response().text == "done"
    wait_for(lambda: not alive(worker), "its end")


def test_what_does_not_finish_is_killed_and_cleans_up(kind: str, serve: Serve, tmp_path: Path) -> None:
    server = serve("green:app", "-k", kind, "--graceful-timeout", "2")
    gate = tmp_path / "gate"
    with asked(server, f"/until?{gate}"):
        wait_for(gate.with_suffix(".begun").exists, "the request")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
    if not IS_GUNICORN:
        # There the arbiter is usually faster.
        assert gate.with_suffix(".ended").exists()
        assert "[WARNING] Worker graceful timeout (pid:" in server.log()


@pytest.mark.ours("the arbiter kills the worker")
def test_one_that_does_not_let_itself_be_killed_is_no_error_of_the_worker(
    kind: str, serve: Serve, tmp_path: Path
) -> None:
    server = serve("green:app", "-k", kind, "--request-timeout", "1", "--graceful-timeout", "2")
    begun = tmp_path / "begun"
    with asked(server, f"/stubborn?{begun}"):
        wait_for(begun.exists, "the request")
        worker = server.worker()
        server.wait_for_log("it does not end, this worker is replaced")
        server.wait_for_log(rf"Worker \(pid:{worker}\) was serving GET /stubborn")
    assert not re.search("Exception in worker process|exited with code", server.log())


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
def test_quit_is_quick(number: signal.Signals, kind: str, serve: Serve, tmp_path: Path) -> None:
    hooks = "def worker_int(worker): worker.log.info('worker_int')\n"
    server = serve("green:app", "-k", kind, config=hooks)
    gate = tmp_path / "gate"
    with asked(server, f"/until?{gate}"):
        wait_for(gate.with_suffix(".begun").exists, "the request")
        began = time.monotonic()
        server.stop(number)
        assert time.monotonic() - began < 5
    assert "[INFO] worker_int" in server.log()


def test_an_idle_worker_leaves_at_once(kind: str, serve: Serve) -> None:
    server = serve("green:app", "-k", kind)
    with server.connect() as connection:
        connection.send(get())
        connection.read_response()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 4


def test_hup_replaces_it_and_requests_finish(kind: str, serve: Serve, tmp_path: Path) -> None:
    server = serve("green:app", "-k", kind)
    before = server.worker()
    gate = tmp_path / "gate"
    with asked(server, f"/until?{gate}") as (connection,):
        wait_for(gate.with_suffix(".begun").exists, "the request")
        server.kill(signal.SIGHUP)
        wait_for(lambda: set(server.booted()) - {before}, "a new worker")
        gate.touch()
        assert connection.read_response().text == "done"
    wait_for(lambda: not alive(before), "the end of the old one")
    assert server.get().text == "hello"


def test_a_worker_leaves_when_its_arbiter_is_gone(kind: str, serve: Serve) -> None:
    server = serve("green:app", "-k", kind)
    worker = server.worker()
    os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: not alive(worker), "its end")
    server.wait_for_log(rf"\[{worker}\] \[INFO\] Parent changed, shutting down: <Worker {worker}>$")
    server.wait_for_exit(-signal.SIGKILL)


# Settings and hooks


@pytest.mark.ours("its clients see resets")
def test_max_requests_under_load_fails_no_request(kind: str, serve: Serve) -> None:
    server = serve("green:app", "-k", kind, "-w", "2", "--max-requests", "30")
    with Load(server, "/sleep?0.01", clients=8) as load:
        server.wait_for_log(r"\[INFO\] Autorestarting worker after current request\.$", count=6, seconds=40)
    assert load.errors == []
    assert not re.search("exited with code|ERROR|CRITICAL", server.log())


def test_worker_connections_bound_it(kind: str, serve: Serve) -> None:
    server = serve("green:app", "-k", kind, "--worker-connections", "5")
    with asked(server, "/sleep?0.1", 20) as connections:
        bodies = []
        for connection in connections:
            bodies.append(connection.read_response().text)
            connection.close()
    assert max(map(int, bodies)) <= 5


def test_hooks_run_around_each_request(kind: str, serve: Serve) -> None:
    hooks = """
def post_fork(server, worker): worker.log.info("post_fork")
def post_worker_init(worker): worker.log.info("post_worker_init")
def pre_request(worker, req): worker.log.info("pre_request %s", req.path)
def post_request(worker, req, environ, resp): worker.log.info("post_request %s %s", req.path, resp.status)
def worker_exit(server, worker): worker.log.info("worker_exit %s", worker.nr)
"""
    server = serve("green:app", "-k", kind, config=hooks)
    with asked(server, "/sleep?0.2") as (slow,):
        server.wait_for_log("pre_request /sleep$")
        assert server.get("/hello").status == 200
        slow.read_response()
    server.stop()
    said = re.findall(r"\[INFO\] ((?:post_|pre_|worker_)\w+.*)$", server.log(), re.MULTILINE)
    assert said == [
        "post_fork",
        "post_worker_init",
        "pre_request /sleep",
        "pre_request /hello",
        "post_request /hello 200 OK",
        "post_request /sleep 200 OK",
        "worker_exit 2",
    ]


def test_each_request_has_its_line(kind: str, serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = serve("green:app", "-k", kind, "--access-logfile", str(log), "--access-logformat", "%(s)s %(U)s")
    with asked(server, "/sleep?0.1", 20) as connections:
        for connection in connections:
            connection.read_response()
    server.get("/hello")
    server.stop()
    assert sorted(log.read_text().splitlines()) == ["200 /hello", *["200 /sleep"] * 20]


def test_usr1_reopens_the_logs(kind: str, serve: Serve, tmp_path: Path) -> None:
    access = tmp_path / "access.log"
    server = serve("green:app", "-k", kind, "--access-logfile", str(access))
    server.get("/hello")
    wait_for(lambda: access.exists() and access.read_text(), "the first line")
    access.rename(tmp_path / "old.log")
    server.kill(signal.SIGUSR1)
    wait_for(access.exists, "the new file")

    def moved() -> bool:
        server.get("/hello")
        return bool(access.read_text())

    wait_for(moved, "a line in the new file")


def test_the_environ_says_what_it_runs_in(shared: Server) -> None:
    found = json.loads(shared.get("/environment").body)
    assert found["wsgi.multithread"] is True
    assert found["wsgi.multiprocess"] is False
    assert found["SERVER_SOFTWARE"].startswith("gunicorn/")


@pytest.mark.ours("it beats every second")
def test_an_idle_worker_sleeps(kind: str, serve: Serve) -> None:
    server = serve("green:app", "-k", kind)
    server.get("/sleep?0.1")

    def switches() -> int:
        text = (processes.PROC / str(server.worker()) / "status").read_text()
        (found,) = re.findall(r"^voluntary_ctxt_switches:\s+(\d+)$", text, re.MULTILINE)
        return int(found)

    def rests() -> bool:
        before = switches()
        time.sleep(2.5)
        return switches() == before

    wait_for(rests, "two seconds and a half without anything to do")


@pytest.mark.ours("it calls notify() every second anyway")
def test_an_overridden_notify_is_called_each_second(kind: str, serve: Serve) -> None:
    name = {"gevent": "ggevent.GeventWorker", "eventlet": "geventlet.EventletWorker"}[kind]
    module, _, base = name.partition(".")
    config = (
        f"from gunicorn.workers.{module} import {base}\n"
        f"class worker_class({base}):\n"
        "    def notify(self):\n"
        "        self.log.info('alive')\n"
        "        super().notify()\n"
    )
    server = serve("green:app", config=config)
    server.wait_for_log("alive$", count=4)
    assert server.get().text == "hello"


def test_a_changed_file_is_served_by_a_new_worker(kind: str, serve: Serve) -> None:
    source = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{}']\n"
    server = serve(
        "app:app", "-k", kind, "--reload", "--reload-engine", "poll", source=source.format("first")
    )
    before = server.worker()
    assert server.get().text == "first"
    new = server.directory / "new"
    new.write_text(source.format("second"))
    new.rename(server.directory / "app.py")
    wait_for(lambda: server.get().text == "second", "the new text")
    wait_for(lambda: not alive(before), "the end of the old worker")


def test_a_preloaded_application_is_served(kind: str, serve: Serve) -> None:
    """It was imported before the patch: what it took out of modules by name is not patched, the rest is."""
    server = serve("green:app", "-k", kind, "--preload")
    with asked(server, "/sleep?0.3", 20) as connections:
        assert max(int(connection.read_response().text) for connection in connections) > 10


# The client's socket


def test_an_application_can_take_the_socket(shared: Server) -> None:
    connections = [shared.connect() for _ in range(20)]
    for connection in connections:
        connection.send(get(b"Connection: Upgrade\r\nUpgrade: echo\r\n", target=b"/take_over"))
        assert connection.read_head().status == 101
    for number, connection in enumerate(connections):
        connection.send(b"line %d\n" % number)
    for number, connection in enumerate(connections):
        assert connection.read_to(b"\n") == b"line %d\n" % number
    # Nobody is held by those that wait in recv().
    assert seconds_of(shared) < 0.5
    for connection in connections:
        connection.send(b"end\n")
        assert connection.read_to_end() == b"bye\n"
        connection.close()
