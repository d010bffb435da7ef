"""PEP 3333, and what Gunicorn adds to it, seen by an application."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import Serve
from support.cases import chunked, get, post
from support.processes import wait_for
from support.server import IS_GUNICORN, Server
from support.wire import Closed, Response

ERROR_PAGE = b"""<html>
  <head>
    <title>Internal Server Error</title>
  </head>
  <body>
    <h1><p>Internal Server Error</p></h1>
    EMPTY
  </body>
</html>
""".replace(b"EMPTY", b"")


@pytest.fixture(scope="module")
def views(serve_module: Serve) -> Server:
    return serve_module("views:app")


def value(response: Response) -> object:
    """The JSON that a view answers with."""
    assert response.status == 200, response
    return json.loads(response.body)


# PEP 3333's own judge


@pytest.fixture(scope="module", params=["tcp", "tcp6", "unix"])
def validated(request: pytest.FixtureRequest, serve_module: Serve) -> Server:
    return serve_module("validated:app", kind=request.param)


BODY = b"a line\nanother line\n" + b"x" * 200_000


@pytest.mark.parametrize(
    ("name", "request_bytes", "expected"),
    [
        ("GET", get(), b"received "),
        ("GET with a query", get(target=b"/a%20b?c=d"), b"received "),
        ("POST with a length", post(b"Content-Length: %d\r\n" % len(BODY), BODY), b"received " + BODY),
        (
            "POST in chunks",
            chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
            b"received " + BODY,
        ),
        ("HEAD", b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
        ("a file", get(target=b"/file"), b"file " * 10_000),
        ("HEAD of a file", b"HEAD /file HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    ],
)
def test_the_validator_finds_nothing(
    name: str, request_bytes: bytes, expected: bytes, validated: Server
) -> None:
    with validated.connect() as connection:
        response = connection.request(request_bytes)
        assert response.status == 200, validated.tail()
        assert response.body == expected
        connection.assert_open()
    assert "garbage collected" not in validated.log()
    assert "Warning" not in validated.log()


# environ


def test_each_key_has_its_type_and_value(views: Server) -> None:
    with views.connect() as connection:
        client = connection.socket.getsockname()
        report = json.loads(connection.request(get(target=b"/environ-types?a=b")).body)
    assert isinstance(views.address, tuple)
    assert report["wsgi.version"] == ["tuple", "(1, 0)"]
    assert report["wsgi.url_scheme"] == ["str", "http"]
    assert report["wsgi.multithread"] == ["bool", str(IS_GUNICORN)]
    assert report["wsgi.multiprocess"] == ["bool", "False"]
    assert report["wsgi.run_once"] == ["bool", "False"]
    assert report["wsgi.input_terminated"] == ["bool", "True"]
    assert report["SERVER_SOFTWARE"][1].startswith("gunicorn/27.0.1")
    assert report["SERVER_NAME"] == ["str", "127.0.0.1"]
    assert report["SERVER_PORT"] == ["str", str(views.address[1])]
    assert report["REMOTE_ADDR"] == ["str", "127.0.0.1"]
    assert report["REMOTE_PORT"] == ["str", str(client[1])]
    assert report["QUERY_STRING"] == ["str", "a=b"]
    assert report["SCRIPT_NAME"] == ["str", ""]
    for key in ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "wsgi.early_hints", "gunicorn.socket"):
        assert key in report
    unset = {"REMOTE_HOST", "AUTH_TYPE", "GATEWAY_INTERFACE", "HTTPS", "CONTENT_TYPE", "CONTENT_LENGTH"}
    assert not unset & set(report)


def test_several_workers_are_multiprocess(serve: Serve) -> None:
    server = serve("views:app", "-w", "2")
    report = json.loads(server.get("/environ-types").body)
    assert report["wsgi.multiprocess"] == ["bool", "True"]


def test_the_server_software_is_in_the_process_environment(views: Server) -> None:
    report = json.loads(views.get("/process-environment").body)
    assert report["SERVER_SOFTWARE"].startswith("gunicorn/27.0.1")


def test_the_clients_socket_is_in_the_environ(views: Server) -> None:
    with views.connect() as connection:
        client = connection.socket.getsockname()
        response = connection.request(get(target=b"/client-socket"))
        assert value(response) == str(client)
        # Who touches the socket may own it: the connection may end with the request, if the head says so.
        if response.persists:
            connection.assert_open_at("/hello")
        else:
            connection.assert_closed()


def test_the_addresses_of_an_ipv6_connection(serve: Serve) -> None:
    server = serve("views:app", kind="tcp6")
    report = json.loads(server.get("/environ-types").body)
    assert (report["REMOTE_ADDR"][1], report["SERVER_NAME"][1]) == ("::1", "::1")


def test_the_server_name_of_a_wildcard_address(serve: Serve) -> None:
    server = serve("views:app", binds=["0.0.0.0:0"])
    report = json.loads(server.get("/environ-types").body)
    assert report["SERVER_NAME"][1] == "0.0.0.0"


def test_the_addresses_of_a_unix_connection(serve: Serve) -> None:
    server = serve("views:app", kind="unix")
    report = json.loads(server.get("/environ-types").body)
    assert report["REMOTE_ADDR"] == ["str", ""]
    assert "REMOTE_PORT" not in report
    assert (report["SERVER_NAME"][1], report["SERVER_PORT"][1]) == ("localhost", "80")
    with server.connect() as connection:
        named = connection.request(b"GET /environ-types HTTP/1.1\r\nHost: example.com:99\r\n\r\n")
        report = json.loads(named.body)
        assert (report["SERVER_NAME"][1], report["SERVER_PORT"][1]) == ("example.com", "99")
    with server.connect() as connection:
        nameless = connection.request(b"GET /environ-types HTTP/1.0\r\n\r\n")
        report = json.loads(nameless.body)
        assert (report["SERVER_NAME"][1], report["SERVER_PORT"][1]) == (str(server.address), "")


def test_requests_do_not_share_their_environ(views: Server) -> None:
    with views.connect() as connection:
        first = get(b"X-Only-Here: 1\r\nContent-Type: a/b\r\n", b"/environ-types?q")
        assert "HTTP_X_ONLY_HERE" in json.loads(connection.request(first).body)
        second = json.loads(connection.request(get(target=b"/environ-types")).body)
    assert "HTTP_X_ONLY_HERE" not in second
    assert "CONTENT_TYPE" not in second
    assert second["QUERY_STRING"] == ["str", ""]


# start_response


def start(views: Server, status: str = "'200 OK'", headers: str = "[('Content-Type', 'a/b')]") -> Response:
    return views.get(f"/start?status={quote(status)}&headers={quote(headers)}")


@pytest.mark.parametrize(
    "status",
    [
        "b'200 OK'",
        "200",
        "None",
        "'200OK'",
        "'20 OK'",
        "''",
        "'200 OK\\r\\nX: 1'",
        "'200 \\n'",
        "'200 \\u20ac'",
    ],
)
def test_a_bad_status_is_a_500(status: str, views: Server) -> None:
    response = start(views, status)
    assert (response.status, response.body) == (500, ERROR_PAGE)


@pytest.mark.parametrize(
    "headers",
    [
        "[(b'X', 'y')]",
        "[('X', b'y')]",
        "[('X', 1)]",
        "[('X', None)]",
        "[('X Y', 'z')]",
        "[('X:', 'z')]",
        "[('', 'z')]",
        "[('X\\r\\nX-Injected', 'z')]",
        "[('X\\u00e9', 'z')]",
        "[('X', 'y\\r\\nX-Injected: 1')]",
        "[('X', 'y\\nX-Injected: 1')]",
        "[('X', 'y\\rX-Injected: 1')]",
        "[('X', 'y\\0')]",
        "[('X', 'y\\x7f')]",
        "[('X', '\\u20ac')]",
        "[('X', 'y'), ('Z',)]",
        "[('Content-Length', 'many')]",
        "[('Content-Length', '-1')]",
        "None",
    ],
)
def test_a_bad_header_is_a_500_and_shows_nothing(headers: str, views: Server) -> None:
    if IS_GUNICORN and "-1" in headers:
        pytest.skip("Gunicorn sends a negative Content-Length")
    response = start(views, headers=headers)
    assert (response.status, response.body) == (500, ERROR_PAGE)
    assert response.header("X-Injected") is None


def test_headers_keep_their_order_and_case(views: Server) -> None:
    headers = (
        "[('x-b', '1'), ('X-A', ' 2\\t'), ('Set-Cookie', 'a=1'), ('set-cookie', 'b=2'), ('X-É'[:2]+'L', 'é')]"
    )
    found = start(views, headers=headers).headers
    names = ["x-b", "X-A", "Set-Cookie", "set-cookie", "X-L"]
    assert [pair for pair in found if pair[0] in names] == list(
        zip(names, ["1", "2", "a=1", "b=2", "é"], strict=True)
    )


def test_the_servers_own_fields_cannot_be_set(views: Server) -> None:
    names = [
        "Server",
        "date",
        "Keep-Alive",
        "TE",
        "Transfer-Encoding",
        "Proxy-Authenticate",
        "Upgrade",
        "Trailers",
    ]
    response = start(views, headers=repr([(name, "mine") for name in names]))
    assert response.status == 200
    assert "mine" not in [text for _, text in response.headers]
    assert len(response.all("Server")) == len(response.all("Date")) == 1


def test_a_status_is_sent_as_it_was_given(views: Server) -> None:
    response = start(views, "'299 A  B \\xe9'")
    assert (response.status, response.reason) == (299, "A  B \xe9")


@pytest.mark.ours("no start_response at all is a 500")
def test_no_start_response_is_a_500(views: Server) -> None:
    assert views.get("/start-never").status == 500


def test_a_second_start_response_is_a_500(views: Server) -> None:
    assert views.get("/start-twice").status == 500


@pytest.mark.ours("start_response with exc_info replaces the earlier headers")
def test_an_error_page_replaces_the_headers(views: Server) -> None:
    response = views.get("/start-again-with-error")
    assert (response.status, response.reason, response.body) == (503, "Sorry", b"sorry")
    assert (response.header("X-First"), response.header("X-Second")) == (None, "2")


def test_an_error_page_that_comes_too_late_cuts_the_connection(views: Server) -> None:
    with pytest.raises(Closed) as cut:
        views.get("/start-again-too-late")
    assert b"never sent" not in cut.value.received
    views.wait_for_log("ValueError: after the head")


def test_a_generator_may_start_the_response_with_its_first_item(views: Server) -> None:
    response = views.get("/start-late")
    assert (response.status, response.body) == (202, b"late")


@pytest.mark.ours("an application's Connection: close closes")
def test_the_application_may_close_the_connection(views: Server) -> None:
    with views.connect() as connection:
        target = f"/start?headers={quote(repr([('Connection', 'close')]))}"
        response = connection.request(get(target=target.encode()))
        assert not response.persists
        connection.assert_closed()


# What is returned


def test_what_is_written_comes_first(views: Server) -> None:
    assert views.get("/written").body == b"one two three"


def test_nothing_is_an_empty_body(views: Server) -> None:
    with views.connect() as connection:
        assert connection.request(get(target=b"/nothing")).body == b""
        connection.assert_open_at("/hello")


def test_empty_items_do_not_end_a_chunked_body(views: Server) -> None:
    response = views.get("/empty-items")
    assert (response.framing, response.body) == ("chunked", b"ab")


def test_an_http_1_0_client_gets_no_chunks(views: Server) -> None:
    with views.connect() as connection:
        response = connection.request(b"GET /empty-items HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (response.framing, response.body) == ("close", b"ab")


def test_none_is_a_500(views: Server) -> None:
    assert views.get("/returns-none").status == 500


@pytest.mark.ours("the head waits for the first item")
def test_text_is_a_500(views: Server) -> None:
    assert views.get("/returns-text").status == 500


def test_text_after_bytes_cuts_the_connection(views: Server) -> None:
    with pytest.raises(Closed):
        views.get("/text-after-bytes")


@pytest.mark.parametrize("parts", [1, 3])
def test_bytes_beyond_the_length_are_not_sent(parts: int, views: Server) -> None:
    with views.connect() as connection:
        response = connection.request(get(target=b"/sized?length=10&size=25&parts=%d" % parts))
        assert response.body == b"x" * 10
        if response.persists:
            connection.assert_open_at("/hello")
        else:
            connection.assert_closed()


@pytest.mark.ours("a body shorter than its Content-Length closes the connection")
def test_a_body_short_of_its_length_closes_the_connection(views: Server) -> None:
    with views.connect() as connection:
        connection.send(get(target=b"/sized?length=10&size=4"))
        head = connection.read_head()
        assert head.header("Content-Length") == "10"
        assert connection.read_to_end() == b"xxxx"


def test_a_length_of_zero_without_a_body(views: Server) -> None:
    with views.connect() as connection:
        assert connection.request(get(target=b"/sized?length=0&size=0")).framing == "length"
        connection.assert_open_at("/hello")


def test_head_sends_the_length_and_no_body(views: Server) -> None:
    with views.connect() as connection:
        response = connection.request(b"HEAD /sized?length=10&size=10 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (response.header("Content-Length"), response.body) == ("10", b"")
        connection.assert_open_at("/hello")
        assert connection.request(b"HEAD /unsized HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        connection.assert_open_at("/hello")


@pytest.mark.parametrize("view", ["sized?length=4&size=4&", "unsized?"])
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_a_body_sends_none(view: str, status: str, views: Server) -> None:
    with views.connect() as connection:
        response = connection.request(get(target=f"/{view}status={quote(status)}".encode()))
        assert response.status == int(status[:3])
        connection.assert_open_at("/hello")


@pytest.mark.parametrize("shape", ["bytes", "generator", "write"])
def test_a_big_response_arrives_whole(shape: str, views: Server) -> None:
    response = views.get(f"/big?megabytes=30&as={shape}")
    assert response.body == bytes(range(256)) * 4096 * 30


def test_a_block_is_sent_before_the_next_is_asked_for(views: Server, tmp_path: Path) -> None:
    path = tmp_path / "go"
    with views.connect() as connection:
        connection.send(get(target=f"/two-steps?{path}".encode()))
        assert connection.read_head().status == 200
        assert connection.read_to(b"first\r\n") == b"5\r\nfirst\r\n"
        path.touch()
        assert connection.read_to(b"0\r\n\r\n") == b"6\r\nsecond\r\n0\r\n\r\n"


# close()


def close_count(views: Server, name: str) -> int:
    counts = value(views.get("/closed"))
    assert isinstance(counts, dict)
    return int(counts.get(name, 0))


@pytest.mark.parametrize(
    ("target", "ways"),
    [
        ("/close-after-all", "GET"),
        ("/close-after-all", "HEAD"),
        ("/close-after-nothing", "GET"),
        ("/close-after-error-at-once", "GET"),
        ("/close-after-error-later", "GET"),
        ("/close-that-fails", "GET"),
        ("/sized", "length=5&size=5"),
        ("/sized", "length=5&size=9"),
        ("/sized", "length=5&size=9&parts=3"),
        ("/sized", "status=304%20Not%20Modified"),
        ("/unsized", "status=204%20No%20Content"),
    ],
)
def test_close_is_called_once(target: str, ways: str, views: Server) -> None:
    name = f"{ways}&once{target.strip('/')}"
    with views.connect() as connection:
        verb = "HEAD" if ways == "HEAD" else "GET"
        connection.send(f"{verb} {target}?{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        connection.read_to_end()
    wait_for(lambda: close_count(views, name), "close()", 5)
    assert close_count(views, name) == 1


@pytest.mark.ours("no start_response at all is a 500")
def test_close_is_called_once_without_a_response(views: Server) -> None:
    assert views.get("/close-without-start?never").status == 500
    assert close_count(views, "never") == 1


@pytest.mark.ours("a body shorter than its Content-Length closes the connection")
def test_close_is_called_once_after_a_short_body(views: Server) -> None:
    with pytest.raises(Closed):
        views.get("/sized?length=9&size=5")
    assert close_count(views, "length=9&size=5") == 1


def test_close_is_called_once_when_the_client_leaves(views: Server) -> None:
    with views.connect(receive_buffer=4096) as connection:
        connection.send(get(target=b"/close-after-flood?left"))
        connection.read_head()
        connection.reset()
    wait_for(lambda: close_count(views, "left"), "close()", 10)
    assert close_count(views, "left") == 1


# Errors


def test_an_error_is_a_500_and_its_traceback_is_logged(views: Server) -> None:
    response = views.get("/fails?q=1")
    assert (response.status, response.reason) == (500, "Internal Server Error")
    assert response.body == ERROR_PAGE
    assert response.header("Connection") == "close"
    assert response.header("Content-Type") == "text/html"
    views.wait_for_log(r"\[ERROR\] Error handling request GET /fails\?q=1$")
    views.wait_for_log(r"^RuntimeError: this application fails: <&>$")
    assert "Traceback (most recent call last):" in views.log()
    assert re.search(r'^  File ".*views\.py", line \d+, in fails$', views.log(), re.MULTILINE)


def test_an_error_before_the_head_takes_its_fields_with_it(views: Server) -> None:
    response = views.get("/fails-after-start")
    assert (response.status, response.body, response.header("X-Lost")) == (500, ERROR_PAGE, None)


@pytest.mark.parametrize("view", ["fails-after-head", "fails-short-of-length"])
def test_an_error_after_the_head_cuts_the_connection(view: str, views: Server) -> None:
    with views.connect() as connection:
        connection.send(get(target=f"/{view}".encode()))
        assert connection.read_head().status == 200
        rest = connection.read_to_end()
    assert rest in (b"itemitem", b"4\r\nitem\r\n4\r\nitem\r\n")
    views.wait_for_log("^RuntimeError: the iteration failed")


@pytest.mark.ours("a 500, logged, never a silent close and never the end of the server")
@pytest.mark.parametrize(
    "error",
    [
        "SystemExit",
        "KeyboardInterrupt",
        "GeneratorExit",
        "StopIteration",
        "FileNotFoundError",
        "BrokenPipeError",
        "ConnectionResetError",
        "TimeoutError",
        "MemoryError",
    ],
)
def test_whatever_an_application_raises_is_a_500(error: str, views: Server) -> None:
    worker = views.worker()
    assert views.get(f"/raises?{error}").status == 500
    views.wait_for_log(f"^{error}: raised on purpose")
    assert views.worker() == worker


# Early hints


def test_early_hints_come_before_the_response(views: Server) -> None:
    with views.connect() as connection:
        response = connection.request(get(target=b"/early-hints"))
        assert [(hint.status, hint.reason) for hint in response.interim] == [(103, "Early Hints")] * 2
        assert response.interim[0].all("Link") == ["</a.css>; rel=preload", "</b.js>; rel=preload"]
        assert response.interim[1].headers == [("Link", "</c.png>; rel=preload")]
        assert response.body == b"hello\n"
        connection.assert_open_at("/hello")


def test_an_http_1_0_client_gets_no_early_hints(views: Server) -> None:
    with views.connect() as connection:
        response = connection.request(b"GET /early-hints HTTP/1.0\r\n\r\n")
        assert (response.interim, response.body) == ([], b"hello\n")


def test_bad_early_hints_are_a_500(views: Server) -> None:
    response = views.get("/bad-early-hints")
    assert (response.status, response.interim) == (500, [])


# wsgi.input and wsgi.errors

LINES = b"one\ntwo\r\n\nlast"


def framings(body: bytes, target: bytes) -> list[bytes]:
    """The body with a length, in one chunk, and in chunks of one byte."""
    head = b"POST " + target + b" HTTP/1.1\r\nHost: a\r\n"
    pieces = b"".join(b"1\r\n" + body[at : at + 1] + b"\r\n" for at in range(len(body)))
    return [
        head + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n",
    ]


@pytest.mark.parametrize("framing", [0, 1, 2])
@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ("read()+read()", ["one\ntwo\r\n\nlast", ""]),
        ("read(-1)", ["one\ntwo\r\n\nlast"]),
        ("read(None)", ["one\ntwo\r\n\nlast"]),
        ("read(0)+read(2)+read(100)+read(1)", ["", "on", "e\ntwo\r\n\nlast", ""]),
        ("readline()+readline()+readline()+readline()+readline()", ["one\n", "two\r\n", "\n", "last", ""]),
        ("readline(2)+readline(2)+readline(0)+readline(100)", ["on", "e\n", "", "two\r\n"]),
        ("readline(-1)+readline(None)", ["one\n", "two\r\n"]),
        ("readlines()", [["one\n", "two\r\n", "\n", "last"]]),
        ("read(5)+readlines(3)", ["one\nt", ["wo\r\n", "\n", "last"]]),
        ("readline()+iterate()+read()", ["one\n", ["two\r\n", "\n", "last"], ""]),
    ],
)
def test_the_body_is_read_as_a_file(calls: str, expected: list[object], framing: int, views: Server) -> None:
    with views.connect() as connection:
        data = framings(LINES, f"/inputs?{calls}".encode())[framing]
        assert value(connection.request(data)) == expected
        connection.assert_open_at("/hello")


def test_a_size_must_be_a_number(views: Server) -> None:
    assert value(views.get("/bad-input-sizes")) == ["TypeError: size must be an integral type"] * 4


def test_the_body_cannot_be_closed_or_sought(views: Server) -> None:
    expected = {
        "read": True,
        "readline": True,
        "readlines": True,
        "__iter__": True,
        "close": False,
        "seek": False,
    }
    assert value(views.get("/input-has")) == expected


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, (1 << 20) + 1, 20_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_long_body_arrives_whole(size: int, framing: str, views: Server) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    head = b"POST /count-input HTTP/1.1\r\nHost: a\r\n"
    if framing == "length":
        data = head + b"Content-Length: %d\r\n\r\n" % size + body
    else:
        steps = (body[at : at + 70_001] for at in range(0, size, 70_001))
        data = (
            head
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%s\r\n" % (len(step), step) for step in steps)
        )
        data += b"0\r\n\r\n"
    with views.connect() as connection:
        assert value(connection.request(data)) == [size, sum(body)]
        connection.assert_open_at("/hello")


def test_errors_go_to_the_error_log(views: Server) -> None:
    views.get("/errors")
    for line in ("written: é", "line one", "line two", "printed"):
        views.wait_for_log(f"^{line}$")


# wsgi.file_wrapper


def file_content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("memory", ["", "&memory=1"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("size=100", file_content(100)),
        ("size=0", b""),
        ("size=100&offset=40", file_content(100)[40:]),
        ("size=100&length=100", file_content(100)),
        ("size=100&offset=90&length=10", file_content(100)[90:]),
        ("size=100&length=30", file_content(30)),
        ("size=100&offset=100", b""),
        ("size=100&iterate=1", file_content(100)),
        ("size=6000000", file_content(6_000_000)),
        ("size=6000000&length=6000000", file_content(6_000_000)),
    ],
)
def test_a_file_is_sent(query: str, expected: bytes, version: str, memory: str, views: Server) -> None:
    if IS_GUNICORN and not expected and version == "1.1" and not memory:
        pytest.skip("Gunicorn sends the last chunk of an empty file twice")
    with views.connect() as connection:
        target = f"/file?{query}{memory}&v={version}"
        response = connection.request(f"GET {target} HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        assert response.status == 200
        assert response.body == expected
        if response.persists:
            connection.assert_open_at("/hello")
    if "iterate" not in query:
        wait_for(lambda: close_count(views, target.split("?")[1]) == 1, "the file's close()", 5)


def test_head_sends_nothing_of_a_file(views: Server) -> None:
    with views.connect() as connection:
        response = connection.request(b"HEAD /file?size=5000&length=5000&head=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (response.header("Content-Length"), response.body) == ("5000", b"")
        connection.assert_open_at("/hello")
    assert close_count(views, "size=5000&length=5000&head=1") == 1


@pytest.mark.ours("a body shorter than its Content-Length closes the connection")
def test_a_file_short_of_its_length_closes_the_connection(views: Server) -> None:
    with pytest.raises(Closed):
        views.get("/file?size=100&length=200")


def test_pipelined_files_do_not_mix(views: Server) -> None:
    sizes = [10, 300_000, 0, 4096, 1]
    with views.connect() as connection:
        connection.send(b"".join(get(target=b"/file?size=%d&length=%d" % (size, size)) for size in sizes))
        for size in sizes:
            assert connection.read_response().body == file_content(size)


def test_the_wrapper_holds_its_file(views: Server) -> None:
    expected = {"blksize": 4, "filelike": "BytesIO", "close": True, "items": ["0123", "4567", "89"]}
    assert value(views.get("/file-wrapper-shape")) == expected
