"""Requests to tests/apps/views.py whose whole answers are compared, and the rows of those that differ."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from support.cases import HOST


@dataclass(frozen=True)
class Question:
    """One request. `row`: why the answers differ."""

    name: str
    request: bytes
    row: str | None = None


def view(
    name: str, query: str = "", fields: bytes = b"", method: bytes = b"GET", version: str = "1.1"
) -> bytes:
    """A request for one of the views."""
    target = f"/{name}?{query}" if query else f"/{name}"
    return method + f" {target} HTTP/{version}\r\n".encode() + HOST + fields + b"\r\n"


def started(name: str, status: str = "'200 OK'", headers: str = "[]", row: str | None = None) -> Question:
    """A call of start_response with these Python literals."""
    return Question(name, view("start", f"status={quote(status)}&headers={quote(headers)}"), row)


def started_with(*headers: tuple[str, str], row: str | None = None) -> Question:
    """A call of start_response with these headers."""
    return started(f"headers {headers}", headers=repr(list(headers)), row=row)


#: Rows for wire cases of which only a part is compared elsewhere.
CASE_ROWS = {"an absolute target": "absolute-target", "a bare LF ends a field": "bare-lf"}

#: Requests to the echoing application that the wire cases do not have.
TARGETS = [
    Question(
        "a target with a scheme inside", b"GET foo?x=http://h HTTP/1.1\r\n" + HOST + b"\r\n", "scheme-inside"
    ),
    Question("a target with a space", b"GET / x HTTP/1.1\r\n" + HOST + b"\r\n"),
    Question("a fragment", b"GET /a#b?c HTTP/1.1\r\n" + HOST + b"\r\n"),
    Question("an empty query", b"GET /a? HTTP/1.1\r\n" + HOST + b"\r\n"),
    Question("a refused HEAD", b"HEAD / HTTP/9.9\r\n" + HOST + b"\r\n", "error-head"),
    Question(
        "a list of fields",
        b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: a=1\r\nCookie: b=2\r\nX-A: \r\nX-A:x\r\n\r\n",
    ),
]

QUESTIONS = [
    Question("a length", view("hello")),
    Question("a length and HEAD", view("hello", method=b"HEAD")),
    Question("a length and HTTP/1.0", view("hello", version="1.0")),
    Question(
        "a length and HTTP/1.0 keep-alive", view("hello", fields=b"Connection: keep-alive\r\n", version="1.0")
    ),
    Question("chunks", view("unsized")),
    Question("no chunks for HTTP/1.0", view("unsized", version="1.0")),
    Question("chunks and HEAD", view("unsized", method=b"HEAD")),
    *(
        Question(f"a body with {status}", view("unsized", f"status={status}+X"))
        for status in (204, 304, 205, 404, 599)
    ),
    Question("a length with 204", view("sized", "length=9&size=9&status=204+X")),
    Question("a length with 304", view("sized", "length=9&size=9&status=304+X")),
    Question("more than its length", view("sized", "length=3&size=9&parts=2")),
    Question("a length with HEAD", view("sized", "length=9&size=9", method=b"HEAD")),
    Question("write()", view("written")),
    Question("no items", view("nothing")),
    Question("a late start_response", view("start-late")),
    Question("two calls of start_response", view("start-twice")),
    Question("start_response again with exc_info", view("start-again-with-error"), "exc-info"),
    Question("None", view("returns-none")),
    Question("early hints", view("early-hints")),
    Question("early hints and HTTP/1.0", view("early-hints", version="1.0")),
    Question("bad early hints", view("bad-early-hints")),
    Question("an exception", view("fails")),
    Question("an exception and HEAD", view("fails", method=b"HEAD"), "error-head"),
    Question("an exception and HTTP/1.0", view("fails", version="1.0")),
    Question("an exception after start_response", view("fails-after-start")),
    Question("an OSError", view("raises", "FileNotFoundError"), "app-exits"),
    Question("a MemoryError", view("raises", "MemoryError")),
    Question("a GeneratorExit", view("raises", "GeneratorExit"), "app-exits"),
    Question("a file", view("file", "size=10000")),
    Question("a file from an offset", view("file", "size=10000&offset=9000")),
    Question("a file with a length", view("file", "size=10000&length=500&offset=10")),
    Question("a file without descriptor", view("file", "size=10000&memory=1")),
    Question("a file and HEAD", view("file", "size=10000", method=b"HEAD")),
    Question("a file and HTTP/1.0", view("file", "size=10000", version="1.0")),
    Question("the wrapper", view("file-wrapper-shape")),
    Question("what wsgi.input has", view("input-has")),
    Question("bad sizes for wsgi.input", view("bad-input-sizes")),
    *(
        Question(
            f"wsgi.input.{calls}",
            view("inputs", calls, b"Content-Length: 14\r\n", b"POST") + b"one\ntwo\n\nthree",
        )
        for calls in (
            "read()",
            "read(None)",
            "read(-1)",
            "read(3)+readline()+read(0)+read()",
            "readline()+readline(2)+readline(-1)+readline(0)+readline()+readline()",
            "readlines()+read()",
            "readlines(1)+read()",
            "iterate+read()",
            "readline(None)+read(100)",
        )
    ),
    started("the status '200'", "'200'", row="no-reason"),
    *(
        started(f"the status {status}", status)
        for status in (
            "'2000 OK'",
            "'200OK'",
            "'20 OK'",
            "'999 X'",
            "'299 X Y  Z'",
            "''",
            "b'200 OK'",
            "200",
            "None",
            "'200 O\\nK'",
            "'200 \\u20ac'",
            "'200 \\xe9'",
            "' 200 OK'",
            "'200 OK '",
            "'200 \\tOK'",
        )
    ),
    started("headers that are a tuple", headers="(('X', '1'),)"),
    started("headers that are lists", headers="[['X', '1']]"),
    started("headers of bytes", headers="[(b'X', b'1')]"),
    started("a value of bytes", headers="[('X', b'1')]"),
    started("a value that is a number", headers="[('X', 1)]"),
    started("headers of three", headers="[('X', '1', '2')]"),
    started("no headers at all", headers="None"),
    started_with(("X", " \tv \t"), ("x-lower", "a\tb"), ("X", "again")),
    started_with(("X", "a\r\nB: c")),
    started_with(("X", "a\nb")),
    started_with(("X", "a\0b")),
    started_with(("X", "\x7f")),
    started_with(("X", "\xe9")),
    started_with(("X", "\u20ac")),
    started_with(("X", "")),
    started_with(("", "1")),
    started_with(("X Y", "1")),
    started_with(("X:", "1")),
    started_with(("X\xe9", "1")),
    started_with(("Content-Length", "4")),
    started_with(("Content-Length", " 4 ")),
    started_with(("Content-Length", "+4"), row="app-length"),
    started_with(("Content-Length", "four")),
    started_with(("Content-Length", "-1"), row="app-length"),
    started_with(("Content-Length", "4"), ("Content-Length", "4"), row="several-lengths"),
    started_with(("Transfer-Encoding", "chunked")),
    started_with(("Keep-Alive", "timeout=5"), ("TE", "x"), ("Trailers", "x"), ("Trailer", "y")),
    started_with(("Proxy-Authenticate", "x"), ("Proxy-Authorization", "y"), ("Proxy-Connection", "z")),
    started_with(("Server", "mine"), ("Date", "yesterday"), ("X-Kept", "1")),
    started_with(("Connection", "close"), row="app-close"),
    started_with(("Connection", "keep-alive")),
    started_with(("Upgrade", "h2c")),
]
