"""What the styles of clients ask of the application in tests/apps/steady.py, and what must come back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Bytes of a large response's lines, and how many there are.
LINE, LINES = 16, 65_536
#: Bytes of a body that is sent.
BODY = 30_000
#: And of one that is too large for memory.
UPLOAD = 3_200_000

numbers = itertools.count(1)


@dataclass
class Errand:
    """One request: what is sent and when, what must come back, and how it went."""

    style: str
    #: When it should begin, in the time of `time.monotonic()`.
    due: float
    #: Seconds after its beginning, and what is sent then.
    parts: list[tuple[float, bytes]]
    expected: bytes
    #: When the response began to come.
    first_byte: float | None = None

    @property
    def counted_from(self) -> float:
        """From when its latency counts: the due time and the pauses that the client itself makes."""
        return self.due + max(delay for delay, _ in self.parts)


@dataclass(frozen=True)
class Style:
    """A way of asking."""

    make: Callable[[float], list[Errand]]
    #: Whether the connection is kept, or each request has its own.
    kept: bool = True
    #: Seconds between two looks at what has come; None reads at once.
    pace: float | None = None
    #: Whether its latency is that of the whole response, or of the first byte, where the rest takes its time.
    whole: bool = True


def head(method: str, path: str, *fields: str) -> bytes:
    """A request's head."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *fields]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def asking(due: float, style: str = "kept") -> list[Errand]:
    """A GET with a short response."""
    number = next(numbers)
    return [Errand(style, due, [(0.0, head("GET", f"/echo/{number}"))], b"%d\n" % number)]


def once(due: float) -> list[Errand]:
    """The same on a connection of its own; every other client leaves the end to the server."""
    number = next(numbers)
    fields = ["Connection: close"] if number % 2 else []
    return [Errand("once", due, [(0.0, head("GET", f"/echo/{number}", *fields))], b"%d\n" % number)]


def pipelined(due: float) -> list[Errand]:
    """Three at once."""
    return [errand for _ in range(3) for errand in asking(due, "pipelined")]


def posting(due: float) -> list[Errand]:
    """A POST whose body comes in three pieces, and comes back."""
    number = next(numbers)
    body = (b"%d " % number) * (BODY // len(b"%d " % number))
    first = head("POST", f"/post/{number}", f"Content-Length: {len(body)}")
    third = len(body) // 3
    parts = [(0.0, first + body[:third]), (0.04, body[third : 2 * third]), (0.08, body[2 * third :])]
    return [Errand("posting", due, parts, body)]


def chunked(due: float) -> list[Errand]:
    """A POST in chunks, the first of which is cut in two; the server is asked to say when it wants them."""
    number = next(numbers)
    chunk = b"%d " % number * 1000
    first = head("POST", f"/post/{number}", "Transfer-Encoding: chunked", "Expect: 100-continue")
    framed = b"%x\r\n%s\r\n" % (len(chunk), chunk)
    cut = len(framed) // 2
    pieces = [first, framed[:cut], framed[cut:], framed + framed, b"0\r\n\r\n"]
    return [Errand("chunked", due, [(0.05 * at, data) for at, data in enumerate(pieces)], chunk * 3)]


def uploading(due: float) -> list[Errand]:
    """A POST of 3 MB, more than a server keeps in memory, in ten pieces."""
    number = next(numbers)
    line = b"%0*d\n" % (LINE - 1, number)
    piece = line * (UPLOAD // LINE // 10)
    first = head("POST", f"/post/{number}", f"Content-Length: {10 * len(piece)}")
    parts = [(0.03 * at, (b"" if at else first) + piece) for at in range(10)]
    return [Errand("uploading", due, parts, piece * 10)]


def dribbling(due: float) -> list[Errand]:
    """A GET whose head comes in three pieces."""
    number = next(numbers)
    data = head("GET", f"/echo/{number}", "X-Filling: " + "x" * 40)
    parts = [(0.0, data[:9]), (0.05, data[9:50]), (0.1, data[50:])]
    return [Errand("dribbling", due, parts, b"%d\n" % number)]


def reading(due: float) -> list[Errand]:
    """A GET with a large response, which is read slowly."""
    number = next(numbers)
    line = b"%0*d\n" % (LINE - 1, number)
    return [Errand("reading", due, [(0.0, head("GET", f"/large/{number}"))], line * LINES)]


def streaming(due: float) -> list[Errand]:
    """A GET whose response takes the application 200 ms, in blocks."""
    number = next(numbers)
    return [Errand("streaming", due, [(0.0, head("GET", f"/stream/{number}"))], (b"%d\n" % number) * 10)]


def idling(due: float) -> list[Errand]:
    """A GET on a connection that is hardly used."""
    return asking(due, "idling")


STYLES: dict[str, Style] = {
    "kept": Style(asking),
    "once": Style(once, kept=False),
    "pipelined": Style(pipelined),
    "posting": Style(posting),
    "chunked": Style(chunked),
    "uploading": Style(uploading, whole=False),
    "dribbling": Style(dribbling),
    "reading": Style(reading, pace=0.01, whole=False),
    "streaming": Style(streaming, whole=False),
    "idling": Style(idling),
}


def offsets(clients: int, interval: float) -> Iterator[float]:
    """When each of several clients begins, so that their requests do not come together."""
    return (index * interval / clients for index in range(clients))
