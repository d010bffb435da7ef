"""Clients that hold a connection and give or take nothing, or little, and then stop."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SILENT, HALF_HEADS, HALF_BODIES, NON_READERS = 40, 12, 6, 8
# The first of them have nothing to read as long as the server holds them.
UNANSWERED = SILENT + HALF_HEADS + HALF_BODIES
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: y"
HALF_BODY = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n" + b"x" * 1000
# Half of the non-readers ask for one `bytes` object, half for a generator.
HUGE = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in ("/huge", "/huge-stream")]


@contextlib.contextmanager
def slow_clients(port: int) -> Iterator[list[socket.socket]]:
    """Open all of them at once, and close them on the way out."""
    sends = [b""] * SILENT + [HALF_HEAD] * HALF_HEADS + [HALF_BODY] * HALF_BODIES
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(_client(port, send)) for send in sends]
        for number in range(NON_READERS):
            clients.append(stack.enter_context(_client(port, HUGE[number % 2], 4096)))
        yield clients


def _client(port: int, send: bytes, receive_buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    try:
        client.settimeout(5)
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", port))
        client.sendall(send)
    except OSError:
        client.close()
        raise
    return client
