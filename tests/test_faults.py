"""What goes wrong in production: workers killed, applications stuck, clients rude, resources spent."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.cases import get, post
from support.diag import receive_queue
from support.load import Kept
from support.processes import stays, wait_for
from support.server import IS_GUNICORN, Server
from support.wire import Connection


@pytest.fixture(scope="module")
def views(serve_module: Serve) -> Server:
    return serve_module("views:app")


# A worker is killed


@pytest.mark.ours("several connections of a worker at once, kept open")
def test_a_killed_worker_takes_only_its_own_connections(serve: Serve) -> None:
    server = serve("views:app", "-w", "4")
    clients = [Kept(server, "/pid") for _ in range(16)]
    try:
        wait_for(lambda: all(len(client.answers) > 5 for client in clients), "load")
        holders = {client: int(client.answers[0].body) for client in clients}
        victim = holders[clients[0]]
        os.kill(victim, signal.SIGKILL)
        for _ in range(20):
            began = time.monotonic()
            assert server.get("/hello").status == 200
            assert time.monotonic() - began < 1
        held = [client for client in clients if holders[client] == victim]
        wait_for(lambda: all(client.failed for client in held), "the victim's connections to end")
        counts = {client: len(client.answers) for client in clients}
        others = [client for client in clients if client not in held]
        wait_for(lambda: all(len(client.answers) > counts[client] + 5 for client in others), "more answers")
        assert not any(client.failed for client in others)
        wait_for(lambda: len(server.workers()) == 4 and victim not in server.workers(), "a replacement")
    finally:
        for client in clients:
            client.end()


@pytest.mark.ours("who dies while it serves has its requests named")
@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"\[WARNING\] Worker \(pid:{pid}\) was sent SIGSEGV!$"),
        ("os._exit(7)", r"\[ERROR\] Worker \(pid:{pid}\) exited with code 7\.$"),
    ],
)
def test_the_request_that_ended_its_worker_is_named(end: str, line: str, serve: Serve) -> None:
    source = f"""
import os, signal
def app(environ, start_response):
    {end}
"""
    server = serve("app:app", source=source)
    worker = server.worker()
    with server.connect() as connection:
        host, port = connection.socket.getsockname()
        connection.send(get(target=b"/last?words"))
        named = r"\[ERROR\] Worker \(pid:{pid}\) was serving GET /last\?words from {host}:{port}, 0\.\ds$"
        told = server.wait_for_log(line.format(pid=worker)).end()
        assert server.wait_for_log(named.format(pid=worker, host=host, port=port)).start() > told
        connection.assert_closed()


@pytest.mark.ours("who dies while it serves has its requests named")
def test_the_request_that_outlasts_graceful_timeout_is_named(serve: Serve) -> None:
    server = serve("views:app", "--graceful-timeout", "1")
    worker = server.worker()
    with server.connect() as connection:
        connection.send(get(target=b"/sleep?60"))
        wait_for(lambda: receive_queue(server.address, connection.socket.getsockname()) == 0, "a read")
        server.stop()
    lines = [line.split("] ", 3)[-1] for line in server.log().splitlines()]
    at = lines.index(f"Worker (pid:{worker}) has not left within graceful_timeout and is killed.")
    assert lines[at + 1] == f"Worker (pid:{worker}) was sent SIGKILL!"
    assert lines[at + 2].startswith(f"Worker (pid:{worker}) was serving GET /sleep?60 from ")


# A stuck application


@pytest.mark.ours("a timeout names its request")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stuck_worker_is_killed_and_its_request_named(workers: str, serve: Serve) -> None:
    server = serve("views:app", "-w", workers, "--timeout", "1")
    old = server.workers()
    with server.connect() as connection:
        host, port = connection.socket.getsockname()
        began = time.monotonic()
        connection.send(get(target=b"/sleep?60"))
        line = server.wait_for_log(r"\[CRITICAL\] WORKER TIMEOUT \(pid:(\d+)\)(.*)$", 5)
        assert 0.9 < time.monotonic() - began < 3
        stuck = int(line[1])
        assert stuck in old
        for part in ("GET", "/sleep?60", f"{host}:{port}"):
            assert part in line[2]
        connection.read_to_end()
    wait_for(lambda: stuck not in server.workers() and len(server.booted()) == len(old), "a replacement")
    assert server.get("/hello").status == 200


@pytest.mark.ours("in Gunicorn's threaded worker nobody watches a request")
def test_the_application_learns_of_its_timeout(serve: Serve) -> None:
    """SIGABRT raises SystemExit where the application is: its `finally` blocks run."""
    source = """
