"""Worker classes as people write them: against Gunicorn's names, with a loop of their own."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from support.processes import descriptors, stays, wait_for
from support.server import Server

CLASS = "select_worker.SelectWorker"


def third(serve: Serve, *flags: str, worker: str = CLASS, **settings: object) -> Server:
    return serve("worker_facts:app", "-k", worker, *flags, **settings)


def facts(server: Server) -> dict[str, object]:
    return dict(json.loads(server.get("/").body))


def test_the_order_of_a_start(serve: Serve) -> None:
    hooks = """
def post_fork(server, worker): worker.log.info("post_fork %s", worker.booted)
def post_worker_init(worker): worker.log.info("post_worker_init %s", worker.wsgi is not None)
def worker_exit(server, worker): worker.log.info("worker_exit %s", worker.pid)
"""
    server = third(serve, config=hooks)
    pid = server.worker()
    server.stop()
    said = re.findall(rf"\[{pid}\] \[INFO\] (.*)$", server.log(), re.MULTILINE)
    assert said == [
        f"Booting worker with pid: {pid}",
        "post_fork False",
        "init_signals None",
        "load_wsgi True False",
        "post_worker_init True",
        f"Worker exiting (pid: {pid})",
        f"worker_exit {pid}",
    ]
    assert "check_config 1" in server.log()


def test_a_worker_has_its_attributes(serve: Serve) -> None:
    server = third(serve, "--timeout", "10", "--max-requests", "1000")
    pid = server.worker()
    found = facts(server)
    beat = found.pop("since_beat")
    assert isinstance(beat, float)
    assert 0 <= beat < 10
    expected = {
        "pid": pid,
        "text": f"<Worker {pid}>",
        "age": 1,
        "parent": True,
        "alive": True,
        "booted": True,
        "aborted": False,
        "nr": 1,
        "max_requests": 1000,
        "timeout": 5.0,
        "set_up": True,
        "waits_for": [found["fileno"], found["pipe"]],
    }
    assert {name: found[name] for name in expected} == expected
    assert facts(server)["nr"] == 2


def test_max_requests_is_never_without_the_setting(serve: Serve) -> None:
    assert facts(third(serve))["max_requests"] == sys.maxsize


@pytest.mark.parametrize(
    ("kind", "family", "scheme"),
    [
        ("tcp", "AF_INET", "http://{}:{}"),
        ("tcp6", "AF_INET6", "http://[{}]:{}"),
        ("unix", "AF_UNIX", "unix:{}"),
    ],
)
def test_a_listener_is_a_socket(kind: str, family: str, scheme: str, serve: Serve) -> None:
    server = third(serve, kind=kind)
    found = facts(server)
    name = found["name"]
    parts = name[:2] if isinstance(name, list) else [name]
    assert found["real"] is True
    assert found["fileno"] == found["inner fileno"]
    assert (found["family"], found["type"]) == ([family, family], "SOCK_STREAM")
    assert (found["blocking"], found["ssl"]) == (False, False)
    assert found["listener"] == scheme.format(*parts)
    assert found["waiting"] == (-1 if kind == "unix" else 0)
    assert found["configured"] == (name if kind == "unix" else [parts[0], 0])


def test_a_listener_hands_connections_out_at_once(serve: Serve) -> None:
    """A worker class may want to speak first, or to count the connections: only the native ones defer."""
    server = third(serve)
    assert facts(server)["defers"] == 0


def test_a_worker_without_requests_lives(serve: Serve) -> None:
    server = third(serve, "-w", "2", "--timeout", "1")
    before = server.workers()
    stays(lambda: server.workers() == before, "the workers", 2.5)


def test_one_that_stops_beating_is_ended(serve: Serve) -> None:
    hook = """
