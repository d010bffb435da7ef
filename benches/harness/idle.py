"""Thousands of kept-alive connections that have had one answer each and then say nothing."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 10_000
# Descriptors that are not those connections.
SPARE = 300
OPEN_SECONDS = 30.0
ANSWER_SECONDS = 3.0
BATCH = 100
# A source address has about 28,000 ports, some of them in use or in TIME_WAIT.
PER_SOURCE = 5_000
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class NotHeld(Exception):
    """The server did not answer, or does not keep, so many connections."""


def raise_descriptor_limit() -> int:
    """Allow this process and its children as many descriptors as they may have; gives the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = COUNT + SPARE
    if soft < wanted:
        with contextlib.suppress(ValueError, PermissionError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
            return wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextlib.contextmanager
def idle_connections(port: int, body: bytes) -> Iterator[list[socket.socket]]:
    """Open `COUNT` connections, each with one answered request; raises `NotHeld`."""
    if raise_descriptor_limit() < COUNT + SPARE:
        raise NotHeld(f"needs RLIMIT_NOFILE >= {COUNT + SPARE}")
    held: list[socket.socket] = []
    deadline = time.monotonic() + OPEN_SECONDS
    try:
        while len(held) < COUNT:
            if time.monotonic() > deadline:
                raise NotHeld(f"{len(held)} connections after {OPEN_SECONDS:.0f} s")
            _open_batch(held, port, body)
        yield held
    finally:
        for connection in held:
            connection.close()


def still_open(connections: list[socket.socket]) -> int:
    """How many of them the server has not closed."""
    return sum(_is_open(connection) for connection in connections)


def _open_batch(held: list[socket.socket], port: int, body: bytes) -> None:
    batch: list[socket.socket] = []
    try:
        for number in range(len(held), len(held) + BATCH):
            source = f"127.0.1.{1 + number // PER_SOURCE}"
            batch.append(socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS, (source, 0)))
            batch[-1].sendall(REQUEST)
        for connection in batch:
            _expect_answer(connection, body)
    except OSError as error:
        for connection in batch:
            connection.close()
        raise NotHeld(f"stopped near connection {len(held)}: {error}") from error
    held.extend(batch)


def _expect_answer(connection: socket.socket, body: bytes) -> None:
    received = b""
    while not received.endswith(body):
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError("closed before the answer")
        received += piece
    if b"connection: close" in received.lower():
        raise ConnectionError("not kept alive")


def _is_open(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLRDHUP)
    return not poll.poll(0)
