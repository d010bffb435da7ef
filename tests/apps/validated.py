"""An application under the standard library's validator, which raises when a side breaks PEP 3333."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast
from wsgiref.validate import validator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TEXT = [("Content-Type", "text/plain")]


def inner(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """`/file` sends a file; everything else echoes the body through each way to read it."""
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].flush()
    source = environ["wsgi.input"]
    received = (
        source.readline(100)
        + source.read(10)
        + b"".join(source.readlines(100))
        + b"".join(source)
        + source.read(-1)
    )
    write = start_response("200 OK", list(TEXT))
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    if environ["PATH_INFO"] == "/file":
        return cast("Iterable[bytes]", environ["wsgi.file_wrapper"](io.BytesIO(b"file " * 10_000)))
    write(b"received ")
    return [received]


app = validator(inner)
