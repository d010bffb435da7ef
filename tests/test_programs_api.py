"""What a program may give to a server inside itself, and what it is told when that cannot be."""

from __future__ import annotations

import logging
import re
import selectors
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import rgunicorn
from rgunicorn._embedded import settings
from rgunicorn.config import Config
from support.processes import wait_for
from support.wire import Connection

pytestmark = pytest.mark.ours("it is a command only")

LOCAL = ("127.0.0.1", 0)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/fail":
        raise ValueError("on purpose")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


@contextmanager
def serving(*arguments: Any, **given: Any) -> Iterator[rgunicorn.Server]:
    with rgunicorn.Server(app, *arguments, **given) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.close()
            thread.join()


def ask(server: rgunicorn.Server, target: str = "/", which: int = 0) -> str:
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with Connection(server.addresses[which]) as connection:
        return connection.request(head.encode()).text


# bind


@pytest.mark.parametrize(
    "bind",
    [
        "127.0.0.1:0",
        "localhost:0",
        "tcp://127.0.0.1:0",
        "[::1]:0",
        ("127.0.0.1", 0),
        ("localhost", 0),
        ("", 0),
        ("::1", 0),
        ["127.0.0.1:0", ("127.0.0.1", 0)],
    ],
)
def test_an_address_has_several_forms(bind: Any) -> None:
    with serving(bind) as server:
        for index in range(len(server.addresses)):
            assert ask(server, which=index) == "ok"


def test_a_unix_socket(tmp_path: Path) -> None:
    with serving(f"unix:{tmp_path}/socket") as server:
        assert server.addresses == [f"{tmp_path}/socket"]
        assert ask(server) == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("listens", [False, True])
def test_a_socket_of_the_programs_stays_its_own(listens: bool) -> None:
    with socket.create_server(LOCAL) if listens else socket.socket() as mine:
        if not listens:
            mine.bind(LOCAL)
        for _ in range(2):
            with serving(mine) as server:
                assert server.addresses == [mine.getsockname()]
                assert ask(server) == "ok"
        assert mine.fileno() >= 0


@pytest.mark.parametrize(
    ("bind", "kind", "said"),
    [
        ("127.0.0.1:no", ValueError, "'no' is not a valid port number. (bind)"),
        ("unix:", ValueError, "'unix:' names no path. (bind)"),
        ([], ValueError, "bind names no address"),
        (8000, TypeError, "(host, port), a socket, or a list: not 8000"),
        (["127.0.0.1:0", 8000], TypeError, "(host, port), a socket, or a list: not 8000"),
        (("127.0.0.1", "0"), TypeError, "not ('127.0.0.1', '0')"),
        (("192.0.2.1", 0), OSError, "Cannot assign requested address: '192.0.2.1:0'"),
        ("unix:/nonexistent/socket", OSError, "No such file or directory: '/nonexistent/socket'"),
    ],
)
def test_a_bad_address_is_an_error(bind: Any, kind: type[Exception], said: str | None) -> None:
    with pytest.raises(kind) as raised:
        rgunicorn.Server(app, bind)
    assert (said or "") in str(raised.value)


def test_an_address_in_use_is_an_error_at_once_and_none_is_kept() -> None:
    with socket.create_server(LOCAL) as taken, socket.socket() as free:
        free.bind(LOCAL)
        other = free.getsockname()
        free.close()
        with pytest.raises(OSError, match=f"Address already in use: '127.0.0.1:{taken.getsockname()[1]}'"):
            rgunicorn.Server(app, [other, taken.getsockname()])
        with serving(other) as server:
            assert ask(server) == "ok"


# Settings


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"keep_alive": 5}, TypeError, "rgunicorn has no setting 'keep_alive'; did you mean 'keepalive'?"),
        ({"nonsense": 5}, TypeError, "rgunicorn has no setting 'nonsense'"),
        ({"workers": 2}, TypeError, "'workers' is for the command rgunicorn"),
        ({"ready_path": "/ready"}, TypeError, "'ready_path' is for the command rgunicorn"),
        ({"on_exit": print}, TypeError, "'on_exit' is for the command rgunicorn"),
        ({"keepalive": "x"}, ValueError, "(keepalive from the program; allowed: a whole number, 0 or more)"),
        ({"threads": 0}, ValueError, "threads"),
        ({"threads": "many"}, ValueError, "threads"),
        ({"certfile": __file__}, ValueError, "TLS is not part of this version"),
    ],
)
def test_a_bad_setting_is_an_error(given: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=re.escape(said)):
        rgunicorn.Server(app, LOCAL, **given)


def test_a_bad_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "nowhere")
    with pytest.raises(ValueError, match="forwarded_allow_ips from the environment variable"):
        rgunicorn.Server(app, LOCAL)


def test_an_application_that_is_none_is_an_error() -> None:
    with pytest.raises(TypeError, match="app is to be a WSGI application, not 'module:app'"):
        rgunicorn.Server("module:app", LOCAL)  # type: ignore[arg-type]


def test_each_setting_that_is_for_the_command_exists() -> None:
    cfg = Config()
    assert set(cfg.settings) > settings._OTHER_SETTINGS | set(settings._HOOKS)
    assert {setting.section for setting in cfg.settings.values()} > set(settings._OTHER_SECTIONS)


