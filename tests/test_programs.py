"""A server inside a program: what every worker class promises holds there, however the program runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cases import get
from support.processes import stays, wait_for
from support.program import MODES, SERVE, Program, in_mode
from support.server import EXAMPLES
from support.wire import Connection

Run = Callable[..., Program]

pytestmark = pytest.mark.ours("it is a command only")

THREADED = [mode for mode, (_, threads) in MODES.items() if threads > 1]


@pytest.fixture
def run() -> Iterator[Run]:
    """Starts programs in some mode; each is stopped, and its end checked, after the test."""
    yield from _running(in_mode)


@pytest.fixture
def program() -> Iterator[Run]:
    """Starts programs with some source."""
    yield from _running(Program)


def _running(make: Callable[..., Program]) -> Iterator[Run]:
    programs: list[Program] = []

    def start(*arguments: str, **settings: object) -> Program:
        made = make(*arguments, **settings)
        programs.append(made)
        made.start()
        return made

    try:
        yield start
        for made in programs:
            if not made.ended:
                made.stop()
    finally:
        for made in programs:
            made.destroy()


def begin(server: Program, path: Path) -> Connection:
    """A request that is served until `path` exists."""
    connection = server.connect()
    connection.send(get(target=f"/until?{path}".encode()))
    wait_for(path.with_suffix(".begun").exists, "the application to be called")
    return connection


# In every mode


@pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix"])
@pytest.mark.parametrize("mode", MODES)
def test_requests_are_served(mode: str, kind: str, run: Run) -> None:
    server = run(mode, kind=kind)
    response = server.get("/hello")
    assert (response.status, response.body) == (200, b"hello\n")
    assert response.header("Server") == "rgunicorn"
    assert server.get("/process-environment").status == 200
    server.stop()
    assert server.stdout() == "returned\n"
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("mode", MODES)
def test_connections_are_kept_and_requests_may_be_pipelined(mode: str, run: Run) -> None:
    with run(mode).connect() as connection:
        for _ in range(3):
            assert connection.assert_open_at("/hello").persists
        connection.send(get(target=b"/hello") * 40)
        for _ in range(40):
            assert connection.read_response().body == b"hello\n"


@pytest.mark.parametrize("mode", MODES)
def test_an_idle_connection_ends_after_keepalive(mode: str, run: Run) -> None:
    with run(mode, keepalive=1).connect() as connection:
        connection.assert_open_at("/hello")
        began = time.monotonic()
        connection.assert_closed()
        assert 0.8 < time.monotonic() - began < 5


@pytest.mark.parametrize("mode", MODES)
def test_a_head_that_takes_too_long_is_a_408(mode: str, run: Run) -> None:
    server = run(mode, header_timeout=1)
    with server.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost:")
        began = time.monotonic()
        assert connection.read_response().status == 408
        assert 0.8 < time.monotonic() - began < 5
        connection.assert_closed()
    assert server.get("/hello").status == 200


@pytest.mark.parametrize("mode", MODES)
def test_limits_hold(mode: str, run: Run) -> None:
    server = run(mode, "slow", limit_request_body=10)
    assert server.get("/", method="POST", body=b"x" * 10).body == b"10\n"
    assert server.get("/", method="POST", body=b"x" * 11).status == 413


@pytest.mark.parametrize("mode", MODES)
def test_slow_clients_hold_nobody_up(mode: str, run: Run) -> None:
    """More of them than there are threads, some of which send slowly while others do not read."""
    server = run(mode, "slow")
    senders = [server.connect() for _ in range(5)]
    for sender in senders:
        sender.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234")
    readers = [server.connect(receive_buffer=4096) for _ in range(5)]
    for reader in readers:
        reader.send(get(target=b"/bytes"))
    for reader in readers:
        assert reader.read_head().status == 200
    for _ in range(5):
        assert server.get("/").status == 200
    for sender in senders:
        sender.send(b"56789")
        assert sender.read_response().body == b"10\n"
        sender.close()
    for reader in readers:
        assert len(reader._exactly(20_000_000)) == 20_000_000
        reader.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("mode", MODES)
def test_a_signal_lets_a_request_finish(mode: str, number: signal.Signals, run: Run, tmp_path: Path) -> None:
    server = run(mode)
    path = tmp_path / "go"
    with server.connect() as idle:
        idle.assert_open_at("/hello")
        connection = begin(server, path)
        server.kill(number)
        stays(lambda: not server.stdout(), "the server", 0.5)
        path.touch()
        response = connection.read_response()
        assert response.body == b"hello\n"
        connection.assert_closed()
        connection.close()
        idle.assert_closed()
    server.wait_for_exit(0)
    assert server.stdout() == "returned\n"


@pytest.mark.parametrize("mode", MODES)
def test_one_that_nobody_uses_ends_at_once(mode: str, run: Run) -> None:
    server = run(mode)
    server.get("/hello")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("mode", THREADED)
def test_as_many_requests_run_as_there_are_threads(mode: str, run: Run, tmp_path: Path) -> None:
    server = run(mode)
    paths = [tmp_path / name for name in "abc"]
    connections = [begin(server, path) for path in paths]
    with server.connect() as waiting:
        waiting.send(get(target=b"/hello"))
        stays(lambda: not waiting.readable(0), "its turn has not come", 0.3)
        for path in paths:
            path.touch()
        assert waiting.read_response().body == b"hello\n"
    for connection in connections:
        assert connection.read_response().body == b"hello\n"
        connection.close()


@pytest.mark.parametrize("mode", MODES)
def test_the_environ_says_how_many_threads_and_processes_there_are(mode: str, run: Run) -> None:
    types = eval(run(mode).get("/environ-types").text)
    assert types["wsgi.multithread"] == ["bool", str(mode in THREADED)]
    assert types["wsgi.multiprocess"] == ["bool", "False"]


@pytest.mark.parametrize("mode", MODES)
def test_the_access_log_is_written_where_the_setting_says(mode: str, run: Run) -> None:
    server = run(mode, accesslog="-", access_log_format="%(m)s %(U)s %(s)s")
    server.get("/hello")
    wait_for(lambda: "GET /hello 200\n" in server.stdout(), "the line")


@pytest.mark.parametrize("mode", MODES)
def test_an_application_that_fails_is_a_500_and_in_the_log(mode: str, run: Run) -> None:
    server = run(mode)
    assert server.get("/fails").status == 500
    server.wait_for_log("^RuntimeError: this application fails")
    assert server.get("/hello").status == 200


@pytest.mark.parametrize("mode", MODES)
def test_a_request_that_hangs_is_ended(mode: str, run: Run, tmp_path: Path) -> None:
    server = run(mode, request_timeout=1)
    with begin(server, tmp_path / "never") as connection:
        assert connection.read_response().status == 504
    assert server.get("/hello").status == 200


# Signals and ends


HANDLERS = """
import os, rgunicorn, signal, views
mine = lambda number, frame: print("mine")
signal.signal(signal.SIGTERM, mine)
wakeup = os.open(os.devnull, os.O_RDWR | os.O_NONBLOCK)
signal.set_wakeup_fd(wakeup)
rgunicorn.serve(views.app, os.environ["BIND"])
assert signal.getsignal(signal.SIGTERM) is mine
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.set_wakeup_fd(-1) == wakeup
print("restored", flush=True)
"""


def test_the_former_handlers_are_back(program: Run) -> None:
    server = program(HANDLERS)
    server.stop()
    assert server.stdout() == "restored\n"


INTERRUPTED = """
import os, rgunicorn, views
try:
    rgunicorn.serve(views.app, os.environ["BIND"], threads=2)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_a_second_signal_is_the_programs(program: Run, tmp_path: Path) -> None:
    server = program(INTERRUPTED)
    path = tmp_path / "go"
    with begin(server, path), server.connect() as idle:
        idle.assert_open_at("/hello")
        server.kill(signal.SIGINT)
        while idle.request(get(target=b"/hello")).persists:
            pass
        server.kill(signal.SIGINT)
        wait_for(lambda: server.stdout() == "interrupted\n", "the exception")
        # The interpreter waits for its threads.
        path.touch()
    server.wait_for_exit(0)


