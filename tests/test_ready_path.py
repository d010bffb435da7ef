"""`ready_path`: what the workers answer for the application, for health checks."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from conftest import Serve
from rgunicorn import _native
from rgunicorn.workers import _readiness
from support.classes import CLASSES, Kind
from support.command import Project
from support.processes import wait_for
from support.server import COMMAND, Server
from support.wire import Response
from test_upgrade import close, end, upgrade

pytestmark = pytest.mark.ours("Gunicorn has no such setting")

TORNADO = """
import tornado.web, tornado.wsgi

class Root(tornado.web.RequestHandler):
    def get(self, path):
        self.write("application")

app = tornado.web.Application([("(.*)", Root)])

def plain(environ, start_response):
    start_response("200 OK", [])
    return [b"application"]

contained = tornado.wsgi.WSGIContainer(plain)
"""

THIRD = """
import contextlib, selectors
from gunicorn.workers.base_async import AsyncWorker

class Mine(AsyncWorker):
    def timeout_ctx(self):
        return contextlib.nullcontext()

    def run(self):
        selector = selectors.EpollSelector()
        for listener in self.sockets:
            selector.register(listener, selectors.EVENT_READ)
        while self.alive:
            self.notify()
            for key, _ in selector.select(0.1):
                client, address = key.fileobj.accept()
                client.setblocking(True)
                self.handle(key.fileobj, client, address)

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"application"]
"""

FASTAPI = """
from fastapi import FastAPI
app = FastAPI()

@app.get("/{path:path}")
async def root(path):
    return "application"
