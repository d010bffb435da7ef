"""Requests that every worker class answers alike: the bytes, and what must come back.

The application is tests/apps/views.py. `but` names the kinds for which a row does not hold, with the reason:
there the tests see to it that it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .cases import HOST, get, post

HELLO = b"hello\n"
#: Every byte value, as often as it takes to be 2 MiB.
TWO_MEBIBYTES = bytes(range(256)) * 8192

#: Tornado's server takes the whole response before it sends any, and refuses requests in its own way.
TORNADO = "tornado's own server answers"
#: As does gevent's, which Gunicorn's `gevent_pywsgi` is.
PYWSGI = "gevent's own server answers"


@dataclass(frozen=True)
class Answer:
    """One response. What is None is not looked at."""

    status: int = 200
    body: bytes | None = None
    framing: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    version: str = "HTTP/1.1"


@dataclass(frozen=True)
class Row:
    """Requests that are sent at once, and their answers in order. `stays`: the connection is still open."""

    name: str
    request: bytes
    answers: tuple[Answer, ...] = (Answer(body=HELLO, framing="length"),)
    stays: bool = True
    but: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method of its requests."""
        return self.request.split(b" ", 1)[0].decode("latin-1")


def row(
    name: str, request: bytes, *answers: Answer, stays: bool = True, but: Mapping[str, str] | None = None
) -> Row:
    """A row; without `answers` it is answered with hello."""
    return Row(name, request, answers or Row.answers, stays, but or {})


def refused(name: str, request: bytes, status: int, but: Mapping[str, str]) -> Row:
    """A request that is refused, and ends its connection."""
    return row(name, request, Answer(status, headers={"Connection": "close"}), stays=False, but=but)


def view(name: str, fields: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """A GET of one of the views."""
    return get(fields, target=b"/" + name.encode(), version=version)


def sent(name: str, fields: bytes, body: bytes) -> bytes:
    """A POST to one of the views."""
    return post(fields, body).replace(b"POST / ", b"POST /" + name.encode() + b" ", 1)


def length(body: bytes) -> bytes:
    """The field that frames a body."""
    return b"Content-Length: %d\r\n" % len(body)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
EXPECTED = b"Expect: 100-continue\r\n"
ABC = length(b"abc")

REFUSALS = {"tornado": TORNADO}
LIMITS = {"tornado": TORNADO, "gunicorn-gevent_pywsgi": PYWSGI}
VERSIONS = {"tornado": "answers in HTTP/1.1", "gunicorn-gevent_pywsgi": "answers in HTTP/1.1"}

ROWS = [
    row("a GET", view("hello")),
    row("a body with its length", sent("echo-input", ABC, b"abc"), Answer(body=b"abc")),
    row(
        "a chunked body",
        sent("echo-input", CHUNKED, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        Answer(body=b"abcde"),
    ),
    row(
        "a body of 2 MiB",
        sent("echo-input", length(TWO_MEBIBYTES), TWO_MEBIBYTES),
        Answer(body=TWO_MEBIBYTES),
    ),
    row("a body that nobody reads", sent("hello", ABC, b"abc")),
    row(
        "HEAD",
        view("hello").replace(b"GET", b"HEAD", 1),
        Answer(body=b"", framing="none", headers={"Content-Length": "6"}),
        but={
            "gunicorn-tornado": "takes the body of the application for a mistake, and closes",
            "gunicorn-gevent_pywsgi": "sends the body",
        },
    ),
    row(
        "no content",
        view("no-content"),
        Answer(204, b"", "none"),
        but={"tornado": "sends a Content-Length with 204"},
    ),
    row("a generator", view("unsized"), Answer(body=b"some body")),
    row("a generator in chunks", view("unsized"), Answer(framing="chunked"), but={"tornado": TORNADO}),
    row("a generator of 2 MiB", view("big?megabytes=2&as=generator"), Answer(body=TWO_MEBIBYTES)),
    row("write()", view("written"), Answer(body=b"one two three")),
    row(
        "a file",
        view("file?size=100000"),
        Answer(body=(bytes(range(251)) * 400)[:100000]),
        but={"tornado": "has no wsgi.file_wrapper"},
    ),
    row("Connection: close", view("hello", b"Connection: close\r\n"), stays=False),
    row(
        "three requests at once",
        view("hello") + sent("echo-input", ABC, b"abc") + view("unsized"),
        Answer(body=HELLO),
        Answer(body=b"abc"),
        Answer(body=b"some body"),
    ),
    row(
        "HTTP/1.0",
        view("hello", version=b"HTTP/1.0"),
        Answer(body=HELLO, version="HTTP/1.0"),
        stays=False,
        but=VERSIONS,
    ),
    row(
        "HTTP/1.0 and no length",
        view("unsized", version=b"HTTP/1.0"),
        Answer(body=b"some body", framing="close", version="HTTP/1.0"),
        stays=False,
        but=VERSIONS,
    ),
    row(
        "HTTP/1.0 and keep-alive",
        view("hello", b"Connection: keep-alive\r\n", b"HTTP/1.0"),
        Answer(body=HELLO, version="HTTP/1.0", headers={"Connection": "keep-alive"}),
        but={**VERSIONS, "gunicorn-sync": "closes after each answer"},
    ),
    row("an expectation", sent("echo-input", EXPECTED + ABC, b"abc"), Answer(body=b"abc")),
    row(
        "an application that fails",
        view("fails"),
        Answer(500, headers={"Connection": "close"}),
        stays=False,
        but={"gunicorn-tornado": "no answer"},
    ),
    refused("a line that is none", b"nonsense\r\n\r\n", 400, but=REFUSALS),
    refused("a version that is none", b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 400, but=REFUSALS),
    refused("two lengths", sent("hello", ABC + length(b"ab"), b"abc"), 400, but=LIMITS),
    refused("a line that is too long", view("hello?" + "x" * 5000), 414, but=LIMITS),
    refused("a field that is too long", view("hello", b"X: " + b"x" * 9000 + b"\r\n"), 431, but=LIMITS),
]
