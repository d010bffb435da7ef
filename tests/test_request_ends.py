"""One line for each request whatever its end, and the reason in it."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get, post
from support.diag import receive_queue
from support.processes import alive, wait_for
from support.server import Server
from support.wire import Closed, Connection

pytestmark = pytest.mark.ours("a line for every request, and atoms that Gunicorn has not")

FORM = "%(reason)s %(s)s %(m)s %(U)s"
SOURCE = """
import os, signal, sys, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise RuntimeError("it fails")
    if path == "/exits":
        sys.exit(3)
    if path == "/waits":
        time.sleep(0.5)
    if path == "/dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "/deaf":
        signal.signal(signal.SIGABRT, signal.SIG_IGN)
    if path == "/reads":
        environ["wsgi.input"].read()
    if path in ("/stuck", "/deaf"):
        while True:
            time.sleep(0.05)
    if path == "/short":
        start_response("200 OK", [("Content-Length", "9")])
        return [b"short"]
    if path == "/big":
        start_response("200 OK", [("Content-Length", "30000000")])
        return [b"x" * 30_000_000]
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
#: A logger that changes nothing, and so is asked for every line.
OWN_LOGGER = """
from rgunicorn.glogging import Logger
class logger_class(Logger):
    def atoms(self, *args):
        return super().atoms(*args)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def serving(serve: Serve, log: Path, *flags: str, form: str = FORM, config: str = "") -> Server:
    return serve(
        "app:app",
        *("--access-logfile", str(log), "--access-logformat", form),
        *flags,
        source=SOURCE,
        config=config,
    )


def line(log: Path) -> str:
    """The only line of the log, once it is there."""
    (found,) = wait_for(lambda: log.read_text().splitlines(), "a line")
    return found


def begin(server: Server, request: bytes, **settings: int) -> Connection:
    """A connection on which the worker has read this."""
    connection = server.connect(**settings)
    connection.send(request)
    wait_for(lambda: receive_queue(server.address, connection.socket.getsockname()) == 0, "a read")
    return connection


def reset(connection: Connection) -> None:
    """Closes it so that the server cannot send on it any more."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


UPLOAD = b"Content-Length: 10\r\n"


@pytest.mark.parametrize("config", ["", OWN_LOGGER], ids=["native", "python"])
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get(target=b"/x"), "ok 200 GET /x"),
        (get(target=b"/fails"), "error 500 GET /fails"),
        (get(target=b"/exits"), "error 500 GET /exits"),
        (get(target=b"/short"), "error 200 GET /short"),
        (b"GET /x HTTP/1.1\r\n\r\n", "bad_request 400 GET /x"),
        (b"nonsense\r\n\r\n", "bad_request 400 - -"),
        (post(b"Transfer-Encoding: chunked\r\n", b"zz\r\n"), "bad_request 400 POST /"),
    ],
)
def test_answered(serve: Serve, log: Path, request_: bytes, expected: str, config: str) -> None:
    server = serving(serve, log, config=config)
    with server.connect() as connection:
        connection.send(request_)
        # One response is shorter than it says.
        with suppress(Closed):
            connection.read_response()
    assert line(log) == expected


@pytest.mark.parametrize("config", ["", OWN_LOGGER], ids=["native", "python"])
def test_the_client_goes_before_its_request_is_whole(serve: Serve, log: Path, config: str) -> None:
    server = serving(serve, log, config=config)
    begin(server, post(UPLOAD, b"abc")).close()
    assert line(log) == "client_gone 000 POST /"


def test_the_client_goes_in_the_middle_of_a_head(serve: Serve, log: Path) -> None:
    server = serving(serve, log)
    begin(server, b"GET / HTTP/1.1\r\nHo").close()
    assert line(log) == "client_gone 000 - -"


def test_a_connection_without_a_request_has_no_line(serve: Serve, log: Path) -> None:
    server = serving(serve, log)
    with server.connect():
        pass
    with server.connect() as connection:
        connection.request(get())
    server.stop()
    assert log.read_text() == "ok 200 GET /\n"


