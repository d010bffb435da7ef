"""The WSGI applications that are measured: each does as little as its workload allows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HELLO = b"Hello, World!"
BIG = b"0123456789abcdef" * (1024 * 1024 // 16)
CHUNK = b"c" * 1023 + b"\n"
CHUNKS = 100
HUGE = b"h" * (20 * 1000 * 1000)

# Seconds.
SLEEP, SHORT, LONG = 0.01, 0.005, 5.0

HELLO_HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(HELLO)))]


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """13 bytes with their length."""
    start_response("200 OK", HELLO_HEADERS)
    return [HELLO]


def big(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """1 MiB as one `bytes` object."""
    start_response(
        "200 OK",
        [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(BIG)))],
    )
    return [BIG]


def upload(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Reads the whole body and answers with its length; a short body is a 400."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    text = str(len(body)).encode()
    status = "200 OK" if len(body) == length else "400 Bad Request"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]


def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """100 chunks of 1 KiB from a generator, without a length."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _repeat(CHUNK, CHUNKS)


def mixed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """For slow clients: 20 MB as one object (/huge) or in chunks (/huge-stream), uploads, else hello."""
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "POST":
        return upload(environ, start_response)
    if path not in ("/huge", "/huge-stream"):
        return hello(environ, start_response)
    start_response(
        "200 OK",
        [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(HUGE)))],
    )
    return [HUGE] if path == "/huge" else _repeat(HUGE[:50_000], len(HUGE) // 50_000)


def sleep(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Hello after 10 ms, as from a database."""
    time.sleep(SLEEP)
    return hello(environ, start_response)


def long_or_short(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Hello after 5 s (/long), else after 5 ms."""
    time.sleep(LONG if environ["PATH_INFO"] == "/long" else SHORT)
    return hello(environ, start_response)


def _repeat(chunk: bytes, times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield chunk
