"""One table of requests against every worker class, and against Gunicorn's class of that name."""

from __future__ import annotations

import pytest

from conftest import Serve
from support.class_rows import ROWS, Answer, Row
from support.classes import Kind
from support.server import Server
from support.wire import BadResponse, Closed, Connection, Response

#: Seconds for an answer, and for one that is not to come as it should: some never come.
PATIENCE, LITTLE_PATIENCE = 20.0, 1.0


@pytest.fixture(scope="module")
def server(kind: Kind, serve_kind: Serve) -> Server:
    return kind.serve(serve_kind)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_requests_are_answered(row: Row, kind: Kind, server: Server) -> None:
    differs = any(kind.matches([name]) for name in row.but)
    try:
        with server.connect(LITTLE_PATIENCE if differs else PATIENCE) as connection:
            ask(connection, row, kind)
    except (AssertionError, BadResponse, Closed, TimeoutError):
        if not differs:
            raise
    else:
        assert not differs, f"the row holds for {kind}"


def ask(connection: Connection, row: Row, kind: Kind) -> None:
    """Sends the requests of a row, and looks at all that comes back."""
    connection.send(row.request)
    for expected in row.answers if kind.keeps_connections else row.answers[:1]:
        check(connection.read_response(row.method), expected)
    if row.stays and kind.keeps_connections:
        connection.assert_open_at("/hello")
    else:
        connection.assert_closed()


def check(response: Response, expected: Answer) -> None:
    """Whether it is the answer that was expected."""
    assert (response.version, response.status) == (expected.version, expected.status)
    for name, value in expected.headers.items():
        assert response.header(name) == value
    if expected.framing is not None:
        assert response.framing == expected.framing
    if expected.body is not None:
        # Compared outside of the assertion: to show how two megabytes differ takes a minute.
        same = response.body == expected.body
        assert same, f"{len(response.body)} bytes, not {len(expected.body)}, or others"
