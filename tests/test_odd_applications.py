"""Applications that keep what they were given, use it from other threads, or are interrupted by signals."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get, post
from support.processes import private_memory, wait_for
from support.server import IS_GUNICORN

# What is kept beyond the request

KEPT_WRITE = """
kept = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/keep":
        kept.append(start_response("200 OK", [("Content-Length", "2")]))
        return [b"ok"]
    start_response("200 OK", [])
    try:
        kept[0](b"of another request")
    except Exception as error:
        return [type(error).__name__.encode()]
    return [b"mixed"]
"""


def test_a_kept_write_does_not_reach_a_later_response(serve: Serve) -> None:
    server = serve(source=KEPT_WRITE)
    with server.connect() as connection:
        assert connection.request(get(target=b"/keep")).body == b"ok"
        assert connection.request(get()).body == (b"AttributeError" if IS_GUNICORN else b"RuntimeError")


KEEPER = """
kept = []

def app(environ, start_response):
    kept.append(environ)
    start_response("200 OK", [("X-Out", environ["QUERY_STRING"]), ("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.parametrize("atom", ["%(q)s", "%({QUERY_STRING}e)s"])
def test_the_access_log_knows_the_headers_of_an_application_that_keeps_its_environ(
    atom: str, serve: Serve
) -> None:
    form = f"line %({{x-out}}o)s {atom}"
    server = serve("app:app", "--access-logfile", "-", "--access-logformat", form, source=KEEPER)
    server.get("/?one")
    server.get("/?two")
    wait_for(lambda: server.stdout().count("\n") >= 2, "two lines")
    assert server.stdout().splitlines() == ["line one one", "line two two"]


# Other threads

THREADED_READER = """
import threading

def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        thread = threading.Thread(target=environ["wsgi.input"].read)
        thread.start()
        # It is waiting for the client by now, or will be while the response is made.
        thread.join(0.3)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def test_a_thread_that_still_reads_the_body_does_not_end_the_worker(serve: Serve) -> None:
    server = serve("app:app", "--stream-request-body", source=THREADED_READER)
    worker = server.worker()
    with server.connect() as connection:
        connection.send(post(b"Content-Length: 10\r\n", b"1"))
        time.sleep(0.6)
        connection.send(b"234567890")
        assert connection.read_response().body == b"ok"
    assert server.get("/").body == b"ok"
    assert server.worker() == worker


# Signals

FLOOD = """
def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        body = b"%d" % len(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    start_response("200 OK", [("Content-Length", str(64 << 20))])
    return (bytes(1 << 20) for _ in range(64))
"""


def test_a_signal_does_not_cut_a_response_that_waits_for_its_client(serve: Serve) -> None:
    server = serve("app:app", "--response-file-limit", "4000000", source=FLOOD)
    with server.connect(receive_buffer=4096) as connection:
        connection.send(get())
        head = connection.read_head()
        time.sleep(0.5)
        for _ in range(3):
            os.kill(server.worker(), signal.SIGUSR1)
            time.sleep(0.05)
        assert len(connection._exactly(int(head.header("Content-Length") or 0))) == 64 << 20


def test_a_signal_does_not_cut_a_body_that_is_awaited(serve: Serve) -> None:
    server = serve("app:app", "--stream-request-body", source=FLOOD)
    with server.connect() as connection:
        connection.send(post(b"Content-Length: 10\r\n", b"1"))
        time.sleep(0.3)
        for _ in range(3):
            os.kill(server.worker(), signal.SIGUSR1)
            time.sleep(0.05)
        connection.send(b"234567890")
        assert connection.read_response().body == b"10"


# The client's socket

SOCKET = """
import os, time

def app(environ, start_response):
    client = environ["gunicorn.socket"]
    path = environ["PATH_INFO"]
    if path == "/timeout":
        client.settimeout(0.2)
        try:
            client.recv(1)
        except TimeoutError:
            answer = b"timed out"
        start_response("200 OK", [("Content-Length", "9")])
        return [answer]
    if path == "/blocking":
        client.setblocking(True)
        start_response("200 OK", [("Content-Length", str(64 << 20))])
        with open("big", "wb") as file:
            file.truncate(64 << 20)
        file = open("big", "rb")
        os.unlink("big")
        return environ["wsgi.file_wrapper"](file)
    if path == "/websocket":
        client.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n\\r\\nhello")
        raise StopIteration()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def test_the_clients_socket_keeps_its_timeout(serve: Serve) -> None:
    server = serve(source=SOCKET)
    assert server.get("/timeout").body == b"timed out"


def test_a_blocking_client_socket_does_not_make_the_server_wait(serve: Serve) -> None:
    server = serve(source=SOCKET)
    with server.connect(receive_buffer=4096) as slow:
        slow.send(get(target=b"/blocking"))
        slow.read_head()
        started = time.monotonic()
        assert server.get("/").body == b"ok"
        assert time.monotonic() - started < 5


def test_an_application_that_took_the_socket_over_ends_with_stop_iteration(serve: Serve) -> None:
    server = serve(source=SOCKET)
    with server.connect() as connection:
        connection.send(get(target=b"/websocket"))
        assert connection.read_head().status == 101
        assert connection.read_to_end() == b"hello"
    assert "StopIteration" not in server.log()


# Headers

LISTS = """
def app(environ, start_response):
    start_response("200 OK", [["X-A", "1"], ["Content-Length", "2"]])
    return [b"ok"]
"""


def test_a_header_may_be_a_list_of_two(serve: Serve) -> None:
    response = serve(source=LISTS).get("/")
    assert (response.status, response.header("X-A")) == (200, "1")


FAILING = """
def app(environ, start_response):
    raise ValueError
"""


@pytest.mark.ours("RFC 9110, section 9.3.2")
def test_the_error_page_of_a_head_request_has_no_body(serve: Serve) -> None:
    with serve(source=FAILING).connect() as connection:
        response = connection.request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (response.status, response.header("Content-Length")) == (500, "141")
        assert connection.read_to_end() == b""


# Streamed bodies

COUNTER = """
def app(environ, start_response):
    size = 0
    while data := environ["wsgi.input"].read(1000):
        size += len(data)
    body = b"%d" % size
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_a_streamed_body_does_not_stay_in_memory(serve: Serve) -> None:
    server = serve("app:app", "--stream-request-body", source=COUNTER)
    worker = server.worker()
    server.get("/")
    before = private_memory(worker)
    size = 60_000_000
    with server.connect() as connection:
        connection.send(post(b"Content-Length: %d\r\n" % size))
        block, peak = bytes(99_999), 0
        for at in range(0, size - len(block), len(block)):
            connection.send(block)
            if at % 50 == 0:
                peak = max(peak, private_memory(worker))
        connection.send(bytes(size - (at + len(block))))
        assert connection.read_response().body == str(size).encode()
    assert peak - before < 10_000_000


# An application that takes its time

FIFO = """
def app(environ, start_response):
    start_response("200 OK", [])
    yield from [b"x" * 100] * 5
    with open("fifo") as fifo:
        yield fifo.read().encode()
"""


def switches(pid: int) -> int:
    """How often the threads of a process have gone to sleep."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    found = (
        re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (t / "status").read_text(), re.M) for t in threads
    )
    return sum(int(match[1]) for match in found if match)


def test_nothing_wakes_up_while_the_application_sleeps_in_the_middle_of_its_response(serve: Serve) -> None:
    server = serve("app:app", source=FIFO)
    os.mkfifo(server.directory / "fifo")
    worker = server.worker()

    def is_quiet() -> bool:
        before = switches(worker)
        time.sleep(0.3)
        return switches(worker) - before < 10

    with server.connect() as connection:
        connection.send(get())
        connection.read_head()
        wait_for(is_quiet, "a worker at rest", 5)
        (server.directory / "fifo").write_text("end")
        assert connection.read_to(b"0\r\n\r\n").endswith(b"3\r\nend\r\n0\r\n\r\n")
    (server.directory / "fifo").unlink()


# Many spellings

JOINED = """
def app(environ, start_response):
    body = environ.get("HTTP_X_MIXED", "").encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_spellings_of_a_header_are_joined_however_many_have_been_seen(serve: Serve) -> None:
    server = serve("app:app", source=JOINED)
    with server.connect() as connection:
        assert connection.request(get(b"x-mixed: 0\r\n")).body == b"0"
        for hundred in range(10):
            connection.request(get(b"".join(b"X-%d-%d: 1\r\n" % (hundred, at) for at in range(90))))
        assert connection.request(get(b"X-Mixed: 1\r\nx-mixed: 2\r\nX-mixed: 3\r\n")).body == b"1,2,3"


# What is left behind

BYTES = """
import gc, weakref

class Block(bytes):
    def __del__(self):
        try:
            self.write(b"from the grave")
        except Exception:
            pass

class File:
    def read(self, size):
        return b""

def app(environ, start_response):
    if environ["PATH_INFO"] == "/cycle":
        file = File()
        file.wrapper = environ["wsgi.file_wrapper"](file)
        trace = weakref.ref(file)
        del file
        gc.collect()
        start_response("200 OK", [("Content-Length", "5")])
        return [b"alive" if trace() else b"freed"]
    write = start_response("200 OK", [("Content-Length", str(20 << 20))])

    def blocks():
        for _ in range(20):
            block = Block(1 << 20)
            block.write = write
            yield block
    return blocks()
"""


def test_a_block_may_run_code_when_it_is_dropped(serve: Serve) -> None:
    with serve("app:app", source=BYTES).connect() as connection:
        assert len(connection.request(get()).body) == 20 << 20
        connection.assert_open_at("/cycle")


def test_a_file_that_refers_to_its_wrapper_is_collected(serve: Serve) -> None:
    assert serve("app:app", source=BYTES).get("/cycle").body == b"freed"


@pytest.mark.ours("several Content-Length headers from an application")
@pytest.mark.parametrize(("lengths", "status"), [(("2", "2"), 200), (("2", "3"), 500)])
def test_an_application_may_not_name_two_lengths(lengths: tuple[str, str], status: int, serve: Serve) -> None:
    headers = [("Content-Length", length) for length in lengths]
    source = (
        f"def app(environ, start_response):\n    start_response('200 OK', {headers})\n    return [b'ab']\n"
    )
    with serve("app:app", source=source).connect() as connection:
        response = connection.request(get())
        assert response.status == status
        assert len([name for name, _ in response.headers if name == "Content-Length"]) == 1


READ_OR_SENT = """
class Both:
    def __init__(self):
        self.file = open(__file__, "rb")
        self.fileno, self.tell = self.file.fileno, self.file.tell
        self.rest = [b"read"]
    def read(self, size):
        return self.rest.pop() if self.rest else b""
def app(environ, start_response):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](Both())
"""


@pytest.mark.parametrize("flags", [(), ("--no-sendfile",)])
def test_a_wrapped_file_is_sent_unread_unless_sendfile_is_off(flags: tuple[str, ...], serve: Serve) -> None:
    server = serve("app:app", *flags, source=READ_OR_SENT)
    expected = "read" if flags else READ_OR_SENT
    assert server.get("/").text == expected