import sys, time
def app(environ, start_response):
    try:
        time.sleep(60)
    finally:
        print("cleaned up", file=sys.stderr, flush=True)
"""
    server = serve("app:app", "--timeout", "1", source=source)
    with server.connect() as connection:
        connection.send(get())
        server.wait_for_log("^cleaned up$", 5)
        answer = connection.read_to_end()
        assert not answer or answer.startswith(b"HTTP/1.1 500 ")


@pytest.mark.ours("in Gunicorn's threaded worker nobody watches a request")
def test_an_application_that_ignores_its_timeout_is_killed(serve: Serve) -> None:
    source = """
import signal, time
def app(environ, start_response):
    signal.signal(signal.SIGABRT, signal.SIG_IGN)
    time.sleep(60)
"""
    server = serve("app:app", "--timeout", "1", source=source)
    worker = server.worker()
    with server.connect() as connection:
        connection.send(get())
        server.wait_for_log(rf"\[ERROR\] Worker \(pid:{worker}\) was sent SIGKILL!", 8)
        connection.assert_closed()


def test_timeout_0_waits_for_ever(serve: Serve) -> None:
    server = serve("views:app", "--timeout", "0")
    assert server.get("/sleep?2.5").status == 200


# A broken application


@pytest.mark.parametrize("workers", ["1", "4"])
@pytest.mark.parametrize(
    ("app", "source", "status", "reason", "line"),
    [
        ("app:app", "raise RuntimeError('broken')\n", 3, "Worker failed to boot.", "^RuntimeError: broken$"),
        (
            "app:app",
            "import no_such_module\n",
            3,
            "Worker failed to boot.",
            "No module named 'no_such_module'",
        ),
        ("app:app", "def app(\n", 3, "Worker failed to boot.", "^SyntaxError: "),
        ("nowhere:app", "", 3, "Worker failed to boot.", "No module named 'nowhere'"),
        ("app:app", "", 4, "App failed to load.", r"^Failed to find attribute 'app' in 'app'\.$"),
        ("app:app", "app = 7\n", 4, "App failed to load.", r"^Application object must be callable\.$"),
        (
            "app:a b",
            "",
            4,
            "App failed to load.",
            "^Failed to parse 'a b' as an attribute name or function call",
        ),
    ],
)
def test_an_application_that_does_not_load_ends_the_server(
    app: str, source: str, status: int, reason: str, line: str, workers: str, serve: Serve
) -> None:
    if IS_GUNICORN and workers != "1":
        pytest.skip("Gunicorn may end with status 1 when several workers fail at once")
    server = serve(app, "-w", workers, source=source, kind="unix", launch=True)
    server.wait_for_exit(status)
    server.wait_for_log(line)
    server.wait_for_log(rf"\[ERROR\] Worker \(pid:\d+\) exited with code {status}\.$")
    server.wait_for_log(r"\[ERROR\] Shutting down: Master$")
    server.wait_for_log(rf"\[ERROR\] Reason: {reason}$")


@pytest.mark.ours("the reason goes to standard error alone")
@pytest.mark.parametrize("capture", [(), ("--capture-output",)], ids=["", "captured"])
def test_why_an_application_does_not_load_is_in_the_log_file(
    capture: tuple[str, ...], serve: Serve, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    flags = ("--error-logfile", str(log), *capture)
    server = serve("app:app", *flags, source="", error_log=log, launch=True)
    server.wait_for_exit(4)
    assert server.log().count("Failed to find attribute 'app' in 'app'.\n") == 1


# Rude clients

BIG = b"/big?megabytes=20&as=generator"
LONG_POST = b"POST /count-input HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n"

CHUNKED_POST = b"POST /count-input HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def after(data: bytes) -> Callable[[Connection], None]:
    return lambda connection: connection.send(data)


def after_response(connection: Connection) -> None:
    connection.assert_open_at("/hello")


def within_response(connection: Connection) -> None:
    connection.send(get(target=BIG))
    connection.read_head()


STAGES: dict[str, Callable[[Connection], None]] = {
    "before the first byte": after(b""),
    "within the request line": after(b"GET /hel"),
    "within the head": after(b"GET /hello HTTP/1.1\r\nHost: loc"),
    "before the body": after(LONG_POST),
    "within a body in memory": after(LONG_POST + b"x" * 1000),
    "within a body on disk": after(LONG_POST + b"x" * 2_000_000),
    "within a chunk size": after(CHUNKED_POST + b"1"),
    "within a chunk": after(CHUNKED_POST + b"10\r\nhello"),
    "waiting for 100": after(LONG_POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")),
    "before the response": after(get(target=b"/sleep?0.02")),
    "before a big response": after(get(target=BIG)),
    "before a file": after(get(target=b"/file?size=6000000")),
    "within the response": within_response,
    "between requests": after_response,
    "within a pipeline": after(get(target=b"/hello") * 50),
    "after a refusal": after(b"nonsense\r\n\r\n"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_client_that_resets_harms_nobody(stage: str, views: Server) -> None:
    worker = views.worker()
    length = len(views.log())
    for _ in range(10):
        connection = views.connect(receive_buffer=4096)
        STAGES[stage](connection)
        connection.reset()
    assert views.get("/hello").body == b"hello\n"
    assert views.worker() == worker
    added = views.log()[length:]
    assert "Traceback" not in added
    assert "[ERROR]" not in added


def test_no_descriptor_is_left_of_clients_that_are_gone(views: Server) -> None:
    views.get("/hello")
    before = len(processes.descriptors(views.worker()))
    for stage in STAGES.values():
        for _ in range(3):
            connection = views.connect(receive_buffer=4096)
            stage(connection)
            connection.reset()
    wait_for(lambda: len(processes.descriptors(views.worker())) <= before, "the descriptors to be closed")


# Exhausted resources


@pytest.mark.ours("Gunicorn's main loop ends when it cannot accept")
def test_the_service_recovers_from_exhausted_descriptors(serve: Serve) -> None:
    server = serve("views:app", limits={resource.RLIMIT_NOFILE: (48, 48)})
    worker = server.worker()
    # The beginning of a head, as silent connections would make room for each other.
    clients = [server.connect() for _ in range(100)]
    try:
        for client in clients:
            client.send(b"GET")
        wait_for(lambda: len(processes.descriptors(worker)) >= 46, "the descriptors to run out")
        before = processes.processor_time(worker)
        time.sleep(1)
        assert processes.processor_time(worker) - before < 0.3, "it spins"
        assert clients[0].request(b" /hello HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    finally:
        for client in clients:
            client.close()
    began = time.monotonic()
    assert server.get("/hello").status == 200
    assert time.monotonic() - began < 3
    assert server.worker() == worker


@pytest.mark.ours("the sync worker holds many connections")
def test_the_oldest_idle_connections_go_first(serve: Serve) -> None:
    server = serve("views:app", "--worker-connections", "10")
    idle = []
    for _ in range(5):
        idle.append(server.connect())
        idle[-1].assert_open_at("/hello")
    # Used again: it is no longer the oldest.
    idle.append(idle.pop(0))
    idle[-1].assert_open_at("/hello")
    for _ in range(8):
        idle.append(server.connect())
        idle[-1].assert_open_at("/hello")
    # At most 10 stay; one place may be kept free for the next client.
    for connection in idle[:3]:
        connection.assert_closed()
    assert not any(connection.readable(0) for connection in idle[4:])
    for connection in idle:
        connection.close()


@pytest.mark.ours("the sync worker holds many connections")
def test_busy_connections_are_not_closed_for_new_ones(serve: Serve) -> None:
    server = serve("views:app", "--worker-connections", "5")
    half = [server.connect() for _ in range(5)]
    for connection in half:
        connection.send(b"GET /hello HTTP/1.1\r\n")
    with server.connect() as waiting:
        waiting.send(get(target=b"/hello"))
        for connection in half:
            response = connection.request(b"Host: a\r\nConnection: close\r\n\r\n")
            assert response.body == b"hello\n"
        assert waiting.read_response().body == b"hello\n"
    for connection in half:
        connection.close()


@pytest.mark.ours("limit_request_body")
def test_a_long_body_is_refused_before_it_is_sent(serve: Serve) -> None:
    server = serve("views:app", "--limit-request-body", "1000000")
    with server.connect() as connection:
        connection.send(b"POST /count-input HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n")
        assert connection.read_response().status == 413
        connection.assert_closed()
    with server.connect() as connection:
        size = b"f4240\r\n"
        head = b"POST /count-input HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.send(head + size + b"x" * 1_000_000 + b"\r\n1\r\nx")
        assert connection.read_response().status == 413
        connection.assert_closed()


@pytest.mark.ours("request bodies are complete before the application is called")
def test_a_long_body_waits_in_an_unlinked_file(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", config=f"tmp_upload_dir = {str(tmp_path)!r}\n")
    worker = server.worker()
    with server.connect() as connection:
        connection.send(LONG_POST + b"x" * 2_000_000)
        wait_for(lambda: in_directory(worker, tmp_path), "a temporary file")
        assert list(tmp_path.iterdir()) == []
        connection.send(b"y" * 1_000_000)
        response = connection.read_response()
        assert json.loads(response.body) == [3_000_000, 2_000_000 * ord("x") + 1_000_000 * ord("y")]
        wait_for(lambda: not in_directory(worker, tmp_path), "the temporary file to go")
        connection.send(LONG_POST.replace(b"3000000", b"100000") + b"x" * 50_000)
        stays(lambda: not in_directory(worker, tmp_path), "a short body is in memory", 0.3)


def in_directory(pid: int, directory: Path) -> bool:
    """Whether the process has an unlinked file of that directory open."""
    names = processes.descriptors(pid)
    return any(name.startswith(f"{directory}/") and name.endswith(" (deleted)") for name in names)


@pytest.mark.ours("stream_request_body")
def test_a_streamed_body_is_read_while_it_comes(serve: Serve) -> None:
    source = """
