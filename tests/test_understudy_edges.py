"""What a thread that comes back must find done, or left alone, by those who saw to its clients meanwhile."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.cases import get
from support.processes import stays, wait_for
from support.server import Server
from support.wire import Connection

pytestmark = pytest.mark.ours("other connections are looked after while an application runs")

SOURCE = """
import os, pathlib, time

def app(environ, start_response):
    path, name = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/wait":
        pathlib.Path(name + ".begun").touch()
        while not os.path.exists(name):
            time.sleep(0.01)
    elif path == "/stream":
        start_response("200 OK", [("Content-Length", str(24_000_000))])
        return (b"x" * 100_000 for _ in range(240))
    elif path == "/socket":
        write = start_response("200 OK", [("Content-Length", "5")])
        for block in (b"a", b"b", b"c"):
            write(block)
        environ["gunicorn.socket"].sendall(b"de")
        return []
    elif path == "/chunks":
        start_response("200 OK", [])
        return Closing(iter([b"x" * 20_000_000]), name)
    elif path == "/file":
        with open(name + ".data", "wb") as file:
            file.truncate(20_000_000)
        start_response("200 OK", [("Content-Length", str(20_000_000))])
        return environ["wsgi.file_wrapper"](Closing(open(name + ".data", "rb"), name))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

# Its end waits for the file.
class Closing:
    def __init__(self, inner, name):
        self.inner, self.name = inner, name

    def __iter__(self):
        return self.inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def close(self):
        pathlib.Path(self.name + ".begun").touch()
        while not os.path.exists(self.name):
            time.sleep(0.01)
"""


#: Its `post_request` returns when the file is there that the query names.
LONG_HOOK = """
import os, pathlib, time

def post_request(worker, req, environ, resp):
    if req.path == "/hook":
        pathlib.Path(req.query + ".begun").touch()
        while not os.path.exists(req.query):
            time.sleep(0.01)
"""


def begin(server: Server, go: Path) -> Connection:
    """A client whose request ends when `go` is there."""
    client = server.connect()
    client.send(get(target=f"/wait?{go}".encode()))
    wait_for(Path(f"{go}.begun").exists, "the long request to begin")
    return client


def test_a_worker_whose_arbiter_dies_meanwhile_ends_after_its_request(serve: Serve, tmp_path: Path) -> None:
    server = serve("app:app", source=SOURCE)
    (worker,) = server.workers()
    client = begin(server, tmp_path / "go")
    os.kill(server.pid, signal.SIGKILL)
    assert server.process is not None
    server.process.wait(20)
    server.ended = True
    # Time for the understudy to hear of it.
    stays(lambda: processes.alive(worker), "the worker in its request", 0.5)
    (tmp_path / "go").touch()
    assert client.read_response().body == b"ok"
    wait_for(lambda: not processes.alive(worker), "the worker's end")


def test_a_connection_that_becomes_idle_makes_room_for_one_that_waits(serve: Serve, tmp_path: Path) -> None:
    flags = ("--worker-class", "gthread", "--threads", "3", "--worker-connections", "2")
    server = serve("app:app", *flags, source=SOURCE)
    busy = [begin(server, tmp_path / name) for name in "ab"]
    newcomer = server.connect()
    newcomer.send(get())
    assert not newcomer.readable(0.3)
    for name, client in zip("ab", busy, strict=True):
        (tmp_path / name).touch()
        assert client.read_response().body == b"ok"
    assert newcomer.read_response().body == b"ok"


def test_a_steady_reader_is_not_cut_off_while_the_application_waits_for_it(serve: Serve) -> None:
    """Its socket is rarely writable: nobody else may fill the room that is waited for."""
    config = "send_timeout = 2\nresponse_memory = 65536\nresponse_file_limit = 8000000\n"
    server = serve("app:app", source=SOURCE, config=config)
    with server.connect(receive_buffer=65536) as reader:
        reader.send(get(target=b"/stream"))
        reader.read_head()
        for _ in range(240):
            reader._exactly(100_000)
            time.sleep(0.03)


def test_what_was_written_goes_out_before_what_the_application_sends_itself(serve: Serve) -> None:
    server = serve("app:app", source=SOURCE)
    for _ in range(20):
        with server.connect() as client:
            assert client.request(get(target=b"/socket")).body == b"abcde"


@pytest.mark.parametrize("flags", [("-w", "1", "--threads", "3"), ("-w", "2")], ids=["gthread", "sync"])
def test_a_hook_behind_a_response_holds_up_nobody_else(
    serve: Serve, flags: tuple[str, ...], tmp_path: Path
) -> None:
    """Its thread has no request any more, and is not free."""
    server = serve("app:app", *flags, source=SOURCE, config=LONG_HOOK)
    with server.connect() as first, server.connect() as second:
        for client in (first, second) * 20:
            assert client.request(get()).body == b"ok"
        go = tmp_path / "go"
        assert first.request(get(target=f"/hook?{go}".encode())).body == b"ok"
        wait_for(Path(f"{go}.begun").exists, "the hook")
        try:
            with server.connect() as third:
                for client in (second, third):
                    client.send(get())
                    assert client.readable(5), "it waits for the hook"
                    assert client.read_response().body == b"ok"
        finally:
            go.touch()


@pytest.mark.parametrize("kind", ["chunks", "file"])
def test_a_long_close_holds_up_no_part_of_the_response(serve: Serve, kind: str, tmp_path: Path) -> None:
    server = serve("app:app", source=SOURCE)
    go = tmp_path / "go"
    with server.connect(receive_buffer=4096) as reader:
        reader.send(get(target=f"/{kind}?{go}".encode()))
        wait_for(Path(f"{go}.begun").exists, "the end of the iteration")
        try:
            reader.socket.settimeout(5)
            assert len(reader.read_response().body) == 20_000_000
        finally:
            go.touch()
