"""Bodies of requests, for code that reads its requests itself. The server's own bodies are native."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rgunicorn.http.errors import NoMoreData
from rgunicorn.http.unreader import Unreader


class LengthReader:
    """A body of so many bytes."""

    def __init__(self, unreader: Unreader, length: int) -> None:
        self.unreader = unreader
        self.length = length

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end, or where the other side has stopped."""
        data = self.unreader.read(min(size, self.length))
        self.length -= len(data)
        return data


class ChunkedReader:
    """A body in chunks. `req` is the request that it belongs to."""

    def __init__(self, req: Any, unreader: Unreader) -> None:
        self.req = req
        self.unreader = unreader
        self._decoder = req.head_parser.chunks()
        self._decoded = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end. Raises NoMoreData and the errors of chunks."""
        if size <= 0:
            return b""
        waiting = b""
        while not self._ended and len(self._decoded) < size:
            more = self.unreader.read()
            if not more:
                raise NoMoreData(waiting)
            waiting += more
            data, used, self._ended = self._decoder.decode(waiting)
            self._decoded += data
            waiting = waiting[used:]
            if self._ended:
                self.req.trailers = self._decoder.trailers()
            if self._ended or len(self._decoded) >= size:
                self.unreader.unread(waiting)
        data, self._decoded = self._decoded[:size], self._decoded[size:]
        return data


class EOFReader:
    """A body that ends with the connection."""

    def __init__(self, unreader: Unreader) -> None:
        self.unreader = unreader

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        return self.unreader.read(size)


class Body:
    """A body as a file to read from, as PEP 3333 wants it."""

    #: Bytes read at once.
    BLOCK = 8192

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self._kept = b""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    next = __next__

    def read(self, size: int | None = None) -> bytes:
        """`size` bytes, or all that is left."""
        most = _limit(size)
        return self._take(self._gathered(most), most)

    def readline(self, size: int | None = None) -> bytes:
        """A line with its end, or `size` bytes of it."""
        most = _limit(size)
        data = self._gathered(most, b"\n")
        end = data.find(b"\n") + 1 or len(data)
        return self._take(data, end if most is None else min(end, most))

    def readlines(self, size: int | None = None) -> list[bytes]:
        """All lines that are left; the hint is not heeded."""
        return list(self)

    def _gathered(self, most: int | None, last: bytes | None = None) -> bytes:
        """What there is, up to the block in which it gets to `most` bytes or to `last`."""
        parts, length = [self._kept], len(self._kept)
        # Only new blocks are searched and nothing is copied twice: a client may send a line without an end.
        while (most is None or length < most) and (last is None or last not in parts[-1]):
            more = self.reader.read(self.BLOCK)
            if not more:
                break
            parts.append(more)
            length += len(more)
        return b"".join(parts)

    def _take(self, data: bytes, most: int | None) -> bytes:
        end = len(data) if most is None else most
        self._kept = data[end:]
        return data[:end]


def _limit(size: int | None) -> int | None:
    """A size as a limit; negative ones are none."""
    if size is None:
        return None
    try:
        number = size.__index__()
    except AttributeError:
        raise TypeError("size must be an integral type") from None
    return None if number < 0 else number