def worker_abort(worker): worker.log.info("worker_abort %s", worker.pid)
def child_exit(server, worker): server.log.info("child_exit %s aborted: %s", worker.pid, worker.aborted)
"""
    server = third(serve, "--timeout", "1", config=hook)
    pid = server.worker()
    with server.connect() as connection:
        connection.send(b"GET /block HTTP/1.1\r\n\r\n")
        server.wait_for_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{pid}\)")
        server.wait_for_log(rf"\[INFO\] worker_abort {pid}$")
        server.wait_for_log(rf"\[INFO\] child_exit {pid} aborted: True$")
    wait_for(lambda: server.workers() and pid not in server.workers(), "another worker")
    assert facts(server)["age"] == 2


def test_one_that_never_beats_is_never_late(serve: Serve) -> None:
    server = third(serve, "--timeout", "1", worker="select_worker.SilentWorker")
    pid = server.worker()
    stays(lambda: server.workers() == [pid], "the worker", 2.5)


def test_max_requests_replaces_it(serve: Serve) -> None:
    server = third(serve, "--max-requests", "2")
    ages = [facts(server)["age"] for _ in range(8)]
    assert ages == [1, 1, 2, 2, 3, 3, 4, 4]
    assert "die young" not in server.log()


def test_hup_replaces_it(serve: Serve) -> None:
    server = third(serve, "-w", "2")
    old = set(server.workers())
    server.kill(signal.SIGHUP)
    wait_for(lambda: len(server.workers()) == 2 and not old & set(server.workers()), "new workers")
    assert facts(server)["age"] in (3, 4)


def test_reloads_leave_no_descriptors_behind(serve: Serve) -> None:
    server = third(serve)
    before = len(descriptors(server.pid))
    for _ in range(3):
        old = server.worker()
        server.kill(signal.SIGHUP)
        wait_for(lambda old=old: server.workers() and old not in server.workers(), "a new worker")  # type: ignore[misc]
        wait_for(lambda: len(server.workers()) == 1, "the old one to end")
    wait_for(lambda: len(descriptors(server.pid)) == before, "as many descriptors as before")


def test_errors_become_pages_and_lines(serve: Serve) -> None:
    server = third(serve)
    with server.connect() as connection:
        connection.send(b"NONSENSE\r\n\r\n")
        response = connection.read_response()
    assert (response.status, response.reason) == (400, "Bad Request")
    assert response.header("Connection") == "close"
    text = "Invalid HTTP request line: &#x27;NONSENSE&#x27;"
    assert f"Invalid Request Line &#x27;{text}&#x27;" in response.text
    server.wait_for_log(
        r"\[WARNING\] Invalid request from ip=127\.0\.0\.1: Invalid HTTP request line: 'NONSENSE'$"
    )
    assert server.get("/raise").status == 500
    server.wait_for_log(r"\[ERROR\] Error handling request \(no URI read\)$")
    server.wait_for_log("^KeyError: 'x'$")


def test_an_exception_after_the_boot_is_status_255(serve: Serve) -> None:
    server = serve("worker_facts:app", "-k", "select_worker.FailingWorker", launch=True)
    server.wait_for_log(r"\[ERROR\] Exception in worker process$")
    server.wait_for_log("^RuntimeError: no loop$")
    server.wait_for_log(r"\[ERROR\] Worker \(pid:\d+\) exited with code 255\.$", count=2)
    server.stop()


def named(config: str) -> Any:
    """A configuration that names the class; no flag does."""
    return pytest.param(None, config, marks=pytest.mark.ours("the tests start it with a class of its own"))


@pytest.mark.parametrize(
    ("worker", "config"),
    [
        (CLASS, ""),
        ("egg:another#select", ""),
        named("worker_class = 'select_worker.SelectWorker'"),
        named("from select_worker import SelectWorker as worker_class"),
        named("from select_worker import SelectWorker\ndef worker_class(): return SelectWorker"),
        named(
            "import gunicorn.workers as w\nw.SUPPORTED_WORKERS['mine'] = 'select_worker.SelectWorker'\n"
            "worker_class = 'mine'"
        ),
    ],
    ids=["path", "entry point", "path in the file", "class", "function", "short name"],
)
def test_a_worker_class_can_be_named(worker: str | None, config: str, serve: Serve, tmp_path: Path) -> None:
    distribution = tmp_path / "another-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text(
        "[gunicorn.workers]\nselect = select_worker:SelectWorker\n"
    )
    apps = Path(__file__).parent / "apps"
    flags = ["-k", worker] if worker else []
    server = serve("worker_facts:app", *flags, config=config, env={"PYTHONPATH": f"{apps}:{tmp_path}"})
    assert facts(server)["set_up"] is True


@pytest.mark.ours("Gunicorn shows a traceback")
@pytest.mark.parametrize("name", ["gunicorn.workers.gasgi.ASGIWorker", "egg:another#select", "no.such"])
def test_a_worker_class_that_is_not_there_is_one_line(name: str, serve: Serve) -> None:
    server = serve("worker_facts:app", "-k", name, launch=True)
    server.wait_for_exit(1)
    assert "Traceback" not in server.log()
    assert re.search(
        rf"^Error: class uri '{re.escape(name)}' invalid or not found: ", server.log(), re.MULTILINE
    )


def test_the_native_worker_has_the_same_sockets(serve: Serve) -> None:
    config = """
def when_ready(server):
    import socket
    (listener,) = server.LISTENERS
    client = socket.create_connection(listener.getsockname())
    server.log.info("%s %s %s", listener, listener.get_backlog(), isinstance(listener.sock, socket.socket))
    client.close()

def post_worker_init(worker):
    worker.log.info("%s %s", worker.sockets[0], worker.wait_fds == [*worker.sockets, worker.PIPE[0]])
"""
    server = serve("views:app", config=config)
    host, port = server.address
    server.wait_for_log(rf"\[INFO\] http://{host}:{port} 1 True$")
    server.wait_for_log(rf"\[INFO\] http://{host}:{port} True$")
    assert socket.create_connection((str(host), int(port))).close() is None


@pytest.mark.ours("no listener defers")
def test_a_listener_that_native_workers_have_served_defers_no_longer(serve: Serve) -> None:
    server = serve("worker_facts:app", config="worker_class = 'sync'")
    first = server.worker()
    (server.directory / "gunicorn.conf.py").write_text(f"worker_class = {CLASS!r}")
    server.kill(signal.SIGHUP)
    wait_for(lambda: first not in server.workers() and server.booted(), "the other worker alone")
    assert facts(server)["defers"] == 0
