"""The native server as a guest in a loop of somebody else's: the hosts are in support/hosts.py."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get
from support.processes import alive, wait_for
from support.server import Server
from support.wire import Connection

pytestmark = pytest.mark.ours("Gunicorn has no such thing")

TESTS = str(Path(__file__).parent)

APP = """
import os, pathlib, sys, time
from support import hosts

def wait(seconds):
    sleeper = getattr(hosts.Greenlets, "worker", None)
    sleeper.sleep(seconds) if sleeper else time.sleep(seconds)

def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = b"ok"
    if path == "/sleep":
        wait(float(query))
    elif path == "/block":
        pathlib.Path(os.environ["SIGNS"], "blocked").touch()
        time.sleep(float(query))
    elif path == "/until":
        pathlib.Path(query + ".begun-" + environ["REMOTE_PORT"]).touch()
        while not os.path.exists(query):
            wait(0.01)
    elif path == "/echo":
        body = environ["wsgi.input"].read()
    elif path == "/turns":
        body = str(hosts.Bare.turns).encode()
    elif path == "/threads":
        body = str(environ["wsgi.multithread"]).encode()
    elif path == "/exit":
        sys.exit(3)
    elif path == "/large":
        start_response("200 OK", [])
        return (b"x" * 65536 for _ in range(int(query)))
    elif path == "/swallow":
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            body = repr(error).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

HOSTS = ["Bare", "OneByOne", "Limited", "Greenlets"]


@pytest.fixture
def start(serve: Serve, tmp_path: Path) -> Serve:
    """Starts a server with a host of that name."""

    def start_host(kind: str, *flags: str, **settings: object) -> Server:
        path = os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")])
        flags = ("-k", f"support.hosts.{kind}", *flags)
        env = {"PYTHONPATH": path, "SIGNS": str(tmp_path)}
        return serve("app:app", *flags, source=APP, env=env, **settings)

    return start_host


def begin(server: Server, path: Path) -> Connection:
    """A client whose request is in the application until `path` exists."""
    connection = server.connect()
    connection.send(get(target=f"/until?{path}".encode()))
    begun = path.parent / f"{path.name}.begun-{connection.socket.getsockname()[1]}"
    wait_for(begun.exists, "the application")
    return connection


def comes_to_rest(server: Server, seconds: float = 1.5) -> None:
    """Waits until the worker makes no system call for so long. An alarm for what is over may ring before."""
    status = Path(f"/proc/{server.worker()}/status")

    def slept() -> str:
        return next(line for line in status.read_text().splitlines() if line.startswith("voluntary"))

    known, since = slept(), time.monotonic()

    def is_at_rest() -> bool:
        nonlocal known, since
        if (now := slept()) != known:
            known, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    wait_for(is_at_rest, "a worker that sleeps", 10)


@pytest.mark.parametrize("kind", HOSTS)
def test_serves(kind: str, start: Serve) -> None:
    server = start(kind)
    with server.connect() as connection:
        for _ in range(3):
            assert connection.request(get()).text == "ok"
        # All three at once: those behind the first wait in the server.
        connection.send(get(target=b"/echo") + get(target=b"/threads") + get())
        answers = [connection.read_response().text for _ in range(3)]
        assert answers == ["", str(kind in ("Limited", "Greenlets")), "ok"]
        body = os.urandom(3_000_000)
        head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n"
        assert connection.request(head + body).body == body
        assert len(connection.request(get(target=b"/large?100")).body) == 100 * 65536
    assert server.get("/exit").status == 500
    assert server.get().text == "ok"


@pytest.mark.parametrize("kind", HOSTS)
def test_many_clients_at_once(kind: str, start: Serve) -> None:
    server = start(kind)
    clients = [server.connect() for _ in range(100)]
    for _ in range(3):
        for client in clients:
            client.send(get())
        assert [client.read_response().text for client in clients] == ["ok"] * 100
    for client in clients:
        client.close()


@pytest.mark.parametrize("kind", HOSTS)
def test_an_idle_server_does_nothing(kind: str, start: Serve) -> None:
    server = start(kind)
    comes_to_rest(server)
    with server.connect() as connection:
        assert connection.request(get()).text == "ok"
        comes_to_rest(server)
        turns = int(connection.request(get(target=b"/turns")).text)
        assert int(connection.request(get(target=b"/turns")).text) <= turns + 2


@pytest.mark.parametrize("kind", HOSTS)
def test_deadlines_need_no_timer_of_the_host(kind: str, start: Serve) -> None:
    server = start(kind, "--keep-alive", "1", "--header-timeout", "1")
    with server.connect() as silent, server.connect() as slow, server.connect() as kept:
        slow.send(b"GET / HTTP/1.1\r\nHost:")
        assert kept.request(get()).text == "ok"
        assert kept.read_to_end() == b""
        assert slow.read_response().status == 408
        assert silent.read_to_end() == b""
    comes_to_rest(server)


