"""`pre_request` and `post_request`: when they run, what they are given, and what their failures do."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from support.cases import chunked, get, post
from support.diag import receive_queue
from support.processes import wait_for
from support.server import Server

#: Each hook writes one line of JSON to the file `trace`; a request can ask for trouble in its query.
CONFIG = """
import json
import os
import time

TRACE = os.environ["TRACE"]

def write(**facts):
    with open(TRACE, "a") as file:
        file.write(json.dumps(facts) + "\\n")

def request(req):
    return {
        "method": req.method, "uri": req.uri, "path": req.path, "query": req.query, "fragment": req.fragment,
        "version": req.version, "headers": req.headers, "trailers": req.trailers, "scheme": req.scheme,
        "number": req.req_number, "proxy": req.proxy_protocol_info, "must_close": req.must_close,
        "closes": req.should_close(), "peer": req.peer_addr, "remote": req.remote_addr,
        "own_cfg": req.cfg is CFG[0],
    }

def response(resp):
    if resp is None:
        return None
    return {
        "status": resp.status, "code": getattr(resp, "status_code", None), "headers": resp.headers,
        "sent": resp.sent, "length": resp.response_length, "headers_sent": resp.headers_sent,
        "chunked": resp.chunked, "upgrade": resp.upgrade,
    }

CFG = []

def pre_request(worker, req):
    CFG[:] = [worker.cfg]
    req.own = {"started": time.monotonic()}
    write(hook="pre_request", nr=worker.nr, req=request(req))
    if "pre-fails" in req.query:
        raise RuntimeError("pre_request has failed")
    if "pre-exits" in req.query:
        raise SystemExit(3)
    if "close" in req.query:
        req.force_close()
    if "read" in req.query:
        write(hook="read", data=req.body.read(3).decode())
    if "change" in req.query:
        req.headers.append(("X-NEW", "one"))
        req.headers.append(("X-NEW", "two"))
        req.method, req.path, req.query, req.scheme = "PATCH", "/new%20path", "q=new", "https"

def post_request(worker, req, environ, resp):
    took = time.monotonic() - req.own["started"]
    write(
        hook="post_request", nr=worker.nr, req=request(req), resp=response(resp), took=0 <= took < 60,
        environ={name: value for name, value in environ.items() if isinstance(value, str)},
        same=resp is None or resp.req is req,
    )
    if "post-fails" in req.query:
        raise RuntimeError("post_request has failed")
"""

APP = """
import os

def app(environ, start_response):
    environ["app.note"] = "seen"
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise RuntimeError("the application has failed")
    if path == "/fails-later":
        start_response("200 OK", [("Content-Length", "8")])
        return failing()
    if path == "/bad-header":
        start_response("200 OK", [("X-Bad", "a\\r\\nb")])
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/chunks":
        start_response("203 Some", [("X-One", "1"), ("x-two", "2"), ("Connection", "x"), ("Date", "never")])
        return iter([b"one", b"", b"two"])
    if path == "/file":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    if path == "/endless":
        start_response("200 OK", [("Content-Length", str(1 << 40))])
        return endless()
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body) + 2))])
    return [b"ok" + body]

def failing():
    yield b"half"
    raise RuntimeError("the application has failed late")

def endless():
    while True:
        yield bytes(1 << 20)
