"""What clients do, against every worker class: they are slow, leave, wait to be asked, or are too many."""

from __future__ import annotations

import resource
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get, post
from support.class_rows import ABC, EXPECTED, sent, view
from support.classes import CLASSES, Kind, differs
from support.processes import stays, wait_for
from support.server import Server
from support.wire import Connection

HALF_HEAD = b"GET / HTTP/1.1\r\nHost: local"
HALF_BODY = post(b"Content-Length: 1000\r\n", b"x" * 500)
#: Half a second for each of its ten bytes would be too long for a test; for a deadline of a second it is not.
PIECES = [b"%d" % number for number in range(10)]

pytestmark = differs("gevent's own server: compared by its answers alone", "gunicorn-gevent_pywsgi")
own_settings = differs("it has no such deadline", "gunicorn", "tornado")
holds_workers = differs("a slow client holds a worker, a thread or a greenlet", "gunicorn", "tornado")


@pytest.fixture(scope="module")
def server(kind: Kind, serve_kind: Serve) -> Server:
    return kind.serve(serve_kind)


@pytest.fixture(scope="module")
def impatient(kind: Kind, serve_kind: Serve) -> Server:
    config = "header_timeout = 1\nbody_timeout = 1\nkeepalive = 1\n"
    return kind.serve(serve_kind, config=config)


def test_a_body_is_asked_for(server: Server) -> None:
    with server.connect() as connection:
        connection.send(sent("echo-input", EXPECTED + ABC, b""))
        assert connection.read_head().status == 100
        assert connection.request(b"abc").body == b"abc"


def test_clients_that_leave_harm_nobody(server: Server) -> None:
    (worker,) = server.workers()
    for data in (b"", HALF_HEAD, HALF_BODY, view("hello"), view("big?megabytes=20&as=generator")):
        for is_reset in (False, True):
            connection = server.connect(receive_buffer=4096)
            connection.send(data)
            if data.startswith(b"GET /big"):
                connection.socket.recv(1)
            if is_reset:
                connection.reset()
            connection.close()
        assert server.get("/hello").body == b"hello\n"
    assert server.workers() == [worker]


@own_settings
def test_half_a_head_gets_408(impatient: Server) -> None:
    with impatient.connect() as first, impatient.connect() as second:
        second.assert_open_at("/hello")
        for connection in (first, second):
            connection.send(HALF_HEAD)
        for connection in (first, second):
            assert connection.read_response().status == 408
            connection.assert_closed()


