"""A connection belongs to the service: when a worker leaves, or has no hand free, another goes on with it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.classes import CLASSES, NATIVE
from support.diag import receive_queue
from support.moving import answer, ask, get, post
from support.processes import wait_for
from support.server import Server
from support.wire import Connection

pytestmark = pytest.mark.ours("a worker that leaves ends its connections")

CLASS_FLAGS = {
    "sync": (),
    "gthread": ("--threads", "4"),
    "gevent": ("--worker-class", "gevent"),
    "eventlet": ("--worker-class", "eventlet"),
}


@pytest.fixture(params=CLASS_FLAGS)
def flags(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What chooses a worker class."""
    package = CLASSES[request.param][0]
    if package:
        pytest.importorskip(package)
    assert request.param in NATIVE
    return CLASS_FLAGS[request.param]


@contextlib.contextmanager
def kept(server: Server, count: int) -> Iterator[list[Connection]]:
    """So many connections, each of which has had a request."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(count)]
        for connection in connections:
            ask(connection)
        yield connections


def renew(server: Server) -> None:
    """Reloads, and waits until no worker is left that was there before."""
    old = set(server.workers())
    server.kill(signal.SIGHUP)
    wait_for(lambda: not old & set(server.workers()), "the end of the old workers", 30)


@contextlib.contextmanager
def waiting(server: Server, go: Path) -> Iterator[Connection]:
    """A request that is being served until the file `go` is there."""
    with server.connect() as connection:
        connection.send(get(f"/wait?{go}"))
        wait_for(go.with_name(go.name + ".begun").exists, "the request")
        try:
            yield connection
        finally:
            # However the test ends.
            go.touch()


# A worker that leaves


def test_kept_connections_survive_a_reload(serve: Serve, flags: tuple[str, ...]) -> None:
    server = serve("moving:app", "-w", "2", *flags)
    with kept(server, 20) as connections:
        old = set(server.workers())
        local = [connection.socket.getsockname() for connection in connections]
        for _ in range(2):
            renew(server)
            for connection, (host, port) in zip(connections, local, strict=True):
                found = ask(connection)
                assert found["pid"] not in old
                assert found["peer"] == [host, str(port)]
            old = set(server.workers())


@pytest.mark.parametrize("kind", ["unix", "tcp6"])
def test_they_do_on_every_kind_of_socket(serve: Serve, kind: str) -> None:
    server = serve("moving:app", kind=kind)
    with kept(server, 3) as connections:
        first = ask(connections[0])
        renew(server)
        for connection in connections:
            found = ask(connection)
            assert found["pid"] == server.worker() != first["pid"]
            assert found["port"] == first["port"]
            if kind == "tcp6":
                host, port, *_ = connection.socket.getsockname()
                assert found["peer"] == [host, str(port)]


def test_a_connection_is_known_by_its_listener(serve: Serve, tmp_path: Path) -> None:
    binds = ["127.0.0.1:0", "0.0.0.0:0", "[::]:0", f"unix:{tmp_path / 'socket'}"]
    server = serve("moving:app", "-w", "2", binds=binds)
    with contextlib.ExitStack() as stack:
        pairs = []
        for address in server.addresses:
            if not isinstance(address, str):
                address = ({"0.0.0.0": "127.0.0.2", "::": "::1"}.get(address[0], address[0]), address[1])
            connection = stack.enter_context(Connection(address))
            port = ask(connection)["port"]
            assert port == ("80" if isinstance(address, str) else str(address[1]))
            pairs.append((connection, port))
        renew(server)
        for connection, port in pairs:
            assert ask(connection)["port"] == port


def test_half_a_head_and_what_is_behind_a_request_go_along(serve: Serve, tmp_path: Path) -> None:
    server = serve("moving:app", "--threads", "2")
    with server.connect() as half, server.connect() as silent, server.connect() as pipelined:
        half.send(b"GET /half HTTP/1.1\r\nHos")
        old = server.worker()
        with waiting(server, tmp_path / "go") as busy:
            pipelined.send(get(f"/wait?{tmp_path / 'go'}") + get("/second") + b"GET /third HT")
            client = pipelined.socket.getsockname()
            wait_for(lambda: receive_queue(server.address, client) == 0, "its first request to be read")
            server.kill(signal.SIGHUP)
            wait_for(lambda: set(server.booted()) - {old}, "the new worker")
            # It may have been told already, or be told in a moment.
            half.send(b"t: a\r\n\r\n")
            assert answer(half)["target"] == "/half"
            wait_for(lambda: ask(silent)["pid"] != old, "the new worker's answer")
            (tmp_path / "go").touch()
            assert answer(busy)["pid"] == old
            assert answer(pipelined)["pid"] == old
            assert answer(pipelined)["target"] == "/second"
            pipelined.send(b"TP/1.1\r\nHost: a\r\n\r\n")
            third = answer(pipelined)
            assert third["target"] == "/third"
            assert third["pid"] != old
            assert ask(busy)["pid"] != old


def test_more_move_than_the_queue_holds(serve: Serve) -> None:
    server = serve("moving:app")
    with kept(server, 500) as connections:
        began = time.monotonic()
        renew(server)
        assert time.monotonic() - began < 10
        new = server.worker()
        assert {ask(connection)["pid"] for connection in connections} == {new}
        # None of them had to be closed, and none is open twice.
        count = lambda: sum("socket" in each for each in processes.descriptors(new))  # noqa: E731
        assert 500 <= count() < 510
    wait_for(lambda: count() < 10, "the end of their descriptors")


def test_a_connection_survives_fewer_workers_and_max_requests(serve: Serve) -> None:
    server = serve("moving:app", "-w", "2", "--max-requests", "20")
    with kept(server, 6) as connections:
        server.kill(signal.SIGTTOU)
        wait_for(lambda: len(server.workers()) == 1, "one worker")
        pids: set[int] = set()

        def renewed() -> bool:
            pids.update(ask(connection)["pid"] for connection in connections)
            return len(pids) >= 4

        wait_for(renewed, "several workers")
    assert "Autorestarting worker" in server.log()


def test_a_worker_that_is_told_by_itself_passes_its_connections_on(serve: Serve) -> None:
    server = serve("moving:app", "-w", "2")
    with kept(server, 8) as connections:
        leaver = ask(connections[0])["pid"]
        os.kill(leaver, signal.SIGTERM)
        wait_for(lambda: leaver not in server.workers(), "its end")
        for connection in connections:
            assert ask(connection)["pid"] != leaver


def test_a_request_that_runs_is_answered_and_its_connection_kept(
    serve: Serve, flags: tuple[str, ...], tmp_path: Path
) -> None:
    if "gevent" in flags or "eventlet" in flags:
        pytest.skip("its hub waits for a request that blocks")
    server = serve("moving:app", *flags)
    with waiting(server, tmp_path / "go") as busy, server.connect() as other:
        old = server.worker()
        server.kill(signal.SIGHUP)
        wait_for(lambda: set(server.booted()) - {old}, "the new worker")
        # While the old one still works the new one has the rest, as soon as that has been told.
        wait_for(lambda: ask(other)["pid"] != old, "the new worker's answer")
        (tmp_path / "go").touch()
        assert answer(busy)["pid"] == old
        assert ask(busy)["pid"] != old


def test_the_end_of_the_service_ends_connections(serve: Serve, flags: tuple[str, ...]) -> None:
    server = serve("moving:app", "-w", "2", *flags)
    with kept(server, 10) as connections:
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
        for connection in connections:
            connection.assert_closed()


def test_no_descriptor_is_left_behind(serve: Serve) -> None:
    server = serve("moving:app", "-w", "2")
    counts = lambda: [len(processes.descriptors(pid)) for pid in server.booted()]  # noqa: E731
    before = counts(), len(processes.descriptors(server.pid))
    with kept(server, 30) as connections:
        for _ in range(3):
            renew(server)
            for connection in connections:
                ask(connection)
    wait_for(lambda: (counts(), len(processes.descriptors(server.pid))) == before, f"as before: {before}")


def test_a_connection_ends_for_its_client_though_a_process_that_was_forked_holds_it(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve("moving:app")
    with server.connect() as connection:
        connection.assert_open_at(f"/fork?{tmp_path / 'go'}")
        old = server.worker()
        server.kill(signal.SIGHUP)
        wait_for(lambda: ask(connection)["pid"] != old, "the new worker")
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert not connection.read_response().persists
        connection.assert_closed()
        (tmp_path / "go").touch()


# Who waits to be accepted


def test_the_end_of_the_service_serves_who_has_connected(serve: Serve, tmp_path: Path) -> None:
    server = serve("moving:app")
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(waiting(server, tmp_path / "go"))
        clients = [stack.enter_context(server.connect()) for _ in range(20)]
        for client in clients:
            client.send(get("/"))
        server.kill(signal.SIGTERM)
        server.wait_for_log("Handling signal: term")
        (tmp_path / "go").touch()
        for client in [busy, *clients]:
            response = client.read_response()
            assert (response.status, response.persists) == (200, False)
            client.assert_closed()
    server.wait_for_exit(0)


def test_no_new_connection_is_lost_in_a_reload(serve: Serve) -> None:
    server = serve("moving:app", "-w", "2")
    for _ in range(3):
        old = set(server.workers())
        server.kill(signal.SIGHUP)
        while old & set(server.workers()):
            assert server.get().status == 200


# A worker that has no hand free


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_kept_connection_does_not_wait_behind_a_slow_request(
    serve: Serve, tmp_path: Path, threads: str
) -> None:
    server = serve("moving:app", "-w", "2", "--threads", threads)
    with contextlib.ExitStack() as stack:
        connections = stack.enter_context(kept(server, 12))
        # All threads of one worker.
        busy = stack.enter_context(waiting(server, tmp_path / "go"))
        stuck = [busy]
        while len(stuck) < int(threads):
            more = stack.enter_context(server.connect())
            more.send(get(f"/wait?{tmp_path / 'go'}"))
            stuck.append(more)
        slowest = 0.0
        pids = set()
        for _ in range(20):
            for connection in connections:
                began = time.monotonic()
                pids.add(ask(connection)["pid"])
                slowest = max(slowest, time.monotonic() - began)
        assert slowest < 1
        (tmp_path / "go").touch()
        for connection in stuck:
            answer(connection)


def test_a_request_that_was_read_moves_with_its_body(serve: Serve, tmp_path: Path) -> None:
    server = serve("moving:app", "-w", "2")
    with contextlib.ExitStack() as stack:
        connections = stack.enter_context(kept(server, 12))
        stack.enter_context(waiting(server, tmp_path / "go"))
        # The bodies come late: whoever has no hand free has read the heads.
        for number, connection in enumerate(connections):
            connection.send(post(f"/{number}", b"x" * 5000)[:-4000])
        time.sleep(0.1)
        for connection in connections:
            connection.send(b"x" * 4000)
        for number, connection in enumerate(connections):
            found = answer(connection)
            assert (found["target"], found["body"]) == (f"/{number}", "x" * 5000)


def test_nobody_waits_for_a_worker_that_has_as_many_connections_as_it_may(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve("moving:app", "-w", "2", "--threads", "4", "--worker-connections", "2")
    with contextlib.ExitStack() as stack:
        # One worker has two of them.
        for name in ("one", "two", "three"):
            stack.enter_context(waiting(server, tmp_path / name))
        for _ in range(3):
            with server.connect() as newcomer:
                began = time.monotonic()
                ask(newcomer)
                assert time.monotonic() - began < 1
