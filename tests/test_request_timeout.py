"""`request_timeout`: a request that takes too long is answered, told of and ended; its worker seldom is."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get, post
from support.processes import alive, wait_for
from support.server import Server
from support.wire import Closed, Connection

pytestmark = pytest.mark.ours("a limit for one request")

SOURCE = """
import ctypes, math, os, random, re, signal, sys, threading, time

from rgunicorn.errors import RequestTimeout

def say(*words):
    print(*words, file=sys.stderr, flush=True)

def nap():
    while True:
        time.sleep(0.02)  # NAP

def stubborn():
    while True:
        try:
            time.sleep(0.02)
        except Exception:
            pass

def swallow():
    while True:
        try:
            while True:
                time.sleep(0.02)
        except BaseException as error:
            say("swallowed", type(error).__name__)

def lock():
    # No signal interrupts it, nor does it run any Python code.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    ctypes.CDLL(None).sleep(60)

def hog():
    # Holds the interpreter.
    ctypes.PyDLL(None).sleep(3)

def late(environ, start_response):
    try:
        nap()
    except BaseException:
        for use in (lambda: start_response("200 OK", []), lambda: environ["wsgi.early_hints"]([]),
                    lambda: environ["rgunicorn.deadline"].extend(1)):
            try:
                use()
            except BaseException as error:
                say("late", type(error).__name__)
    return [b"too late"]

def fail():
    try:
        nap()
    finally:
        raise ValueError("on the way out")

kept = []

