"""Every thread of a worker is inside the application: its other clients are looked after all the same."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Serve
from rgunicorn.workers import SUPPORTED_WORKERS
from support.cases import get, post
from support.processes import wait_for
from support.server import Server
from support.wire import Connection

pytestmark = pytest.mark.ours("a long request holds up everybody else's connection to its worker")

SOURCE = """
import os, pathlib, time

def wait(name):
    pathlib.Path(name + ".begun").touch()
    while not os.path.exists(name):
        time.sleep(0.01)

def blocks(name):
    yield b"first "
    yield b"second "
    wait(name)
    yield b"third"

def app(environ, start_response):
    path, name = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = b"ok"
    if path == "/wait":
        wait(name)
    elif path == "/fork":
        wait(name)
        for _ in range(10):
            pid = os.fork()
            if not pid:
                return []
            assert os.waitpid(pid, 0)[1] == 0
    elif path == "/compute":
        pathlib.Path(name + ".begun").touch()
        while not os.path.exists(name):
            sum(range(1000))
    elif path == "/blocks":
        start_response("200 OK", [])
        return blocks(name)
    elif path == "/big":
        body = b"x" * 20_000_000
    elif environ["REQUEST_METHOD"] == "POST":
        body = str(sum(map(len, iter(lambda: environ["wsgi.input"].read(1 << 20), b"")))).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

#: A worker with one thread for the application, of each class whose threads lead the loop.
SINGLE = [("sync", "--workers", "1"), ("gthread", "--threads", "1")]


@pytest.fixture(params=SINGLE, ids=lambda flags: flags[0])
def flags(request: pytest.FixtureRequest) -> list[str]:
    """What chooses the worker class."""
    if request.param[0] not in SUPPORTED_WORKERS:
        pytest.skip(f"{request.param[0]}: to come")
    return ["--worker-class", *request.param]


class Stuck:
    """A worker of whose threads none is free until it is told so."""

    def __init__(self, server: Server, directory: Path, target: str = "/wait") -> None:
        self.go = directory / "go"
        self.client = server.connect()
        self.client.send(get(target=f"{target}?{self.go}".encode()))
        wait_for(Path(f"{self.go}.begun").exists, "the long request to begin")

    @property
    def is_stuck(self) -> bool:
        """It has not been told."""
        return not self.go.exists()

    def release(self) -> None:
        """Lets the long request end."""
        self.go.touch()
        assert self.client.read_response().body == b"ok"


@contextlib.contextmanager
def stuck(server: Server, directory: Path, target: str = "/wait") -> Iterator[Stuck]:
    """While one request is inside the application, on the only thread."""
    long = Stuck(server, directory, target)
    try:
        yield long
    finally:
        if long.is_stuck:
            long.release()


def known(server: Server) -> Connection:
    """A connection that the worker has accepted."""
    connection = server.connect()
    assert connection.request(get()).body == b"ok"
    return connection


def test_a_slow_reader_goes_on_receiving(serve: Serve, flags: list[str], tmp_path: Path) -> None:
    server = serve("app:app", *flags, source=SOURCE)
    with server.connect(receive_buffer=4096) as reader:
        reader.send(get(target=b"/big"))
        reader.read_head()
        with stuck(server, tmp_path):
            assert reader._exactly(20_000_000) == b"x" * 20_000_000


def test_an_upload_is_read_and_served_right_after(serve: Serve, flags: list[str], tmp_path: Path) -> None:
    server = serve("app:app", *flags, source=SOURCE)
    size = 30_000_000
    with known(server) as sender:
        sender.send(post(b"Content-Length: %d\r\n" % size, b"x" * 1000))
        with stuck(server, tmp_path):
            # More than sockets hold: it ends because somebody reads.
            sender.send(b"x" * (size - 1000))
        assert sender.read_response().body == b"%d" % size


def test_half_a_head_is_refused_in_time(serve: Serve, flags: list[str], tmp_path: Path) -> None:
    server = serve("app:app", *flags, source=SOURCE, config="header_timeout = 1\n")
    with known(server) as early, known(server) as late:
        early.send(b"GET / HTTP/1.1\r\nHo")
        with stuck(server, tmp_path):
            late.send(b"GET / HT")
            began = time.monotonic()
            assert (early.read_response().status, late.read_response().status) == (408, 408)
            assert time.monotonic() - began < 3


