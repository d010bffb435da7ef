"""A slow client never holds the worker, and does not stay for ever."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator

import pytest

from conftest import Serve
from support import processes
from support.cases import get, post
from support.processes import wait_for
from support.server import Server
from support.wire import Closed, Connection

pytestmark = pytest.mark.ours("a slow client holds a worker of Gunicorn's")

HALF_HEAD = b"GET / HTTP/1.1\r\nHost: local"
HALF_BODY = post(b"Content-Length: 1000\r\n", b"x" * 500)


@contextlib.contextmanager
def slow_clients(server: Server) -> Iterator[list[Connection]]:
    """40 silent ones, 12 half heads, 6 half bodies, and 8 that do not read 20 MB: all at once."""
    clients: list[Connection] = []
    try:
        for _ in range(40):
            clients.append(server.connect())
        for data in [HALF_HEAD] * 12 + [HALF_BODY] * 6:
            clients.append(server.connect())
            clients[-1].send(data)
        for target in [b"/bytes", b"/generator"] * 4:
            clients.append(server.connect(receive_buffer=4096))
            clients[-1].send(get(target=target))
        yield clients
    finally:
        for client in clients:
            client.close()


def ask(connection: Connection) -> float:
    """Seconds until a small request is answered."""
    began = time.monotonic()
    assert connection.request(post(b"Content-Length: 5\r\n", b"hello")).body == b"5\n"
    return time.monotonic() - began


def assert_prompt(seconds: list[float]) -> None:
    """No request waited for anybody."""
    assert max(seconds) < 1
    assert statistics.median(seconds) < 0.05


def test_a_fast_client_is_served_as_if_the_slow_ones_were_not_there(serve: Serve) -> None:
    server = serve("slow:app", "-w", "1")
    worker = server.worker()
    with slow_clients(server):
        seconds = []
        # From the first moment on: while the big responses are made, and after that.
        for _ in range(100):
            with server.connect() as connection:
                seconds.append(ask(connection))
        with server.connect() as connection:
            seconds += [ask(connection) for _ in range(400)]
        assert_prompt(seconds)
        assert server.worker() == worker


def test_slow_clients_get_all_they_asked_for_in_the_end(serve: Serve) -> None:
    server = serve("slow:app", "-w", "1")
    with slow_clients(server) as clients:
        with server.connect() as connection:
            assert_prompt([ask(connection) for _ in range(20)])
        for silent in clients[:40]:
            assert silent.request(get()).body == b"0\n"
        for half_head in clients[40:52]:
            assert half_head.request(b"host\r\n\r\n").body == b"0\n"
        for half_body in clients[52:58]:
            half_body.send(b"x" * 500)
            assert half_body.read_response().body == b"1000\n"
        for reader in clients[58:]:
            assert reader.read_response().body == b"x" * 20_000_000


def temporary_files(pid: int) -> list[str]:
    """Files without a name that a process has open; not the memory that it shares with others."""
    return [
        name for name in processes.descriptors(pid) if "(deleted)" in name and not name.startswith("/memfd:")
    ]


def test_what_slow_readers_leave_waits_on_disk_and_not_in_memory(serve: Serve) -> None:
    server = serve("slow:app", "-w", "1")
    with server.connect() as connection:
        ask(connection)
    before = processes.private_memory(server.worker())
    # 160 MB of responses: more than the memory that is allowed below.
    readers = [server.connect(receive_buffer=4096) for _ in range(8)]
    for reader in readers:
        reader.send(get(target=b"/generator"))
    with server.connect() as connection:
        assert_prompt([ask(connection) for _ in range(50)])
    assert processes.private_memory(server.worker()) - before < 60_000_000
    assert temporary_files(server.worker())
    for reader in readers:
        reader.close()
    wait_for(lambda: not temporary_files(server.worker()), "the temporary files to go")


def test_an_application_waits_for_a_reader_past_the_second_limit(serve: Serve) -> None:
    """Nothing is lost and the disk is not filled: the worker is held, as any server's would be."""
    config = "response_memory = 100_000\nresponse_file_limit = 1_000_000\n"
    server = serve("slow:app", "-w", "1", config=config)
    with server.connect(receive_buffer=4096) as reader:
        reader.send(get(target=b"/generator"))
        reader.read_head()
        assert reader._chunks() == b"x" * 20_000_000
        reader.assert_open_at("/")


