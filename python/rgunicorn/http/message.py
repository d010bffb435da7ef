"""A request: as hooks and loggers see it, and for code that reads requests itself.

For hooks and loggers the server makes these objects from requests that it has parsed, and only where somebody
wants them. They are ordinary objects: whoever gets one may set attributes of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rgunicorn import _native
from rgunicorn.http.body import Body, ChunkedReader, LengthReader
from rgunicorn.http.errors import NoMoreData
from rgunicorn.http.unreader import Unreader

if TYPE_CHECKING:
    from rgunicorn.config import Config


class Message:
    """What a client sent: head and body. The constructor reads the head from `unreader`.

    Raises StopIteration where nothing comes, NoMoreData where a head does not come to its end, and what else
    `rgunicorn.http.errors` has.
    """

    #: The configuration.
    cfg: Config
    #: Where the bytes come from. Only messages that were read by somebody else than the server have it.
    unreader: Unreader
    #: The client's address as `socket.accept()` gives it: a tuple, or an empty string on a Unix socket.
    peer_addr: Any
    #: The same, but for clients behind a proxy that tells whom it speaks for.
    remote_addr: Any
    #: Major and minor version of the protocol.
    version: tuple[int, int]
    #: The headers in their order, names in upper case.
    headers: list[tuple[str, str]]
    #: The fields behind a body in chunks, once it has been read.
    trailers: list[tuple[str, str]]
    #: The body, a file to read from. The application reads on where a hook has stopped.
    body: Any
    #: `http` or `https`.
    scheme: str
    #: Whether somebody has called `force_close`.
    must_close: bool

    _persists: bool
    _expects_continue: bool

    def __init__(self, cfg: Config, unreader: Unreader, peer_addr: Any) -> None:
        self.cfg = cfg
        self.unreader = unreader
        self.peer_addr = self.remote_addr = peer_addr
        #: By whose rules the message is read.
        self.head_parser = _native.HeadParser(cfg)
        unread = self.parse(unreader)
        unreader.unread(unread)
        self.set_body_reader()

    def parse(self, unreader: Unreader) -> bytes:
        """Reads the head and gives what was read too much."""
        raise NotImplementedError

    def set_body_reader(self) -> None:
        """Makes the body."""
        raise NotImplementedError

    def force_close(self) -> None:
        """Ends the connection after the response. For the server it must be called in `pre_request`."""
        self.must_close = True

    def should_close(self) -> bool:
        """Whether the connection ends after the response, as far as the request decides."""
        return self.must_close or not self._persists


class Request(Message):
    """A request."""

    #: The method, as a rule in upper case.
    method: str
    #: The target as it was sent.
    uri: str
    #: Path, query and fragment of the target, not decoded.
    path: str
    query: str
    fragment: str
    #: 1 for the first request of its connection.
    req_number: int
    #: What a proxy has told in the PROXY protocol, if it has.
    proxy_protocol_info: dict[str, Any] | None

    _length: int | None

    def __init__(self, cfg: Config, unreader: Unreader, peer_addr: Any, req_number: int = 1) -> None:
        self._number = req_number
        super().__init__(cfg, unreader, peer_addr)

    def parse(self, unreader: Unreader) -> bytes:
        """Reads the head and gives what was read too much."""
        host = self.peer_addr[0] if isinstance(self.peer_addr, tuple) else None
        data = b""
        while True:
            more = unreader.read()
            if not more:
                raise NoMoreData(data) if data else StopIteration
            data += more
            parsed = self.head_parser.parse(data, host, self.cfg.is_ssl)
            if parsed is not None:
                attributes, length, self._length = parsed
                vars(self).update(attributes, req_number=self._number)
                return data[length:]

    def set_body_reader(self) -> None:
        """Makes the body."""
        if self._length is None:
            self.body = Body(ChunkedReader(self, self.unreader))
        else:
            self.body = Body(LengthReader(self.unreader, self._length))