def test_the_client_goes_before_it_has_the_response(serve: Serve, log: Path) -> None:
    server = serving(serve, log)
    connection = begin(server, get(target=b"/big"), receive_buffer=4096)
    connection.socket.recv(1)
    assert log.read_text() == ""
    reset(connection)
    assert line(log) == "client_gone 200 GET /big"


def test_a_response_that_the_client_takes_slowly_is_whole_in_the_end(serve: Serve, log: Path) -> None:
    server = serving(serve, log)
    connection = begin(server, get(target=b"/big"), receive_buffer=4096)
    connection.socket.recv(1)
    assert log.read_text() == ""
    with connection:
        received = 1
        while received < 30_000_000:
            received += len(connection.socket.recv(1 << 20))
    assert line(log) == "ok 200 GET /big"


@pytest.mark.parametrize("config", ["", OWN_LOGGER], ids=["native", "python"])
@pytest.mark.parametrize(
    ("flags", "request_", "expected"),
    [
        (["--header-timeout", "1"], b"GET / HTTP/1.1\r\nHo", "timeout 408 - -"),
        (["--body-timeout", "1"], post(UPLOAD, b"abc"), "timeout 000 POST /"),
    ],
)
def test_the_client_is_too_slow(
    serve: Serve, log: Path, flags: list[str], request_: bytes, expected: str, config: str
) -> None:
    server = serving(serve, log, *flags, config=config)
    with begin(server, request_):
        assert line(log) == expected


def test_the_client_takes_no_response(serve: Serve, log: Path) -> None:
    server = serving(serve, log, "--send-timeout", "1")
    with begin(server, get(target=b"/big"), receive_buffer=4096):
        assert line(log) == "timeout 200 GET /big"


@pytest.mark.parametrize("config", ["", OWN_LOGGER], ids=["native", "python"])
def test_the_application_is_too_slow(serve: Serve, log: Path, config: str) -> None:
    server = serving(serve, log, "--timeout", "1", config=config)
    with begin(server, get(target=b"/stuck")) as connection:
        assert connection.read_response().status == 500
        assert line(log) == "timeout 500 GET /stuck"


@pytest.mark.parametrize("config", ["", OWN_LOGGER], ids=["native", "python"])
@pytest.mark.parametrize(
    ("path", "flags", "expected"),
    [("/deaf", ["--timeout", "1"], "timeout 000 GET /deaf"), ("/dies", [], "killed 000 GET /dies")],
)
def test_the_worker_is_killed(
    serve: Serve, log: Path, path: str, flags: list[str], expected: str, config: str
) -> None:
    server = serving(serve, log, *flags, config=config)
    with begin(server, get(target=path.encode())):
        assert line(log) == expected


@pytest.mark.parametrize("config", ["", OWN_LOGGER], ids=["native", "python"])
def test_a_worker_that_is_killed_in_the_hook_behind_a_request_has_one_line(
    serve: Serve, log: Path, config: str
) -> None:
    hook = """
import os
def post_request(worker, req):
    if req.path == "/last":
        os.kill(os.getpid(), 9)
"""
    server = serving(serve, log, form="%(reason)s %(U)s", config=config + hook)
    with server.connect() as connection:
        connection.request(get(target=b"/first"))
        connection.request(get(target=b"/last"))
        connection.assert_closed()
    server.get("/next")
    server.stop()
    assert log.read_text().splitlines() == ["ok /first", "ok /last", "ok /next"]


def test_the_worker_is_killed_while_a_response_is_taken_slowly(serve: Serve, log: Path) -> None:
    form = f"{FORM} %(send_time)s"
    server = serving(serve, log, form=form)
    worker = server.worker()
    with ExitStack() as stack:
        slow = [
            stack.enter_context(begin(server, get(target=b"/big"), receive_buffer=4096)) for _ in range(3)
        ]
        for connection in slow:
            connection.socket.recv(1)
        server.get("/next")
        reset(slow[0])
        wait_for(lambda: "client_gone" in log.read_text(), "the line of the client that is gone")
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: not alive(worker) and server.booted(), "another worker")
    server.stop()
    found = [line.rsplit(" ", 1) for line in log.read_text().splitlines()]
    assert [line for line, _ in found] == [
        "ok 200 GET /next",
        "client_gone 200 GET /big",
        *["killed 200 GET /big"] * 2,
    ]
    assert [took for _, took in found[2:]] == ["-", "-"]