@pytest.mark.parametrize("kind", ["Limited", "Greenlets"])
def test_requests_run_at_the_same_time(kind: str, start: Serve) -> None:
    server = start(kind)
    began = time.monotonic()
    clients = [server.connect() for _ in range(2)]
    for client in clients:
        client.send(get(target=b"/sleep?0.5"))
    assert [client.read_response().text for client in clients] == ["ok"] * 2
    assert time.monotonic() - began < 0.95
    for client in clients:
        client.close()


def test_without_a_free_hand_nobody_is_accepted(start: Serve, tmp_path: Path) -> None:
    server = start("Limited")
    kept = server.connect()
    assert kept.request(get()).text == "ok"
    running = [begin(server, tmp_path / "go") for _ in range(2)]
    # A known client's request is read and waits; new clients wait in the kernel. Nobody keeps the loop awake.
    kept.send(get())
    waiting = [server.connect() for _ in range(3)]
    for client in waiting:
        client.send(get())
    # It beats once a second.
    comes_to_rest(server, 0.7)
    assert not any(client.readable(0) for client in [kept, *waiting])
    (tmp_path / "go").touch()
    for client in [*running, kept, *waiting]:
        assert client.read_response().text == "ok"
        client.close()


def test_a_slow_reader_waits_in_the_loop(start: Serve, tmp_path: Path) -> None:
    server = start("Greenlets", "--response-memory", "65536", "--response-file-limit", "65536")
    slow = server.connect(receive_buffer=4096)
    slow.send(get(target=b"/large?300"))
    wait_for((tmp_path / "waited").exists, "a wait in the loop")
    for _ in range(5):
        assert server.get().text == "ok"
    assert len(slow.read_response().body) == 300 * 65536
    slow.close()
    assert server.get().text == "ok"


def test_a_reader_that_takes_nothing_is_given_up(start: Serve, tmp_path: Path) -> None:
    limits = ["--response-memory", "65536", "--response-file-limit", "65536", "--send-timeout", "1"]
    server = start("Greenlets", *limits, "--access-logfile", str(tmp_path / "access.log"))
    with server.connect(receive_buffer=4096) as slow:
        slow.send(get(target=b"/large?300"))
        wait_for(lambda: "/large" in (tmp_path / "access.log").read_text(), "the end of the request")
    assert server.get().text == "ok"


STREAM = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n"


def test_the_rest_of_a_body_is_waited_for_in_the_loop(start: Serve, tmp_path: Path) -> None:
    server = start("Greenlets", "--stream-request-body")
    with server.connect() as client:
        client.send(STREAM + b"one")
        wait_for((tmp_path / "waited").exists, "a wait in the loop")
        assert server.get().text == "ok"
        client.send(b"two")
        assert client.read_response().text == "onetwo"
        # The connection goes on.
        assert client.request(get()).text == "ok"


def test_a_body_that_stays_away_is_given_up(start: Serve) -> None:
    server = start("Greenlets", "--stream-request-body", "--body-timeout", "1")
    with server.connect() as client:
        client.send(STREAM + b"one")
        assert client.read_response().status == 408


def test_what_is_raised_in_a_wait_reaches_the_application(start: Serve, tmp_path: Path) -> None:
    server = start("Greenlets", "--stream-request-body")
    (tmp_path / "interrupt").touch()
    with server.connect() as client:
        client.send(STREAM.replace(b"/echo", b"/swallow") + b"one")
        answer = client.read_response()
        assert answer.text == "InterruptedError('somebody raised in this greenlet')"
        # Of its body nobody knows the end.
        assert answer.header("Connection") == "close"
    assert server.get().text == "ok"


def test_a_call_is_run_once_or_lost(start: Serve) -> None:
    server = start("Careless")
    with server.connect() as lost:
        lost.send(get())
        assert lost.read_to_end() == b""
    assert server.get().text == "ok"
    server.wait_for_log("it said: this call has been run already")
    server.stop()
    assert "Traceback" not in server.log()


def test_requests_outlive_the_end_of_the_server(start: Serve, tmp_path: Path) -> None:
    server = start("Limited", "--graceful-timeout", "4")
    running = [begin(server, tmp_path / "go") for _ in range(2)]
    server.kill(signal.SIGTERM)
    # The host has closed the server by then; what it has begun goes on.
    server.wait_for_log("The server is closed.")
    (tmp_path / "go").touch()
    server.wait_for_exit(0)
    assert "Traceback" not in server.log()
    for client in running:
        client.close()


# Its end


