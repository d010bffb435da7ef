"""HTTP/1.1 on the wire: each case whole, byte by byte, and with bytes behind it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest

from conftest import Serve
from support.cases import CASES, SERVERS, Case, chunked, get, post
from support.server import IS_GUNICORN, Server
from support.wire import Connection, Response

REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    # Gunicorn's own choice of words.
    500: "Bad Request",
    501: "Bad Request",
}

BEHIND = b"GET /behind?it HTTP/1.1\r\nHost: localhost\r\n\r\n"

Servers = Callable[[str], Server]


@pytest.fixture(scope="module")
def servers(serve_module: Serve) -> Servers:
    """Each configuration of the table, started when its first case comes."""
    started: dict[str, Server] = {}

    def named(name: str) -> Server:
        if name not in started:
            flags, config, env = SERVERS[name]
            started[name] = serve_module("echo:app", *flags, config=config, env=env)
        return started[name]

    return named


def check(case: Case, response: Response) -> None:
    """The response is what the case asks for."""
    assert response.status == case.status, response
    if case.status >= 400:
        check_page(case, response)
        return
    assert response.version == case.version
    assert (response.header("Server") or "").startswith("gunicorn" if IS_GUNICORN else "rgunicorn")
    assert parsedate_to_datetime(response.header("Date") or "")
    assert response.persists == case.persists
    if not response.body:
        assert case.status != 200 or case.request.startswith(b"HEAD ")
        return
    report = json.loads(response.body)
    found = {key: report.get(key) for key in case.environ}
    assert found == case.environ
    assert report.get("body", "") == case.body


def check_page(case: Case, response: Response) -> None:
    """The refusal is byte for byte the page that Gunicorn sends; its head has a Date besides."""
    reason = response.reason
    assert reason == REASONS[case.status]
    names = [name for name, _ in response.headers if name not in ("Date", "Server")]
    assert names == ["Connection", "Content-Type", "Content-Length"]
    assert response.header("Connection") == "close"
    assert response.header("Content-Type") == "text/html"
    if not IS_GUNICORN:
        assert parsedate_to_datetime(response.header("Date") or "")
    shape = f"""<html>
  <head>
    <title>{reason}</title>
  </head>
  <body>
    <h1><p>{reason}</p></h1>
    TEXT
  </body>
</html>
"""
    if case.page is None:
        assert re.fullmatch(re.escape(shape).replace("TEXT", r"([^<>\n]*)"), response.text)
    else:
        assert response.text == shape.replace("TEXT", html.escape(case.page))


def skip_if_gunicorn(case: Case) -> None:
    if IS_GUNICORN and (case.ours or case.server == "body limit"):
        pytest.skip(f"Gunicorn differs: {case.ours}")


def method(case: Case) -> str:
    return case.request.lstrip(b"\r\n").split(b" ", 1)[0].decode("latin-1")


every_case = pytest.mark.parametrize("case", CASES, ids=[ascii(case.name)[1:-1] for case in CASES])


def next_request(case: Case) -> bytes:
    """A further request that this case's server accepts."""
    return BEHIND.replace(b"/behind", b"/base/behind") if case.server == "prefixed" else BEHIND


def check_end(case: Case, connection: Connection, sent: bool) -> None:
    """A further request is answered, or the connection ends. `sent`: that request is out already."""
    if not case.persists:
        connection.assert_closed()
        return
    if not sent:
        connection.send(next_request(case))
    assert json.loads(connection.read_response().body)["QUERY_STRING"] == "it"


@every_case
def test_whole(case: Case, servers: Servers) -> None:
    skip_if_gunicorn(case)
    with servers(case.server).connect() as connection:
        connection.send(case.request)
        check(case, connection.read_response(method(case)))
        check_end(case, connection, sent=False)


@every_case
def test_byte_by_byte(case: Case, servers: Servers) -> None:
    skip_if_gunicorn(case)
    with servers(case.server).connect() as connection:
        connection.send_bytewise(case.request)
        check(case, connection.read_response(method(case)))
        check_end(case, connection, sent=False)


@every_case
def test_with_bytes_behind(case: Case, servers: Servers) -> None:
    skip_if_gunicorn(case)
    with servers(case.server).connect() as connection:
        connection.send(case.request + next_request(case))
        check(case, connection.read_response(method(case)))
        check_end(case, connection, sent=True)


@pytest.fixture
def plain(servers: Servers) -> Server:
    return servers("plain")


# What the end of a head never reaches the server for


UNFINISHED = {
    "a request line": (b"GET /" + b"a" * 5000, 414),
    "a field": (b"GET / HTTP/1.1\r\nX: " + b"a" * 900_000, 431),
    "a bare LF": (b"GET / HTTP/1.1\n", 400),
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_an_endless_head_is_refused_before_its_end(name: str, plain: Server) -> None:
    data, status = UNFINISHED[name]
    with plain.connect() as connection:
        connection.send(data)
        assert connection.read_response().status == status
        connection.assert_closed()


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"GET", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: local"]
)
def test_an_end_within_the_head_is_answered_with_an_end(data: bytes, plain: Server) -> None:
    with plain.connect() as connection:
        connection.send(data)
        connection.shutdown_write()
        connection.assert_closed()