@own_settings
def test_half_a_body_is_dropped(impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.send(HALF_BODY)
        connection.assert_closed()


@own_settings
def test_an_idle_connection_is_closed(impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.assert_open_at("/hello")
        began = time.monotonic()
        connection.assert_closed()
        assert 0.8 < time.monotonic() - began < 5


def test_a_body_that_comes_slowly_arrives(server: Server) -> None:
    with server.connect() as connection:
        connection.send(sent("echo-input", b"Content-Length: 10\r\n", b""))
        for piece in PIECES:
            assert not connection.readable(0.05)
            connection.send(piece)
        assert connection.read_response().body == b"".join(PIECES)


@differs("it serves one connection at a time", "gunicorn-sync")
def test_a_slow_reader_does_not_keep_others_waiting(server: Server) -> None:
    with server.connect(receive_buffer=4096) as reader:
        reader.send(view("big?megabytes=20&as=generator", b"Connection: close\r\n"))
        reader.socket.recv(1)
        assert prompt([asked(server) for _ in range(20)])
        size = 1
        while data := reader.socket.recv(1 << 20):
            size += len(data)
        assert size > 20 << 20


def asked(server: Server) -> float:
    """Seconds until a small request on a connection of its own is answered."""
    began = time.monotonic()
    assert server.get("/hello").body == b"hello\n"
    return time.monotonic() - began


def prompt(seconds: list[float]) -> bool:
    """Whether no request waited for a client: those that are slow here are so for half a minute, or for ever.

    One or the other has to wait for a processor, while big responses are made or on a busy machine.
    """
    return max(seconds) < 5 and statistics.median(seconds) < 0.1


@differs("it serves one connection at a time", "gunicorn-sync")
def test_responses_that_are_made_at_the_same_time_do_not_mix(server: Server) -> None:
    with ExitStack() as stack:
        clients = {name: stack.enter_context(server.connect()) for name in "abcd"}
        for name, client in clients.items():
            client.send(view(f"ticking?{name}"))
        for name, client in clients.items():
            assert client.read_response().text == "".join(f"{name} {number}\n" for number in range(200))


@differs("it serves one connection at a time", "gunicorn-sync")
def test_what_several_slow_readers_get_does_not_mix(server: Server) -> None:
    with ExitStack() as stack:
        clients = {name: stack.enter_context(server.connect(receive_buffer=4096)) for name in "abcd"}
        for name, client in clients.items():
            client.send(view(f"pattern?{name}"))
        for name, client in clients.items():
            same = client.read_response().body == name.encode() * 5_000_000
            assert same


@differs("a request that waits for its client waits alone", "sync", "tornado")
def test_a_body_that_is_read_while_it_comes_does_not_keep_others_waiting(kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve, config="stream_request_body = True\n" if kind.is_ours else "")
    with server.connect() as connection:
        connection.send(sent("echo-input", b"Content-Length: 10\r\n", b"01234"))
        assert prompt([asked(server) for _ in range(20)])
        connection.send(b"56789")
        assert connection.read_response().body == b"0123456789"


@differs("a request that waits for its client waits alone", "sync")
@differs("it has no such limits", "gunicorn", "tornado")
def test_a_reader_past_the_last_limit_does_not_keep_others_waiting(kind: Kind, serve: Serve) -> None:
    config = "response_memory = 100_000\nresponse_file_limit = 1_000_000\n"
    server = kind.serve(serve, config=config)
    with server.connect(receive_buffer=4096) as reader:
        reader.send(view("big?megabytes=20&as=generator"))
        reader.read_head()
        assert prompt([asked(server) for _ in range(20)])
        assert len(reader._chunks()) == 20 << 20


# A thousand of them


@contextmanager
def slow_clients(server: Server) -> Iterator[list[Connection]]:
    """700 silent clients, 200 half heads, 92 half bodies and 8 that do not read 20 MB: all at once."""
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(992)]
        for client, data in zip(clients[700:], [HALF_HEAD] * 200 + [HALF_BODY] * 92, strict=True):
            client.send(data)
        for target in [b"/bytes", b"/generator"] * 4:
            clients.append(stack.enter_context(server.connect(receive_buffer=4096)))
            clients[-1].send(get(target=target))
        yield clients


@holds_workers
def test_a_thousand_slow_clients_hold_nobody(kind: Kind, serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("needs 4096 descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    server = kind.serve(serve, "slow:app", "--worker-connections", "2000")
    (worker,) = server.workers()
    with slow_clients(server) as clients:
        seconds = [posted(server) for _ in range(50)]
        with server.connect() as connection:
            seconds += [posted_on(connection) for _ in range(200)]
        assert prompt(seconds)
        # In the end each gets what it asked for.
        assert clients[0].request(get()).body == b"0\n"
        assert clients[700].request(b"host\r\n\r\n").body == b"0\n"
        clients[900].send(b"x" * 500)
        assert clients[900].read_response().body == b"1000\n"
        for reader in clients[-2:]:
            assert reader.read_response().body == b"x" * 20_000_000
    assert server.workers() == [worker]


def posted(server: Server) -> float:
    """Seconds for a small request on a new connection."""
    with server.connect() as connection:
        return posted_on(connection)


def posted_on(connection: Connection) -> float:
    """Seconds for a small request on this one."""
    began = time.monotonic()
    assert connection.request(post(b"Content-Length: 5\r\n", b"hello")).body == b"5\n"
    return time.monotonic() - began


# How many at once

AT_ONCE = {"sync": 1, "tornado": 1, "gthread": int(CLASSES["gthread"][1][1])}


def test_no_more_requests_run_at_once_than_the_class_can(kind: Kind, serve: Serve, tmp_path: Path) -> None:
    """`worker_connections` bounds the greenlets; threads are bounded by their number, too."""
    server = kind.serve(serve, "views:app", "--worker-connections", "6")
    most = AT_ONCE.get(kind.worker, 6)
    answers: list[bytes] = []
    clients = [
        threading.Thread(target=lambda: answers.append(server.get(f"/crowd?{tmp_path}").body), daemon=True)
        for _ in range(15)
    ]
    for client in clients:
        client.start()
    wait_for(lambda: begun(tmp_path) == most, f"{most} at once")
    stays(lambda: begun(tmp_path) == most, f"{most} at once", 0.3)
    (tmp_path / "go").touch()
    for client in clients:
        client.join(20)
    assert len(answers) == 15
    assert set(answers) == {b"%d" % most}


def begun(directory: Path) -> int:
    """How many requests have begun that wait for each other."""
    return len(list(directory.glob("*.begun")))


# Long requests beside short ones


@differs("it serves one request at a time", "sync", "tornado")
def test_short_requests_do_not_wait_for_long_ones(kind: Kind, serve: Serve) -> None:
    """Two requests of 5 s, and a stream of 5 ms requests on kept connections beside them."""
    server = kind.serve(serve, "views:app", *(["--threads", "3"] if kind.worker == "gthread" else []))
    ended = threading.Event()
    seconds: list[list[float]] = [[], [], []]

    def short(found: list[float]) -> None:
        with server.connect() as connection:
            while not ended.is_set():
                began = time.monotonic()
                connection.assert_open_at("/sleep?0.005")
                found.append(time.monotonic() - began)

    threads = [threading.Thread(target=short, args=[found], daemon=True) for found in seconds]
    with server.connect() as first, server.connect() as second:
        for connection in (first, second):
            connection.send(view("sleep?5"))
        for thread in threads:
            thread.start()
        for connection in (first, second):
            assert connection.read_response().body == b"hello\n"
        ended.set()
    for thread in threads:
        thread.join(20)
    assert min(len(found) for found in seconds) > 20
    assert max(max(found) for found in seconds) < 2.5
