"""Turns the bytes of one connection into responses. Never repairs what it reads: a doubt is `Malformed`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2}) [\t\x20-\x7e\x80-\xff]*\Z")
FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*?)[ \t]*\Z")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}\Z")


class Malformed(Exception):
    """The bytes are not a response of HTTP/1.1."""


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)

    @property
    def closes(self) -> bool:
        """Whether the server has announced that it ends the connection."""
        tokens = self.headers.get("connection", "").lower().split(",")
        return "close" in [token.strip() for token in tokens]


class Reader:
    """The receiving side of one connection."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        #: The response whose head is complete.
        self.current: Answer | None = None
        #: Bytes that its body still lacks; None where chunks tell.
        self.missing: int | None = 0

    @property
    def amid(self) -> bool:
        """Whether part of a response has come."""
        return self.current is not None or bool(self.buffer)

    def feed(self, data: bytes) -> list[Answer]:
        """The responses that these bytes complete."""
        self.buffer += data
        done = []
        while (answer := self._next()) is not None:
            done.append(answer)
        return done

    def _next(self) -> Answer | None:
        while self.current is None:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return None
            self.buffer = rest
            answer = parse(bytes(head))
            if answer.status >= 200:
                self._expect(answer)
        if self.missing is None:
            if not self._take_chunks():
                return None
        else:
            self._take()
            if self.missing:
                return None
        answer, self.current = self.current, None
        return answer

    def _expect(self, answer: Answer) -> None:
        length, coding = answer.headers.get("content-length"), answer.headers.get("transfer-encoding")
        if (length is None) == (coding is None):
            raise Malformed(f"framing: {answer.headers}")
        if coding not in (None, "chunked") or not (length or "0").isdigit():
            raise Malformed(f"framing: {answer.headers}")
        self.current = answer
        self.missing = None if length is None else int(length)

    def _take(self) -> None:
        """Moves bytes of known number to the body."""
        assert self.current is not None
        assert self.missing is not None
        part = self.buffer[: self.missing]
        del self.buffer[: len(part)]
        self.current.body += part
        self.missing -= len(part)

    def _take_chunks(self) -> bool:
        """Moves whole chunks to the body; true after the last."""
        assert self.current is not None
        while True:
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                return False
            if not CHUNK_SIZE.match(line):
                raise Malformed(f"a chunk's size: {bytes(line[:80])!r}")
            size = int(line, 16)
            if len(rest) < size + 2:
                return False
            if rest[size : size + 2] != b"\r\n":
                raise Malformed("the end of a chunk")
            self.current.body += rest[:size]
            self.buffer = rest[size + 2 :]
            if size == 0:
                return True


def parse(head: bytes) -> Answer:
    """A status line and header fields."""
    first, *lines = head.split(b"\r\n")
    status = STATUS_LINE.match(first)
    if not status:
        raise Malformed(f"a status line: {first[:80]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        parsed = FIELD_LINE.match(line)
        if not parsed:
            raise Malformed(f"a field: {line[:80]!r}")
        name = parsed[1].decode("ascii").lower()
        if name in headers:
            raise Malformed(f"{name} came twice")
        headers[name] = parsed[2].decode("latin-1")
    return Answer(int(status[1]), headers)
