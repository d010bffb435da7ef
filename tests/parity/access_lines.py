"""What is asked for in the access log, and the requests that are logged."""

from __future__ import annotations

from support.cases import HOST

#: Atoms that both servers must write alike, by name.
ATOMS = [
    *("h", "l", "u", "r", "s", "m", "U", "q", "H", "b", "B", "f", "a"),
    *("{host}i", "{x-in}i", "{X-IN}i", "{x-twice}i", "{no}i", "{referer}i", "{authorization}i"),
    *("{x-out}o", "{content-length}o", "{content-type}o", "{server}o", "{date}o", "{connection}o", "{no}o"),
    *(
        "{REQUEST_METHOD}e",
        "{path_info}e",
        "{SERVER_PROTOCOL}e",
        "{wsgi.url_scheme}e",
        "{no}e",
        "{remote_addr}e",
    ),
    *("x", "nosuch", "{x-in}x", "{x-in}"),
]

#: Atoms whose value differs from request to request, and what it looks like.
PATTERNS = {
    "t": r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]",
    "T": r"\d+",
    "D": r"\d+",
    "M": r"\d+",
    "L": r"\d+\.\d{6}",
    "p": r"<\d+>",
}

SEPARATOR = "|#|"

#: Formats whose whole line must be equal; `%` conversions beyond `%(name)s`.
FORMATS = {
    "plain": "%(m)s %(U)s",
    "numbers": "%(B)d %(B)5d|%(B)05d|%(B)-5d|%(B)x|%(B)+d|%(B).2f",
    "widths": "%(m)10s|%(m)-10s|%(m).2s|%(m)10.2s|%(s)5s",
    "repr": "%(m)r|%(B)r|%(U)a",
    "percent": "100%% %(m)s%%",
    "no atoms": "a line",
    "empty": "",
    "text as a number": "%(m)d",
    "unfinished": "%(m)",
    "unclosed": "%(m",
    "unnamed": "%s %(m)s",
    "unknown conversion": "%(m)y",
    "bytes beyond ASCII": "\u20ac %(m)s \xe9",
    "quotes and tabs": "\"%(m)s\"\t'%(U)s'",
    "a brace in a name": "%({x}y}i)s",
    "the default": '%(h)s %(l)s %(u)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',
}


def get(target: bytes, fields: bytes = b"", method: bytes = b"GET") -> bytes:
    """A request to tests/apps/views.py."""
    return method + b" " + target + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n"


#: Requests by name.
REQUESTS = {
    "a plain request": get(b"/hello"),
    "a query": get(b"/hello?a=b&c=%20"),
    "an escaped path": get(b"/%68ello%3F?"),
    "fields": get(
        b"/hello",
        b"X-In: in\r\nX-Twice: 1\r\nX-Twice: 2\r\nReferer: http://r/\r\nUser-Agent: agent/1 (x; y)\r\n",
    ),
    "quotes": get(b"/hello", b'X-In: a"b\r\nUser-Agent: "q"\r\nReferer: "\r\n'),
    "a backslash": get(b"/hello", b"X-In: a\\b\r\n"),
    "latin-1": get(b"/hello", b"X-In: \xe9\r\n"),
    "a tab": get(b"/hello", b"X-In: a\tb\r\n"),
    "escapes for control characters": get(b"/hello%0a%22%5c%1b"),
    "credentials": get(b"/hello", b"Authorization: Basic dXNlcjpwYXNz\r\n"),
    "credentials without password": get(b"/hello", b"Authorization: Basic dXNlcg==\r\n"),
    "credentials in lower case": get(b"/hello", b"authorization: basic dXNlcjpwYXNz\r\n"),
    "broken credentials": get(b"/hello", b"Authorization: Basic !!!\r\n"),
    "credentials that are no text": get(b"/hello", b"Authorization: Basic /////w==\r\n"),
    "a bearer": get(b"/hello", b"Authorization: Bearer abc\r\n"),
    "HEAD": get(b"/hello", method=b"HEAD"),
    "a POST": get(b"/count-input", b"Content-Length: 5\r\n", b"POST") + b"hello",
    "chunks": get(b"/unsized"),
    "no body": get(b"/unsized?status=204+X"),
    "an answer with fields": get(
        b"/start?headers=[('X-Out','1'),('x-out','2'),('Content-Type','a/b'),('Content-Length','4')]"
    ),
    "an unusual status": get(b"/start?status='299%20X%20Y'"),
    "an empty answer": get(b"/nothing"),
    "a failure": get(b"/fails"),
    "a failure after start_response": get(b"/fails-after-start"),
    "a failure after the head": get(b"/fails-after-head"),
    "a failure before the first item": get(b"/close-after-error-at-once"),
    "a failure after an item": get(b"/close-after-error-later"),
    "an unknown view": get(b"/nosuch"),
    "a file": get(b"/file?size=1000"),
    "a refused line": b"GE(T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a refused field": get(b"/hello", b"X-In: a\x01b\r\n"),
    "a refused length": get(b"/hello", b"Content-Length: x\r\n"),
    "a refused chunk": get(b"/count-input", b"Transfer-Encoding: chunked\r\n", b"POST") + b"zz\r\n",
    "too many fields": get(b"/hello", b"X: 1\r\n" * 200),
    "HTTP/1.0": b"GET /hello HTTP/1.0\r\n\r\n",
}

FAILED = dict.fromkeys(("U", "{path_info}e", "{wsgi.url_scheme}e"), "failed-atoms")
REFUSED = dict.fromkeys(("U", "{REQUEST_METHOD}e", "{SERVER_PROTOCOL}e", "{remote_addr}e"), "failed-atoms")
ESCAPED = dict.fromkeys(("{x-in}i", "{X-IN}i"), "access-escapes")

#: Why an atom differs, by request.
ROWS: dict[str, dict[str, str]] = {
    "an escaped path": FAILED,
    "escapes for control characters": FAILED,
    "a failure": FAILED,
    "a failure after start_response": {**FAILED, "{content-type}o": "failed-atoms"},
    "an unknown view": FAILED,
    "a refused length": REFUSED,
    "a refused chunk": REFUSED,
    "a backslash": ESCAPED,
    "a tab": ESCAPED,
    "a file": {"b": "file-bytes", "B": "file-bytes"},
}
#: Why there is another number of lines, by request; rgunicorn has one.
LINE_ROWS = {
    "a refused line": "every-line",
    "a refused field": "every-line",
    "too many fields": "every-line",
    "a failure before the first item": "one-line",
}
#: Why a line of a format differs.
FORMAT_ROWS = {"text as a number": "format-mistakes", "unnamed": "format-mistakes"}