def test_it_waits_no_longer_than_graceful_timeout(program: Run, tmp_path: Path) -> None:
    server = program(SERVE, env={"APP": "views", "SETTINGS": "{'threads': 2, 'graceful_timeout': 1}"})
    path = tmp_path / "go"
    with begin(server, path):
        server.kill(signal.SIGTERM)
        wait_for(lambda: server.stdout() == "returned\n", "the end", 5)
        path.touch()
    server.wait_for_exit(0)


def test_what_is_ignored_stays_ignored(program: Run) -> None:
    """As a shell starts what is to run on behind it."""
    source = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SERVE
    server = program(source, env={"APP": "views", "SETTINGS": "{}"})
    server.kill(signal.SIGINT)
    stays(lambda: server.get("/hello").status == 200, "the server", 0.3)


def test_a_request_can_close_the_server(program: Run) -> None:
    source = """
import os, rgunicorn
def app(environ, start_response):
    server.close()
    start_response("200 OK", [("Content-Length", "3")])
    return [b"bye"]
server = rgunicorn.Server(app, os.environ["BIND"], errorlog="-")
server.serve_forever()
"""
    server = program(source)
    response = server.get()
    assert (response.text, response.persists) == ("bye", False)
    server.wait_for_exit(0)


# Several


SEVERAL = """
import os, threading, time, urllib.request
import rgunicorn

def app(text):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", str(len(text)))])
        return [text.encode()]
    return application

def ask(server):
    host, port = server.addresses[0]
    return urllib.request.urlopen(f"http://{host}:{port}/").read().decode()

def running(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    return thread

def descriptors():
    return sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd != str(3))
"""

