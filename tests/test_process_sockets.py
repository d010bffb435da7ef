"""Sockets that were inherited, sockets of each worker's own, and those of a reload to other addresses."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.cases import get
from support.command import Project
from support.processes import wait_for
from support.server import IS_GUNICORN, Server
from support.wire import Address, Connection

#: Opens sockets, from descriptor 3 on, and becomes the command. Arguments: what LISTEN_PID says (`own`, or a
#: number, or `none`), the number of addresses, the addresses, the command.
OPENER = """
import os, socket, sys
meant_for, count, *rest = sys.argv[1:]
for number, address in enumerate(rest[:int(count)], start=3):
    if address.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(address)
    else:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.create_server((address, 0), family=family)
    sock.listen()
    if sock.fileno() != number:
        os.dup2(sock.fileno(), number)
    os.set_inheritable(number, True)
    sock.detach()
if meant_for != "none":
    os.environ["LISTEN_PID"] = str(os.getpid()) if meant_for == "own" else meant_for
    os.environ["LISTEN_FDS"] = count
command = rest[int(count):]
os.execv(command[0], command)
"""

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "1")])
    return [b"x"]
"""


class Passed(Server):
    """A server that is started with open sockets."""

    def __init__(self, addresses: list[str], *flags: str, meant_for: str = "own", **settings: object) -> None:
        super().__init__("views:app", *flags, **settings)  # type: ignore[arg-type]
        self.passed = addresses
        self.meant_for = meant_for

    def command(self) -> list[str]:
        """The command line, behind the program that opens the sockets."""
        opener = [sys.executable, "-c", OPENER, self.meant_for, str(len(self.passed)), *self.passed]
        return [*opener, *super().command()]


def hello(server: Server) -> None:
    """Every address of the server answers."""
    for address in server.addresses:
        with Connection(address) as connection:
            assert connection.assert_open_at("/hello").body == b"hello\n"


# systemd's sockets


def test_sockets_of_systemd_are_served_and_binds_are_not() -> None:
    with Passed(["127.0.0.1", "::1"], binds=["127.0.0.1:0"]) as server:
        assert len(server.addresses) == 2
        assert server.addresses[1][0] == "::1"
        hello(server)
        assert len([line for line in server.log().splitlines() if "Listening at" in line]) == 1


