"""The environ of many requests, on each kind of socket and in several configurations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from parity.pair import SYNC, Pair, pair
from parity.rows import differences, needed
from support.cases import HOST
from support.server import Server

#: Flags, and the kind of socket.
CONFIGURATIONS: dict[str, tuple[list[str], str]] = {
    "tcp": ([*SYNC], "tcp"),
    "tcp6": ([*SYNC], "tcp6"),
    "unix": ([*SYNC], "unix"),
    "two workers": ([*SYNC, "--workers", "2"], "tcp"),
    "everybody": ([*SYNC, "--forwarded-allow-ips", "*"], "unix"),
    "untrusting": ([*SYNC, "--forwarded-allow-ips", ""], "tcp"),
}

REQUESTS = {
    "a plain request": b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/1.0 without Host": b"GET /a/b HTTP/1.0\r\n\r\n",
    "HTTP/1.0 with Host": b"GET /a/b HTTP/1.0\r\nHost: h:9\r\n\r\n",
    "a Host with a port": b"GET / HTTP/1.1\r\nHost: Example.COM:81\r\n\r\n",
    "an IPv6 Host": b"GET / HTTP/1.1\r\nHost: [::1]:81\r\n\r\n",
    "an IPv6 Host without port": b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    "an empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "a query": b"GET /p?a=b&c=%20 HTTP/1.1\r\n" + HOST + b"\r\n",
    "escapes": b"GET /%E2%82%AC%2f;x=1/%zz?%E2 HTTP/1.1\r\n" + HOST + b"\r\n",
    "dots": b"GET /a/../b/./c//d HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n",
    "options": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unusual method": b"M-SEARCH / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a form": b"POST /form HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b",
    "a length of nothing": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
    "cookies and credentials": b"GET / HTTP/1.1\r\n"
    + HOST
    + b"Cookie: a=1\r\nCookie: b=2\r\nAuthorization: Basic eDp5\r\nReferer: r\r\n\r\n",
    "a browser": b"GET / HTTP/1.1\r\n"
    + HOST
    + b"User-Agent: Mozilla/5.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nAccept-Language: de,en;q=0.5\r\n"
    + b"Connection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nTE: trailers\r\n\r\n",
    "a proxy": b"GET / HTTP/1.1\r\n"
    + HOST
    + b"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nForwarded: for=x\r\n\r\n",
    "a prefix": b"GET /base/x HTTP/1.1\r\n" + HOST + b"SCRIPT_NAME: /base\r\nX_Y: 1\r\nPATH_INFO: /z\r\n\r\n",
    "the name Proxy": b"GET / HTTP/1.1\r\n" + HOST + b"Proxy: http://evil\r\n\r\n",
    "reserved names": b"GET / HTTP/1.1\r\n"
    + HOST
    + b"Remote-Addr: x\r\nServer-Name: y\r\nWsgi.input: z\r\n\r\n",
    "an upgrade": b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "an absolute target": b"GET http://localhost/x?y HTTP/1.1\r\n" + HOST + b"\r\n",
}

#: What differs in each environ, and why.
EVERYWHERE = {
    "SERVER_SOFTWARE": "names",
    "process SERVER_SOFTWARE": "names",
    "class of wsgi.input": "environ-classes",
    "module of wsgi.file_wrapper": "environ-classes",
    "wsgi.errors": "errors-file",
}
#: What differs in some, by configuration and request.
ROWS = {
    (configuration, request): {"SERVER_NAME": "unix-ipv6-host", "SERVER_PORT": "unix-ipv6-host"}
    for configuration in ("unix", "everybody")
    for request in ("an IPv6 Host", "an IPv6 Host without port")
}

Pairs = Callable[[str], Pair]


@pytest.fixture(scope="module")
def pairs() -> Iterator[Pairs]:
    """Both servers in each configuration."""
    started: dict[str, Pair] = {}
    with ExitStack() as stack:

        def named(name: str) -> Pair:
            if name not in started:
                flags, kind = CONFIGURATIONS[name]
                started[name] = stack.enter_context(pair("told:app", *flags, kind=kind))
            return started[name]

        yield named


def environ(server: Server, request: bytes) -> dict[str, Any]:
    """What the application is called with; ports and paths of this one server by another name."""
    with server.connect() as connection:
        response = connection.request(request)
    if response.status != 200:
        return {"refused": response.status}
    told: dict[str, Any] = json.loads(response.body)
    address = server.address
    if isinstance(address, str):
        told = {key: "PATH" if value == address else value for key, value in told.items()}
    else:
        assert told["SERVER_PORT"] == str(address[1])
        assert told["REMOTE_PORT"].isdecimal()
        told["SERVER_PORT"] = told["REMOTE_PORT"] = "PORT"
    return told


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_environ(configuration: str, request_name: str, pairs: Pairs) -> None:
    theirs, ours = pairs(configuration).ask(lambda server: environ(server, REQUESTS[request_name]))
    allowed = {} if "refused" in theirs else EVERYWHERE
    assert differences(theirs, ours, {**allowed, **ROWS.get((configuration, request_name), {})}) == []


def test_every_row_is_needed() -> None:
    used = {row for allowed in (EVERYWHERE, *ROWS.values()) for row in allowed.values()}
    assert used == needed("environ")
