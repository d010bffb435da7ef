"""The tornado worker with tornado itself: its applications, WSGI ones, and the life of the worker."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
import time
from pathlib import Path
from typing import cast

import pytest
from tornado.websocket import websocket_connect

from conftest import Serve
from support import processes
from support.cases import get
from support.load import Load
from support.processes import stays, wait_for
from support.server import EXAMPLES, IS_GUNICORN, Server
from support.wire import Connection

APP = """
import asyncio, os, pathlib, time
import tornado.web, tornado.websocket

class Hello(tornado.web.RequestHandler):
    async def get(self):
        self.write("old")

class Pid(tornado.web.RequestHandler):
    def get(self):
        self.write(str(os.getpid()))

class Sleep(tornado.web.RequestHandler):
    async def get(self):
        await asyncio.sleep(float(self.get_argument("seconds")))
        self.write("slept")

class Until(tornado.web.RequestHandler):
    async def get(self):
        path = pathlib.Path(self.get_argument("path"))
        path.with_suffix(".begun").touch()
        try:
            while not path.exists():
                await asyncio.sleep(0.01)
        finally:
            path.with_suffix(".ended").touch()
        self.write("done")

class After(tornado.web.RequestHandler):
    "Works on when the response is out."
    async def get(self):
        path = pathlib.Path(self.get_argument("path"))
        self.finish("done")
        while not path.exists():
            await asyncio.sleep(0.01)
        path.with_suffix(".ended").touch()

class Block(tornado.web.RequestHandler):
    def get(self):
        time.sleep(60)

class Size(tornado.web.RequestHandler):
    def post(self):
        self.write(str(len(self.request.body)))

class Own(tornado.web.RequestHandler):
    def set_default_headers(self):
        self.set_header("Server", "mine") if self.request.query else self.clear_header("Server")
    def get(self):
        self.write("own")

