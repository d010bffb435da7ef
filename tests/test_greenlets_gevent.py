"""What is particular to the worker classes for gevent: patching, subclasses, gevent's own server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.cases import get
from support.processes import alive, wait_for
from support.server import IS_GUNICORN, Server

OURS = pytest.mark.ours("the tests are about the native loop")


def write(tmp_path: Path, body: str) -> dict[str, str]:
    """A module `mine` with a worker class, and the environment in which it is found."""
    names = "GeventWorker, GeventPyWSGIWorker, PyWSGIHandler, PyWSGIServer"
    head = f"from gunicorn.workers.ggevent import {names}\n"
    (tmp_path / "mine.py").write_text(head + textwrap.dedent(body))
    return {"PYTHONPATH": f"{Path(__file__).parent / 'apps'}:{tmp_path}"}


# Patching


def test_a_subclass_patches_in_its_own_way(serve: Serve, tmp_path: Path) -> None:
    body = """
    class Mine(GeventWorker):
        def patch(self):
            super().patch()
            import green
            green.PATCHED = True
            self.log.info("patched by %s", type(self).__name__)
    """
    source = "import green\nassert green.PATCHED\napp = green.app\n"
    server = serve("app:app", "-k", "mine.Mine", source=source, env=write(tmp_path, body))
    assert server.get().text == "hello"
    assert "[INFO] patched by Mine" in server.log()


@pytest.mark.ours("it waits for ever in accept()")
def test_one_that_does_not_patch_is_served_all_the_same(serve: Serve, tmp_path: Path) -> None:
    env = write(tmp_path, "class Mine(GeventWorker):\n    def patch(self): pass\n")
    server = serve("green:app", "-k", "mine.Mine", env=env)
    assert json.loads(server.get("/patched").body)[0] == "socket"


def test_a_preloaded_application_is_patched_late(serve: Serve) -> None:
    """What it took by name before the fork stays as it was: gevent says so where it knows."""
    source = "from time import sleep\nimport time\nimport green\n" + (
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [f'{sleep.__module__} {time.sleep.__module__}'.encode()]\n"
    )
    server = serve("app:app", "-k", "gevent", "--preload", source=source)
    assert server.get().text == "time gevent.hub"


@pytest.mark.parametrize("name", ["gevent", "eventlet"])
def test_a_missing_library_is_one_line(name: str, serve: Serve, tmp_path: Path) -> None:
    if IS_GUNICORN and name == "eventlet":
        pytest.skip("eventlet left Gunicorn in 26")
    (tmp_path / f"{name}.py").write_text("raise ImportError('not here')\n")
    apps = Path(__file__).parent / "apps"
    server = serve("green:app", "-k", name, env={"PYTHONPATH": f"{tmp_path}:{apps}"}, launch=True)
    server.wait_for_exit(1)
    version = {"gevent": "24.10.1", "eventlet": "0.40.3"}[name]
    assert f"RuntimeError: {name} worker requires {name} {version} or higher" in server.log()
    assert IS_GUNICORN or "Traceback" not in server.log()


# Subclasses


@OURS
@pytest.mark.parametrize("name", ["handle", "handle_request", "handle_error", "timeout_ctx"])
def test_a_step_that_would_never_be_called_is_refused(name: str, serve: Serve, tmp_path: Path) -> None:
    env = write(tmp_path, f"class Mine(GeventWorker):\n    def {name}(self, *args): pass\n")
    server = serve("green:app", "-k", "mine.Mine", env=env, launch=True)
    server.wait_for_exit(1)
    assert f"Error: mine.Mine overrides {name}(), which the native gevent worker never calls" in server.log()


def test_what_is_overridden_is_called(serve: Serve, tmp_path: Path) -> None:
    names = {"init_process": "", "init_signals": "", "load_wsgi": "", "run": "", "handle_exit": "sig, frame"}
    body = "class Mine(GeventWorker):\n" + "".join(
        f"    def {name}(self{', ' if parameters else ''}{parameters}):\n"
        f"        self.log.info('called {name}')\n"
        f"        super().{name}({parameters})\n"
        for name, parameters in names.items()
    )
    server = serve("green:app", "-k", "mine.Mine", env=write(tmp_path, body))
    assert server.get().text == "hello"
    server.stop()
    for name in names:
        assert f"called {name}\n" in server.log()


def test_a_worker_class_says_itself_what_is_handled_already(serve: Serve, tmp_path: Path) -> None:
    body = """
    class Mine(GeventWorker):
        def is_already_handled(self, respiter):
            if respiter == "mine":
                raise StopIteration
            return super().is_already_handled(respiter)
    """
    source = """
