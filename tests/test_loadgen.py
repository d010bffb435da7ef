"""The load generator counts what it must: each test is a server that is bad in one way."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.loadgen.answer import Malformed, Reader
from support.loadgen.clients import Client
from support.loadgen.errand import STYLES
from support.loadgen.ledger import Ledger, quantile
from support.loadgen.link import Loop
from support.processes import wait_for
from support.traffic import Lane, Outcome, Traffic
from support.wire import Address

KEPT = [Lane("kept", 2, 40)]
ONCE = [Lane("once", 2, 40)]

#: Request after which a server turns bad, counted over all of its connections.
GOOD = 30


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    """A response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "X-Worker: 1", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Bad:
    """A server of threads that answers well `GOOD` times, then each request as `turn` says, then well again.

    `turn` gets the socket and the right body, sends what it wants, and says whether the connection goes on.
    """

    def __init__(self, turn: Callable[[socket.socket, bytes], bool], times: int, path: Path | None) -> None:
        self.turn = turn
        self.times = times
        self.count = 0
        self.lock = threading.Lock()
        self.ending = False
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen()
        self.address: Address = self.listener.getsockname()
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while not self.ending and (body := self._receive(client)):
                with self.lock:
                    self.count += 1
                    bad = GOOD < self.count <= GOOD + self.times
                if bad:
                    if not self.turn(client, body):
                        return
                else:
                    client.sendall(answer(body))

    def _receive(self, client: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (part := client.recv(4096)):
                return b""
            data += part
        found = re.match(rb"GET /echo/(\d+) ", data)
        assert found
        return found[1] + b"\n"

    def close(self) -> None:
        """Stops listening."""
        self.ending = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@contextlib.contextmanager
def bad(
    turn: Callable[[socket.socket, bytes], bool], times: int = 1, path: Path | None = None
) -> Iterator[Bad]:
    """Such a server."""
    server = Bad(turn, times, path)
    try:
        yield server
    finally:
        if not server.ending:
            server.close()


def outcome(server: Bad, lanes: list[Lane], patience: float = 5.0) -> Outcome:
    """What the generator says of it, some requests after it has been bad."""
    with Traffic([server.address], lanes, patience) as traffic:
        wait_for(lambda: server.count > GOOD + server.times + 20, "enough requests")
    return traffic.outcome


def reset(client: socket.socket, body: bytes) -> bool:
    """Ends the connection with RST."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def close(client: socket.socket, body: bytes) -> bool:
    """Ends the connection without a response."""
    return False


def truncate(client: socket.socket, body: bytes) -> bool:
    """Sends a response without its end."""
    client.sendall(answer(body)[:-1])
    return False


def truncate_head(client: socket.socket, body: bytes) -> bool:
    """Sends a part of a head."""
    client.sendall(answer(body)[:20])
    return False


def refuse(client: socket.socket, body: bytes) -> bool:
    """Answers with an error of the server's own."""
    client.sendall(answer(b"no", status="503 Service Unavailable"))
    return True


def swap(client: socket.socket, body: bytes) -> bool:
    """Answers another request than the one that was sent."""
    client.sendall(answer(b"9" * len(body)))
    return True


def babble(client: socket.socket, body: bytes) -> bool:
    """Sends what is not HTTP."""
    client.sendall(b"what?\r\n\r\n")
    return False


def twice(client: socket.socket, body: bytes) -> bool:
    """Answers twice."""
    client.sendall(answer(body) * 2)
    return True


def never(client: socket.socket, body: bytes) -> bool:
    """Never answers."""
    client.recv(1)
    return False


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize(
    ("turn", "counted"),
    [
        (reset, "reset"),
        (close, "closed"),
        (truncate, "truncated"),
        (truncate_head, "truncated"),
        (refuse, "status"),
        (swap, "body"),
        (babble, "malformed"),
    ],
)
def test_each_bad_response_is_one_failure(
    turn: Callable[[socket.socket, bytes], bool], counted: str, kind: str, tmp_path: Path
) -> None:
    if (turn, kind) == (reset, "unix"):
        pytest.skip("a Unix socket knows no reset")
    for lanes in (KEPT, ONCE):
        with bad(turn, 3, tmp_path / f"{lanes[0].style}" if kind == "unix" else None) as server:
            found = outcome(server, lanes)
        assert [failure.kind for failure in found.failures] == [counted] * 3, found.failed()
        assert found.summary["failed"] == 3
        assert found.summary["requests"] == len(found.answers) + 3
        assert found.closed_idle == []


def test_an_answer_too_many_is_a_failure() -> None:
    with bad(twice) as server:
        found = outcome(server, KEPT)
    assert [failure.kind for failure in found.failures] == ["unasked"]


def test_no_answer_is_a_failure_after_the_patience() -> None:
    with bad(never) as server:
        found = outcome(server, KEPT, patience=0.5)
    (failure,) = found.failures
    assert failure.kind == "timeout"
    assert 0.5 <= failure.at - failure.due < 3


def test_a_server_that_is_gone_refuses() -> None:
    with bad(close, 0) as server, Traffic([server.address], ONCE) as traffic:
        server.close()
        time.sleep(0.3)
    found = traffic.outcome
    assert {failure.kind for failure in found.failures} <= {"refused", "reset"}
    assert [failure.kind for failure in found.failures].count("refused") >= 5


def test_a_close_that_costs_no_request_is_no_failure() -> None:
    """Connections close a moment after their response: nothing was announced, and nothing was asked."""

    def close_when_idle(client: socket.socket, body: bytes) -> bool:
        client.sendall(answer(body))
        return False

    with bad(close_when_idle, 5) as server:
        found = outcome(server, [Lane("kept", 4, 40)])
    assert found.failures == []
    assert len(found.closed_idle) == 5
    assert found.summary["announced"] == 0


def test_a_close_that_nobody_has_looked_at_is_seen_before_the_next_request() -> None:
    loop, ledger = Loop(), Ledger()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client(loop, ledger, STYLES["kept"], listener.getsockname(), time.monotonic(), 3600.0, 5.0)
        # It begins to connect, and sends once it has.
        loop.turn()
        loop.turn()
        server, _ = listener.accept()
        with server:
            number = re.match(rb"GET /echo/(\d+) ", server.recv(4096))
            assert number
            server.sendall(answer(number[1] + b"\n"))
            wait_for(lambda: loop.turn(0.1) or client.answers == 1, "the response")
        loop.clock.at(0.0, client._begin)
        loop.clock.strike()
        listener.accept()[0].close()
        client.close()
    assert ledger.failures == []
    assert [kind for _, kind, _ in ledger.closed_idle] == ["closed"]
    assert ledger.connections == 2


def test_an_announced_close_is_no_failure() -> None:
    def announce(client: socket.socket, body: bytes) -> bool:
        client.sendall(answer(body, "Connection: close"))
        return False

    with bad(announce, 5) as server:
        found = outcome(server, KEPT)
    assert (found.failures, found.closed_idle) == ([], [])
    assert found.summary["announced"] == 5


def test_a_stall_is_the_latency_of_all_that_was_due_in_it() -> None:
    """40 requests a second, none answered for half a second: all that were due in it have waited."""
    barrier = threading.Lock()

    def stall(client: socket.socket, body: bytes) -> bool:
        with barrier:
            time.sleep(0.25)
        client.sendall(answer(body))
        return True

    with bad(stall, 2) as server:
        found = outcome(server, KEPT)
    assert found.failures == []
    assert found.slowest.latency > 0.24
    late = [each for each in found.answers if each.latency > 0.03]
    assert len(late) > 7, found.tell()
    dues = sorted(each.due for each in found.answers)
    gaps = [after - before for before, after in itertools.pairwise(dues)]
    assert max(gaps) < 0.1, "it must go on asking while the server stalls"


def test_the_rate_is_kept_and_the_summary_adds_up() -> None:
    with bad(close, 0) as server, Traffic([server.address], KEPT + ONCE) as traffic:
        began = server.count
        time.sleep(1.0)
        served = server.count - began
    found = traffic.outcome
    assert 70 <= served <= 90
    assert found.summary["styles"] == {
        style: len([each for each in found.answers if each.style == style]) for style in ("kept", "once")
    }
    ordered = sorted(each.latency for each in found.answers)
    assert found.summary["max"] == ordered[-1] == found.slowest.latency
    assert found.summary["p50"] == quantile(ordered, 0.5)


def test_quantiles_are_by_nearest_rank() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [quantile(ordered, part) for part in (0.0, 0.5, 0.99, 0.999, 1.0)] == [
        1.0,
        50.0,
        99.0,
        100.0,
        100.0,
    ]
    assert quantile([], 0.5) == 0.0


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_responses_are_read_however_they_come(step: int) -> None:
    reader = Reader()
    data = b"HTTP/1.1 100 Continue\r\n\r\n" + (answer(b"x" * 50) + CHUNKED) * 2
    found = [each for at in range(0, len(data), step) for each in reader.feed(data[at : at + step])]
    assert [bytes(each.body) for each in found] == [b"x" * 50, b"abcd"] * 2
    assert not reader.amid


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
    ],
)
def test_what_is_no_response_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        Reader().feed(data)