def app(environ, start_response):
    write = start_response("200 OK", [])
    source = environ["wsgi.input"]
    for _ in range(3):
        write(b"got " + source.read(5) + b"\\n")
    return [source.read()]
"""
    server = serve("app:app", source=source, config="stream_request_body = True\n")
    with server.connect() as connection:
        connection.send(post(b"Content-Length: 17\r\n"))
        for word in (b"one..", b"two..", b"three"):
            connection.send(word)
            if word == b"one..":
                assert connection.read_head().status == 200
            assert connection.read_to(b"\n\r\n") == b"A\r\ngot " + word + b"\n\r\n"
        connection.send(b"!!")
        assert connection.read_to(b"0\r\n\r\n") == b"2\r\n!!\r\n0\r\n\r\n"


IDLE = 10_000


@pytest.mark.ours("idle connections cost Gunicorn a thread or an object each")
def test_ten_thousand_idle_connections_cost_little_memory(serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = IDLE + 300
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"RLIMIT_NOFILE is {hard} and cannot be raised to {needed}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    connections: list[Connection] = []
    try:
        flags = ["--worker-connections", str(IDLE + 100)]
        server = serve("views:app", *flags, limits={resource.RLIMIT_NOFILE: (needed, hard)}, kind="unix")
        for _ in range(100):
            assert server.get("/hello").status == 200
        worker = server.worker()
        before = processes.private_memory(worker)
        for _ in range(IDLE):
            connection = server.connect()
            connections.append(connection)
            connection.assert_open_at("/hello")
        assert len(processes.descriptors(worker)) >= IDLE
        assert processes.private_memory(worker) - before <= 10 * 1024 * 1024
        began = time.monotonic()
        assert server.get("/hello").status == 200
        assert time.monotonic() - began < 1
        connections[0].assert_open_at("/hello")
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


FORKING = """
import os, time
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stays" and os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    if path == "/returns":
        os.fork()
    if path == "/exits" and os.fork() == 0:
        raise SystemExit(0)
    start_response("200 OK", [("Connection", "close")] if path == "/stays" else [])
    return [b"%d" % os.getpid()]
