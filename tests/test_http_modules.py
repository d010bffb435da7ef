"""The modules under `http`, for code that reads its requests itself: beside Gunicorn's, on the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from rgunicorn.http.body import Body

#: What both packages run: reads cases from standard input, writes what came of each.
PROGRAM = r"""
import importlib, json, socket, sys

package = sys.argv[1]
config = importlib.import_module(package + ".config")
errors = importlib.import_module(package + ".http.errors")
http = importlib.import_module(package + ".http")
wsgi = importlib.import_module(package + ".http.wsgi")
unreader = importlib.import_module(package + ".http.unreader")
message = importlib.import_module(package + ".http.message")

ATTRIBUTES = ["method", "uri", "path", "query", "fragment", "version", "headers", "scheme", "req_number",
              "must_close", "peer_addr", "remote_addr", "proxy_protocol_info"]

def settings(given):
    cfg = config.Config()
    for name, value in given.items():
        cfg.set(name, value)
    return cfg

def requests(pieces, cfg, read):
    found = []
    try:
        for req in http.get_parser(cfg, [piece.encode("latin-1") for piece in pieces], ("10.0.0.9", 80)):
            seen = {name: getattr(req, name) for name in ATTRIBUTES}
            found.append([seen, req.should_close()])
            found[-1].append(READ[read](req.body).decode("latin-1"))
            found[-1].append(req.trailers)
    except Exception as error:
        found.append([type(error).__name__, str(error)])
    return found

READ = {
    "all": lambda body: body.read(),
    "lines": lambda body: b"|".join([body.readline(3), body.readline(), *body]),
    "pieces": lambda body: b"|".join(iter(lambda: body.read(2), b"")),
    "none": lambda body: b"",
}

def answer(data, view, cfg):
    ours, theirs = socket.socketpair()
    theirs.sendall(data.encode("latin-1"))
    theirs.shutdown(socket.SHUT_WR)
    req = next(http.get_parser(cfg, ours, ("10.0.0.9", 80)))
    try:
        resp, environ = wsgi.create(req, ours, ("10.0.0.9", 80), ("0.0.0.0", 8000), cfg)
        for block in VIEWS[view](environ, resp.start_response):
            resp.write(block)
        resp.close()
    except Exception as error:
        return [type(error).__name__, str(error)]
    ours.close()
    sent = b""
    while block := theirs.recv(65536):
        sent += block
    lines = [line for line in sent.decode("latin-1").split("\r\n") if not line.startswith(("Server", "Date"))]
    text = {name: value for name, value in sorted(environ.items()) if isinstance(value, (str, int, tuple))}
    text.pop("SERVER_SOFTWARE")
    state = [resp.status, resp.status_code, resp.headers, resp.sent, resp.response_length, resp.chunked,
             resp.headers_sent, resp.should_close(), resp.upgrade, resp.must_close]
    return [lines, text, state]

