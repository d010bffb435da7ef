"""A request as hooks and loggers see it.

The server makes these objects from requests that it has parsed itself, and only where a hook or a logger wants them.
They are ordinary objects: whoever gets one may set attributes of their own.
"""

from __future__ import annotations

from typing import Any


class Message:
    """What a client sent: head and body."""

    #: The configuration.
    cfg: Any
    #: The client's address as `socket.accept()` gives it: a tuple, or an empty string on a Unix socket.
    peer_addr: Any
    #: The same, but for clients behind a proxy that tells whom it speaks for.
    remote_addr: Any
    #: Major and minor version of the protocol.
    version: tuple[int, int]
    #: The headers in their order, names in upper case.
    headers: list[tuple[str, str]]
    #: The fields behind a body in chunks.
    trailers: list[tuple[str, str]]
    #: The body, a file to read from. The application reads on where a hook has stopped.
    body: Any
    #: `http` or `https`.
    scheme: str
    #: Whether somebody has called `force_close`.
    must_close: bool

    _persists: bool

    def force_close(self) -> None:
        """Ends the connection after the response. To be called in `pre_request`."""
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
