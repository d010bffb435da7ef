"""The requests of one connection, for code that reads them itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from rgunicorn.http.message import Request
from rgunicorn.http.unreader import IterUnreader, SocketUnreader, Unreader

if TYPE_CHECKING:
    from rgunicorn.config import Config


class Parser:
    """Iterates over messages. `source` is a socket or an iterable of bytes, `source_addr` its peer."""

    #: What the messages are.
    mesg_class: ClassVar[Any] = None

    def __init__(self, cfg: Config, source: Any, source_addr: Any) -> None:
        self.cfg = cfg
        self.unreader: Unreader = SocketUnreader(source) if hasattr(source, "recv") else IterUnreader(source)
        self.source_addr = source_addr
        self.mesg: Any = None
        self.req_count = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.mesg is not None:
            if self.mesg.should_close():
                raise StopIteration
            self.finish_body()
        self.req_count += 1
        self.mesg = self.mesg_class(self.cfg, self.unreader, self.source_addr, self.req_count)
        return self.mesg

    next = __next__

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """Reads the last message's body to its end.

        False: it had more than `max_bytes`, or `time.monotonic()` came to `deadline`; then the connection
        cannot be used again.
        """
        read = 0
        while self.mesg is not None and (data := self.mesg.body.read(8192)):
            read += len(data)
            if max_bytes is not None and read > max_bytes:
                return False
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return True


class RequestParser(Parser):
    """Iterates over requests."""

    mesg_class = Request