"""


def assert_ready(response: Response, body: str = "ready\n") -> None:
    assert (response.status, response.text) == (200, body)
    assert response.header("Content-Type") == "text/plain"
    assert response.header("Cache-Control") == "no-store"
    assert response.header("Content-Length") == "6"


def assert_turns_down(server: Server, target: str, served: str) -> None:
    """Told to end, the service still serves, and says at `target` that it should not be asked to."""
    server.kill(signal.SIGTERM)
    wait_for(lambda: server.get("/ready").status == 503, "a 503")
    response = server.get("/ready")
    assert (response.status, response.reason, response.text) == (503, "Service Unavailable", "ending\n")
    assert response.header("Cache-Control") == "no-store"
    assert server.get(target).text == served
    # Once more: the delay is over.
    server.stop()


@pytest.mark.parametrize("worker", CLASSES)
def test_each_worker_class_is_ready_until_the_service_ends(serve: Serve, worker: str) -> None:
    kind = Kind(COMMAND, worker)
    if kind.missing:
        pytest.skip(kind.missing)
    flags = ["--ready-path", "/ready", "--shutdown-delay", "60", "-w", "2"]
    server = kind.serve(serve, "views:app", *flags)
    assert_ready(server.get("/ready"))
    assert_ready(server.get("/ready?from=balancer"))
    assert_ready(server.get("/ready", method="HEAD"), body="")
    assert_ready(server.get("/ready", method="OPTIONS"))
    assert server.get("/hello").text == "hello\n"
    assert_turns_down(server, "/hello", "hello\n")


def test_a_worker_class_of_others_has_it(serve: Serve) -> None:
    flags = ["-k", "app.Mine", "--ready-path", "/ready", "--shutdown-delay", "60"]
    server = serve("app:app", *flags, source=THIRD)
    assert_ready(server.get("/ready"))
    assert_turns_down(server, "/", "application")


@pytest.mark.parametrize("app", ["app", "contained"])
def test_tornados_own_applications_have_it(serve: Serve, app: str) -> None:
    flags = ["-k", "tornado", "--ready-path", "/ready", "--shutdown-delay", "60"]
    server = serve(f"app:{app}", *flags, source=TORNADO)
    assert_ready(server.get("/ready"))
    assert_ready(server.get("/ready", method="HEAD"), body="")
    assert server.get("/ready/x").text == "application"
    assert_turns_down(server, "/", "application")


def test_asgi_applications_have_it(serve: Serve) -> None:
    worker = "uvicorn_worker.UvicornWorker"
    flags = ["--ready-path", "/ready", "--shutdown-delay", "60"]
    server = serve("app:app", "-k", worker, *flags, source=FASTAPI)
    assert_ready(server.get("/ready"))
    assert_ready(server.get("/ready", method="HEAD"), body="")
    assert_turns_down(server, "/other", '"application"')


def test_a_service_that_another_program_goes_on_with_is_ready(serve: Serve) -> None:
    server = serve("views:app", "-w", "2", "--ready-path", "/ready", "--shutdown-delay", "60")
    successor = upgrade(server)
    server.kill(signal.SIGTERM)
    server.wait_for_log("It goes on accepting for 60 seconds")
    assert {server.get("/ready").status for _ in range(12)} == {200}
    end(server.pid)
    assert server.get("/ready").status == 200
    os.kill(successor, signal.SIGTERM)
    wait_for(lambda: server.get("/ready").status == 503, "a 503")
    close(server, successor)


def test_only_the_exact_path_is_answered(serve: Serve) -> None:
    server = serve("echo:app", "--ready-path", "/ready", "--access-logfile", "-")
    for target in ("/ready/", "/readyx", "/a/ready", "//ready"):
        assert server.get(target).text != "ready\n", target
    assert_ready(server.get("/%72eady"))
    server.stop()
    assert re.search(r'"GET /%72eady HTTP/1.1" 200 6 ', server.stdout())


def test_a_path_below_script_name_is_the_whole_path(serve: Serve) -> None:
    server = serve("views:app", "--ready-path", "/base/ready", env={"SCRIPT_NAME": "/base"})
    assert_ready(server.get("/base/ready"))
    assert server.get("/base/hello").text == "hello\n"


def test_an_application_that_is_neither_is_left_alone(serve: Serve) -> None:
    worker = "import select_worker\nclass Odd(select_worker.SelectWorker):\n    pass\ndef app(): pass\n"
    server = serve("app:app", "-k", "app.Odd", "--ready-path", "/ready", source=worker)
    server.wait_for_log("ready_path has no effect: the application is neither of WSGI nor of ASGI")


def test_hooks_see_the_attributes_of_the_application(serve: Serve) -> None:
    source = "import flask\napp = flask.Flask('shop')\n"
    hook = "def post_worker_init(worker): worker.log.info('serves %s', worker.wsgi.import_name)\n"
    server = serve("app:app", "--ready-path", "/ready", source=source, config=hook)
    server.wait_for_log("serves shop")
    assert_ready(server.get("/ready"))


@pytest.mark.parametrize("path", ["ready", "http://localhost/ready", "/ready?now"])
def test_what_is_no_path_is_refused(tmp_path: Path, path: str) -> None:
    said = Project(tmp_path).refusal("--ready-path", path, "app:app")
    assert "ready_path from --ready-path on the command line" in said
    assert "a path that begins with '/'" in said


def test_without_the_setting_nothing_is_on_the_way(serve: Serve) -> None:
    source = "def app(environ, start_response): pass\n"
    hook = "def post_worker_init(worker): worker.log.info('serves %r', worker.wsgi)\n"
    server = serve("app:app", source=source, config=hook)
    server.wait_for_log("serves <function app at ")


class _Application:
    name = "shop"

    def __call__(self, environ: object, start_response: object) -> list[bytes]:
        return [b"application"]


def test_what_cannot_be_called_so_is_not_wrapped() -> None:
    slot = _native.Slot.alone()
    assert not slot.is_service_ending()
    assert _readiness.answering("/ready", slot, lambda: None) is None
    assert _readiness.answering("/ready", slot, lambda request: None) is None
    wrapped = _readiness.answering("/ready", slot, _Application())
    assert wrapped is not None
    assert wrapped.name == "shop"
    assert not hasattr(wrapped, "other")