from gunicorn.workers.base_async import ALREADY_HANDLED

def app(environ, start_response):
    environ["gunicorn.socket"].sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nmine")
    return ALREADY_HANDLED if environ["PATH_INFO"] == "/constant" else "mine"
"""
    server = serve("app:app", "-k", "mine.Mine", source=source, env=write(tmp_path, body))
    assert server.get("/constant").text == "mine"
    assert server.get("/own").text == "mine"
    assert "ERROR" not in server.log()


ACCEPTS = """
import gevent, gevent.server, socket, os
from gunicorn.workers.base_async import AsyncWorker

class Mine(AsyncWorker):
    '''Accepts connections itself, as classes of others do.'''

    def init_process(self):
        from gevent import monkey
        monkey.patch_all()
        gevent.reinit()
        super().init_process()

    def timeout_ctx(self):
        return gevent.Timeout(self.cfg.keepalive, False)

    def run(self):
        from gevent import socket as green
        servers = []
        for listener in self.sockets:
            own = green.socket(fileno=os.dup(listener.fileno()))
            own.setblocking(True)
            server = gevent.server.StreamServer(own, lambda c, a: self.handle(listener, c, a))
            server.start()
            servers.append(server)
        while self.alive:
            self.notify()
            gevent.sleep(0.2)
        for server in servers:
            server.close()
"""


def test_a_class_with_a_loop_of_its_own_serves_by_handle(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ACCEPTS)
    hooks = "def post_request(worker, req, environ, resp): worker.log.info('%s %s', req.path, resp.status)\n"
    apps = Path(__file__).parent / "apps"
    env = {"PYTHONPATH": f"{apps}:{tmp_path}"}
    flags = ["-k", "mine.Mine", "--access-logfile", "-", "--access-logformat", "%(s)s %(U)s"]
    server = serve("green:app", *flags, config=hooks, env=env)
    with server.connect() as connection:
        assert connection.request(get()).text == "hello"
        assert connection.request(get(target=b"/steps")).text == "01234"
        head = b"POST /count HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert connection.request(head + b"3\r\nabc\r\n0\r\n\r\n").text == "3"
        assert connection.request(get(b"Connection: close\r\n")).header("Connection") == "close"
        connection.assert_closed()
    with server.connect() as connection:
        connection.send(b"NONSENSE\r\n\r\n")
        assert connection.read_response().status == 400
    assert server.get("/raises?KeyError").status == 500
    assert server.stdout().splitlines()[:3] == ["200 /", "200 /steps", "200 /count"]
    assert "[INFO] /steps 200 OK" in server.log()


# The greenlet of a request


GREENLETS = """
import contextvars, json, threading
import gevent
from gevent.local import local

VARIABLE = contextvars.ContextVar("variable", default=None)
LOCAL = local()
KEPT = []
LINKED = []

def app(environ, start_response):
    me = gevent.getcurrent()
    found = [
        isinstance(me, gevent.Greenlet), VARIABLE.get(), getattr(LOCAL, "x", None), getattr(me, "mark", None),
        me in KEPT, len(LINKED),
    ]
    what = environ["QUERY_STRING"]
    if what == "variable":
        VARIABLE.set(1)
    if what == "local":
        LOCAL.x = 1
    if what == "attribute":
        me.mark = 1
    if what == "keep":
        KEPT.append(me)
    if what == "link":
        me.link(LINKED.append)
    if what == "thread":
        threading.current_thread()
    if what == "kill-later":
        gevent.spawn_later(0.05, me.kill, block=False)
    if what == "wait":
        gevent.sleep(0.2)
    body = json.dumps(found).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@OURS
