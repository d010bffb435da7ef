"""What the load generator asks (support.loadgen.errand): responses that say which request they belong to.

`make(version)` gives the application. Each response names the worker and that version.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Of a large response: bytes of a line, and their number.
LINE, LINES = 16, 65_536

kept: list[bytearray] = []


def blocks(number: int) -> Iterator[bytes]:
    """A response that takes 200 ms."""
    for _ in range(10):
        yield b"%d\n" % number
        time.sleep(0.02)


def make(version: str) -> WSGIApplication:
    """The application of a version."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        _, kind, text = environ["PATH_INFO"].split("/")
        headers = [("X-Worker", str(os.getpid())), ("X-Version", version)]
        if kind == "stream":
            start_response("200 OK", headers)
            return blocks(int(text))
        if kind == "post":
            body = environ["wsgi.input"].read()
        elif kind == "large":
            body = (b"%0*d\n" % (LINE - 1, int(text))) * LINES
        elif kind == "slow":
            time.sleep(float(text))
            body = b"slow\n"
        elif kind == "leak":
            kept.append(bytearray(b"x" * (int(text) << 20)))
            body = b"leaked\n"
        else:
            body = b"%d\n" % int(text)
        start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
        return [body]

    return app