@pytest.mark.ours("a body that the client cut short is never handed over as if it were whole")
@pytest.mark.parametrize(
    "data",
    [
        post(b"Content-Length: 10\r\n", b"hello"),
        chunked(b"5\r\nhel"),
        chunked(b"5\r\nhello"),
        chunked(b"5\r\nhello\r\n"),
        chunked(b"5\r\nhello\r\n0\r\n"),
        chunked(b"5\r\nhello\r\n0\r\nX: 1\r\n"),
    ],
)
def test_a_body_that_is_cut_short_does_not_reach_the_application(data: bytes, plain: Server) -> None:
    with plain.connect() as connection:
        connection.send(data)
        connection.shutdown_write()
        answer = connection.read_to_end()
        assert not answer or answer.startswith(b"HTTP/1.1 400 ")


def test_a_half_closed_client_still_gets_its_response(plain: Server) -> None:
    with plain.connect() as connection:
        connection.send(get(target=b"/?x"))
        connection.shutdown_write()
        assert json.loads(connection.read_response().body)["QUERY_STRING"] == "x"
        connection.assert_closed()


# Expect


def test_the_body_is_asked_for(plain: Server) -> None:
    with plain.connect() as connection:
        connection.send(post(b"Expect: 100-Continue\r\nContent-Length: 5\r\n"))
        interim = connection.read_head()
        assert (interim.status, interim.reason, interim.headers) == (100, "Continue", [])
        connection.send(b"hello")
        report = json.loads(connection.read_response().body)
        assert (report["body"], report["HTTP_EXPECT"]) == ("hello", "100-Continue")
        connection.assert_open()


def test_a_chunked_body_is_asked_for(plain: Server) -> None:
    with plain.connect() as connection:
        connection.send(chunked(b"", b"Expect: 100-continue\r\n"))
        assert connection.read_head().status == 100
        connection.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert json.loads(connection.read_response().body)["body"] == "hello"
        connection.assert_open()


def test_a_body_that_is_there_already_need_not_be_asked_for(plain: Server) -> None:
    with plain.connect() as connection:
        response = connection.request(post(b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"hello"))
        assert json.loads(response.body)["body"] == "hello"
        assert [interim.status for interim in response.interim] in ([], [100])


def test_nothing_is_asked_of_an_http_1_0_client(plain: Server) -> None:
    with plain.connect() as connection:
        data = post(b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"hello", b"HTTP/1.0")
        assert connection.request(data).interim == []


@pytest.mark.ours("limit_request_body")
def test_a_body_above_its_limit_is_not_asked_for(servers: Servers) -> None:
    with servers("body limit").connect() as connection:
        connection.send(post(b"Expect: 100-continue\r\nContent-Length: 11\r\n"))
        response = connection.read_response()
        assert (response.status, response.interim) == (413, [])
        connection.assert_closed()


# Pipelining


def test_pipelined_requests_are_answered_in_order(plain: Server) -> None:
    requests = []
    for number in range(200):
        body = b"x" * (number * 37 % 5000)
        requests.append(
            b"POST /?%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (number, len(body), body)
        )
    with plain.connect() as connection:
        connection.send(b"".join(requests))
        for number in range(200):
            report = json.loads(connection.read_response().body)
            assert (report["QUERY_STRING"], len(report["body"])) == (str(number), number * 37 % 5000)


def test_a_bad_request_ends_the_pipeline_after_the_good_ones(plain: Server) -> None:
    with plain.connect() as connection:
        connection.send(get() * 3 + b"nonsense\r\n\r\n" + get() * 3)
        assert [connection.read_response().status for _ in range(4)] == [200, 200, 200, 400]
        connection.assert_closed()


def test_a_close_ends_the_pipeline(plain: Server) -> None:
    with plain.connect() as connection:
        connection.send(get() + get(b"Connection: close\r\n") + get())
        assert [connection.read_response().persists for _ in range(2)] == [True, False]
        connection.assert_closed()


def test_a_smuggled_request_is_not_served(plain: Server) -> None:
    """The shapes in which a proxy and a server may disagree about where a request ends."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    heads = [
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        b"X: 1\r\n Transfer-Encoding: chunked\r\n",
        b"X: 1\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n",
        b"Content-Length: 1,0\r\n",
        b"Content-Length\x00: 5\r\n",
    ]
    for head in heads:
        with plain.connect() as connection:
            connection.send(post(head, b"0\r\n\r\n" + smuggled))
            answer = connection.read_to_end()
            assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), (head, answer)
            assert answer.count(b"HTTP/1.1 ") == 1, (head, answer)


def test_a_refusal_arrives_though_the_client_still_sends(plain: Server) -> None:
    """Bytes unread at the close would make the kernel send a reset, which destroys the answer."""
    for _ in range(20):
        with plain.connect() as connection:
            connection.send(b"nonsense\r\n\r\n" + b"x" * 300_000)
            assert connection.read_response().status == 400
