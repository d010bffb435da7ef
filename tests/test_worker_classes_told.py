"""What applications, hooks, logs and the command say of a worker class."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from conftest import Serve
from rgunicorn.workers import SUPPORTED_WORKERS
from support.class_rows import view
from support.classes import CLASSES, Kind, differs
from support.command import Project
from support.processes import wait_for

HOOKS = """
def pre_request(worker, req):
    worker.log.info("pre %s %s %s", worker.pid, req.method, req.path)

def post_request(worker, req, environ, resp):
    worker.log.info("post %s %s %s", environ["REQUEST_METHOD"], req.path, resp.status)
"""

#: What the environ of a GET with a Host field has.
KEYS = {
    *("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "RAW_URI", "SERVER_NAME", "SERVER_PORT"),
    *("SERVER_PROTOCOL", "SERVER_SOFTWARE", "REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST"),
    *("wsgi.version", "wsgi.url_scheme", "wsgi.input", "wsgi.input_terminated", "wsgi.errors"),
    *("wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once", "wsgi.file_wrapper", "wsgi.early_hints"),
    "gunicorn.socket",
}

own_server = differs("another HTTP server answers", "tornado", "gunicorn-gevent_pywsgi")


# The environ


@pytest.mark.parametrize("workers", ["1", "2"])
@differs("says that there are several processes", "tornado")
@differs("says that there is one process", "gunicorn-gevent_pywsgi")
def test_the_environ_tells_of_threads_and_processes(workers: str, kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve, "views:app", "-w", workers)
    found = json.loads(server.get("/flags").body)
    is_threaded = kind.worker not in ("sync", "tornado")
    assert found == {"multithread": is_threaded, "multiprocess": workers == "2", "run_once": False}


@own_server
def test_the_environ_has_its_keys(kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve)
    with server.connect() as connection:
        found = json.loads(connection.request(view("environ-types?a=b")).body)
        assert set(found) == KEYS
        assert found["PATH_INFO"] == ["str", "/environ-types"]
        assert found["QUERY_STRING"] == ["str", "a=b"]
        assert found["SERVER_PORT"] == ["str", str(server.address[1])]
        assert found["REMOTE_PORT"] == ["str", str(connection.socket.getsockname()[1])]
        if kind.keeps_connections:
            # The next one has an environ of its own.
            found = json.loads(connection.request(view("environ-types", b"X-New: 1\r\n")).body)
            assert set(found) == KEYS | {"HTTP_X_NEW"}


# Hooks and logs


@own_server
def test_hooks_are_called_around_each_request(kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve, config=HOOKS)
    (worker,) = server.workers()
    server.get("/hello")
    server.get("/fails")
    server.get("/count-input", method="POST", body=b"abc")
    server.wait_for_log("post POST /count-input 200 OK$")
    said = [line.partition("[INFO] ")[2] for line in server.log().splitlines()]
    assert [line for line in said if line.startswith(("pre ", "post "))] == [
        f"pre {worker} GET /hello",
        "post GET /hello 200 OK",
        f"pre {worker} GET /fails",
        f"post GET /fails {'500 Internal Server Error' if kind.is_ours else 'None'}",
        f"pre {worker} POST /count-input",
        "post POST /count-input 200 OK",
    ]


@own_server
def test_each_request_has_its_line(kind: Kind, serve: Serve, tmp_path: Path) -> None:
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    form = "%(m)s %(U)s %(s)s %(B)s"
    server = kind.serve(serve, "views:app", "--access-logfile", str(log), "--access-logformat", form)
    server.get("/hello")
    server.get("/echo-input", method="POST", body=b"abc")
    wait_for(lambda: log.read_text().count("\n") == 2, "two lines")
    assert log.read_text() == "GET /hello 200 6\nPOST /echo-input 200 3\n"
    log.rename(moved)
    server.kill(signal.SIGUSR1)
    wait_for(log.exists, "a new file")
    wait_for(lambda: server.get("/hello") and log.read_text(), "a line in it")
    server.stop()
    assert set(log.read_text().splitlines()) == {"GET /hello 200 6"}


# The command


@pytest.mark.ours("it is rgunicorn's list")
def test_the_table_has_every_class() -> None:
    assert set(SUPPORTED_WORKERS) == {*CLASSES, "gevent_wsgi"}


@pytest.mark.parametrize("kind_of_address", ["tcp", "unix"])
def test_the_class_is_named_at_the_start(kind_of_address: str, kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve, kind=kind_of_address)
    server.wait_for_log(rf"\[INFO\] Using worker: {kind.worker}$")
    assert server.get("/hello").body == b"hello\n"


@pytest.mark.ours("rgunicorn alone is asked")
def test_threads_choose_the_threaded_class(serve: Serve) -> None:
    server = serve("views:app", "--threads", "2")
    server.wait_for_log(r"\[INFO\] Using worker: gthread$")


@pytest.mark.ours("rgunicorn alone is asked")
@pytest.mark.parametrize("worker", [*CLASSES, "gevent_wsgi"])
def test_the_class_is_printed(worker: str, tmp_path: Path) -> None:
    missing = Kind("rgunicorn", worker.replace("_wsgi", "_pywsgi")).missing
    if missing is not None:
        pytest.skip(missing)
    project = Project(tmp_path)
    project.write("views.py", "def app(environ, start_response): pass\n")
    assert project.settings("-k", worker, "views:app")["worker_class"] == worker
