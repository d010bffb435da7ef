"""HTTP as Python code sees it. What the server itself reads and sends is native."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rgunicorn.http.message import Message, Request
from rgunicorn.http.parser import RequestParser

if TYPE_CHECKING:
    from rgunicorn.config import Config

__all__ = ["Message", "Request", "RequestParser", "get_parser"]


def get_parser(cfg: Config, source: Any, source_addr: Any, http2_connection: bool = False) -> RequestParser:
    """What reads the requests of a connection: `source` is its socket or an iterable of bytes."""
    if http2_connection:
        raise RuntimeError("HTTP/2 is not part of this version of rgunicorn")
    return RequestParser(cfg, source, source_addr)
