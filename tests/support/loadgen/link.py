"""One connection of a client, without blocking: bytes out at their times, responses in, and why it ended."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from .answer import Answer, Malformed, Reader
from .clock import Clock
from .errand import Errand

#: TCP: host and port. Unix: the path.
Address = tuple[str, int] | str

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
#: Bytes that are read at once; a slow reader gets no more at each of its looks.
PORTION = 16_384
#: Seconds after which a full Unix listener is asked again: where a blocking connect(2) would wait.
AGAIN = 0.002


class Owner(Protocol):
    """What a link tells its client."""

    def answered(self, link: Link, errand: Errand, answer: Answer) -> None:
        """A response is complete."""

    def ended(self, link: Link, kind: str, detail: str) -> None:
        """The connection is no more; whatever waits on it gets no answer."""


class Loop:
    """The sockets and the clock of all clients."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.clock = Clock()

    def turn(self, most: float = 0.5) -> None:
        """Waits for something and does it. Sockets come first: a close is seen before a request is sent."""
        for key, _ in self.selector.select(self.clock.wait(most)):
            act: Callable[[], None] = key.data
            act()
        self.clock.strike()


class Link:
    """A connection and the requests that wait for their responses on it."""

    def __init__(
        self, loop: Loop, owner: Owner, address: Address, number: int, pace: float | None = None
    ) -> None:
        self.loop = loop
        self.owner = owner
        self.address = address
        self.number = number
        self.pace = pace
        self.opened = time.monotonic()
        self.waiting: deque[Errand] = deque()
        self.reader = Reader()
        self.outgoing = bytearray()
        self.connected = False
        self.closed = False
        self.pausing = False
        #: The server reads no more; what it has sent before is still to come.
        self.broken = ""
        #: The pid that the last response named, and how many responses there were.
        self.worker = ""
        self.served = 0
        self.interest = 0
        self.socket = self._socket()
        self._connect()

    def _socket(self) -> socket.socket:
        if isinstance(self.address, str):
            made = socket.socket(socket.AF_UNIX)
        else:
            made = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.pace is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PORTION)
        made.setblocking(False)
        return made

    def _connect(self) -> None:
        if self.closed:
            return
        code = self.socket.connect_ex(self.address)
        if code == errno.EAGAIN:
            self.loop.clock.at(time.monotonic() + AGAIN, self._connect)
        elif code == errno.EINPROGRESS:
            self._watch(WRITE)
        else:
            self._has_connected(code)

    def _has_connected(self, code: int) -> None:
        if code:
            refused = code in (errno.ECONNREFUSED, errno.ENOENT)
            # In the next turn: whoever has made this link does not know of it yet.
            self.loop.clock.at(0, lambda: self.end("refused" if refused else "reset", errno.errorcode[code]))
            return
        self.connected = True
        self._flush()

    # Out

    def send(self, errand: Errand) -> None:
        """Begins a request; the rest of it leaves at its times."""
        self.waiting.append(errand)
        now = time.monotonic()
        for delay, data in errand.parts:
            if delay:
                self.loop.clock.at(now + delay, lambda data=data: self._put(data))
            else:
                self._put(data)

    def _put(self, data: bytes) -> None:
        self.outgoing += data
        if self.connected and not self.closed:
            self._flush()

    def _flush(self) -> None:
        if not self.broken:
            try:
                while self.outgoing:
                    del self.outgoing[: self.socket.send(self.outgoing)]
            except BlockingIOError:
                pass
            except OSError as error:
                self.broken = errno.errorcode.get(error.errno or 0, "?")
        writing = bool(self.outgoing) and not self.broken
        self._watch((0 if self.pausing else READ) | (WRITE if writing else 0))

    def is_open(self) -> str:
        """Nothing, or what has become of an idle connection: `closed`, `reset` or `unasked`."""
        try:
            found = self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return ""
        except OSError:
            return "reset"
        return "unasked" if found else "closed"

    # In

    def _ready(self) -> None:
        if self.closed:
            return
        if not self.connected:
            self._has_connected(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            return
        if self.outgoing and not self.broken:
            self._flush()
        if not self.pausing:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self.socket.recv(PORTION)
        except BlockingIOError:
            return
        except OSError as error:
            self.end("reset", errno.errorcode.get(error.errno or 0, "?"))
            return
        if not data:
            self.end("closed", self.broken)
            return
        if not self.waiting:
            self.end("unasked", repr(data[:80]))
            return
        if self.waiting[0].first_byte is None:
            self.waiting[0].first_byte = time.monotonic()
        self._take(data)
        if self.pace is not None and not self.closed:
            self.pausing = True
            self._watch(0)
            self.loop.clock.at(time.monotonic() + self.pace, self._look_again)

    def _look_again(self) -> None:
        self.pausing = False
        if not self.closed:
            self._flush()

    def _take(self, data: bytes) -> None:
        try:
            answers = self.reader.feed(data)
        except Malformed as error:
            self.end("malformed", str(error))
            return
        for answer in answers:
            if not self.waiting:
                self.end("unasked", str(answer))
                return
            self.served += 1
            self.worker = answer.headers.get("x-worker", "")
            self.owner.answered(self, self.waiting.popleft(), answer)
            if self.closed:
                return

    # The end

    def end(self, kind: str, detail: str = "") -> None:
        """Closes, and tells the client why."""
        if not self.closed:
            if kind in ("closed", "reset") and self.reader.amid:
                kind, detail = "truncated", f"{kind} {detail}".strip()
            self.close()
            self.owner.ended(self, kind, detail)

    def close(self) -> None:
        """Closes and tells nobody."""
        self.closed = True
        self._watch(0)
        with contextlib.suppress(OSError):
            self.socket.close()

    def _watch(self, interest: int) -> None:
        if interest == self.interest:
            return
        if not interest:
            self.loop.selector.unregister(self.socket)
        elif not self.interest:
            self.loop.selector.register(self.socket, interest, self._ready)
        else:
            self.loop.selector.modify(self.socket, interest, self._ready)
        self.interest = interest
