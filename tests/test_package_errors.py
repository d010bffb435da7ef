"""`Worker.handle_error` beside Gunicorn's: what the client gets and what is logged, for each failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import json, logging, socket, ssl, sys
if sys.argv[1] == "rgunicorn":
    import rgunicorn.app.base
from gunicorn.config import Config
from gunicorn.http import errors
from gunicorn.workers.base import Worker

CASES = {
    "request line": lambda: errors.InvalidRequestLine("GET <x>"),
    "method": lambda: errors.InvalidRequestMethod("g\\"t"),
    "version": lambda: errors.InvalidHTTPVersion("HTTP/x"),
    "version tuple": lambda: errors.InvalidHTTPVersion((2, 0)),
    "header": lambda: errors.InvalidHeader("HOST"),
    "header name": lambda: errors.InvalidHeaderName("A B"),
    "folding": lambda: errors.ObsoleteFolding("A"),
    "schemes": lambda: errors.InvalidSchemeHeaders(),
    "proxy line": lambda: errors.InvalidProxyLine("PROXY x"),
    "proxy forbidden": lambda: errors.ForbiddenProxyRequest("1.2.3.4"),
    "chunk size": lambda: errors.InvalidChunkSize(b"x"),
    "chunk end": lambda: errors.ChunkMissingTerminator(b"xx"),
    "chunk extension": lambda: errors.InvalidChunkExtension("bare CR not allowed"),
    "long line": lambda: errors.LimitRequestLine(4095, 4094),
    "headers": lambda: errors.LimitRequestHeaders("limit request headers fields"),
    "expectation": lambda: errors.ExpectationFailed("foo"),
    "coding": lambda: errors.UnsupportedTransferCoding("gzip"),
    "configuration": lambda: errors.ConfigurationProblem("one"),
    "encryption": lambda: ssl.SSLError("bad <tls>"),
    "application": lambda: KeyError("x"),
    "response header": lambda: errors.InvalidResponseHeader("X"),
    "response header name": lambda: errors.InvalidResponseHeaderName("X Y"),
}

class Log:
    def __init__(self):
        self.lines = []
    def __getattr__(self, level):
        def write(text, *args, **kwargs):
            self.lines.append([level, text % args])
        return write

found = {}
for name, make in CASES.items():
    log = Log()
    worker = Worker(1, 1, [], None, 30, Config(), log)
    ours, theirs = socket.socketpair()
    try:
        raise make()
    except Exception as error:
        worker.handle_error(None, ours, ("192.0.2.1", 5), error)
    ours.close()
    head, _, body = theirs.makefile("rb").read().decode("latin-1").partition("\\r\\n\\r\\n")
    fields = [line for line in head.split("\\r\\n") if not line.startswith("Date: ")]
    found[name] = [sorted(fields), body, log.lines]
print(json.dumps(found))
"""


def answers(package: str, directory: Path) -> dict[str, Any]:
    """What each failure becomes."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, package],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of rgunicorn and of Gunicorn."""
    directory = tmp_path_factory.mktemp("errors")
    return answers("rgunicorn", directory), answers("gunicorn", directory)


def test_each_failure_is_answered_as_gunicorn_answers_it(
    both: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    ours, theirs = both
    assert {name: answer[:2] for name, answer in ours.items()} == {
        name: answer[:2] for name, answer in theirs.items()
    }


def test_each_failure_is_logged_as_gunicorn_logs_it(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    ours, theirs = both
    # Gunicorn logs some of them a second time, at DEBUG.
    important = ("warning", "error", "exception")
    for name, (_, _, lines) in ours.items():
        expected = [line for line in theirs[name][2] if line[0] in important]
        assert [line for line in lines if line[0] in important] == expected, name
