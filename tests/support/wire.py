"""Raw sockets: bytes out in any rhythm, responses in, read by a parser that forgives nothing.

It never repairs what a server sent: framing that a strict client could misread is an error.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import select
import socket
import struct
import termios
import time
from dataclasses import dataclass, field

from . import diag

#: TCP: (host, port). Unix: the path.
Address = tuple[str, int] | str

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)\Z")
FIELD_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*"
    rb"((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*\Z"
)
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}\Z")


class BadResponse(AssertionError):
    """The server sent something that is not an HTTP/1.1 response."""


class Closed(ConnectionError):
    """The server closed where a response, or the rest of one, was due. `received`: what came before."""

    def __init__(self, received: bytes) -> None:
        super().__init__(f"the connection was closed after {received[-200:]!r}")
        self.received = received


@dataclass
class Response:
    """One response: its head as sent, and its body with the transfer coding removed."""

    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    #: The `framing` of the body: "none", "length", "chunked" or "close".
    framing: str = "none"
    #: Interim responses (1xx) that came before it.
    interim: list[Response] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """The value of the one field of that name; None if there is none."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} was sent {len(values)} times: {values}"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """The values of every field of that name, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def persists(self) -> bool:
        """Whether the server says that the connection stays open."""
        tokens = {token.strip().lower() for value in self.all("Connection") for token in value.split(",")}
        if "close" in tokens or self.framing == "close":
            return False
        return self.version == "HTTP/1.1" or "keep-alive" in tokens

    @property
    def text(self) -> str:
        """The body as Latin-1 text."""
        return self.body.decode("latin-1")


class Connection:
    """One client connection. Every wait ends after `timeout` seconds, with TimeoutError."""

    def __init__(self, address: Address, timeout: float = 20.0, receive_buffer: int | None = None) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.timeout = timeout
        self.buffer = b""
        try:
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes this side."""
        self.socket.close()

    def reset(self) -> None:
        """Ends the connection with RST, as a crashed client does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Sends all of `data` at once. That the server reads no further is no error: its answer tells."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def send_bytewise(self, data: bytes) -> None:
        """Sends `data` so that the server receives each byte alone.

        The next byte leaves when the server has taken the last one. Once it answers, the rest goes at once.
        """
        for index in range(len(data)):
            self.send(data[index : index + 1])
            if not self._wait_until_taken():
                self.send(data[index + 1 :])
                return

    def _wait_until_taken(self) -> bool:
        """True: the server has read everything. False: it has answered, closed, or reads no further."""
        deadline = time.monotonic() + 1.0
        while self._untaken():
            if self.readable(0) or time.monotonic() > deadline:
                return False
        return True

    def _untaken(self) -> int:
        """How many sent bytes the server has not read."""
        queued = struct.pack("i", 0)
        if self.socket.family == socket.AF_UNIX:
            return int(struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, queued))[0])
        return diag.receive_queue(self.socket.getpeername(), self.socket.getsockname())

    def shutdown_write(self) -> None:
        """Tells the server that no more bytes come."""
        self.socket.shutdown(socket.SHUT_WR)

    def readable(self, seconds: float) -> bool:
        """Whether bytes or an end arrive within `seconds`."""
        if self.buffer:
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _receive(self, size: int = 1 << 16) -> bytes:
        """Some bytes; none at the end, which a reset is as well."""
        try:
            return self.socket.recv(size)
        except ConnectionResetError:
            return b""

    def _fill(self) -> None:
        data = self._receive()
        if not data:
            raise Closed(self.buffer)
        self.buffer += data

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            if b"\n" in self.buffer:
                raise BadResponse(f"a bare LF in {self.buffer[:200]!r}")
            if len(self.buffer) > 1 << 17:
                raise BadResponse("a line of more than 128 KiB")
            self._fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _exactly(self, size: int) -> bytes:
        parts = [self.buffer[:size]]
        self.buffer = self.buffer[size:]
        missing = size - len(parts[0])
        while missing:
            data = self._receive(min(missing, 1 << 20))
            if not data:
                raise Closed(b"".join(parts))
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def read_response(self, method: str = "GET") -> Response:
        """The next final response to a request with `method`."""
        interim: list[Response] = []
        while True:
            response = self.read_head()
            if response.status >= 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        response.framing = _framing(response, method)
        if response.framing == "length":
            response.body = self._exactly(int(response.header("Content-Length") or 0))
        elif response.framing == "chunked":
            response.body = self._chunks()
        elif response.framing == "close":
            response.body = self.read_to_end()
        return response

    def read_head(self) -> Response:
        """A status line and header section, whatever follows."""
        line = self._line()
        status = STATUS_LINE.match(line)
        if not status:
            raise BadResponse(f"not a status line: {line!r}")
        headers: list[tuple[str, str]] = []
        while line := self._line():
            parsed = FIELD_LINE.match(line)
            if not parsed:
                raise BadResponse(f"not a header field: {line!r}")
            headers.append((parsed[1].decode("ascii"), parsed[2].decode("latin-1")))
        return Response(f"HTTP/1.{status[1].decode()}", int(status[2]), status[3].decode("latin-1"), headers)

    def _chunks(self) -> bytes:
        parts = []
        while True:
            line = self._line()
            if not CHUNK_SIZE.match(line):
                raise BadResponse(f"not a chunk size: {line!r}")
            size = int(line, 16)
            if size == 0:
                break
            parts.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                raise BadResponse("a chunk without its line end")
        if trailer := self._line():
            raise BadResponse(f"unasked trailer fields: {trailer!r}")
        return b"".join(parts)

    def read_to(self, end: bytes) -> bytes:
        """All up to and with `end`."""
        while end not in self.buffer:
            self._fill()
        found, _, self.buffer = self.buffer.partition(end)
        return found + end

    def read_to_end(self) -> bytes:
        """All that comes until the server closes."""
        parts = [self.buffer]
        self.buffer = b""
        while data := self._receive(1 << 20):
            parts.append(data)
        return b"".join(parts)

    def request(self, data: bytes) -> Response:
        """Sends one request and reads its response."""
        self.send(data)
        return self.read_response(data.split(b" ", 1)[0].decode("latin-1"))

    def assert_open(self) -> Response:
        """The connection persists: a further request on it is answered."""
        return self.assert_open_at("/still-open")

    def assert_open_at(self, target: str) -> Response:
        """The connection persists: a GET of `target` is answered with 200."""
        response = self.request(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert response.status == 200, response
        return response

    def assert_closed(self) -> None:
        """The server ends the connection, and sends nothing before that."""
        rest = self.read_to_end()
        assert rest == b"", f"bytes after the last response: {rest[:300]!r}"


def _framing(response: Response, method: str) -> str:
    """How the end of the body is found (RFC 9112, section 6.3); refuses what that section calls an error."""
    lengths = response.all("Content-Length")
    codings = response.all("Transfer-Encoding")
    if len(lengths) > 1:
        raise BadResponse(f"Content-Length was sent {len(lengths)} times")
    if lengths and not re.fullmatch(r"[0-9]+", lengths[0]):
        raise BadResponse(f"not a length: {lengths[0]!r}")
    if lengths and codings:
        raise BadResponse("Content-Length beside Transfer-Encoding")
    if codings and codings != ["chunked"]:
        raise BadResponse(f"an unknown transfer coding: {codings}")
    if codings and response.version == "HTTP/1.0":
        raise BadResponse("a chunked response to an HTTP/1.0 client")
    if response.status == 204 or response.status < 200:
        if lengths or codings:
            raise BadResponse(f"framing fields in a {response.status}")
        return "none"
    if method == "HEAD" or response.status == 304:
        return "none"
    if method == "CONNECT" and response.status < 300:
        if lengths or codings:
            raise BadResponse("framing fields in a 2xx to CONNECT")
        return "close"
    return "chunked" if codings else "length" if lengths else "close"
