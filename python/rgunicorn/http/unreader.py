"""Sources of bytes that take back what was read too much."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Unreader:
    """A source of bytes. A subclass has `chunk()`."""

    def __init__(self) -> None:
        self._kept = b""

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Some bytes, waiting for at least one; none at the end."""
        raise NotImplementedError

    def read(self, size: int | None = None) -> bytes:
        """`size` bytes, or as many as there are before the end. Without a size whatever comes first."""
        if size is not None and not isinstance(size, int):
            raise TypeError("size parameter must be an int or long.")
        if size is None:
            return self.take_buffered() or self.chunk()
        if size <= 0:
            return b""
        parts = [self.take_buffered()]
        missing = size - len(parts[0])
        while missing > 0 and (more := self.chunk(missing)):
            parts.append(more)
            missing -= len(more)
        data = b"".join(parts)
        self.unread(data[size:])
        return data[:size]

    def take_buffered(self) -> bytes:
        """What was given back, without waiting for more."""
        kept, self._kept = self._kept, b""
        return kept

    def unread(self, data: bytes) -> None:
        """Gives bytes back, in front of all others."""
        self._kept = data + self._kept


class SocketUnreader(Unreader):
    """Reads from a socket, at most `max_chunk` bytes at once."""

    def __init__(self, sock: Any, max_chunk: int = 8192) -> None:
        super().__init__()
        self.sock = sock
        self.mxchunk = max_chunk

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Some bytes, waiting for at least one; none at the end."""
        data: bytes = self.sock.recv(self.mxchunk)
        return data


class IterUnreader(Unreader):
    """Reads from an iterable of bytes."""

    def __init__(self, iterable: Iterable[bytes]) -> None:
        super().__init__()
        self.iter = iter(iterable)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next item that is not empty; none at the end."""
        return next((item for item in self.iter if item), b"")
