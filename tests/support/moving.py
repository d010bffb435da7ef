"""Speaks to `apps/moving.py`."""

from __future__ import annotations

import json
from typing import Any

from .wire import Connection


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(target: str, body: bytes) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def ask(connection: Connection) -> dict[str, Any]:
    """What the worker knows that answers; the connection persists."""
    connection.send(get("/"))
    return answer(connection)


def answer(connection: Connection) -> dict[str, Any]:
    response = connection.read_response()
    assert response.status == 200, response
    assert response.persists
    found: dict[str, Any] = json.loads(response.body)
    return found