"""


class Traced:
    """A server whose hooks write a trace."""

    def __init__(self, server: Server, trace: Path) -> None:
        self.server = server
        self.trace = trace

    def lines(self) -> list[dict[str, Any]]:
        """What has been written so far."""
        return (
            [json.loads(line) for line in self.trace.read_text().splitlines()] if self.trace.exists() else []
        )

    def wait(self, hook: str, count: int = 1) -> list[dict[str, Any]]:
        """Waits until a hook has run so often; gives its lines."""

        def found() -> list[dict[str, Any]] | None:
            lines = [line for line in self.lines() if line["hook"] == hook]
            return lines if len(lines) >= count else None

        lines = wait_for(found, f"{count} of {hook}")
        assert len(lines) == count, lines
        return lines


def start(serve: Serve, tmp_path: Path, *flags: str, config: str = CONFIG, **settings: Any) -> Traced:
    trace = tmp_path / "trace"
    server = serve("app:app", *flags, source=APP, config=config, env={"TRACE": str(trace)}, **settings)
    return Traced(server, trace)


@pytest.fixture
def traced(serve: Serve, tmp_path: Path) -> Traced:
    return start(serve, tmp_path)


# What the hooks are given

HOST = ["HOST", "localhost"]

REQUESTS = {
    "a target with everything": (
        b"GET /a%20b/%C3%A9?q=%201&r#frag HTTP/1.1\r\nHost: localhost\r\nX-Two: 1\r\nx-two:  2 \r\n\r\n",
        {
            "method": "GET",
            "uri": "/a%20b/%C3%A9?q=%201&r#frag",
            "path": "/a%20b/%C3%A9",
            "query": "q=%201&r",
            "fragment": "frag",
            "version": [1, 1],
            "headers": [HOST, ["X-TWO", "1"], ["X-TWO", "2"]],
            "closes": False,
        },
    ),
    "absolute form": (
        b"GET http://localhost/x?y HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        {
            "uri": "http://localhost/x?y",
            "path": "/x",
            "query": "y",
            "headers": [HOST, ["CONNECTION", "close"]],
            "closes": True,
        },
    ),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", {"method": "OPTIONS", "path": "*"}),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", {"version": [1, 0], "headers": [], "closes": True}),
    "HEAD": (b"HEAD /h HTTP/1.1\r\nHost: localhost\r\n\r\n", {"method": "HEAD", "path": "/h"}),
    "a body": (
        post(b"Content-Length: 3\r\n", b"abc"),
        {"method": "POST", "headers": [HOST, ["CONTENT-LENGTH", "3"]]},
    ),
    "a trusted proxy": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n\r\n",
        {"scheme": "https"},
    ),
    "a latin-1 value": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \xe9\r\n\r\n",
        {"headers": [HOST, ["X", "\xe9"]], "scheme": "http"},
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_hook_sees_what_was_asked(name: str, traced: Traced) -> None:
    data, expected = REQUESTS[name]
    with traced.server.connect() as connection:
        assert connection.request(data).status == 200
        address, port = connection.socket.getsockname()
    (line,) = traced.wait("pre_request")
    seen = line["req"]
    assert {key: seen[key] for key in expected} == expected
    for key in ("peer", "remote"):
        assert seen[key] == [address, port]
    assert (seen["trailers"], seen["proxy"], seen["number"], seen["must_close"]) == ([], None, 1, False)
    assert seen["own_cfg"]


def test_a_client_of_a_unix_socket_has_no_address(serve: Serve, tmp_path: Path) -> None:
    traced = start(serve, tmp_path, kind="unix")
    traced.server.get()
    (line,) = traced.wait("pre_request")
    assert (line["req"]["peer"], line["req"]["remote"]) == ("", "")


def test_a_client_with_an_ipv6_address_has_four_parts(serve: Serve, tmp_path: Path) -> None:
    traced = start(serve, tmp_path, kind="tcp6")
    traced.server.get()
    (line,) = traced.wait("pre_request")
    assert (line["req"]["peer"][0], line["req"]["peer"][2:]) == ("::1", [0, 0])


RESPONSES = {
    "/": ("GET", {"status": "200 OK", "code": 200, "sent": 2, "length": 2, "chunked": False}),
    "/chunks": (
        "GET",
        {
            "status": "203 Some",
            "code": 203,
            "headers": [["X-One", "1"], ["x-two", "2"]],
            "sent": 6,
            "length": None,
            "chunked": True,
        },
    ),
    "/empty": ("GET", {"status": "204 No Content", "headers": [], "sent": 0, "chunked": False}),
    "/head": ("HEAD", {"status": "200 OK", "sent": 0, "length": 2, "chunked": False}),
}


@pytest.mark.parametrize("target", RESPONSES)
def test_a_hook_sees_what_was_answered(target: str, traced: Traced) -> None:
    method, expected = RESPONSES[target]
    response = traced.server.get(target, method=method)
    (line,) = traced.wait("post_request")
    seen = line["resp"]
    assert {key: seen[key] for key in expected} == expected
    assert (seen["headers_sent"], seen["upgrade"], line["same"], line["took"]) == (True, False, True, True)
    assert seen["code"] == response.status


@pytest.mark.ours("Gunicorn does not count the bytes of a file that it sends")
def test_the_bytes_of_a_file_are_counted(traced: Traced) -> None:
    response = traced.server.get("/file")
    (line,) = traced.wait("post_request")
    assert line["resp"]["sent"] == len(response.body) > 0


def test_the_environ_is_the_one_that_the_application_had(traced: Traced) -> None:
    traced.server.get("/a%20b?q")
    (line,) = traced.wait("post_request")
    environ = line["environ"]
    assert (environ["app.note"], environ["PATH_INFO"], environ["QUERY_STRING"]) == ("seen", "/a b", "q")
    assert environ["RAW_URI"] == "/a%20b?q"


def test_requests_are_numbered_on_their_connection(traced: Traced) -> None:
    with traced.server.connect() as connection:
        connection.request(get())
        connection.send(get() + post(b"Content-Length: 1\r\n", b"x"))
        connection.read_response()
        connection.read_response()
    with traced.server.connect() as connection:
        connection.request(get())
    lines = traced.wait("post_request", 4)
    assert [line["req"]["number"] for line in lines] == [1, 2, 3, 1]


def test_the_worker_counts_requests_between_the_hooks(traced: Traced) -> None:
    for _ in range(2):
        traced.server.get()
    traced.wait("post_request", 2)
    assert [(line["hook"], line["nr"]) for line in traced.lines()] == [
        ("pre_request", 0),
        ("post_request", 1),
        ("pre_request", 1),
        ("post_request", 2),
    ]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("worker, req", 2),
        ("worker, req, environ", 3),
        ("worker, req, environ, resp", 4),
        ("worker, req, *args", 2),
        ("worker, req, environ=None, resp=None", 4),
    ],
)
def test_post_request_gets_as_much_as_it_takes(
    parameters: str, expected: int, serve: Serve, tmp_path: Path
) -> None:
    names = re.sub(r"=None", "", parameters)
    config = (
        "import os\n"
        f"def post_request({parameters}):\n"
        f"    given = [one for one in ({names}) if one is not None]\n"
        '    with open(os.environ["TRACE"], "w") as file:\n'
        '        file.write(\'{"hook": "post_request", "given": %d}\' % len(given))\n'
    )
    traced = start(serve, tmp_path, config=config)
    traced.server.get()
    (line,) = traced.wait("post_request")
    assert line["given"] == expected


# What the hooks can do


def test_pre_request_can_end_the_connection(traced: Traced) -> None:
    with traced.server.connect() as connection:
        response = connection.request(get(target=b"/?close"))
        assert response.header("Connection") == "close"
        connection.assert_closed()
    (line,) = traced.wait("post_request")
    assert (line["req"]["must_close"], line["req"]["closes"]) == (True, True)


@pytest.mark.parametrize(
    "body",
    [
        post(b"Content-Length: 6\r\n", b"abcdef"),
        chunked(b"6\r\nabcdef\r\n0\r\n\r\n"),
        post(b"Content-Length: 100000\r\n", b"abcdef" + bytes(99994)),
    ],
    ids=["short", "chunked", "long"],
)
def test_the_application_reads_on_where_pre_request_stopped(body: bytes, traced: Traced) -> None:
    with traced.server.connect() as connection:
        response = connection.request(body.replace(b" / ", b" /?read ", 1))
        assert response.body.startswith(b"okdef")
    (line,) = traced.wait("read")
    assert line["data"] == "abc"


@pytest.mark.ours("only rgunicorn has the setting; Gunicorn always streams")
def test_a_streamed_body_can_be_read_in_pre_request(serve: Serve, tmp_path: Path) -> None:
    traced = start(serve, tmp_path, config=CONFIG + "\nstream_request_body = True\n")
    with traced.server.connect() as connection:
        connection.send(b"POST /?read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n")
        connection.send(b"abc")
        (line,) = traced.wait("read")
        assert line["data"] == "abc"
        connection.send(b"def")
        assert connection.read_response().body == b"okdef"


@pytest.mark.ours("only rgunicorn has the setting; Gunicorn always streams")
def test_a_client_that_leaves_while_pre_request_reads_is_no_error(serve: Serve, tmp_path: Path) -> None:
    config = CONFIG + "\nstream_request_body = True\nloglevel = 'debug'\n"
    traced = start(serve, tmp_path, config=config)
    with traced.server.connect() as connection:
        connection.send(b"POST /?read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\na")
        traced.wait("pre_request")
        connection.reset()
    (line,) = traced.wait("post_request")
    assert line["resp"] is None
    traced.server.wait_for_log(r"\[DEBUG\] Ignoring socket error")
    assert "[ERROR]" not in traced.server.log()


def test_what_pre_request_changes_reaches_the_environ(traced: Traced) -> None:
    assert traced.server.get("/old?change", "X-New: zero").status == 200
    (line,) = traced.wait("post_request")
    environ = line["environ"]
    assert environ["HTTP_X_NEW"] == "zero,one,two"
    assert (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("PATCH", "/new path")
    assert (environ["QUERY_STRING"], environ["wsgi.url_scheme"]) == ("q=new", "https")
    assert environ["HTTP_HOST"] == "localhost"


@pytest.mark.parametrize(
    "setting",
    [
        "",
        pytest.param(
            "stream_request_body = True\n", marks=pytest.mark.ours("only rgunicorn has the setting")
        ),
    ],
)
def test_post_request_sees_the_trailers(setting: str, serve: Serve, tmp_path: Path) -> None:
    traced = start(serve, tmp_path, config=CONFIG + setting)
    with traced.server.connect() as connection:
        connection.request(chunked(b"1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n"))
    (line,) = traced.wait("post_request")
    assert line["req"]["trailers"] == [["X-SUM", "7"]]
    with traced.server.connect() as connection:
        connection.request(get())
    assert traced.wait("post_request", 2)[1]["req"]["trailers"] == []


# Failures


def test_a_failing_pre_request_is_an_error_for_that_request_alone(traced: Traced) -> None:
    assert traced.server.get("/x?pre-fails").status == 500
    traced.server.wait_for_log(r"\[ERROR\] Error handling request GET /x\?pre-fails")
    assert "RuntimeError: pre_request has failed" in traced.server.log()
    (line,) = traced.wait("post_request")
    assert (line["environ"], line["resp"]) == ({}, None)
    assert traced.server.get().status == 200


@pytest.mark.ours("the connection stays open in Gunicorn's threads, and its main thread gets the exception")
def test_an_exit_in_pre_request_does_not_end_the_worker(traced: Traced) -> None:
    worker = traced.server.worker()
    assert traced.server.get("/?pre-exits").status == 500
    assert traced.server.get().status == 200
    assert traced.server.worker() == worker


def test_a_failing_post_request_is_logged_and_changes_nothing(traced: Traced) -> None:
    with traced.server.connect() as connection:
        assert connection.request(get(target=b"/?post-fails")).status == 200
        connection.assert_open()
    traced.server.wait_for_log(r"\[ERROR\] Exception in post_request hook$")
    assert "RuntimeError: post_request has failed" in traced.server.log()


def test_post_request_runs_when_the_application_has_failed(traced: Traced) -> None:
    assert traced.server.get("/fails").status == 500
    (line,) = traced.wait("post_request")
    assert line["environ"]["PATH_INFO"] == "/fails"
    assert line["resp"]["sent"] == 0


@pytest.mark.ours("Gunicorn calls the hook before it decides what the client gets")
def test_post_request_sees_the_answer_that_a_failed_application_got(traced: Traced) -> None:
    assert traced.server.get("/fails").status == 500
    assert traced.server.get("/bad-header").status == 500
    for line in traced.wait("post_request", 2):
        seen = line["resp"]
        assert (seen["status"], seen["code"], seen["headers"]) == ("500 Internal Server Error", 500, [])


def test_post_request_sees_how_far_a_failed_response_came(traced: Traced) -> None:
    with traced.server.connect() as connection:
        connection.send(get(target=b"/fails-later"))
        assert b"half" in connection.read_to_end()
    (line,) = traced.wait("post_request")
    seen = line["resp"]
    assert (seen["status"], seen["sent"], seen["length"]) == ("200 OK", 4, 8)


def test_post_request_runs_when_the_client_is_gone(traced: Traced) -> None:
    with traced.server.connect() as connection:
        connection.send(get(target=b"/endless"))
        connection.read_to(b"\r\n\r\n")
        connection.reset()
    (line,) = traced.wait("post_request")
    assert 0 < line["resp"]["sent"] < 1 << 40


def test_a_request_that_cannot_be_parsed_has_no_hooks(traced: Traced) -> None:
    with traced.server.connect() as connection:
        assert connection.request(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").status == 400
    traced.server.get()
    traced.wait("post_request")
    assert len(traced.lines()) == 2


@pytest.mark.ours("Gunicorn's child goes on as a second worker")
@pytest.mark.parametrize("hook", ["pre_request", "post_request"])
def test_a_process_that_a_hook_forks_and_forgets_ends(hook: str, serve: Serve) -> None:
    config = f"import os\ndef {hook}(worker, req):\n    pid = os.fork()\n    if pid:\n"
    config += "        worker.log.info('ended: %s', os.waitpid(pid, 0)[1])\n"
    server = serve("app:app", source=APP, config=config)
    for count in (1, 2):
        assert server.get().text == "ok"
        server.wait_for_log("ended: 0$", count=count)


@pytest.mark.ours("a stuck thread is never timed out by Gunicorn")
def test_a_hook_that_takes_too_long_is_timed_out(serve: Serve) -> None:
    config = (
        "import time\ndef post_request(worker, req):\n    if req.path == '/slow':\n        time.sleep(60)\n"
    )
    server = serve("app:app", "--timeout", "1", source=APP, config=config)
    worker = server.worker()
    assert server.get("/slow").text == "ok"
    server.wait_for_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{worker}\)")
    wait_for(lambda: server.workers() not in ([worker], []), "another worker")
    assert server.get().text == "ok"


# Order, and hooks that are not set


@pytest.mark.ours("a request is timed only when its worker is idle at its start")
def test_the_time_of_a_hook_is_not_that_of_the_next_request(serve: Serve, tmp_path: Path) -> None:
    """Both requests are there in one turn of the loop."""
    config = """