def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = str(os.getpid())
    deadline = environ.get("rgunicorn.deadline")
    if path == "/sleep":
        time.sleep(60)  # SLEEP
    elif path == "/busy":
        while True:
            pass
    elif path in ("/nap", "/stubborn", "/swallow", "/lock", "/hog", "/fail"):
        globals()[path[1:]]()
    elif path == "/late":
        return late(environ, start_response)
    elif path == "/stream":
        write = start_response("200 OK", [])
        write(b"begun")
        nap()
    elif path == "/short":
        start_response("200 OK", [("Content-Length", "10")])
        return (nap() if part is None else part for part in (b"begun", None))
    elif path == "/whole":
        start_response("200 OK", [("Content-Length", "5")])
        return (nap() if part is None else part for part in (b"whole", None))
    elif path == "/extended":
        deadline.extend(30)
        time.sleep(1.5)
    elif path == "/unlimited":
        deadline.at = math.inf
        time.sleep(1.5)
        body = str(deadline.remaining)
    elif path == "/early":
        deadline.at = time.monotonic() + 0.1
        nap()
    elif path == "/left":
        left, begun = deadline.remaining, time.monotonic()
        body = f"{left} {deadline.at - begun}"
    elif path == "/kept":
        kept.append(deadline)
    elif path == "/used":
        try:
            kept[0].extend(1)
        except RuntimeError as error:
            body = str(error)
        deadline.extend(1)
    elif path == "/edge":
        # Ends just when its time is over.
        deadline.at = at = time.monotonic() + 0.01
        until = at + random.uniform(-0.002, 0.002)
        while time.monotonic() < until:
            if query:
                time.sleep(0.0005)
    elif path == "/keys":
        tasks = os.listdir("/proc/self/task")
        threads = [open(f"/proc/self/task/{task}/comm").read().strip() for task in tasks]
        body = f"{'rgunicorn.deadline' in environ} {sorted(threads)}"
    elif path == "/reads":
        environ["wsgi.input"].read()
    elif path == "/big":
        start_response("200 OK", [("Content-Length", "300000000")])
        return (b"x" * 1_000_000 for _ in range(300))
    elif path == "/takes":
        socket = environ["gunicorn.socket"]
        socket.getpeername()
        socket.settimeout(20)
        time.sleep(1.5)
        socket.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nmine")
        raise StopIteration
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body.encode()]
"""
#: How each worker class is asked for.
KINDS = {
    "sync": [],
    "gthread": ["--threads", "2"],
    "gevent": ["--worker-class", "gevent"],
    "eventlet": ["--worker-class", "eventlet"],
}
#: Those in which such a request keeps all others waiting.
ALONE = {"/swallow": ["sync"], "/lock": ["sync", "gevent", "eventlet"]}
#: How the log names who serves a request.
SERVER = {
    "sync": "thread MainThread",
    "gthread": r"thread rgunicorn_\d",
    "gevent": r"thread MainThread, greenlet Greenlet-\d+",
    "eventlet": r"thread MainThread, greenlet 0x[0-9a-f]+",
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def limited(serve: Serve, kind: str, *flags: str, seconds: int = 1, **settings: object) -> Server:
    own = [*KINDS[kind], "--request-timeout", str(seconds), *flags]
    return serve("app:app", *own, **{"source": SOURCE, **settings})


def answer(server: Server, target: str) -> tuple[int, float]:
    """The status of an answer, and the seconds that it took."""
    begun = time.monotonic()
    status = server.get(target).status
    return status, time.monotonic() - begun


def begin(server: Server, target: str) -> Connection:
    connection = server.connect()
    connection.send(get(target=target.encode()))
    return connection


TOLD = r"\[ERROR\] REQUEST TIMEOUT \(pid:{pid}\) GET {target} from 127\.0\.0\.1:\d+, {seconds}"


def wait_until_told(server: Server, target: str, seconds: str = r"1\.\ds") -> None:
    server.wait_for_log(TOLD.format(pid=r"\d+", target=re.escape(target), seconds=seconds))


# The usual case


@pytest.mark.parametrize("target", ["/nap", "/busy", "/stubborn"])
def test_it_is_answered_told_and_ended(serve: Serve, kind: str, target: str) -> None:
    server = limited(serve, kind)
    worker = server.worker()
    for _ in range(3):
        status, seconds = answer(server, target)
        assert status == 504
        assert 1 <= seconds < 3
        answers = [server.get("/").text for _ in range(5)]
        assert answers == [str(worker)] * 5
    wait_until_told(server, target)
    assert "replaced" not in server.log()
    assert "Error handling" not in server.log()


def test_the_answer_is_a_page_and_the_end_of_the_connection(serve: Serve, kind: str) -> None:
    with begin(limited(serve, kind), "/nap") as connection:
        response = connection.read_response()
        assert (response.status, response.reason) == (504, "Gateway Timeout")
        assert "<h1><p>Gateway Timeout</p></h1>" in response.text
        assert not response.persists
        connection.assert_closed()


def test_the_log_shows_where_the_request_is(serve: Serve, kind: str) -> None:
    server = limited(serve, kind)
    server.get("/nap")
    line = next(number for number, line in enumerate(SOURCE.splitlines(), 1) if "# NAP" in line)
    told = TOLD.format(pid=server.worker(), target="/nap", seconds=r"1\.\ds") + rf" in {SERVER[kind]}:\n"
    file = r'  File ".*app\.py", line'
    server.wait_for_log(rf"{told}{file} \d+, in app\n    .*\n{file} {line}, in nap\n    time\.sleep")
    assert not re.search('File ".*rgunicorn/workers', server.log())


@pytest.mark.parametrize("kind", ["sync", "gevent", "eventlet"])
def test_the_main_thread_leaves_a_system_call(serve: Serve, kind: str) -> None:
    server = limited(serve, kind)
    worker = server.worker()
    for _ in range(3):
        assert answer(server, "/sleep")[0] == 504
        assert server.get("/").text == str(worker)


def test_nothing_is_said_of_requests_in_time(serve: Serve, kind: str) -> None:
    server = limited(serve, kind)
    for _ in range(3):
        assert server.get("/").status == 200
    with server.connect() as connection:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            connection.assert_open()
    assert "TIMEOUT" not in server.log()


def test_without_a_limit_there_is_nothing(serve: Serve, kind: str) -> None:
    found = limited(serve, kind, seconds=0).get("/keys").text
    assert found.startswith("False")
    assert "watchdog" not in found
    server = limited(serve, kind, seconds=5)
    assert server.get("/keys").text.startswith("True")
    # A thread takes its name when it begins to run.
    wait_for(lambda: server.get("/keys").text.count("watchdog") == 2, "both threads")


def test_a_class_with_a_loop_of_its_own_has_no_limit(serve: Serve) -> None:
    flags = ["--worker-class", "select_worker.SelectWorker", "--request-timeout", "1"]
    server = serve("app:app", *flags, source=SOURCE)
    server.wait_for_log(r"\[WARNING\] request_timeout has no effect with the worker class select_worker")


# What has begun


@pytest.mark.parametrize("target", ["/stream", "/short"])
def test_a_response_that_has_begun_is_cut(serve: Serve, kind: str, target: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    form = "%(s)s %(reason)s %(B)s"
    server = limited(serve, kind, "--access-logfile", str(log), "--access-logformat", form)
    with begin(server, target) as connection:
        received = connection.read_to_end()
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"begun" in received
    assert b"\r\n0\r\n" not in received
    wait_for(lambda: log.read_text() == "200 timeout 5\n", "its line")
    assert server.get("/").status == 200


def test_a_whole_response_is_not_cut(serve: Serve, kind: str) -> None:
    server = limited(serve, kind)
    with begin(server, "/whole") as connection:
        assert connection.read_response().body == b"whole"
        connection.assert_closed()
    wait_until_told(server, "/whole")


# The exception


def test_what_belongs_to_an_overdue_request_raises(serve: Serve, kind: str) -> None:
    server = limited(serve, kind)
    assert answer(server, "/late")[0] == 504
    server.wait_for_log("^late RequestTimeout$", count=3)
    assert server.get("/").status == 200
    assert "Error handling" not in server.log()


def test_another_exception_on_the_way_out_is_logged(serve: Serve, kind: str) -> None:
    server = limited(serve, kind)
    assert answer(server, "/fail")[0] == 504
    server.wait_for_log(r"Error handling request GET /fail from 127\.0\.0\.1:\d+$")
    server.wait_for_log("^ValueError: on the way out$")
    assert server.get("/").status == 200


@pytest.mark.parametrize("query", ["", "?sleeps"])
def test_no_other_request_gets_the_exception(serve: Serve, kind: str, query: str) -> None:
    """Requests that end just when their time is over, whoever is first."""
    server = limited(serve, kind)
    worker = server.worker()
    statuses: list[int] = []

    def ask() -> None:
        for _ in range(60):
            statuses.append(server.get(f"/edge{query}").status)
            statuses.append(server.get("/").status)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert set(statuses) <= {200, 504}
    assert statuses.count(200) >= 180
    assert server.worker() == worker
    assert "Error handling" not in server.log()
    assert "Traceback" not in server.log()


# The deadline


def test_the_application_may_move_its_deadline(serve: Serve, kind: str) -> None:
    server = limited(serve, kind)
    assert server.get("/extended").status == 200
    assert server.get("/unlimited").text == "inf"
    status, seconds = answer(server, "/early")
    assert status == 504
    assert seconds < 1
    left, at = map(float, server.get("/left").text.split())
    assert 0.5 < at <= left <= 1
    assert server.get("/").status == 200


def test_a_deadline_ends_with_its_request(serve: Serve) -> None:
    server = limited(serve, "sync")
    server.get("/kept")
    assert server.get("/used").text == "this request has ended"


def test_a_request_that_takes_its_socket_has_no_limit(serve: Serve, kind: str) -> None:
    server = limited(serve, kind)
    assert server.get("/takes").text == "mine"
    assert "TIMEOUT" not in server.log()


# Waits for the client


def test_a_client_that_sends_its_body_slowly(serve: Serve, kind: str) -> None:
    server = limited(serve, kind, "--stream-request-body")
    worker = server.worker()
    with server.connect() as connection:
        request = post(b"Content-Length: 10\r\n", b"abc").replace(b"POST /", b"POST /reads")
        connection.send(request)
        assert connection.read_response().status == 504
    assert server.get("/").text == str(worker)


def test_a_client_that_takes_its_response_slowly(serve: Serve, kind: str) -> None:
    server = limited(serve, kind, "--response-memory", "65536", "--response-file-limit", "65536")
    worker = server.worker()
    with server.connect(receive_buffer=4096) as connection:
        connection.send(get(target=b"/big"))
        wait_until_told(server, "/big")
        assert server.get("/").text == str(worker)
        with pytest.raises(Closed):
            connection.read_response()


# The second time


@pytest.mark.parametrize("target", ["/swallow", "/lock"])
def test_a_request_that_does_not_end_costs_its_worker(serve: Serve, kind: str, target: str) -> None:
    server = limited(serve, kind, "--graceful-timeout", "2")
    first = server.worker()
    begun = time.monotonic()
    assert answer(server, target)[0] == 504
    wait_until_told(server, target)
    # Where nobody else can serve, it waits for the replacement.
    answers = [server.get("/").text]
    wait_until_told(server, target, r"2\.\ds: it does not end, this worker is replaced")
    assert (answers == [str(first)]) == (kind not in ALONE[target])
    while alive(first):
        answers.append(server.get("/").text)
        time.sleep(0.02)
    assert time.monotonic() - begun >= 3
    (second,) = server.workers()
    assert answers[-1] == str(second)
    assert server.log().count("Booting worker") == 2
    if target == "/swallow":
        assert "swallowed RequestTimeout" in server.log()


def test_a_thread_in_a_system_call_does_not_end(serve: Serve) -> None:
    server = limited(serve, "gthread", "--graceful-timeout", "1")
    first = server.worker()
    assert answer(server, "/sleep")[0] == 504
    wait_until_told(server, "/sleep", r"2\.\ds: it does not end")
    wait_for(lambda: not alive(first), "the end of the first worker")
    assert server.get("/").status == 200


def test_one_that_holds_the_interpreter_is_answered_too(serve: Serve, kind: str) -> None:
    server = limited(serve, kind)
    first = server.worker()
    status, seconds = answer(server, "/hog")
    assert (status, seconds < 2) == (504, True)
    wait_until_told(server, "/hog")
    wait_for(lambda: server.workers() and first not in server.workers(), "the replacement")
    assert server.get("/").status == 200


# What others are told

OWN_LOGGER = """
from rgunicorn.glogging import Logger
class logger_class(Logger):
    def atoms(self, *args):
        return super().atoms(*args)
