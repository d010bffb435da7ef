"""The bytes that come back: the wire cases, and what applications may answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from parity.answers import CASE_ROWS, QUESTIONS, TARGETS, Question
from parity.pair import Pair, pair
from parity.rows import differences, needed
from support.cases import CASES, SERVERS, Case
from support.server import Server
from support.wire import BadResponse, Closed, Response

#: The cases of rgunicorn's own settings, with which Gunicorn does not start.
OWN_SERVERS = {"body limit"}
SHARED = [case for case in CASES if case.server not in OWN_SERVERS]

#: Seconds for an answer; where a row says so, Gunicorn never finishes one.
PATIENCE = 3.0

NEXT = b"GET /hello?next HTTP/1.1\r\nHost: localhost\r\n\r\n"

Pairs = Callable[[str], Pair]


@pytest.fixture(scope="module")
def pairs() -> Iterator[Pairs]:
    """Both servers in each configuration of the table, started when its first case comes."""
    started: dict[str, Pair] = {}
    with ExitStack() as stack:

        def named(name: str) -> Pair:
            if name not in started:
                flags, config, env = SERVERS[name]
                started[name] = stack.enter_context(pair("echo:app", *flags, config=config, env=env))
            return started[name]

        yield named


@pytest.fixture(scope="module")
def views() -> Iterator[Pair]:
    with pair("views:app") as both:
        yield both


def exchange(server: Server, request: bytes, follow: bytes) -> dict[str, object]:
    """The answer to a request, and to another one behind it on the same connection."""
    method = request.lstrip(b"\r\n").split(b" ", 1)[0].decode("latin-1")
    with server.connect(timeout=PATIENCE) as connection:
        connection.send(request)
        try:
            seen = shown(connection.read_response(method))
        except (BadResponse, Closed, TimeoutError) as error:
            return {"status": f"{type(error).__name__}: {error}"}
        connection.send(follow)
        try:
            seen["next"] = connection.read_response().status
        except (BadResponse, Closed) as error:
            seen["next"] = type(error).__name__
        return seen


def shown(response: Response) -> dict[str, object]:
    """What is compared of an answer: all but the date, and what is the server's own by name."""
    echo = response.header("Content-Type") == "application/json"
    # An echoed environ is as long as the server's name.
    dropped = {"Date", "Server"} | ({"Content-Length"} if echo else set())
    return {
        "status": (response.version, response.status, response.reason),
        "headers": [(name, value) for name, value in response.headers if name not in dropped],
        "body": plain(response.body),
        "framing": response.framing,
        "interim": [(one.status, one.headers) for one in response.interim],
    }


def plain(body: bytes) -> object:
    """A body without what differs from run to run."""
    try:
        report = json.loads(body)
    except ValueError:
        return body
    if isinstance(report, dict) and "SERVER_PORT" in report:
        for name in ("SERVER_PORT", "REMOTE_PORT", "SERVER_SOFTWARE"):
            report.pop(name)
    return report


def check(theirs: dict[str, object], ours: dict[str, object], row: str | None) -> None:
    """Both are equal, but where a row says otherwise."""
    if row is None:
        assert differences(theirs, ours) == []
    else:
        assert theirs != ours, f"the row {row!r} is not needed here"


@pytest.mark.parametrize("case", SHARED, ids=[ascii(case.name)[1:-1] for case in SHARED])
def test_wire_cases(case: Case, pairs: Pairs) -> None:
    follow = NEXT.replace(b"/hello", b"/base/hello") if case.server == "prefixed" else NEXT
    theirs, ours = pairs(case.server).ask(lambda server: exchange(server, case.request, follow))
    check(theirs, ours, row_of(case))


def row_of(case: Case) -> str | None:
    return case.ours or CASE_ROWS.get(case.name)


@pytest.mark.parametrize("question", TARGETS, ids=[question.name for question in TARGETS])
def test_targets(question: Question, pairs: Pairs) -> None:
    theirs, ours = pairs("plain").ask(lambda server: exchange(server, question.request, NEXT))
    check(theirs, ours, question.row)


@pytest.mark.parametrize("question", QUESTIONS, ids=[ascii(question.name)[1:-1] for question in QUESTIONS])
def test_answers_of_applications(question: Question, views: Pair) -> None:
    theirs, ours = views.ask(lambda server: exchange(server, question.request, NEXT))
    check(theirs, ours, question.row)


def test_every_row_is_needed() -> None:
    used = {row_of(case) for case in SHARED} | {question.row for question in [*TARGETS, *QUESTIONS]}
    assert used - {None} == needed("wire")