def test_a_logger_that_fails_keeps_nobody_from_hearing_of_a_dead_worker(serve: Serve, log: Path) -> None:
    config = """
import os, sys
from rgunicorn.glogging import Logger
class logger_class(Logger):
    def access(self, *args):
        sys.exit(5)
def child_exit(server, worker):
    server.log.info("child_exit %s", worker.pid)
"""
    server = serving(serve, log, config=config)
    worker = server.worker()
    begin(server, get(target=b"/dies"))
    server.wait_for_log(f"child_exit {worker}$")
    server.wait_for_exit(5)


def test_a_killed_worker_takes_no_line_with_it(serve: Serve, log: Path) -> None:
    """Several requests are answered in one turn of its loop, and the last one kills it."""
    server = serving(serve, log, form="%(reason)s %(U)s")
    with ExitStack() as stack:
        opened = [stack.enter_context(server.connect()) for _ in range(6)]
        for connection in opened:
            connection.request(get(target=b"/first"))
        opened[0].send(get(target=b"/waits"))
        wait_for(lambda: receive_queue(server.address, opened[0].socket.getsockname()) == 0, "a read")
        for connection in opened[1:5]:
            connection.send(get(target=b"/quick"))
        opened[5].send(get(target=b"/dies"))
        expected = sorted(["ok /first"] * 6 + ["ok /waits"] + ["ok /quick"] * 4 + ["killed /dies"])
        wait_for(lambda: sorted(log.read_text().splitlines()) == expected, "every line, once")


def test_a_log_that_nobody_reads_does_not_stop_the_arbiter(serve: Serve, log: Path) -> None:
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        server = serving(serve, log, form="x" * 4000)
        with server.connect() as connection:
            for _ in range(100):
                connection.request(get())
        first = server.worker()
        begin(server, get(target=b"/dies"))
        wait_for(lambda: not alive(first) and server.booted(), "another worker")
        assert server.get("/").status == 200
    finally:
        os.close(reader)


def test_the_line_of_a_killed_worker_has_all_that_is_known(serve: Serve, log: Path) -> None:
    form = '%(h)s "%(r)s" %(p)s %(request_id)s "%(q)s" %(reason)s %(app_time)s "%(a)s"'
    server = serving(serve, log, form=form)
    worker = server.worker()
    begin(server, get(b"X-Request-ID: the-name\r\nUser-Agent: u\r\n", b'/dies?"\\'))
    expected = rf'127.0.0.1 "GET /dies?\"\\ HTTP/1.1" <{worker}> the-name "\"\\" killed - "-"'
    assert line(log) == expected


@pytest.mark.parametrize("config", ["", OWN_LOGGER], ids=["native", "python"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, "000"), (signal.SIGQUIT, "500")])
def test_the_service_stops_while_the_application_works(
    serve: Serve, log: Path, number: signal.Signals, status: str, config: str
) -> None:
    server = serving(serve, log, "--graceful-timeout", "1", config=config)
    with begin(server, get(target=b"/stuck")):
        server.stop(number)
    assert line(log) == f"shutdown {status} GET /stuck"


@pytest.mark.parametrize("config", ["", OWN_LOGGER], ids=["native", "python"])
def test_the_service_stops_before_a_request_is_whole(serve: Serve, log: Path, config: str) -> None:
    server = serving(serve, log, "--graceful-timeout", "2", config=config)
    with begin(server, post(UPLOAD, b"abc")):
        server.stop()
    assert line(log) == "shutdown 000 POST /"


def test_the_service_stops_before_a_response_is_taken(serve: Serve, log: Path) -> None:
    server = serving(serve, log, "--graceful-timeout", "2")
    with begin(server, get(target=b"/big"), receive_buffer=4096):
        server.stop()
    assert line(log) == "shutdown 200 GET /big"


def test_a_worker_that_is_killed_between_requests_has_no_line(serve: Serve, log: Path) -> None:
    server = serving(serve, log)
    worker = server.worker()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not alive(worker) and server.booted(), "another worker")
    server.get("/next")
    assert line(log) == "ok 200 GET /next"
