"""What runs in greenlets. It imports no library for them: the worker class has patched what blocks."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOCAL = threading.local()
RUNNING: set[int] = set()
MOST = 0


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """The path names a function."""
    view = VIEWS[environ["PATH_INFO"].strip("/") or "hello"]
    return view(environ, start_response)


def answer(start_response: StartResponse, value: object) -> list[bytes]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    return answer(start_response, b"hello")


def sleep(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Sleeps for as many seconds as the query says, and gives how many have slept at once at most."""
    global MOST
    RUNNING.add(id(environ))
    MOST = max(MOST, len(RUNNING))
    try:
        time.sleep(float(environ["QUERY_STRING"]))
    finally:
        RUNNING.discard(id(environ))
    return answer(start_response, MOST)


def block(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Works for as many seconds as the query says, and lets nobody else run."""
    end = time.monotonic() + float(environ["QUERY_STRING"])
    while time.monotonic() < end:
        sum(range(1000))
    return answer(start_response, b"done")


def count(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """How many bytes the body has, read in steps."""
    size = 0
    while data := environ["wsgi.input"].read(10_000):
        size += len(data)
    return answer(start_response, size)


def flood(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """As many bytes as the query says, in many blocks."""
    start_response("200 OK", [])
    return (b"x" * 20_000 for _ in range(int(environ["QUERY_STRING"]) // 20_000))


def local(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """What an earlier request has left in thread-local storage, and whether it stays what it is set to."""
    before = getattr(LOCAL, "value", None)
    LOCAL.value = environ["QUERY_STRING"]
    time.sleep(0.02)
    return answer(start_response, [before, LOCAL.value])


def until(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Waits until the file in the query exists; makes `<name>.begun` first, `<name>.ended` last."""
    path = Path(environ["QUERY_STRING"])
    path.with_suffix(".begun").touch()
    try:
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        path.with_suffix(".ended").touch()
    return answer(start_response, b"done")


def stubborn(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Makes the file in the query, then waits, whatever is raised in it."""
    Path(environ["QUERY_STRING"]).touch()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(BaseException):
            time.sleep(0.01)
    return answer(start_response, b"done")


def raises(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Raises what the query names, of the built-in exceptions or of greenlet."""
    import builtins

    import greenlet

    name = environ["QUERY_STRING"]
    raise getattr(builtins, name, None) or getattr(greenlet, name)("raised on purpose")


def kill(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """A greenlet that is killed from outside while it waits, as watchdogs of applications do."""
    import gevent

    gevent.spawn_later(0.05, gevent.getcurrent().kill, block=False)
    time.sleep(20)
    return answer(start_response, b"not killed")


def environment(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """What of the environ is text, a number or a truth; the kind of the client's socket; the process."""
    plain = {name: value for name, value in environ.items() if isinstance(value, (str, bool))}
    sock = environ["gunicorn.socket"]
    kinds = [type(sock.family).__name__, isinstance(sock, socket.socket)]
    return answer(start_response, {**plain, "socket": kinds, "pid": os.getpid()})


def patched(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Where the standard library's classes come from."""
    found = [socket.socket.__module__, time.sleep.__module__, threading.local.__module__]
    return answer(start_response, found)


def take_over(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Speaks on the client's socket by itself: sends back what comes, until a line says `end`."""
    client = environ["gunicorn.socket"]
    client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
    while (line := client.recv(1000)) and line != b"end\n":
        client.sendall(line)
    client.sendall(b"bye\n")
    client.shutdown(socket.SHUT_RDWR)
    raise StopIteration


def steps(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Blocks with a pause between them."""
    start_response("200 OK", [])
    for number in range(5):
        yield b"%d" % number
        time.sleep(0.02)


VIEWS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and name not in ("app", "answer")
}