def test_a_unix_socket_of_systemd_stays_when_the_server_goes(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Passed([str(path)]) as server:
        assert server.addresses == [str(path)]
        hello(server)
        server.stop()
        assert path.exists()


@pytest.mark.parametrize("meant_for", ["1", "none", *([] if IS_GUNICORN else ["x"])])
def test_sockets_that_are_meant_for_another_process_are_not_taken(meant_for: str) -> None:
    with Passed(["::1"], meant_for=meant_for, binds=["127.0.0.1:0"]) as server:
        assert [address[0] for address in server.addresses] == ["127.0.0.1"]
        hello(server)


def test_no_child_takes_systemds_sockets_for_its_own() -> None:
    config = """
import os
def post_worker_init(worker):
    worker.log.info("variables %s", [name for name in os.environ if name.startswith("LISTEN_")])
"""
    with Passed(["127.0.0.1"], config=config) as server:
        server.wait_for_log(r"variables \[\]$")


@pytest.mark.ours("a reload with other binds opens them")
def test_a_reload_keeps_systemds_sockets_whatever_the_new_binds() -> None:
    with Passed(["127.0.0.1"], binds=[], config="bind = '127.0.0.1:0'") as server:
        first = server.worker()
        (server.directory / "gunicorn.conf.py").write_text("bind = 'unix:socket'")
        server.kill(signal.SIGHUP)
        wait_for(lambda: server.booted() and first not in server.workers(), "the new worker")
        hello(server)
        assert not (server.directory / "socket").exists()


def test_the_attribute_systemd_tells_hooks(serve: Serve) -> None:
    config = "def when_ready(server): server.log.info('systemd %s', server.systemd)"
    with Passed(["127.0.0.1"], config=config) as server:
        server.wait_for_log("systemd True$")
    serve("views:app", config=config).wait_for_log("systemd False$")


@pytest.mark.ours("it ends with a traceback")
def test_sockets_of_systemd_that_are_named_too_are_served_once() -> None:
    with Passed(["127.0.0.1", "::1"], binds=["fd://3", "fd://4"]) as server:
        assert [address[0] for address in server.addresses] == ["127.0.0.1", "::1"]
        hello(server)
        server.stop()
        assert "Error while closing" not in server.log()


def test_names_of_sockets_are_no_more_than_names() -> None:
    with Passed(["127.0.0.1"], env={"LISTEN_FDNAMES": "web"}) as server:
        hello(server)


# fd://


def test_an_inherited_descriptor_is_served() -> None:
    with Passed(["127.0.0.1", "127.0.0.1"], meant_for="none", binds=["fd://3", "fd://4"]) as server:
        assert len(server.addresses) == 2
        hello(server)
        first = server.worker()
        server.kill(signal.SIGHUP)
        wait_for(lambda: server.booted() and first not in server.workers(), "the new worker")
        hello(server)


def test_beside_an_inherited_descriptor_other_addresses_do_not_count() -> None:
    with Passed(["127.0.0.1"], meant_for="none", binds=["127.0.0.1:0", "fd://3"]) as server:
        assert len(server.addresses) == 1
        hello(server)


@pytest.mark.parametrize(
    ("bind", "error"),
    [
        ("fd://77", "fd://77: Bad file descriptor"),
        ("fd://1", "fd://1: Socket operation on non-socket"),
        ("unix:app.py", "unix:app.py: what is there is not a socket"),
    ],
)
def test_what_is_no_socket_is_one_line(bind: str, error: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("app.py", HELLO)
    said = project.refusal("--bind", bind, "app:app")
    assert "Error: " in said
    origin = (
        "bind from -b/--bind on the command line; allowed: HOST, HOST:PORT, [V6]:PORT, :PORT, unix:PATH, "
    )
    assert f"Error: {error} ({origin}fd://NUMBER, or a list of these)" in said.splitlines()
    assert "Traceback" not in said


# reuse_port


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def serving(address: tuple[str, int]) -> Callable[[], bool]:
    """Whether somebody answers there."""

    def ask() -> bool:
        try:
            with Connection(address) as connection:
                return connection.assert_open_at("/hello").body == b"hello\n"
        except ConnectionRefusedError:
            return False

    return ask


def listening(pid: int, port: int) -> set[int]:
    """The inodes of a process's sockets that listen on a port."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[1].endswith(f":{port:04X}"):
            found.add(int(fields[9]))
    return found & processes.sockets(pid)


@contextmanager
def reusing(*flags: str, **settings: object) -> Iterator[tuple[Server, int]]:
    """A server with `--reuse-port`, which does not say where it listens, and its port."""
    port = free_port()
    server = Server("views:app", "--reuse-port", *flags, binds=[f"127.0.0.1:{port}"], **settings)  # type: ignore[arg-type]
    try:
        server.launch()
        wait_for(lambda: len(server.workers()) == server.wanted_workers(), "the workers")
        wait_for(lambda: all(listening(pid, port) for pid in server.workers()), "their sockets")
        wait_for(serving(("127.0.0.1", port)), "an answer")
        yield server, port
        if not server.ended:
            server.stop()
    finally:
        server.destroy()


def test_each_worker_has_a_socket_of_its_own() -> None:
    with reusing("-w", "3") as (server, port):
        sockets = [listening(pid, port) for pid in server.workers()]
        assert [len(found) for found in sockets] == [1, 1, 1]
        assert len(set.union(*sockets)) == 3
        assert not listening(server.pid, port)
        server.wait_for_log(r"Listening at:  \(\d+\)$")


def test_it_is_there_in_post_fork() -> None:
    config = """
def post_fork(server, worker):
    worker.log.info("sockets %s of %s", [str(s) for s in worker.sockets], server.LISTENERS)
"""
    with reusing(config=config) as (server, port):
        server.wait_for_log(rf"sockets \['http://127.0.0.1:{port}'\] of \[\]$")


@pytest.mark.ours("a Unix socket cannot be had with reuse_port")
def test_unix_sockets_are_shared_as_ever(serve: Serve) -> None:
    server = serve("views:app", "--reuse-port", "-w", "2", kind="unix")
    hello(server)
    server.kill(signal.SIGHUP)
    wait_for(lambda: server.log().count("Booting worker") == 4, "the new workers")
    hello(server)


@pytest.mark.ours("its socket stays, and who connects waits for nobody")
def test_a_busy_worker_that_leaves_is_given_no_more_connections(tmp_path: Path) -> None:
    path = tmp_path / "done"
    with reusing() as (server, port), Connection(("127.0.0.1", port)) as connection:
        worker = server.worker()
        connection.send(get(target=f"/until?{path}".encode()))
        wait_for(path.with_suffix(".begun").exists, "the application to be called")
        os.kill(worker, signal.SIGTERM)
        wait_for(lambda: not listening(worker, port), "the end of its socket")
        assert processes.alive(worker)
        path.touch()
        assert connection.read_response().status == 200
        wait_for(lambda: serving(("127.0.0.1", port))(), "the next worker")


def test_a_reload_gives_each_new_worker_a_socket() -> None:
    with reusing("-w", "2") as (server, port):
        before = server.workers()
        server.kill(signal.SIGHUP)
        wait_for(lambda: not set(server.workers()) & set(before), "new workers alone")
        assert all(listening(pid, port) for pid in server.workers())
        assert serving(("127.0.0.1", port))()


@pytest.mark.ours("the kernel gives a worker connections while it loads")
def test_a_worker_is_given_connections_when_it_has_loaded(tmp_path: Path) -> None:
    path = tmp_path / "may load"
    source = f"""
import pathlib, time
while pathlib.Path({str(path)!r}).with_suffix(".closed").exists():
    time.sleep(0.01)
from views import app
"""
    closed = path.with_suffix(".closed")
    port = free_port()
    server = Server("app:app", "--reuse-port", binds=[f"127.0.0.1:{port}"], source=source)
    try:
        server.launch()
        wait_for(serving(("127.0.0.1", port)), "an answer")
        before = server.worker()
        closed.touch()
        server.kill(signal.SIGHUP)
        server.wait_for_log("Booting worker", count=2)
        (new,) = set(server.workers()) - {before}
        wait_for(lambda: len(processes.sockets(new)) > len(processes.sockets(server.pid)), "its socket")
        assert all(serving(("127.0.0.1", port))() for _ in range(20))
        assert not listening(new, port)
        closed.unlink()
        wait_for(lambda: listening(new, port), "the new worker")
        server.stop()
    finally:
        closed.unlink(missing_ok=True)
        server.destroy()


@pytest.mark.ours("who waits in the socket of a worker that leaves is reset")
def test_a_reload_loses_no_connection() -> None:
    with reusing("-w", "2") as (server, port):
        for _ in range(3):
            before = set(server.workers())
            server.kill(signal.SIGHUP)
            while before & set(server.workers()):
                with Connection(("127.0.0.1", port)) as connection:
                    connection.assert_open_at("/hello")


def test_clients_that_have_said_nothing_yet_outlive_the_worker_they_came_to() -> None:
    with reusing("-w", "2") as (server, port), ExitStack() as stack:
        before = set(server.workers())
        silent = []

        def clients_come() -> bool:
            # Also some before anybody leaves: the kernel keeps silent ones to itself for a second.
            silent.extend(stack.enter_context(Connection(("127.0.0.1", port))) for _ in range(4))
            return not before & set(server.workers())

        clients_come()
        server.kill(signal.SIGHUP)
        wait_for(clients_come, "other workers")
        for connection in silent:
            connection.assert_open_at("/hello")


@pytest.mark.ours("it is not looked at on a reload, or ends the server")
@pytest.mark.parametrize("before", [True, False])
def test_a_reload_that_switches_it_fails_and_the_old_workers_stay(before: bool) -> None:
    port = free_port()
    config = f"bind = '127.0.0.1:{port}'\nreuse_port = {{}}"
    server = Server("views:app", binds=[], config=config.format(before))
    try:
        server.launch()
        wait_for(serving(("127.0.0.1", port)), "an answer")
        workers = server.workers()
        (server.directory / "gunicorn.conf.py").write_text(config.format(not before))
        server.kill(signal.SIGHUP)
        server.wait_for_log("Reload failed: ")
        wait_for(lambda: server.workers() == workers, "the old workers alone")
        assert serving(("127.0.0.1", port))()
        server.stop()
    finally:
        server.destroy()


@pytest.mark.ours("its workers try for ever")
def test_a_port_that_cannot_be_had_ends_the_service(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = serve("views:app", "--reuse-port", binds=[f"127.0.0.1:{port}"], launch=True)
        server.wait_for_exit(3)
        server.wait_for_log(r"Can't connect to \('127.0.0.1', \d+\)$")
        server.wait_for_log("Reason: Worker failed to boot.$")


# A reload to other addresses


def refused(address: Address) -> bool:
    """Whether nobody listens there."""
    try:
        Connection(address).close()
    except OSError:
        return True
    return False


@pytest.mark.ours("the first workers would serve the old address until they end")
def test_an_address_that_a_reload_gives_up_is_closed_everywhere(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", binds=[], config="bind = '127.0.0.1:0'\n")
    old = server.address
    (server.directory / "gunicorn.conf.py").write_text(f"bind = 'unix:{tmp_path}/socket'\n")
    server.kill(signal.SIGHUP)
    # New workers are forked while the arbiter still has it.
    wait_for(lambda: refused(old), "the end of the old address")
    server.addresses = [f"{tmp_path}/socket"]
    assert server.get("/hello").status == 200


SLOW_START = """
import os, time
while os.path.exists("../hold"):
    time.sleep(0.01)
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.ours("it does not wait for the workers of a reload")
def test_addresses_of_reloads_that_overtake_each_other_are_closed(serve: Serve, tmp_path: Path) -> None:
    server = serve(source=SLOW_START, binds=[], config="bind = '127.0.0.1:0'\n")
    opened = len(processes.sockets(server.pid))
    (server.home / "hold").touch()
    for number in range(3):
        path = tmp_path / str(number)
        (server.directory / "gunicorn.conf.py").write_text(f"bind = 'unix:{path}'\n")
        server.kill(signal.SIGHUP)
        server.wait_for_log(f"Listening at: unix:{path}$")
    (server.home / "hold").unlink()
    wait_for(lambda: refused(server.address), "the end of the first address")
    server.addresses = [str(path)]
    assert server.get("/").body == b"ok"
    wait_for(lambda: len(processes.sockets(server.pid)) == opened, "the end of those in between")
    assert [path.name for path in tmp_path.iterdir()] == ["2"]


# What is left of them


@pytest.mark.ours("sockets are left to the garbage collector")
@pytest.mark.parametrize("name", ["sync", "gthread", "gevent", "tornado"])
def test_no_socket_is_left_to_the_garbage_collector(name: str, serve: Serve) -> None:
    if name not in ("sync", "gthread"):
        pytest.importorskip(name)
    server = serve("views:app", "-k", name, env={"PYTHONDEVMODE": "1"})
    assert server.get("/hello").status == 200
    server.kill(signal.SIGHUP)
    wait_for(lambda: server.log().count("Worker exiting") == 1, "the end of the first worker")
    server.stop()
    assert "ResourceWarning" not in server.log()