def test_kept_connections_end_in_time(serve: Serve, flags: list[str], tmp_path: Path) -> None:
    server = serve("app:app", *flags, "--keep-alive", "1", source=SOURCE)
    with known(server) as idle, stuck(server, tmp_path):
        idle.assert_closed()


def test_requests_that_came_meanwhile_are_served_right_after(
    serve: Serve, flags: list[str], tmp_path: Path
) -> None:
    server = serve("app:app", *flags, source=SOURCE)
    kept = [known(server) for _ in range(5)]
    with stuck(server, tmp_path):
        for connection in kept:
            connection.send(get() * 2)
        newcomer = server.connect()
        newcomer.send(get())
    began = time.monotonic()
    for connection in [*kept, *kept, newcomer]:
        assert connection.read_response().body == b"ok"
    assert time.monotonic() - began < 1


def test_a_request_that_holds_the_interpreter_holds_nobody_up(
    serve: Serve, flags: list[str], tmp_path: Path
) -> None:
    server = serve("app:app", *flags, source=SOURCE)
    with server.connect(receive_buffer=4096) as reader:
        reader.send(get(target=b"/big"))
        reader.read_head()
        with stuck(server, tmp_path, "/compute"):
            assert reader._exactly(20_000_000) == b"x" * 20_000_000


def test_blocks_go_out_beside_others(serve: Serve, flags: list[str], tmp_path: Path) -> None:
    """A block that was yielded reaches its client while the application goes on: that of every client."""
    if flags[1] == "gthread":
        flags[-1] = "3"
    server = serve("app:app", *flags, source=SOURCE)
    clients = [server.connect() for _ in range(int(flags[-1]))]
    for number, client in enumerate(clients):
        client.send(get(target=f"/blocks?{tmp_path / str(number)}".encode()))
    for client in clients:
        client.read_head()
        client.read_to(b"second ")
    for number, client in enumerate(clients):
        (tmp_path / str(number)).touch()
        client.read_to(b"third")


def test_a_view_may_fork(serve: Serve, flags: list[str], tmp_path: Path) -> None:
    """Whatever the understudy holds at that moment: the child has no such thread."""
    server = serve("app:app", *flags, source=SOURCE)
    with server.connect(receive_buffer=4096) as reader:
        reader.send(get(target=b"/big"))
        reader.read_head()
        with stuck(server, tmp_path, "/fork") as long:
            reader._exactly(1_000_000)
            long.go.touch()
            assert reader._exactly(19_000_000) == b"x" * 19_000_000
            assert long.client.read_response().body == b"ok"
        assert long.client.request(get()).body == b"ok"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts context switches in /proc")
def test_who_waits_outside_costs_nothing(serve: Serve, flags: list[str], tmp_path: Path) -> None:
    """Nobody can take them: the worker must neither spin for them nor stay awake when it is idle again."""
    server = serve("app:app", *flags, source=SOURCE)
    worker = server.worker()
    with stuck(server, tmp_path):
        outside = [server.connect() for _ in range(5)]
        for connection in outside:
            connection.send(get())
        wait_for(lambda: switches(worker, "understudy", 0.5) < 10, "the understudy to rest")
    for connection in outside:
        assert connection.read_response().body == b"ok"
    wait_for(lambda: switches(worker, "understudy", 0.5) == 0, "the understudy to sleep")


def switches(pid: int, name: str, seconds: float) -> int:
    """How often the thread of that name came and went in so many seconds."""

    def named() -> list[Path]:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [task for task in tasks if (task / "comm").read_text().strip() == name]

    # A thread names itself when it runs for the first time.
    (task,) = wait_for(named, f"the thread {name}")

    def count() -> int:
        found = re.findall(r"ctxt_switches:\s+(\d+)", (task / "status").read_text())
        return sum(int(number) for number in found)

    before = count()
    time.sleep(seconds)
    return count() - before