import time
def post_request(worker, req):
    if req.path == "/first":
        time.sleep(0.6)
"""
    source = """
import time
def app(environ, start_response):
    if environ["PATH_INFO"] == "/waits":
        time.sleep(0.5)
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""
    log = tmp_path / "access.log"
    flags = ["--access-logfile", str(log), "--access-logformat", "%(U)s %(M)s"]
    server = serve("app:app", *flags, source=source, config=config)
    with ExitStack() as stack:
        waits, first, second = (stack.enter_context(server.connect()) for _ in range(3))
        for connection in (waits, first, second):
            connection.request(get(target=b"/warm"))
        waits.send(get(target=b"/waits"))
        wait_for(lambda: receive_queue(server.address, waits.socket.getsockname()) == 0, "a read")
        first.send(get(target=b"/first"))
        second.send(get(target=b"/second"))
        for connection in (first, second):
            connection.read_response()
    took = dict(line.split() for line in wait_for(lambda: written(log, 6), "every line"))
    assert int(took["/second"]) < 400


def written(log: Path, count: int) -> list[str] | None:
    found = log.read_text().splitlines()
    return found if len(found) == count else None


def test_the_hooks_of_a_retiring_worker_run(serve: Serve, tmp_path: Path) -> None:
    traced = start(serve, tmp_path, "--max-requests", "2")
    for _ in range(5):
        assert traced.server.get().status == 200
    for hook in ("pre_request", "post_request"):
        traced.wait(hook, 5)