BOTH = """
first, second = (rgunicorn.Server(app(text), ("127.0.0.1", 0), THREADS) for text in ("first", "second"))
threads = [running(first), running(second)]
assert (ask(first), ask(second), ask(first)) == ("first", "second", "first")
first.close()
threads[0].join()
assert ask(second) == "second"
second.close()
threads[1].join()
"""

AGAIN = """
port = 0
for count in range(20):
    with rgunicorn.Server(app(str(count)), ("127.0.0.1", port), THREADS) as server:
        thread = running(server)
        port = server.addresses[0][1]
        assert ask(server) == str(count)
    thread.join()
    if count == 0:
        before = len(os.listdir("/proc/self/fd"))
assert len(os.listdir("/proc/self/fd")) == before, (before, os.listdir("/proc/self/fd"))
# A server does not wait for the threads of its pool, which end by themselves.
until = time.monotonic() + 20
while threading.active_count() > 1 and time.monotonic() < until:
    time.sleep(0.01)
assert threading.active_count() == 1, threading.enumerate()
"""

TURNS = """
import select
for count in range(20):
    with rgunicorn.Server(app(str(count)), ("127.0.0.1", 0), THREADS) as server:
        answers = []
        client = threading.Thread(target=lambda: answers.append(ask(server)))
        client.start()
        poll = select.poll()
        poll.register(server.fileno(), select.POLLIN)
        while not answers:
            poll.poll(10)
            server.turn()
        client.join()
        assert answers == [str(count)]
    if count == 0:
        before = len(os.listdir("/proc/self/fd"))
assert len(os.listdir("/proc/self/fd")) == before, (before, os.listdir("/proc/self/fd"))
"""

CHILD = """
import multiprocessing
fork = multiprocessing.get_context("fork")

def child(sender):
    with rgunicorn.Server(app("child"), ("127.0.0.1", 0), THREADS) as server:
        thread = running(server)
        sender.send((ask(server), ask(server)))
    thread.join()

with rgunicorn.Server(app("parent"), ("127.0.0.1", 0), THREADS) as server:
    thread = running(server)
    assert ask(server) == "parent"
    receiver, sender = fork.Pipe(False)
    process = fork.Process(target=child, args=(sender,))
    process.start()
    assert receiver.poll(20)
    assert receiver.recv() == ("child", "child")
    process.join()
    assert process.exitcode == 0
    assert ask(server) == "parent"
thread.join()
"""


def python(source: str) -> str:
    """Runs a program to its end; gives what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("source", [BOTH, AGAIN, TURNS, CHILD], ids=["both", "again", "turns", "child"])
def test_a_process_may_have_several(source: str, threads: str) -> None:
    python(SEVERAL + source.replace("THREADS", threads))


def test_a_unix_sockets_file_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    source = f"""
import os, stat, rgunicorn
with rgunicorn.Server(print, "unix:{path}", umask=0o117) as server:
    print(server.addresses, oct(os.stat("{path}").st_mode))
"""
    assert python(source) == f"['{path}'] 0o140660\n"
    assert not path.exists()


# Examples


@pytest.mark.parametrize("name", ["script", "thread", "asyncio_loop"])
def test_an_example_runs(name: str, program: Run) -> None:
    source = (EXAMPLES / "embedding" / f"{name}.py").read_text()
    server = program(source, "127.0.0.1:0")
    assert server.get().status == 200
    server.stop(signal.SIGINT)
    assert "Traceback" not in server.log()


def test_the_loop_goes_on_while_threads_serve(program: Run) -> None:
    server = program((EXAMPLES / "embedding" / "asyncio_loop.py").read_text(), "127.0.0.1:0")
    assert eval(server.get("/slow").text)["ticks"] > 20
