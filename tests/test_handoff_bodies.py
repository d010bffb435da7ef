"""A request whose body came while its worker had no hand free is answered by another, however long it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.moving import answer, ask, get
from support.processes import wait_for
from support.server import Server
from support.wire import Connection

pytestmark = pytest.mark.ours("a long request holds up everybody else's connection to its worker")


def numbered(size: int) -> str:
    """A text of so many characters, each eight of which are its place."""
    return "".join(f"{at:08x}" for at in range(0, size, 8))[:size]


def in_pieces(target: str, text: str, chunked: bool) -> Iterator[bytes]:
    """A request, cut where it cannot be complete."""
    pieces = [text[at : at + 60_000].encode() for at in range(0, len(text), 60_000)]
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(text)}"
    yield f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode()
    for piece in pieces:
        if chunked:
            yield f"{len(piece):x}\r\n".encode()
        yield piece[:-1]
        yield piece[-1:] + b"\r\n" * chunked
    if chunked:
        yield b"0\r\n\r\n"


def of_one_worker(server: Server, stack: contextlib.ExitStack, count: int) -> list[Connection]:
    """So many kept connections of the same worker."""
    found: dict[int, list[Connection]] = {}
    while max(map(len, found.values()), default=0) < count:
        connection = stack.enter_context(server.connect())
        found.setdefault(ask(connection)["pid"], []).append(connection)
    return max(found.values(), key=len)


def finish_beside(
    busy: Iterable[Connection], go: Path, rests: list[tuple[Connection, Iterator[bytes], str]]
) -> None:
    """Sends the rests while that worker has no hand free: another answers each at once."""
    for connection in busy:
        connection.send(get(f"/wait?{go}"))
    wait_for(go.with_name(go.name + ".begun").exists, "the request")
    began = time.monotonic()
    for number, (connection, rest, text) in enumerate(rests):
        for piece in rest:
            connection.send(piece)
        found = answer(connection)
        assert found["target"] == f"/{number}"
        assert found["body"] == text
        # And its connection is as good as new.
        assert ask(connection)["pid"] == found["pid"]
    took = time.monotonic() - began
    assert not go.exists()
    go.touch()
    pids = {answer(connection)["pid"] for connection in busy}
    assert len(pids) == 1, "one worker had all of them"
    assert took < 3, took


BODIES = [(5_000, True), (300_000, False), (300_000, True), (3_000_000, False), (3_000_000, True)]


@pytest.mark.parametrize("threads", [1, 3])
def test_no_body_waits_behind_a_slow_request(serve: Serve, tmp_path: Path, threads: int) -> None:
    server = serve("moving:app", "-w", "2", "--threads", str(threads))
    counts = lambda: [len(processes.descriptors(pid)) for pid in server.booted()]  # noqa: E731
    before = counts()
    memory = []
    for turn in range(6):
        with contextlib.ExitStack() as stack:
            connections = of_one_worker(server, stack, threads + len(BODIES))
            busy, clients = connections[:threads], connections[threads : threads + len(BODIES)]
            rests = []
            for number, (connection, (size, chunked)) in enumerate(zip(clients, BODIES, strict=True)):
                text = numbered(size)
                pieces = in_pieces(f"/{number}", text, chunked)
                # Whoever becomes busy has read the head, and something of the body.
                for _ in range(3):
                    connection.send(next(pieces))
                rests.append((connection, pieces, text))
            ask(busy[0])
            time.sleep(0.05)
            go = tmp_path / f"go{turn}"
            # However the test ends.
            stack.callback(go.touch)
            finish_beside(busy, go, rests)
        wait_for(lambda: counts() == before, f"as many descriptors as before: {before}")
        memory.append(sum(map(processes.private_memory, server.booted())))
    # Each turn carries 6.6 MB.
    assert memory[-1] - memory[1] < 12 << 20, memory
