"""Loggers of the user's that write the access log themselves, and what they are given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from support.cases import get
from support.processes import wait_for
from support.server import Server

APP = """
def app(environ, start_response):
    environ["app.note"] = "seen"
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("the application has failed")
    start_response("201 Made", [("Content-Length", "2"), ("X-Out", "a"), ("x-out", "b")])
    return [b"ok"]
"""

LOGGER = """
import json
import os
from gunicorn.glogging import Logger

class Mine(Logger):
    def access(self, resp, req, environ, request_time):
        facts = {
    "status": resp.status, "sent": resp.sent, "headers": resp.headers, "method": req.method,
            "uri": req.uri, "own": getattr(req, "own", None), "seconds": request_time.total_seconds(),
            "note": environ.get("app.note"), "address": environ["REMOTE_ADDR"], "raw": environ["RAW_URI"],
            "names": dict(req.headers).get("X-ME"), "code": getattr(resp, "status_code", None),
            "path": environ["PATH_INFO"], "verb": environ["REQUEST_METHOD"],
        }
        with open(os.environ["TRACE"], "a") as file:
            file.write(json.dumps(facts) + "\\n")
        if req.query == "log-fails":
            raise RuntimeError("the logger has failed")
"""

CONFIG = """
accesslog = "-"
logger_class = "mine.Mine"

def pre_request(worker, req):
    req.own = "set by a hook"
"""


class Logged:
    """A server with a logger of the user's, and what that was told."""

    def __init__(self, serve: Serve, directory: Path, config: str = CONFIG) -> None:
        (directory / "mine.py").write_text(LOGGER)
        self.trace = directory / "trace"
        env = {"TRACE": str(self.trace), "PYTHONPATH": str(directory)}
        self.server: Server = serve("app:app", source=APP, config=config, env=env)

    def lines(self, count: int) -> list[dict[str, Any]]:
        """What the logger was told, as soon as it is so much."""

        def found() -> list[dict[str, Any]] | None:
            lines = self.trace.read_text().splitlines() if self.trace.exists() else []
            return [json.loads(line) for line in lines] if len(lines) >= count else None

        lines = wait_for(found, f"{count} calls of access()")
        assert len(lines) == count, lines
        return lines


def test_the_logger_gets_what_gunicorns_would(serve: Serve, tmp_path: Path) -> None:
    logged = Logged(serve, tmp_path)
    assert logged.server.get("/a%20b?q", "X-Me: you").status == 201
    (line,) = logged.lines(1)
    assert 0 <= line.pop("seconds") < 20
    assert line == {
        "status": "201 Made",
        "sent": 2,
        "headers": [["Content-Length", "2"], ["X-Out", "a"], ["x-out", "b"]],
        "method": "GET",
        "uri": "/a%20b?q",
        "own": "set by a hook",
        "note": "seen",
        "address": "127.0.0.1",
        "raw": "/a%20b?q",
        "names": "you",
        "code": 201,
        "path": "/a b",
        "verb": "GET",
    }


def test_the_logger_is_called_without_hooks_too(serve: Serve, tmp_path: Path) -> None:
    logged = Logged(serve, tmp_path, CONFIG.partition("def pre_request")[0])
    for _ in range(2):
        logged.server.get()
    assert [line["own"] for line in logged.lines(2)] == [None, None]


def test_the_logger_hears_of_failed_requests(serve: Serve, tmp_path: Path) -> None:
    logged = Logged(serve, tmp_path)
    assert logged.server.get("/fails").status == 500
    (line,) = logged.lines(1)
    assert (line["status"], line["sent"], line["uri"]) == ("500 Internal Server Error", 0, "/fails")


def test_the_logger_hears_of_requests_that_a_hook_has_failed(serve: Serve, tmp_path: Path) -> None:
    config = CONFIG + '    raise RuntimeError("the hook has failed")\n'
    logged = Logged(serve, tmp_path, config)
    assert logged.server.get("/x").status == 500
    (line,) = logged.lines(1)
    assert (line["status"], line["raw"], line["address"]) == (
        "500 Internal Server Error",
        "/x",
        "127.0.0.1",
    )


@pytest.mark.ours("Gunicorn does not log refused requests")
def test_the_logger_hears_of_requests_that_cannot_be_read(serve: Serve, tmp_path: Path) -> None:
    logged = Logged(serve, tmp_path)
    with logged.server.connect() as connection:
        assert connection.request(b"nonsense\r\n\r\n").status == 400
    (line,) = logged.lines(1)
    assert (line["status"], line["code"]) == ("400", 400)
    assert {line[name] for name in ("verb", "raw", "path", "method")} == {"-"}


def test_a_logger_that_fails_harms_no_response(serve: Serve, tmp_path: Path) -> None:
    logged = Logged(serve, tmp_path)
    assert logged.server.get("/?log-fails").text == "ok"
    logged.server.wait_for_log(r"\[ERROR\] Error handling request")
    assert "RuntimeError: the logger has failed" in logged.server.log()
    assert logged.server.get("/").text == "ok"


@pytest.mark.ours("Gunicorn closes the connection")
def test_a_logger_that_fails_keeps_the_connection(serve: Serve, tmp_path: Path) -> None:
    logged = Logged(serve, tmp_path)
    with logged.server.connect() as connection:
        assert connection.request(get(target=b"/?log-fails")).persists
        assert connection.request(get()).text == "ok"