def test_a_request_finds_its_greenlet_as_if_it_were_new(serve: Serve) -> None:
    server = serve("app:app", "-k", "gevent", source=GREENLETS)
    fresh = [True, None, None, None, False]
    with server.connect() as connection:
        for what in ("", "variable", "", "local", "", "attribute", "", "keep", "", "thread", ""):
            found = json.loads(connection.request(get(target=b"/?" + what.encode())).body)
            assert found[:5] == fresh
        connection.request(get(target=b"/?link"))
        wait_for(lambda: json.loads(connection.request(get()).body)[5] == 1, "the link to be called")


@OURS
def test_a_late_kill_hits_no_other_request(serve: Serve) -> None:
    """A watchdog that is not cancelled finds its greenlet dead, and not in the next request."""
    server = serve("app:app", "-k", "gevent", source=GREENLETS)
    with server.connect() as connection:
        for _ in range(3):
            connection.request(get(target=b"/?kill-later"))
            assert connection.request(get(target=b"/?wait")).status == 200


def test_a_greenlet_can_be_killed(serve: Serve) -> None:
    server = serve("green:app", "-k", "gevent")
    with server.connect() as connection:
        connection.send(get(target=b"/kill"))
        if not IS_GUNICORN:
            # There nothing comes.
            assert connection.read_response().status == 500
    assert server.get().text == "hello"


def test_flask_sees_nothing_of_another_request_in_the_same_greenlet(serve: Serve) -> None:
    source = """
import contextvars
from flask import Flask, g
VARIABLE = contextvars.ContextVar("variable", default="unset")
app = Flask(__name__)
@app.get("/")
def page():
    before = VARIABLE.get(), g.get("x", "unset")
    VARIABLE.set("set"); g.x = "set"
    return list(before)
"""
    server = serve("app:app", "-k", "gevent", source=source)
    for _ in range(5):
        assert json.loads(server.get().body) == ["unset", "unset"]


# gevent's own server


@OURS
@pytest.mark.parametrize("name", ["gevent_pywsgi", "gevent_wsgi"])
def test_the_names_of_its_server_are_the_native_loop(name: str, serve: Serve) -> None:
    server = serve("green:app", "-k", name)
    assert server.get().header("Server") == "rgunicorn"


OWN_HANDLER = """
class Handler(PyWSGIHandler):
    def get_environ(self):
        environ = super().get_environ()
        environ["mine"] = "handler"
        return environ

class Mine(GeventPyWSGIWorker):
    wsgi_handler = Handler
"""


