"""HTTP as Python code sees it. Parsing and framing are native."""

from __future__ import annotations

from rgunicorn.http.message import Message, Request

__all__ = ["Message", "Request"]
