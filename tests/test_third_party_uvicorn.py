"""FastAPI under the worker class of uvicorn, as people run it: it knows nothing but Gunicorn's contract."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get
from support.load import Load
from support.processes import stays, wait_for
from support.server import Server
from support.wire import Closed, Response

APP = """
import asyncio, os, pathlib, time
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request

@asynccontextmanager
async def lifespan(app):
    await asyncio.sleep(float(os.environ.get("STARTUP", 0)))
    if os.environ.get("BROKEN"):
        raise RuntimeError("no database")
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def root():
    return os.getpid()

@app.get("/version")
async def version():
    return "old"

@app.post("/sum")
async def add(numbers: list[int]):
    return {"sum": sum(numbers)}

@app.get("/until")
async def until(path: str):
    path = pathlib.Path(path)
    path.with_suffix(".begun").touch()
    while not path.exists():
        await asyncio.sleep(0.01)
    return "done"

@app.get("/block")
async def block():
    time.sleep(60)
"""

WORKER = "uvicorn_worker.UvicornWorker"
#: The module that uvicorn itself still has; it warns that it is old.
OLD_WORKER = "uvicorn.workers.UvicornWorker"


def asgi(serve: Serve, *flags: str, worker: str = WORKER, **settings: object) -> Server:
    return serve("app:app", "-k", worker, *flags, source=APP, **settings)


def get_once_more(server: Server, target: str) -> Response:
    """As `server.get`, and asked again where the connection ends without a byte.

    uvicorn, told to leave or at its `limit_max_requests`, closes connections that it has accepted and not
    yet read from. A client that finds its connection closed before any answer asks again, as browsers do.
    """
    for _ in range(10):
        try:
            return server.get(target)
        except Closed as end:
            if end.received:
                raise
    raise AssertionError("ten connections in a row were closed without an answer")


def pids(server: Server, requests: int = 20) -> set[int]:
    """Who answers."""
    return {int(server.get("/").text) for _ in range(requests)}


@pytest.mark.parametrize("worker", [WORKER, OLD_WORKER])
@pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix"])
def test_requests_are_served(worker: str, kind: str, serve: Serve) -> None:
    server = asgi(serve, "-w", "2", worker=worker, kind=kind)
    server.wait_for_log(rf"\[INFO\] Using worker: {worker}$")
    assert pids(server) <= set(server.workers())
    body = b"[1, 2, 3]"
    response = server.get("/sum", "Content-Type: application/json", method="POST", body=body)
    assert (response.status, response.body) == (200, b'{"sum":6}')


def test_a_connection_is_kept(serve: Serve) -> None:
    server = asgi(serve, "--keep-alive", "30")
    with server.connect() as connection:
        for _ in range(3):
            assert connection.request(get()).body == str(server.worker()).encode()


def test_an_access_log_is_written_through_the_servers_logger(serve: Serve) -> None:
    server = asgi(serve, "--access-logfile", "-")
    server.get("/version")
    wait_for(lambda: "GET /version HTTP/1.1" in server.stdout(), "the line")


def test_the_end_tells_no_sums_that_nobody_has_counted(serve: Serve) -> None:
    server = asgi(serve)
    server.get("/")
    server.stop()
    assert "Shutting down: Master" in server.log()
    assert "Requests served" not in server.log()


def test_hup_brings_new_code(serve: Serve) -> None:
    server = asgi(serve, "-w", "2")
    old = set(server.workers())
    (server.directory / "app.py").write_text(APP.replace('"old"', '"new"'))
    server.kill(signal.SIGHUP)
    wait_for(lambda: server.workers() and not old & set(server.workers()), "new workers")
    assert server.get("/version").text == '"new"'
    assert len(server.workers()) == 2


def test_hup_lets_a_request_finish(serve: Serve, tmp_path: Path) -> None:
    server = asgi(serve, "-w", "1")
    old, path = server.worker(), tmp_path / "go"
    with server.connect() as connection:
        connection.send(get(target=f"/until?path={path}".encode()))
        wait_for(path.with_suffix(".begun").exists, "the application to be called")
        server.kill(signal.SIGHUP)
        wait_for(lambda: set(server.booted()) - {old}, "a new worker")
        path.touch()
        assert connection.read_response().body == b'"done"'
    wait_for(lambda: old not in server.workers(), "the old worker to end")


@pytest.mark.ours("old workers leave before the new ones can serve")
def test_a_start_that_fails_after_hup_leaves_the_old_workers_serving(serve: Serve) -> None:
    server = asgi(serve, "-w", "2")
    old = set(server.workers())
    (server.directory / "app.py").write_text(APP.replace('"BROKEN"', '"PATH"').replace('"old"', '"new"'))
    server.kill(signal.SIGHUP)
    server.wait_for_log("Reload failed: the new workers do not boot")
    wait_for(lambda: set(server.workers()) == old, "the old workers alone")
    assert server.get("/version").text == '"old"'
    assert "RuntimeError: no database" in server.log()


@pytest.mark.ours("old workers leave before the new ones can serve")
def test_old_workers_serve_until_the_new_ones_have_started(serve: Serve) -> None:
    server = asgi(serve, "-w", "1")
    source = APP.replace('os.environ.get("STARTUP", 0)', "1.5").replace('"old"', '"new"')
    (server.directory / "app.py").write_text(source)
    with Load(server, "/version", clients=1) as load:
        server.kill(signal.SIGHUP)
        wait_for(lambda: load.answers and load.answers[-1].body == '"new"', "the new code")
    assert max(answer.seconds for answer in load.answers) < 1


def test_term_lets_a_request_finish(serve: Serve, tmp_path: Path) -> None:
    server = asgi(serve, "-w", "2")
    path = tmp_path / "go"
    with server.connect() as connection:
        connection.send(get(target=f"/until?path={path}".encode()))
        wait_for(path.with_suffix(".begun").exists, "the application to be called")
        server.kill(signal.SIGTERM)
        server.wait_for_log(r"\[INFO\] Handling signal: term$")
        wait_for(lambda: len(server.workers()) == 1, "the idle worker to end")
        path.touch()
        assert connection.read_response().body == b'"done"'
    server.wait_for_exit(0)


def test_a_request_longer_than_graceful_timeout_is_cut(serve: Serve, tmp_path: Path) -> None:
    server = asgi(serve, "--graceful-timeout", "1")
    path = tmp_path / "never"
    with server.connect() as connection:
        connection.send(get(target=f"/until?path={path}".encode()))
        wait_for(path.with_suffix(".begun").exists, "the application to be called")
        server.stop(seconds=10)


@pytest.mark.ours("this worker class takes no notice of QUIT there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_are_quick(number: signal.Signals, serve: Serve, tmp_path: Path) -> None:
    server = asgi(serve, "-w", "2")
    path = tmp_path / "never"
    with server.connect() as connection:
        connection.send(get(target=f"/until?path={path}".encode()))
        wait_for(path.with_suffix(".begun").exists, "the application to be called")
        server.stop(number, seconds=5)


def test_a_blocked_event_loop_is_a_timeout(serve: Serve) -> None:
    server = asgi(serve, "-w", "2", "--timeout", "1")
    before = set(server.workers())
    with server.connect() as connection:
        connection.send(get(target=b"/block"))
        found = server.wait_for_log(r"\[CRITICAL\] WORKER TIMEOUT \(pid:(\d+)\)")
        late = int(found[1])
        assert late in before
        server.wait_for_log(rf"Worker \(pid:{late}\) was sent SIGABRT!$")
    wait_for(lambda: len(server.booted()) == 2 and late not in server.workers(), "its replacement")
    assert before - {late} <= set(server.workers())
    assert pids(server) <= set(server.workers())


def test_what_waits_without_blocking_is_no_timeout(serve: Serve, tmp_path: Path) -> None:
    """Neither an idle worker nor one whose request takes longer than `timeout`."""
    server = asgi(serve, "-w", "2", "--timeout", "1")
    before, path = server.workers(), tmp_path / "go"
    with server.connect() as connection:
        connection.send(get(target=f"/until?path={path}".encode()))
        stays(lambda: server.workers() == before, "the workers", 2.5)
        path.touch()
        assert connection.read_response().body == b'"done"'
    assert "WORKER TIMEOUT" not in server.log()


def test_a_start_longer_than_timeout_is_no_timeout(serve: Serve) -> None:
    server = asgi(serve, "--timeout", "1", env={"STARTUP": "2.5"})
    assert pids(server) == {server.worker()}
    assert server.log().count("Booting worker") == 1


def test_max_requests_replaces_a_worker_at_once(serve: Serve) -> None:
    server = asgi(serve, "-w", "1", "--max-requests", "3")
    served: set[str] = set()
    # uvicorn counts now and then: a few more may pass.
    wait_for(lambda: served.add(get_once_more(server, "/").text) or len(served) == 5, "four replacements")
    assert "Workers die young" not in server.log()


def test_a_failed_start_ends_the_server_with_status_3(serve: Serve) -> None:
    server = serve("app:app", "-k", WORKER, "-w", "2", source=APP, env={"BROKEN": "1"}, launch=True)
    server.wait_for_exit(3)
    assert "RuntimeError: no database" in server.log()
    server.wait_for_log(r"\[ERROR\] Reason: Worker failed to boot\.$")


def test_two_workers_share_the_work(serve: Serve, tmp_path: Path) -> None:
    """One that is busy does not keep the other's clients waiting."""
    server = asgi(serve, "-w", "2")
    path = tmp_path / "go"
    answers: list[Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.get(f"/until?path={path}"))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    wait_for(path.with_suffix(".begun").exists, "the application to be called")
    assert server.get("/version").text == '"old"'
    path.touch()
    for thread in threads:
        thread.join(20)
    assert [answer.status for answer in answers] == [200] * 20