def test_post_request_can_retire_the_worker(serve: Serve, tmp_path: Path) -> None:
    config = CONFIG + "\ndef post_request(worker, req):\n    worker.alive = req.path != '/last'\n"
    traced = start(serve, tmp_path, config=config)
    worker = traced.server.worker()
    traced.server.get("/first")
    traced.server.get("/last")
    wait_for(lambda: traced.server.workers() not in ([worker], []), "another worker")


def test_a_hook_can_be_set_while_the_worker_boots(serve: Serve, tmp_path: Path) -> None:
    config = CONFIG + "\nhook, post_request = post_request, None\ndel post_request, pre_request\n"
    config = config.replace('req.own["started"]', "0").replace("took=0 <= took < 60", "took=True")
    config += "CFG = [None]\ndef post_worker_init(worker):\n    worker.cfg.set('post_request', hook)\n"
    traced = start(serve, tmp_path, config=config)
    traced.server.get()
    traced.wait("post_request")


def test_without_a_hook_requests_are_logged_at_debug(serve: Serve) -> None:
    server = serve("app:app", "--log-level", "debug", source=APP)
    server.get("/a%20b?q")
    server.wait_for_log(r"\[DEBUG\] GET /a%20b$")


@pytest.mark.ours("Gunicorn makes the objects for every request")
def test_without_hooks_no_object_is_made(serve: Serve) -> None:
    config = (
        "def post_worker_init(worker):\n"
        "    import rgunicorn.http.message, rgunicorn.http.wsgi\n"
        "    rgunicorn.http.message.Request = rgunicorn.http.wsgi.Response = None\n"
    )
    server = serve("app:app", source=APP, config=config)
    assert server.get().status == 200


