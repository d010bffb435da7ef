"""Responses that nobody reads, beside one that everybody does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SIZE = 20_000_000


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/bytes":
        start_response("200 OK", [("Content-Length", str(SIZE))])
        return [b"x" * SIZE]
    if path == "/generator":
        start_response("200 OK", [])
        return (b"x" * 20_000 for _ in range(SIZE // 20_000))
    body = b"%d\n" % len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