def test_hooks_around_requests_are_called() -> None:
    seen: list[object] = []
    hooks = {
        "pre_request": lambda worker, request: seen.append(request.path),
        "post_request": lambda worker, request, environ, response: seen.append(response.status_code),
    }
    with serving(LOCAL, **hooks) as server:
        assert ask(server, "/path") == "ok"
    assert seen == ["/path", 200]


# Logs


def test_the_programs_own_logging_is_used(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving(LOCAL) as server:
        ask(server, "/fail")
        host, port = server.addresses[0]
    said = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert ("rgunicorn.error", "ERROR", "Error handling request GET /fail") in said
    assert said[0][2].startswith(f"Listening at: http://{host}:{port} (")
    assert {name for name, *_ in said} == {"rgunicorn.error"}


def test_requests_are_logged_once_the_logger_has_a_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rgunicorn.access")
    with serving(LOCAL) as server:
        ask(server, "/path")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "rgunicorn.access"]
    assert '"GET /path HTTP/1.1" 200 2' in line


def python(source: str) -> tuple[str, str]:
    """Runs a program; gives its output and its errors."""
    done = subprocess.run(
        [sys.executable, "-c", f"import rgunicorn, logging, os, signal, threading, time\n{source}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


#: Ends the server as soon as it is there.
SOON = """
def soon(environ=None, start_response=None):
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=soon).start()
"""


def test_a_script_says_where_it_listens() -> None:
    output, errors = python(f"{SOON}rgunicorn.serve(soon, '127.0.0.1:0')")
    assert output == ""
    assert re.fullmatch(r"\[.*\] \[\d+\] \[INFO\] Listening at: http://127\.0\.0\.1:\d+ \(\d+\)\n", errors)


def test_a_script_that_has_set_logging_up_is_left_alone() -> None:
    setup = "logging.basicConfig(format='mine %(message)s', level=logging.INFO)\n"
    errors = python(f"{setup}{SOON}rgunicorn.serve(soon, '127.0.0.1:0')")[1]
    assert re.fullmatch(r"mine Listening at: http://127\.0\.0\.1:\d+ \(\d+\)\n", errors)


def test_a_program_is_not_changed_by_a_server() -> None:
    source = """
import sys
before = dict(os.environ)
handlers, level = list(logging.root.handlers), logging.root.level
with rgunicorn.Server(print, ("127.0.0.1", 0)) as server:
    server.fileno()
assert dict(os.environ) == before
assert (list(logging.root.handlers), logging.root.level) == (handlers, level)
assert "gunicorn" not in sys.modules
assert not logging.getLogger("gunicorn.error").handlers
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert signal.set_wakeup_fd(-1) == -1
assert threading.active_count() == 1
"""
    assert python(source) == ("", "")


def test_importing_the_package_alone_is_cheap() -> None:
    python("import sys\nassert 'rgunicorn.config' not in sys.modules\nassert rgunicorn.serve")


# The life of a server


def test_it_may_be_closed_before_and_after_it_serves() -> None:
    server = rgunicorn.Server(app, LOCAL)
    server.close()
    server.close()
    server.serve_forever()
    with pytest.raises(RuntimeError, match="it is closed"):
        server.fileno()


def test_two_cannot_run_one_server() -> None:
    with rgunicorn.Server(app, LOCAL) as server:
        server.fileno()
        with pytest.raises(RuntimeError, match="an event loop runs it"):
            server.serve_forever()
    with serving(LOCAL) as server:
        assert ask(server) == "ok"
        with pytest.raises(RuntimeError, match="serve_forever\\(\\) runs it"):
            server.turn()


def test_waiting_clients_are_served_once_it_runs() -> None:
    with rgunicorn.Server(app, LOCAL) as server:
        host, port = server.addresses[0]
        answers: list[bytes] = []
        client = threading.Thread(
            target=lambda: answers.append(urllib.request.urlopen(f"http://{host}:{port}/").read())
        )
        client.start()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client.join()
        server.close()
        thread.join()
    assert answers == [b"ok"]


def test_threads_that_come_free_as_a_turn_begins_are_not_forgotten() -> None:
    go, begun = threading.Event(), threading.Semaphore(0)

    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        begun.release()
        assert go.wait(20)
        return app(environ, start_response)

    class Late:
        """What the native loop says of itself is old when it is heard."""

        def __init__(self, native: Any) -> None:
            self.native = native

        def __getattr__(self, name: str) -> Any:
            value = getattr(self.native, name)
            if name == "running" and value == 2:
                go.set()
                wait_for(lambda: self.native.running == 0, "the end of both requests")
            return value

    with rgunicorn.Server(slow, LOCAL, threads=2) as server, selectors.DefaultSelector() as selector:
        turns = server._loop()
        turns._embedded = Late(turns._embedded)  # type: ignore[assignment]
        selector.register(server.fileno(), selectors.EVENT_READ)

        def turn() -> None:
            if selector.select(10):
                server.turn()

        clients = [Connection(server.addresses[0]) for _ in range(3)]
        with clients[0], clients[1], clients[2] as last:
            for client in clients[:2]:
                client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                while not begun.acquire(timeout=0.1):
                    turn()
            last.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            turn()
            go.set()
            while not last.readable(0.1):
                assert selector.select(5), "nobody is accepted"
                server.turn()
            assert last.read_response().text == "ok"
