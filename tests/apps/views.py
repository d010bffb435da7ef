"""One function for each thing an application may do, found by the path.

State lives in the module: the tests that look at it use one worker.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

View = Callable[["WSGIEnvironment", "StartResponse"], Any]

PLAIN = [("Content-Type", "text/plain")]

#: How often close() was called, by the query of the request.
CLOSED: Counter[str] = Counter()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    return globals()[environ["PATH_INFO"].lstrip("/").replace("-", "_")](environ, start_response)


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [*PLAIN, ("Content-Length", "6")])
    return [b"hello\n"]


def answer(start_response: StartResponse, value: object) -> list[bytes]:
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


# environ


def environ_types(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Each key with the name of its type and its text."""
    return answer(start_response, {key: [type(value).__name__, str(value)] for key, value in environ.items()})


def process_environment(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    return answer(start_response, {"SERVER_SOFTWARE": os.environ.get("SERVER_SOFTWARE"), "pid": os.getpid()})


def client_socket(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Whose end the socket in the environ is."""
    return answer(start_response, str(environ["gunicorn.socket"].getpeername()))


# start_response


def start(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Calls start_response with what the query gives: Python literals `status` and `headers`."""
    query = parse_qs(environ["QUERY_STRING"])
    status = eval(query.get("status", ["'200 OK'"])[0])
    headers = eval(query.get("headers", ["[('Content-Type', 'text/plain')]"])[0])
    start_response(status, headers)
    return [b"body"]


def start_never(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    return [b"body"]


def start_twice(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    start_response("200 OK", list(PLAIN))
    return [b"body"]


def start_again_with_error(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """The page of an error replaces what was prepared."""
    start_response("200 OK", [("X-First", "1"), ("Content-Length", "1000")])
    try:
        raise ValueError("before the head")
    except ValueError:
        start_response("503 Sorry", [("X-Second", "2")], sys.exc_info())
    return [b"sorry"]


def start_again_too_late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", list(PLAIN))
    yield b"begun"
    try:
        raise ValueError("after the head")
    except ValueError:
        start_response("503 Sorry", list(PLAIN), sys.exc_info())
    yield b"never sent"


def start_late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """A generator: start_response is called with the first item."""
    start_response("202 Accepted", list(PLAIN))
    yield b"late"


# What may be returned


def written(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    write = start_response("200 OK", list(PLAIN))
    write(b"one ")
    write(b"")
    write(b"two ")
    return [b"three"]


def nothing(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return []


def empty_items(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return [b"", b"a", b"", b"b", b""]


def returns_none(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))


def returns_text(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return ["text"]


def text_after_bytes(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return [b"bytes", "text"]


def sized(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """A Content-Length of `length`, and a body of `size` bytes in `parts` parts."""
    query = parse_qs(environ["QUERY_STRING"])
    length, size, parts = (int(query.get(name, ["1"])[0]) for name in ("length", "size", "parts"))
    status = query.get("status", ["200 OK"])[0]
    start_response(status, [*PLAIN, ("Content-Length", str(length))])
    body = b"x" * size
    step = max(1, -(-size // parts))
    return Closing(environ, (body[at : at + step] for at in range(0, size, step)))


def unsized(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    query = parse_qs(environ["QUERY_STRING"])
    start_response(query.get("status", ["200 OK"])[0], list(PLAIN))
    return Closing(environ, iter([b"some ", b"body"]))


def big(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """`megabytes` of a pattern: as one bytes object, as a generator, or written."""
    query = parse_qs(environ["QUERY_STRING"])
    block = bytes(range(256)) * 4096
    count = int(query["megabytes"][0])
    shape = query["as"][0]
    if shape == "bytes":
        start_response("200 OK", [*PLAIN, ("Content-Length", str(len(block) * count))])
        return [block * count]
    write = start_response("200 OK", list(PLAIN))
    if shape == "generator":
        return (block for _ in range(count))
    for _ in range(count):
        write(block)
    return []


def two_steps(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """The second block comes when the file that the query names exists."""
    start_response("200 OK", list(PLAIN))
    yield b"first"
    until_exists(Path(environ["QUERY_STRING"]))
    yield b"second"


def until_exists(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.002)


# close()


class Closing:
    """An iterable that counts the calls of its close()."""

    def __init__(
        self, environ: WSGIEnvironment, items: Iterator[bytes], error: Exception | None = None
    ) -> None:
        self.name = environ["QUERY_STRING"]
        self.items = items
        self.error = error

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.items)

    def close(self) -> None:
        CLOSED[self.name] += 1
        if self.error:
            raise self.error


def closed(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    return answer(start_response, CLOSED)


def close_after_all(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return Closing(environ, iter([b"a", b"b"]))


def close_after_nothing(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return Closing(environ, iter([]))


def close_after_error_at_once(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return Closing(environ, failing(0))


def close_after_error_later(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return Closing(environ, failing(3))


def close_without_start(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    return Closing(environ, iter([b"a"]))


def close_that_fails(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return Closing(environ, iter([b"a"]), RuntimeError("close failed"))


def close_after_flood(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """More than any buffer holds: the client leaves before its end."""
    start_response("200 OK", list(PLAIN))
    return Closing(environ, (b"x" * 1_000_000 for _ in range(2000)))


def failing(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"item"
    raise RuntimeError("the iteration failed")


# Errors


def fails(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    raise RuntimeError("this application fails: <&>")


def fails_after_start(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [*PLAIN, ("X-Lost", "1")])
    raise RuntimeError("this application fails")


def fails_after_head(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", list(PLAIN))
    return failing(2)


def fails_short_of_length(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [*PLAIN, ("Content-Length", "100")])
    return failing(2)


def raises(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Raises the built-in exception that the query names."""
    kinds: dict[str, type[BaseException]] = {
        kind.__name__: kind
        for kind in (
            SystemExit,
            KeyboardInterrupt,
            GeneratorExit,
            StopIteration,
            FileNotFoundError,
            BrokenPipeError,
            ConnectionResetError,
            TimeoutError,
            MemoryError,
        )
    }
    raise kinds[environ["QUERY_STRING"]]("raised on purpose")


# Early hints


def early_hints(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload"), ("Link", "</b.js>; rel=preload")])
    environ["wsgi.early_hints"]([(b"Link", b"</c.png>; rel=preload")])
    return hello(environ, start_response)


def bad_early_hints(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    environ["wsgi.early_hints"]([("Link", "x\r\nX-Injected: 1")])
    return hello(environ, start_response)


# wsgi.input and wsgi.errors


def inputs(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Makes the calls that the query lists, as `read(3)+readline()`, and gives what each returned."""
    source = environ["wsgi.input"]
    results: list[Any] = []
    for call in environ["QUERY_STRING"].split("+"):
        name, _, rest = call.partition("(")
        arguments = [None if word == "None" else int(word) for word in rest.rstrip(")").split(",") if word]
        if name == "iterate":
            results.append([line.decode("latin-1") for line in source])
            continue
        result = getattr(source, name)(*arguments)
        if isinstance(result, list):
            results.append([line.decode("latin-1") for line in result])
        else:
            results.append(result.decode("latin-1"))
    return answer(start_response, results)


def bad_input_sizes(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Which sizes are refused, and how."""
    found = []
    sizes: tuple[object, ...] = ("1", 1.5, [], b"1")
    for size in sizes:
        try:
            environ["wsgi.input"].read(size)
            found.append("accepted")
        except TypeError as error:
            found.append(f"TypeError: {error}")
    return answer(start_response, found)


def input_has(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    names = ("read", "readline", "readlines", "__iter__", "close", "seek")
    return answer(start_response, {name: hasattr(environ["wsgi.input"], name) for name in names})


def count_input(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """How many bytes came, read in steps, and the sum of their values."""
    size: int = 0
    total: int = 0
    while block := environ["wsgi.input"].read(100_000):
        size += len(block)
        total += sum(block)
    return answer(start_response, [size, total])


def errors(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    environ["wsgi.errors"].write("written: é\n")
    environ["wsgi.errors"].writelines(["line one\n", "line two\n"])
    environ["wsgi.errors"].flush()
    print("printed", file=environ["wsgi.errors"])
    return hello(environ, start_response)


# wsgi.file_wrapper


def file(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """A file of `size` bytes, from `offset` on.

    `length`: the Content-Length, if any. `memory`: it has no descriptor. `iterate`: its wrapper is hidden.
    """
    query = {key: values[0] for key, values in parse_qs(environ["QUERY_STRING"]).items()}
    content = (bytes(range(251)) * (int(query["size"]) // 251 + 1))[: int(query["size"])]
    # Closed by the server: this is what the tests look at.
    stream: Any = io.BytesIO() if "memory" in query else tempfile.TemporaryFile()
    stream.write(content)
    stream.flush()
    stream.seek(int(query.get("offset", "0")))
    headers = list(PLAIN)
    if "length" in query:
        headers.append(("Content-Length", query["length"]))
    start_response("200 OK", headers)
    counted = CountingFile(stream, environ["QUERY_STRING"])
    wrapper = environ["wsgi.file_wrapper"](counted, 4096)
    return (block for block in wrapper) if "iterate" in query else wrapper


class CountingFile:
    """A file that counts the calls of its close()."""

    def __init__(self, stream: Any, name: str) -> None:
        self.stream = stream
        self.name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def close(self) -> None:
        CLOSED[self.name] += 1
        self.stream.close()


def file_wrapper_shape(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """The wrapper as an object: what it holds, and what it gives."""
    wrapper = environ["wsgi.file_wrapper"](io.BytesIO(b"0123456789"), 4)
    return answer(
        start_response,
        {
            "blksize": wrapper.blksize,
            "filelike": type(wrapper.filelike).__name__,
            "close": hasattr(wrapper, "close"),
            "items": [block.decode() for block in wrapper],
        },
    )


def pid(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    return answer(start_response, os.getpid())


def sleep(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Stuck for as many seconds as the query says."""
    time.sleep(float(environ["QUERY_STRING"]))
    return hello(environ, start_response)


def until(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Busy until the file that the query names exists; it makes `<name>.begun` first."""
    path = Path(environ["QUERY_STRING"])
    path.with_suffix(".begun").touch()
    until_exists(path)
    return hello(environ, start_response)


def echo_input(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """The request's body as it came."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [*PLAIN, ("Content-Length", str(len(body)))])
    return [body]


def no_content(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("204 No Content", [])
    return []


def flags(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """What the environ says of threads and processes."""
    names = ("wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once")
    return answer(start_response, {name.removeprefix("wsgi."): environ[name] for name in names})


def spin(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Computes for as many seconds as the query says, without a single wait."""
    end = time.monotonic() + float(environ["QUERY_STRING"])
    while time.monotonic() < end:
        pass
    return hello(environ, start_response)


#: How many requests for `crowd` run now, and how many ever did at once.
CROWD = Counter[str]()


def crowd(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Busy until `go` exists in the directory that the query names. Tells how many there were at most."""
    directory = Path(environ["QUERY_STRING"])
    CROWD["now"] += 1
    CROWD["most"] = max(CROWD["most"], CROWD["now"])
    (directory / f"{CROWD['now']}.begun").touch()
    until_exists(directory / "go")
    CROWD["now"] -= 1
    return answer(start_response, CROWD["most"])


def ticking(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """200 short lines that say what the query says, with a moment between them."""
    start_response("200 OK", list(PLAIN))
    for number in range(200):
        yield f"{environ['QUERY_STRING']} {number}\n".encode()
        time.sleep(0.001)


def pattern(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """5 MB in blocks that say what the query says."""
    start_response("200 OK", list(PLAIN))
    for _ in range(500):
        yield environ["QUERY_STRING"].encode() * 10_000