"""


def test_a_child_of_the_application_does_not_keep_a_connection_open(serve: Serve) -> None:
    server = serve("app:app", source=FORKING)
    with server.connect() as connection:
        assert connection.request(get(target=b"/stays")).status == 200
        began = time.monotonic()
        connection.assert_closed()
        assert time.monotonic() - began < 5
    for pid in processes.children(server.worker()):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.ours("a child that comes back is not a second worker")
@pytest.mark.parametrize("path", [b"/returns", b"/exits"])
def test_a_child_of_the_application_never_answers(path: bytes, serve: Serve) -> None:
    server = serve("app:app", source=FORKING)
    with server.connect() as connection:
        for _ in range(3):
            response = connection.request(get(target=path))
            assert (response.status, response.text) == (200, str(server.worker()))
        connection.assert_open_at("/")
    wait_for(
        lambda: not any(map(processes.alive, processes.children(server.worker()))), "the children to end"
    )


@pytest.mark.ours("request bodies are complete before the application is called")
def test_a_long_body_is_streamed_where_no_file_can_be_made(serve: Serve) -> None:
    server = serve("views:app", config="tmp_upload_dir = '/nonexistent'\n")
    with server.connect() as connection:
        connection.send(LONG_POST + b"x" * 2_500_000)
        connection.send(b"y" * 500_000)
        assert json.loads(connection.read_response().body)[0] == 3_000_000


LARGE = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "20000000")])
    return [b"x" * 20_000_000] if environ["PATH_INFO"] == "/one" else (b"x" * 100_000 for _ in range(200))
"""
SMALL_FILES = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1 << 21, 1 << 21))\n"