# Names that configurations overwrite


@pytest.mark.parametrize("module", ["gunicorn", "gunicorn.http.wsgi"])
def test_the_name_of_the_server_can_be_overwritten(module: str, serve: Serve) -> None:
    config = f"import {module}\n{module}.SERVER = 'mine/1.0'\n"
    assert serve("app:app", source=APP, config=config).get().header("Server") == "mine/1.0"


@pytest.mark.parametrize("module", ["gunicorn", "gunicorn.http.wsgi"])
def test_the_software_that_the_environ_names_can_be_overwritten(module: str, serve: Serve) -> None:
    source = (
        "def app(environ, start_response):\n"
        "    text = environ['SERVER_SOFTWARE'].encode()\n"
        "    start_response('200 OK', [('Content-Length', str(len(text)))])\n"
        "    return [text]\n"
    )
    config = f"import {module}\n{module}.SERVER_SOFTWARE = 'mine/1.0'\n"
    assert serve("app:app", source=source, config=config).get().text == "mine/1.0"


@pytest.mark.ours("Gunicorn sends the field without a value")
def test_an_empty_name_leaves_the_field_out(serve: Serve) -> None:
    config = "import gunicorn\ngunicorn.SERVER = ''\n"
    assert serve("app:app", source=APP, config=config).get().all("Server") == []


@pytest.mark.ours("Gunicorn sends whatever it is given")
def test_a_name_that_cannot_be_sent_ends_the_start(serve: Serve) -> None:
    config = "import gunicorn\ngunicorn.SERVER = 'a' + chr(10) + 'X: y'\n"
    server = serve("app:app", source=APP, config=config, launch=True)
    server.wait_for_exit(1)
    assert r"Error: SERVER cannot be sent in a response: 'a\nX: y'" in server.log()