@pytest.mark.parametrize("kind", HOSTS)
def test_leaves_at_once_if_nobody_is_there(kind: str, start: Serve) -> None:
    server = start(kind)
    server.stop(seconds=2)
    assert "Worker exiting" in server.log()


@pytest.mark.parametrize("kind", HOSTS)
def test_leaves_with_its_clients(kind: str, start: Serve, tmp_path: Path) -> None:
    server = start(kind)
    kept = server.connect()
    assert kept.request(get()).text == "ok"
    running = begin(server, tmp_path / "go")
    server.kill(signal.SIGTERM)
    server.wait_for_log("Handling signal: term")
    kept.send(get())
    (tmp_path / "go").touch()
    for client in (running, kept):
        assert client.read_response().header("Connection") == "close"
        client.close()
    server.wait_for_exit(0)


@pytest.mark.parametrize("kind", HOSTS)
def test_does_not_wait_for_ever(kind: str, start: Serve) -> None:
    server = start(kind, "--graceful-timeout", "2")
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost:")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 4
    assert "SIGKILL" not in server.log()


@pytest.mark.parametrize("kind", ["Bare", "Greenlets"])
def test_leaves_in_the_middle_if_told_so(kind: str, start: Serve, tmp_path: Path) -> None:
    server = start(kind)
    with server.connect() as client:
        client.send(get(target=b"/block?20"))
        wait_for((tmp_path / "blocked").exists, "the application")
        began = time.monotonic()
        server.kill(signal.SIGQUIT)
        assert client.read_response().status == 500
        server.wait_for_exit(0)
        assert time.monotonic() - began < 5


def test_the_end_of_the_arbiter_is_the_end(start: Serve) -> None:
    server = start("Bare")
    worker = server.worker()
    server.kill(signal.SIGKILL)
    wait_for(lambda: not alive(worker), "the end of the worker")
    assert "Parent changed, shutting down: <Worker" in server.log()
    server.ended = True


# What the arbiter hears


@pytest.mark.parametrize("timeout", [1, 2])
def test_a_loop_that_goes_round_is_not_late(timeout: int, start: Serve) -> None:
    server = start("Greenlets", "--timeout", str(timeout))
    assert server.get(f"/sleep?{2 * timeout}").text == "ok"
    assert "WORKER TIMEOUT" not in server.log()


def test_a_loop_that_is_held_up_is_late(start: Serve) -> None:
    server = start("Greenlets", "--timeout", "2")
    worker = server.worker()
    with server.connect() as client:
        client.send(get(target=b"/block?20"))
        server.wait_for_log("WORKER TIMEOUT")
        assert client.read_response().status == 500
    wait_for(lambda: server.booted() not in ([], [worker]), "another worker")
    assert server.get().text == "ok"


def test_max_requests(start: Serve) -> None:
    server = start("Greenlets", "--max-requests", "3")
    worker = server.worker()
    for _ in range(3):
        assert server.get().text == "ok"
    server.wait_for_log("Autorestarting worker after current request.")
    wait_for(lambda: not alive(worker), "the end of the worker")
    assert server.get().text == "ok"


# Logs


@pytest.mark.parametrize("kind", HOSTS)
def test_the_access_log_does_not_wait_for_more(kind: str, start: Serve, tmp_path: Path) -> None:
    server = start(
        kind, "--access-logfile", str(tmp_path / "access.log"), "--access-logformat", "%(r)s %(s)s"
    )
    log = tmp_path / "access.log"
    clients = [server.connect() for _ in range(10)]
    for number, client in enumerate(clients):
        client.send(get(target=f"/{number}".encode()))
    for client in clients:
        client.read_response()
        client.close()
    lines = sorted(f"GET /{number} HTTP/1.1 200" for number in range(10))
    wait_for(lambda: sorted(log.read_text().splitlines()) == lines, "ten lines")
    # A request that no application sees, and nobody behind it.
    with server.connect() as client:
        client.send(b"GET /bad HTTP/1.1\r\nHost\r\n\r\n")
        assert client.read_response().status == 400
    wait_for(lambda: log.read_text().splitlines()[-1].endswith(" 400"), "its line")
    server.wait_for_log("Invalid request from ip=127.0.0.1")


def test_log_files_are_reopened(start: Serve, tmp_path: Path) -> None:
    server = start("Greenlets", "--access-logfile", str(tmp_path / "access.log"))
    log = tmp_path / "access.log"
    assert server.get("/old").text == "ok"
    wait_for(lambda: "/old" in log.read_text(), "a line")
    log.rename(tmp_path / "access.log.1")
    os.kill(server.worker(), signal.SIGUSR1)
    wait_for(log.exists, "a new file")
    wait_for(lambda: server.get("/new").text and "/new" in log.read_text(), "a line in it")