@pytest.mark.ours("request bodies are complete before the application is called")
def test_a_body_that_cannot_be_stored_is_a_500_and_logged(serve: Serve) -> None:
    server = serve("views:app", config=SMALL_FILES)
    with server.connect() as connection:
        connection.send(LONG_POST + b"x" * 3_000_000)
        assert connection.read_response().status == 500
    server.wait_for_log(r"\[ERROR\] Cannot store a request body: File too large")
    assert server.get("/hello").status == 200


@pytest.mark.ours("responses that a client does not take wait in a file")
def test_a_response_that_cannot_be_stored_is_sent_all_the_same(serve: Serve) -> None:
    server = serve("app:app", source=LARGE, config=SMALL_FILES)
    for path in (b"/one", b"/many"):
        with server.connect() as connection:
            connection.send(get(target=path))
            wait_for(lambda: connection.readable(0), "the first bytes")
            assert len(connection.read_response().body) == 20_000_000


@pytest.mark.ours("the sync worker holds many connections")
def test_silent_connections_make_room_for_those_that_speak(serve: Serve) -> None:
    server = serve("views:app", "--worker-connections", "10")
    silent = [server.connect() for _ in range(30)]
    wait_for(lambda: len(processes.sockets(server.worker())) >= 10, "as many connections as are allowed")
    with server.connect() as speaking:
        speaking.assert_open_at("/hello")
    for connection in silent:
        connection.close()