# Deadlines


@pytest.fixture(scope="module")
def impatient(serve_module: Serve) -> Server:
    config = "header_timeout = 1\nbody_timeout = 1\nsend_timeout = 1\nkeepalive = 1\n"
    return serve_module("slow:app", config=config)


def seconds_until_the_end(connection: Connection) -> float:
    began = time.monotonic()
    connection.read_to_end()
    return time.monotonic() - began


def test_a_half_head_gets_408(impatient: Server) -> None:
    with impatient.connect() as connection:
        began = time.monotonic()
        connection.send(HALF_HEAD)
        response = connection.read_response()
        assert 0.8 < time.monotonic() - began < 3
        assert (response.status, response.reason) == (408, "Request Timeout")
        assert response.header("Connection") == "close"
        connection.assert_closed()


def test_a_head_that_trickles_gets_408_all_the_same(impatient: Server) -> None:
    with impatient.connect() as connection:
        began = time.monotonic()
        for byte in get(b"X: " + b"a" * 4000 + b"\r\n"):
            connection.send(bytes([byte]))
            if connection.readable(0.02):
                break
        assert connection.read_response().status == 408
        assert 0.8 < time.monotonic() - began < 3


def test_a_half_head_on_a_kept_connection_gets_408(impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.assert_open_at("/")
        connection.send(HALF_HEAD)
        assert connection.read_response().status == 408
        connection.assert_closed()


def test_a_silent_connection_is_closed(impatient: Server) -> None:
    with impatient.connect() as connection:
        assert 0.8 < seconds_until_the_end(connection) < 3


def test_an_idle_kept_connection_is_closed_without_a_word(impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.assert_open_at("/")
        began = time.monotonic()
        connection.assert_closed()
        assert 0.8 < time.monotonic() - began < 3


@pytest.mark.parametrize(
    "data",
    [HALF_BODY, post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhel")],
    ids=["length", "chunked"],
)
def test_a_silent_body_is_dropped(data: bytes, impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.send(data)
        assert 0.8 < seconds_until_the_end(connection) < 3


def test_a_body_that_comes_slowly_but_surely_arrives(impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.send(post(b"Content-Length: 10\r\n"))
        for _ in range(10):
            assert not connection.readable(0.2)
            connection.send(b"x")
        assert connection.read_response().body == b"10\n"


@pytest.mark.parametrize("target", [b"/bytes", b"/generator"])
def test_a_reader_that_stays_silent_is_dropped(target: bytes, impatient: Server) -> None:
    before = len(processes.descriptors(impatient.worker()))
    with impatient.connect(receive_buffer=4096) as connection:
        connection.send(get(target=target))
        wait_for(lambda: len(processes.descriptors(impatient.worker())) > before, "the connection", 5)
        wait_for(lambda: len(processes.descriptors(impatient.worker())) <= before, "its end", 5)
        with pytest.raises(Closed):
            connection.read_response()


def test_a_reader_that_reads_slowly_but_surely_gets_everything(impatient: Server) -> None:
    with impatient.connect(receive_buffer=65536) as connection:
        connection.send(get(target=b"/bytes"))
        began = time.monotonic()
        connection.read_head()
        size = len(connection.buffer)
        while size < 20_000_000:
            data = connection.socket.recv(1 << 20)
            assert data
            size += len(data)
            if time.monotonic() - began < 2.5:
                time.sleep(0.02)
        assert size == 20_000_000
        assert time.monotonic() - began > 2


def test_no_deadline_runs_while_the_application_works(serve: Serve) -> None:
    config = "header_timeout = 1\nbody_timeout = 1\nsend_timeout = 1\nkeepalive = 1\n"
    server = serve("views:app", config=config)
    with server.connect() as connection:
        connection.assert_open_at("/sleep?2")
        connection.assert_open_at("/sleep?0")


def test_the_next_request_is_waited_for_afresh(serve: Serve) -> None:
    """The deadline of one request does not hit the next."""
    server = serve("slow:app", config="header_timeout = 2\nkeepalive = 2\n")
    with server.connect() as connection:
        began = time.monotonic()
        while time.monotonic() - began < 4:
            assert not connection.readable(0.5)
            connection.assert_open_at("/")