class Echo(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message("you said " + message)

app = tornado.web.Application([
    ("/", Hello), ("/pid", Pid), ("/sleep", Sleep), ("/until", Until), ("/after", After), ("/block", Block),
    ("/size", Size), ("/own", Own), ("/echo", Echo),
])
"""

SLOW_END = pytest.mark.ours("it leaves after a second or two, whatever still runs")


def tornado(serve: Serve, *flags: str, app: str = "app:app", source: str = APP, **settings: object) -> Server:
    return serve(app, "-k", "tornado", *flags, source=source, **settings)


def begin(server: Server, path: Path, view: str = "until") -> Connection:
    """A request that is served until `path` exists."""
    connection = server.connect()
    connection.send(get(target=f"/{view}?path={path}".encode()))
    wait_for(path.with_suffix(".begun").exists, "the handler to be called")
    return connection


# Applications


@pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix"])
def test_an_application_of_tornados_is_served(kind: str, serve: Serve) -> None:
    server = tornado(serve, "-w", "2", kind=kind)
    server.wait_for_log(r"\[INFO\] Using worker: tornado$")
    assert {int(server.get("/pid").text) for _ in range(20)} <= set(server.workers())
    response = server.get("/size", method="POST", body=b"x" * 100_000)
    assert (response.status, response.text) == (200, "100000")
    assert server.get("/nowhere").status == 404


def test_the_server_header_names_both(serve: Serve) -> None:
    name = r"Gunicorn/27\.0\.1" if IS_GUNICORN else "rgunicorn"
    server = tornado(serve)
    assert re.fullmatch(rf"TornadoServer/[\d.]+ \({name}\)", server.get().header("Server") or "")
    server.kill(signal.SIGHUP)
    server.wait_for_log("Booting worker with pid", count=2)
    assert re.fullmatch(rf"TornadoServer/[\d.]+ \({name}\)", server.get().header("Server") or "")


@pytest.mark.ours("it adds its name to another's, and fails without one")
def test_an_applications_own_server_header_is_left_alone(serve: Serve) -> None:
    server = tornado(serve)
    assert server.get("/own?1").header("Server") == "mine"
    assert server.get("/own").header("Server") is None


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_flask_application_is_served(kind: str, serve: Serve) -> None:
    flags = ["-k", "tornado", "-w", "2", "--chdir", str(EXAMPLES / "flask_app")]
    server = serve("flask_app:app", *flags, kind=kind)
    assert "<h1>Hello from Flask</h1>" in server.get("/").text
    fields = "Content-Type: application/x-www-form-urlencoded"
    response = server.get("/form", fields, method="POST", body=b"name=Grace+H%C3%B6pper")
    assert (response.status, response.body.decode()) == (200, "Hello, Grace Höpper!")
    assert (response.header("Server") or "").startswith("TornadoServer/")


CONTAINER = """
import concurrent.futures, threading
import tornado.wsgi

both = threading.Barrier(2, timeout=10)

def application(environ, start_response):
    both.wait()
    start_response("200 OK", [])
    return [b"both"]

app = tornado.wsgi.WSGIContainer(application, executor=concurrent.futures.ThreadPoolExecutor(2))
"""


def test_a_container_of_ones_own_keeps_its_executor(serve: Serve) -> None:
    server = tornado(serve, source=CONTAINER)
    with server.connect() as first, server.connect() as second:
        first.send(get())
        second.send(get())
        assert [first.read_response().text, second.read_response().text] == ["both", "both"]


FAILING = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/exit":
        raise SystemExit(3)
    if environ["PATH_INFO"] == "/interrupt":
        raise KeyboardInterrupt
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("on purpose")
    if environ["PATH_INFO"] == "/headers":
        start_response("200 OK", [("X-A", "split\\r\\nX-B: 1")])
    elif environ["PATH_INFO"] == "/length":
        start_response("200 OK", [("Content-Length", "100")])
    elif environ["PATH_INFO"] != "/silent":
        start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


HEADERS = """
import os
def app(environ, start_response):
    if environ["PATH_INFO"] == "/cookie":
        start_response("200 OK", [("Set-Cookie", " a=b"), ("Content-Length", "2")])
    elif environ["PATH_INFO"] == "/write":
        start_response("200 OK", [])(b"ok")
        return []
    else:
        start_response("200 OK", [])
    return [b"ok"]
"""


@pytest.mark.ours("it answers neither")
@pytest.mark.parametrize("path", ["/cookie", "/", "/write"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_frameworks_answer_is_understood(method: str, path: str, serve: Serve) -> None:
    with tornado(serve, source=HEADERS).connect() as connection:
        connection.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        response = connection.read_response(method)
        assert (response.status, response.header("Content-Length")) == (200, "2")
        assert response.header("Set-Cookie") == ("a=b" if path == "/cookie" else None)
        connection.assert_open_at("/")


@pytest.mark.ours("the client waits for ever; SystemExit ends the worker, with 3 the server")
@pytest.mark.parametrize("path", ["/raise", "/exit", "/interrupt", "/headers", "/silent"])
def test_a_wsgi_application_that_fails_is_a_500(path: str, serve: Serve) -> None:
    server = tornado(serve, source=FAILING)
    pid = server.worker()
    response = server.get(path)
    assert (response.status, response.persists) == (500, False)
    server.wait_for_log(rf"\[ERROR\] Error handling request {path}$")
    assert server.get().text == "ok"
    assert server.worker() == pid


TURNS = """
import contextvars, pathlib, time
seen = contextvars.ContextVar("seen", default="nothing")
def pieces(path):
    path.with_suffix(".begun").touch()
    while not path.exists():
        time.sleep(0.02)
        yield b"."
    yield b"done"
def app(environ, start_response):
    start_response("200 OK", [])
    path = pathlib.Path(environ["QUERY_STRING"].removeprefix("path="))
    if environ["PATH_INFO"] == "/until":
        return pieces(path)
    if environ["PATH_INFO"] == "/block":
        path.with_suffix(".begun").touch()
        time.sleep(60)
    before = seen.get()
    seen.set("something")
    return [before.encode()]
"""


def test_a_wsgi_application_that_answers_in_pieces_lets_others_in(serve: Serve, tmp_path: Path) -> None:
    server = tornado(serve, "--timeout", "1", source=TURNS)
    path = tmp_path / "go"
    with begin(server, path) as connection:
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            assert server.get().text == "nothing"
        path.touch()
        assert re.fullmatch(r"\.+done", connection.read_response().text)
    assert "WORKER TIMEOUT" not in server.log()


def test_what_a_request_sets_in_its_context_is_not_the_next_ones(serve: Serve) -> None:
    with tornado(serve, source=TURNS).connect() as connection:
        assert [connection.request(get()).text for _ in range(3)] == ["nothing"] * 3


def test_quit_interrupts_a_wsgi_application(serve: Serve, tmp_path: Path) -> None:
    server = tornado(serve, source=TURNS)
    with begin(server, tmp_path / "never", "block"):
        began = time.monotonic()
        server.stop(signal.SIGQUIT)
        assert time.monotonic() - began < 4
    assert not re.search("Error handling request|Uncaught exception", server.log())


def test_without_tornado_one_line_says_so(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "tornado.py").write_text("raise ImportError('No module named tornado')")
    settings = {"env": {"PYTHONPATH": str(tmp_path)}, "launch": True}
    server = serve("app:app", "-k", "tornado", source=APP, **settings)
    server.wait_for_exit(1)
    assert "You need tornado installed to use this worker." in server.log()
    assert IS_GUNICORN or "Traceback" not in server.log()


PRELOADED = """
import asyncio
import tornado.ioloop
tornado.ioloop.IOLoop.current()
"""


def test_a_loop_of_the_arbiters_is_not_shared(serve: Serve) -> None:
    server = tornado(serve, "-w", "2", "--preload", source=PRELOADED + APP)
    with Load(server, "/sleep?seconds=0.01", clients=4) as load:
        wait_for(lambda: len(load.answers) > 100, "a hundred answers")
    assert load.errors == []


# Many at once


def test_200_sleeping_requests_take_as_long_as_one(serve: Serve) -> None:
    server = tornado(serve)
    connections = [server.connect() for _ in range(200)]
    began = time.monotonic()
    for connection in connections:
        connection.send(get(target=b"/sleep?seconds=0.5"))
    answers = [connection.read_response().text for connection in connections]
    taken = time.monotonic() - began
    for connection in connections:
        connection.close()
    assert answers == ["slept"] * 200
    assert taken < 3


def test_a_slow_client_holds_nobody_up(serve: Serve) -> None:
    server = tornado(serve, "-t", "1")
    with server.connect() as slow, server.connect() as silent:
        slow.send(b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234")
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            assert server.get("/").text == "old"
        slow.send(b"56789")
        assert slow.read_response().text == "10"
        assert silent.assert_open_at("/").text == "old"
    assert "WORKER TIMEOUT" not in server.log()


# Settings


@pytest.mark.ours("it sets something that tornado no longer looks at")
def test_without_keep_alive_each_response_is_the_last(serve: Serve) -> None:
    with tornado(serve, "--keep-alive", "0").connect() as connection:
        assert not connection.request(get()).persists
        connection.assert_closed()


@pytest.mark.ours("tornado's hour")
def test_an_idle_connection_is_kept_for_as_long_as_the_setting_says(serve: Serve) -> None:
    with tornado(serve, "--keep-alive", "1").connect() as connection:
        connection.assert_open_at("/")
        began = time.monotonic()
        connection.assert_closed()
        assert 0.9 < time.monotonic() - began < 5


@pytest.mark.ours("tornado's hour")
def test_half_a_head_is_waited_for_as_long(serve: Serve) -> None:
    server = tornado(serve, "--keep-alive", "1")
    with server.connect() as connection:
        began = time.monotonic()
        connection.send(b"GET / HTTP/1.1\r\nHost:")
        connection.assert_closed()
        assert 0.9 < time.monotonic() - began < 5
    assert server.get().text == "old"
    assert "ERROR" not in server.log()


@pytest.mark.ours("there is no such setting")
def test_a_body_above_the_limit_is_refused(serve: Serve) -> None:
    server = tornado(serve, "--limit-request-body", "10")
    assert server.get("/size", method="POST", body=b"x" * 10).text == "10"
    with server.connect() as connection:
        connection.send(b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n")
        assert connection.read_head().status == 400


# The end


@SLOW_END
def test_term_lets_a_coroutine_finish(serve: Serve, tmp_path: Path) -> None:
    server = tornado(serve, "-w", "2")
    path = tmp_path / "go"
    with begin(server, path) as connection:
        server.kill(signal.SIGTERM)
        server.wait_for_log(r"\[INFO\] Handling signal: term$")
        wait_for(lambda: len(server.workers()) == 1, "the idle worker to end")
        stays(lambda: len(server.workers()) == 1, "the busy worker", 2.5)
        path.touch()
        response = connection.read_response()
        assert (response.text, response.persists) == ("done", False)
        connection.assert_closed()
    server.wait_for_exit(0)


@SLOW_END
def test_term_waits_for_what_follows_the_response(serve: Serve, tmp_path: Path) -> None:
    server = tornado(serve)
    path = tmp_path / "go"
    with server.connect() as connection:
        assert connection.request(get(target=f"/after?path={path}".encode())).text == "done"
    server.kill(signal.SIGTERM)
    stays(server.workers, "the worker", 2.5)
    path.touch()
    server.wait_for_exit(0)
    assert path.with_suffix(".ended").exists()


@SLOW_END
def test_term_waits_no_longer_than_graceful_timeout(serve: Serve, tmp_path: Path) -> None:
    server = tornado(serve, "--graceful-timeout", "2")
    path = tmp_path / "never"
    with begin(server, path):
        began = time.monotonic()
        server.stop()
        assert 1.4 < time.monotonic() - began < 5
    assert path.with_suffix(".ended").exists(), "its `finally` has not run"
    server.wait_for_log(r"\[WARNING\] Worker graceful timeout \(pid:\d+\)$")
    server.wait_for_log(r"\[WARNING\] Cut short by graceful_timeout: 'GET /until\?path=.*'$")


@SLOW_END
def test_an_idle_worker_leaves_at_once(serve: Serve) -> None:
    server = tornado(serve)
    server.get("/")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 1


@SLOW_END
def test_a_connection_that_was_used_just_now_may_ask_once_more(serve: Serve) -> None:
    server = tornado(serve)
    with server.connect() as connection, server.connect() as silent:
        connection.assert_open_at("/")
        server.kill(signal.SIGTERM)
        server.wait_for_log(r"\[INFO\] Handling signal: term$")
        # The worker has it a moment later than the log.
        while (response := connection.request(get())).persists:
            pass
        assert response.text == "old"
        connection.assert_closed()
        silent.assert_closed()
    server.wait_for_exit(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_are_quick(number: signal.Signals, serve: Serve, tmp_path: Path) -> None:
    server = tornado(serve, "-w", "2")
    with begin(server, tmp_path / "never"):
        began = time.monotonic()
        server.stop(number)
        assert time.monotonic() - began < 4


def test_workers_end_when_the_arbiter_is_killed(serve: Serve) -> None:
    server = tornado(serve, "-w", "2")
    workers = server.workers()
    server.kill(signal.SIGKILL)
    wait_for(lambda: not any(map(processes.alive, workers)), "the workers to end", 5)
    server.wait_for_log(r"\[INFO\] Parent changed, shutting down: <Worker \d+>$", count=2)
    server.wait_for_exit(-signal.SIGKILL)


# Replacement


@SLOW_END
def test_hup_lets_a_request_finish_and_refuses_nobody(serve: Serve, tmp_path: Path) -> None:
    server = tornado(serve)
    old, path = server.worker(), tmp_path / "go"
    (server.directory / "app.py").write_text(APP.replace('"old"', '"new"'))
    with begin(server, path) as connection:
        with Load(server, "/") as load:
            server.kill(signal.SIGHUP)
            wait_for(lambda: load.answers and load.answers[-1].body == "new", "the new code")
        assert load.errors == []
        stays(lambda: old in server.workers(), "the old worker", 2.5)
        path.touch()
        assert connection.read_response().text == "done"
    wait_for(lambda: old not in server.workers(), "the old worker to end")


@pytest.mark.ours("one that blocks before its first beat, a second after its start, is never late")
def test_a_blocked_loop_is_a_timeout(serve: Serve) -> None:
    server = tornado(serve, "-w", "2", "--timeout", "1")
    before = set(server.workers())
    with server.connect() as connection:
        connection.send(get(target=b"/block"))
        found = server.wait_for_log(r"\[CRITICAL\] WORKER TIMEOUT \(pid:(\d+)\) GET /block, ")
        late = int(found[1])
        assert late in before
        wait_for(lambda: len(server.booted()) == 2 and late not in server.workers(), "its replacement")
    assert before - {late} <= set(server.workers())


def test_what_waits_without_blocking_is_no_timeout(serve: Serve, tmp_path: Path) -> None:
    server = tornado(serve, "-w", "2", "--timeout", "1")
    before, path = server.workers(), tmp_path / "go"
    with begin(server, path) as connection:
        stays(lambda: server.workers() == before, "the workers", 2.5)
        path.touch()
        assert connection.read_response().text == "done"
    assert "WORKER TIMEOUT" not in server.log()


def test_max_requests_replaces_a_worker(serve: Serve) -> None:
    server = tornado(serve, "--max-requests", "3")
    served: set[str] = set()
    wait_for(lambda: served.add(server.get("/pid").text) or len(served) == 4, "three replacements")
    server.wait_for_log(r"\[INFO\] Autorestarting worker after current request\.$", count=3)


@pytest.mark.ours("it counts closed connections, and its worker leaves before there is another")
def test_max_requests_counts_requests_and_refuses_nobody(serve: Serve) -> None:
    server = tornado(serve, "--max-requests", "20")
    served: set[str] = set()
    with Load(server, "/pid") as load:
        while len(served) < 4:
            with server.connect() as connection:
                persists = True
                while persists:
                    response = connection.request(get(target=b"/pid"))
                    served.add(response.text)
                    persists = response.persists
                connection.assert_closed()
    assert load.errors == []


# Websockets


def url(server: Server) -> str:
    host, port = cast(tuple[str, int], server.address)
    return f"ws://{host}:{port}/echo"


def test_a_websocket_echoes(serve: Serve) -> None:
    async def talk() -> list[object]:
        client = await websocket_connect(url(server))
        heard: list[object] = []
        for word in ("one", "two"):
            await client.write_message(word)
            heard.append(await client.read_message())
        client.close()
        return heard

    server = tornado(serve, "--timeout", "1")
    assert asyncio.run(talk()) == ["you said one", "you said two"]


@pytest.mark.ours("the connection is cut")
def test_a_websocket_is_told_that_the_server_leaves(serve: Serve) -> None:
    async def talk() -> tuple[object, object]:
        client = await websocket_connect(url(server))
        await client.write_message("hello")
        assert await client.read_message() == "you said hello"
        server.kill(signal.SIGTERM)
        return await client.read_message(), client.close_code

    server = tornado(serve)
    began = time.monotonic()
    assert asyncio.run(talk()) == (None, 1001)
    server.wait_for_exit(0)
    assert time.monotonic() - began < 3


def test_a_websocket_that_does_not_answer_does_not_hold_the_server(serve: Serve) -> None:
    upgrade = (
        b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    server = tornado(serve)
    with server.connect() as connection:
        connection.send(upgrade)
        assert connection.read_head().status == 101
        server.stop(seconds=10)


def test_two_workers_share_the_work(serve: Serve, tmp_path: Path) -> None:
    server = tornado(serve, "-w", "2")
    path = tmp_path / "go"
    answers: list[str] = []
    target = f"/until?path={path}"
    threads = [threading.Thread(target=lambda: answers.append(server.get(target).text)) for _ in range(20)]
    for thread in threads:
        thread.start()
    wait_for(path.with_suffix(".begun").exists, "the handler to be called")
    assert server.get("/").text == "old"
    path.touch()
    for thread in threads:
        thread.join(20)
    assert answers == ["done"] * 20