def test_a_handler_of_ones_own_runs_in_gevents_server(serve: Serve, tmp_path: Path) -> None:
    flags = ["-k", "mine.Mine", "--access-logfile", "-", "--access-logformat", "%(m)s %(U)s %(s)s %(B)s"]
    source = """
import json
def app(environ, start_response):
    names = ("mine", "RAW_URI", "SERVER_SOFTWARE", "wsgi.multithread")
    kind = type(environ["gunicorn.sock"]).__module__
    body = json.dumps([*(environ[name] for name in names), kind]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
    server = serve("app:app", *flags, source=source, env=write(tmp_path, OWN_HANDLER))
    with server.connect() as connection:
        found = json.loads(connection.request(get(target=b"/a%20b?c")).body)
    assert [*found[:2], *found[3:]] == ["handler", "/a%20b?c", True, "gevent._socket3"]
    assert re.match(r"gevent/[\d.]+ gunicorn/27\.0\.1$", found[2])
    wait_for(lambda: re.match(r"GET /a b 200 \d+$", server.stdout().strip()), "the line")


def test_gevents_server_ends_as_others(serve: Serve, tmp_path: Path) -> None:
    server = serve("green:app", "-k", "mine.Mine", env=write(tmp_path, OWN_HANDLER))
    gate = tmp_path / "gate"
    with server.connect() as connection:
        connection.send(get(b"Connection: close\r\n", target=f"/until?{gate}".encode()))
        wait_for(gate.with_suffix(".begun").exists, "the request")
        server.kill(signal.SIGHUP)
        before = server.workers()[0]
        wait_for(lambda: set(server.workers()) - {before}, "a new worker")
        gate.touch()
        assert connection.read_response().text == "done"
    wait_for(lambda: not alive(before), "the end of the old worker")
    began = time.monotonic()
    server.stop(signal.SIGQUIT)
    assert time.monotonic() - began < 5


def test_one_of_its_requests_that_blocks_is_ended(serve: Serve, tmp_path: Path) -> None:
    server = serve("green:app", "-k", "mine.Mine", "--timeout", "2", env=write(tmp_path, OWN_HANDLER))
    before = server.worker()
    with server.connect() as connection:
        connection.send(get(target=b"/block?30"))
        server.wait_for_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{before}\)")
        wait_for(lambda: server.booted() and before not in server.workers(), "another worker")
    assert server.get().text == "hello"


def test_it_leaves_when_its_arbiter_is_gone(serve: Serve, tmp_path: Path) -> None:
    server = serve("green:app", "-k", "mine.Mine", env=write(tmp_path, OWN_HANDLER))
    worker = server.worker()
    os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: not alive(worker), "its end")
    server.wait_for_log(r"\[INFO\] Parent changed, shutting down: <Worker \d+>$")
    server.wait_for_exit(-signal.SIGKILL)


@OURS
def test_a_limit_for_requests_that_it_does_not_heed_is_told(serve: Serve, tmp_path: Path) -> None:
    env = write(tmp_path, OWN_HANDLER)
    server = serve("green:app", "-k", "mine.Mine", "--request-timeout", "5", env=env)
    server.wait_for_log(r"\[WARNING\] .*request_timeout")
    assert "request_timeout" not in serve("green:app", "-k", "gevent_pywsgi", "--request-timeout", "5").log()


def test_importing_the_module_patches_nothing() -> None:
    program = "import rgunicorn.workers.ggevent, socket; print(socket.socket.__module__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "socket\n"


@OURS
def test_memory_of_greenlets_comes_back(serve: Serve) -> None:
    """A burst makes many greenlets; not all of them stay."""
    server: Server = serve("green:app", "-k", "gevent")
    server.get()

    def burst() -> int:
        connections = [server.connect() for _ in range(400)]
        for connection in connections:
            connection.send(get(target=b"/sleep?0.1"))
        for connection in connections:
            connection.read_response()
            connection.close()
        return processes.private_memory(server.worker())

    burst()
    before = burst()
    for _ in range(5):
        after = burst()
    assert after < before + 3_000_000


@OURS
def test_a_process_that_a_request_forks_leaves_the_server_to_its_parent(serve: Serve, tmp_path: Path) -> None:
    source = """
import multiprocessing, pathlib, time

def work(name):
    # Its hub runs meanwhile.
    while not pathlib.Path(name).exists():
        time.sleep(0.01)
    pathlib.Path(name + ".done").touch()

def app(environ, start_response):
    if name := environ["QUERY_STRING"]:
        multiprocessing.get_context("fork").Process(target=work, args=(name,)).start()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
    server = serve("app:app", "-k", "gevent", source=source)
    go = tmp_path / "go"
    with server.connect() as kept:
        kept.request(get(target=f"/?{go}".encode()))
        for _ in range(30):
            assert kept.request(get()).text == server.get().text == "ok"
    go.touch()
    wait_for(Path(f"{go}.done").exists, "the work to be done")


# Children of the application


@OURS
def test_a_child_that_goes_round_the_loop_serves_nobody(serve: Serve, tmp_path: Path) -> None:
    source = """
        import os, time

        def app(environ, start_response):
            if environ["PATH_INFO"] == "/fork" and not os.fork():
                while not os.path.exists(environ["QUERY_STRING"]):
                    time.sleep(0.01)
                os._exit(0)
            start_response("200 OK", [])
            return [str(os.getpid()).encode()]
    """
    server = serve("app:app", "-k", "gevent", source=textwrap.dedent(source))
    worker = server.worker()
    clients = [server.connect() for _ in range(5)]
    for client in clients:
        assert client.request(get()).text == str(worker)
    # At once, so that some were given to the loop when the process forks.
    for client, target in zip(clients, ["/", f"/fork?{tmp_path / 'go'}", "/", "/", "/"], strict=True):
        client.send(get(target=target.encode()))
    assert [client.read_response().text for client in clients] == [str(worker)] * 5
    for _ in range(20):
        for client in clients:
            assert client.request(get()).text == str(worker)
        assert server.get().text == str(worker)
    for client in clients:
        client.close()
    (tmp_path / "go").touch()
    wait_for(lambda: not processes.children(worker), "the end of the child")