def plain(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-A", " b "), ("Content-Length", str(len(body))), ("Connection", "close")])
    return [body]

def chunks(environ, start_response):
    start_response("203 Some", [("Date", "x"), ("Keep-Alive", "x")])
    return [b"one", b"", b"two"]

def empty(environ, start_response):
    start_response("204 None", [("Content-Length", "3")])
    return [b"abc"]

def long(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ab", b"cd", b"ef"]

def hints(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</a>"), (b"link", b"</b>")])
    start_response("200 OK", [("Upgrade", "websocket"), ("Connection", "Upgrade")])
    return []

def bad(environ, start_response):
    start_response("200 OK", [("X", "a\r\nb")])
    return []

def worse(environ, start_response):
    start_response("200 OK", [("X Y", "a")])
    return []

def twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []

def status(environ, start_response):
    start_response("200OK", [])
    return []

VIEWS = {name: globals()[name] for name in
         ["plain", "chunks", "empty", "long", "hints", "bad", "worse", "twice", "status"]}

def families():
    classes = {name: each for name, each in vars(errors).items() if isinstance(each, type)}
    arguments = {"LimitRequestLine": (7, 5), "NoMoreData": (b"x",), "InvalidHTTPVersion": ((2, 0),),
                 "InvalidSchemeHeaders": ()}
    return {
        name: [[base.__name__ for base in each.__mro__], str(each(*arguments.get(name, ("it's",)))),
               getattr(each(*arguments.get(name, ("it's",))), "code", None)]
        for name, each in classes.items() if issubclass(each, Exception) and each.__name__ != "ParseException"
    }

def reads(sizes):
    source = unreader.IterUnreader(iter([b"abc", b"defgh", b"i"]))
    found = [source.read(size).decode() for size in sizes]
    source.unread(b"back")
    return [*found, source.read(2).decode(), source.read().decode()]

CASES = {"requests": lambda case: requests(case[0], settings(case[1]), case[2]),
         "answer": lambda case: answer(case[0], case[1], settings({})),
         "families": lambda case: families(),
         "reads": lambda case: reads(case)}

print(json.dumps([CASES[kind](case) for kind, case in json.load(sys.stdin)]))
"""

REQUESTS: dict[str, list[Any]] = {
    "nothing": [[], {}, "all"],
    "a GET": [["GET /a%20b?c#d HTTP/1.1\r\nHost: x\r\nX-Y:  z \r\n\r\n"], {}, "all"],
    "byte by byte": [list("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), {}, "all"],
    "two requests": [["GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"], {}, "all"],
    "an unread body": [
        ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"],
        {},
        "none",
    ],
    "close": [["GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n"], {}, "all"],
    "a body": [["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\na\nb", "c\ndef"], {}, "lines"],
    "chunks": [
        [
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na",
            "bc\r",
            "\n0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
        ],
        {},
        "pieces",
    ],
    "trailers": [
        [
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\na\r\n0\r\nX-Sum:  7 \r\nx_gone: 1\r\nY:\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
        ],
        {},
        "all",
    ],
    "a folded trailer": [
        [
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n  b\r\n\r\n",
        ],
        {"permit_obsolete_folding": True},
        "all",
    ],
    "a bad request line": [["GET /\r\n\r\n"], {}, "all"],
    "a bad method": [["get / HTTP/1.1\r\n\r\n"], {}, "all"],
    "a bad version": [["GET / HTTP/2.0\r\n\r\n"], {}, "all"],
    "no version": [["GET / FTP\r\n\r\n"], {}, "all"],
    "a bad header": [["GET / HTTP/1.1\r\nHost x\r\n\r\n"], {}, "all"],
    "two hosts": [["GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"], {}, "all"],
    "a bad name": [["GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n"], {}, "all"],
    "a folded line": [["GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"], {}, "all"],
    "a permitted folded line": [
        ["GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"],
        {"permit_obsolete_folding": True},
        "all",
    ],
    "a long line": [["GET /aaaaaaaaaa HTTP/1.1\r\n\r\n"], {"limit_request_line": 20}, "all"],
    "many headers": [["GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n"], {"limit_request_fields": 1}, "all"],
    "an expectation": [["GET / HTTP/1.1\r\nHost: x\r\nExpect: much\r\n\r\n"], {}, "all"],
    "an unknown coding": [["GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n"], {}, "all"],
    "a bad chunk": [["GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"], {}, "all"],
    "a bad end of a chunk": [
        ["GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"],
        {},
        "all",
    ],
    "a trusted proxy": [
        ["GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n\r\n"],
        {"forwarded_allow_ips": "10.0.0.9"},
        "all",
    ],
    "an untrusted proxy": [["GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n\r\n"], {}, "all"],
    "an unfinished head": [["GET / HT"], {}, "all"],
}

GET = "GET /p%20q?r HTTP/1.1\r\nHost: x:9\r\nA: 1\r\nA: 2\r\nContent-Type: t/x\r\n\r\n"
ANSWERS = {
    **{
        view: [GET, view]
        for view in ("plain", "chunks", "empty", "long", "hints", "bad", "worse", "twice", "status")
    },
    "HTTP/1.0": ["GET / HTTP/1.0\r\n\r\n", "chunks"],
    "HEAD": ["HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "plain"],
    "POST": ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", "plain"],
}

CASES: dict[str, tuple[str, Any]] = {
    **{f"request: {name}": ("requests", case) for name, case in REQUESTS.items()},
    **{f"answer: {name}": ("answer", case) for name, case in ANSWERS.items()},
    "errors": ("families", None),
    "reading back": ("reads", [2, 4, 0, 5, 5]),
}


def run(package: str) -> dict[str, Any]:
    """What comes of every case in one of the packages."""
    cases = json.dumps(list(CASES.values()))
    program = [sys.executable, "-c", PROGRAM, package]
    done = subprocess.run(program, input=cases, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


@pytest.fixture(scope="module")
def gunicorn() -> dict[str, Any]:
    return run("gunicorn")


@pytest.fixture(scope="module")
def rgunicorn() -> dict[str, Any]:
    return run("rgunicorn")


@pytest.mark.parametrize("name", CASES)
def test_the_modules_do_what_gunicorns_do(
    name: str, gunicorn: dict[str, Any], rgunicorn: dict[str, Any]
) -> None:
    assert rgunicorn[name] == gunicorn[name]


class Line:
    """A reader of a body that is one line without an end."""

    def __init__(self, length: int) -> None:
        self.left = length

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        size = min(size, self.left)
        self.left -= size
        return b"x" * size


# A tenth of a second, unless each block searches or copies what came before it: then a minute.
@pytest.mark.timeout(20)
def test_a_line_that_does_not_end_takes_time_by_its_length() -> None:
    assert len(Body(Line(64 << 20)).readline()) == 64 << 20
