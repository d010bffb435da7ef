"""Asserts a server's answer, byte for byte, before anything is timed."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .load import Load

SECONDS = 8


class WrongAnswer(Exception):
    """The server's answer is not the application's."""


@dataclass(frozen=True)
class Answer:
    """How a right answer came: does the connection stay, and what ends the body."""

    keep_alive: bool
    framing: Literal["length", "chunked", "close"]


def check(port: int, load: Load, body: bytes) -> Answer:
    """Ask three times (on one connection if the server keeps it); raises `WrongAnswer`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        answers = [_ask(connection, load, body) for _ in range(3)]
    except http.client.RemoteDisconnected as error:
        raise WrongAnswer("closes the connection without an answer, or without saying so") from error
    except (OSError, http.client.HTTPException) as error:
        raise WrongAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if load.close and answers[-1].keep_alive:
        raise WrongAnswer("the connection was to be closed and is not")
    return answers[-1]


def _ask(connection: http.client.HTTPConnection, load: Load, body: bytes) -> Answer:
    headers = {"Connection": "close"} if load.close else {}
    method = "POST" if load.body else "GET"
    connection.request(method, load.path, b"x" * load.body or None, headers)
    response = connection.getresponse()
    # Looked at now: after the last byte of the body the response no longer knows.
    chunked, stays = bool(response.chunked), not response.will_close
    length = response.headers["Content-Length"]
    received = response.read()
    if response.status != 200 or received != body:
        raise WrongAnswer(f"status {response.status}, {len(received)} bytes: {received[:60]!r}")
    if chunked:
        return Answer(stays, "chunked")
    return Answer(stays, "length" if length is not None else "close")