"""


@pytest.mark.parametrize("config", ["", OWN_LOGGER], ids=["native", "python"])
def test_it_has_one_line_in_the_access_log(serve: Serve, kind: str, config: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    form = "%(s)s %(reason)s %(m)s %(U)s %(h)s %(T)s"
    flags = ["--graceful-timeout", "1", "--access-logfile", str(log), "--access-logformat", form]
    server = limited(serve, kind, *flags, config=config)
    worker = server.worker()
    begun = begin(server, "/swallow")
    # While the application still has it.
    wait_for(lambda: log.read_text() == "504 timeout GET /swallow 127.0.0.1 1\n", "its line")
    begun.close()
    server.get("/nap")
    wait_for(lambda: log.read_text().count("504 timeout GET /nap 127.0.0.1 1\n") == 1, "another line")
    wait_until_told(server, "/swallow", r"2\.\ds")
    wait_for(lambda: not alive(worker), "the end of the worker")
    assert len(log.read_text().splitlines()) == 2


def test_the_hook_behind_it_runs_when_it_has_ended(serve: Serve, kind: str) -> None:
    config = """
def post_request(worker, req, environ, resp):
    worker.log.info("after %s: %s %s", req.path, resp.status, environ["PATH_INFO"])
"""
    server = limited(serve, kind, config=config)
    server.get("/nap")
    server.wait_for_log("after /nap: 504 Gateway Timeout /nap$")
    with begin(server, "/stream") as connection, pytest.raises(Closed):
        connection.read_response()
    server.wait_for_log("after /stream: 200 OK /stream$")


FLASK = """
import time
from flask import Flask, g

app = Flask(__name__)

@app.errorhandler(Exception)
def failed(error):
    return "handled", 500

@app.teardown_request
def teardown(error):
    print("teardown", type(error).__name__, flush=True)

@app.get("/nap")
def nap():
    while True:
        time.sleep(0.02)

@app.get("/")
def index():
    return "ok"
"""
DJANGO = """
import time
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

def nap(request):
    while True:
        time.sleep(0.02)

urlpatterns = [path("nap", nap), path("", lambda request: HttpResponse("ok"))]
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
app = get_wsgi_application()
"""


@pytest.mark.parametrize("source", [FLASK, DJANGO], ids=["flask", "django"])
def test_frameworks_do_not_answer_in_vain(serve: Serve, kind: str, source: str) -> None:
    server = limited(serve, kind, source=source)
    for _ in range(2):
        assert server.get("/nap").status == 504
        assert server.get("/").text == "ok"
    wait_until_told(server, "/nap")
    assert "Error handling" not in server.log()
    if source == FLASK:
        wait_for(lambda: server.stdout().count("teardown RequestTimeout") == 2, "the teardown")
