"""StatsD: the metrics of requests, workers and the log, as datagrams over UDP and Unix sockets."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get
from support.processes import wait_for
from support.server import IS_GUNICORN, Server

SOURCE = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("it fails")
    start_response("404 Not Found", [("Content-Length", "2")])
    return [b"ok"]
"""


class Receiver:
    """A StatsD server: `metrics` is what it has received."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self.socket = sock
        self.socket.setblocking(False)
        self.address = address
        self.metrics: list[str] = []

    def __call__(self) -> list[str]:
        """Everything received so far."""
        while True:
            try:
                self.metrics.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return self.metrics

    def wait_for(self, pattern: str, count: int = 1) -> str:
        """Waits until so many metrics match; gives the last of them."""

        def found() -> str | None:
            matching = [metric for metric in self() if re.fullmatch(pattern, metric)]
            return matching[-1] if len(matching) >= count else None

        return wait_for(found, f"{pattern} {count} times in {self.metrics}")


@pytest.fixture(params=["udp", "udp6", "unix"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    if request.param == "unix":
        path = tmp_path / "statsd"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(path))
            yield Receiver(sock, f"unix://{path}")
        return
    family, host = (socket.AF_INET6, "::1") if request.param == "udp6" else (socket.AF_INET, "127.0.0.1")
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        yield Receiver(sock, f"{shown}:{sock.getsockname()[1]}")


@pytest.fixture
def udp() -> Iterator[Receiver]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield Receiver(sock, f"127.0.0.1:{sock.getsockname()[1]}")


def serving(serve: Serve, receiver: Receiver, *flags: str, **settings: object) -> Server:
    return serve("app:app", "--statsd-host", receiver.address, *flags, source=SOURCE, **settings)


def test_the_metrics_of_requests(serve: Serve, receiver: Receiver) -> None:
    """There is no access log, and none is needed."""
    server = serving(serve, receiver)
    server.get("/")
    assert receiver.wait_for(r"gunicorn\.request\.status\.404:.*") == "gunicorn.request.status.404:1|c|@1.0"
    assert receiver.wait_for(r"gunicorn\.requests:.*") == "gunicorn.requests:1|c|@1.0"
    duration = receiver.wait_for(r"gunicorn\.request\.duration:\d+\.\d+\|ms")
    assert 0 < float(duration.partition(":")[2].removesuffix("|ms")) < 5000


def test_the_metrics_of_workers(serve: Serve, udp: Receiver) -> None:
    server = serving(serve, udp, "-w", "2")
    udp.wait_for(r"gunicorn\.workers:2\|g")
    server.stop()
    # Gunicorn tells once in a turn of its loop, and may be gone before the next.
    if not IS_GUNICORN:
        gauges = [metric for metric in udp() if "workers" in metric]
        assert gauges == [f"gunicorn.workers:{count}|g" for count in (1, 2)]


def test_the_metrics_of_the_log(serve: Serve, udp: Receiver) -> None:
    """An exception is no error, and what the log does not show is counted too."""
    server = serving(serve, udp, "--log-level", "critical", launch=True)
    udp.wait_for(r"gunicorn\.workers:1\|g")
    wait_for(lambda: server.workers() and server.booted(), "a worker")
    server.addresses = [listening(server)]
    server.get("/fails")
    assert udp.wait_for(r"gunicorn\.log\..*") == "gunicorn.log.exception:1|c|@1.0"
    with server.connect() as connection:
        connection.request(b"nonsense\r\n\r\n")
    assert udp.wait_for(r"gunicorn\.log\.warning.*") == "gunicorn.log.warning:1|c|@1.0"
    assert not any("log.error" in metric for metric in udp())


def listening(server: Server) -> tuple[str, int]:
    """Where it listens, without its log."""
    for line in Path(f"/proc/{server.pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in descriptors(server.pid):
            return "127.0.0.1", int(fields[1].partition(":")[2], 16)
    raise AssertionError("it does not listen")


def descriptors(pid: int) -> list[str]:
    return [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--statsd-prefix", "svc"], "svc.gunicorn.requests:1|c|@1.0"),
        (["--statsd-prefix", "svc.a."], "svc.a.gunicorn.requests:1|c|@1.0"),
        (["--dogstatsd-tags", "env:test,x"], "gunicorn.requests:1|c|@1.0|#env:test,x"),
        (
            ["--statsd-prefix", "svc", "--dogstatsd-tags", "env:test"],
            "svc.gunicorn.requests:1|c|@1.0|#env:test",
        ),
    ],
)
def test_prefixes_and_tags(serve: Serve, udp: Receiver, flags: list[str], expected: str) -> None:
    server = serving(serve, udp, *flags)
    server.get("/")
    assert udp.wait_for(r".*gunicorn\.requests:.*") == expected


def test_the_access_log_is_written_as_well(serve: Serve, udp: Receiver, tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = serving(
        serve, udp, "--access-logfile", str(log), "--access-logformat", "%(m)s %(U)s %(s)s %(B)s"
    )
    server.get("/x")
    udp.wait_for(r"gunicorn\.requests:.*")
    assert log.read_text() == "GET /x 404 2\n"


@pytest.mark.ours("refused requests are told of")
def test_refused_requests_count(serve: Serve, udp: Receiver) -> None:
    server = serving(serve, udp)
    with server.connect() as connection:
        connection.request(b"nonsense\r\n\r\n")
    assert udp.wait_for(r"gunicorn\.request\.status\..*") == "gunicorn.request.status.400:1|c|@1.0"


@pytest.mark.ours("its threaded worker accepts whatever comes")
def test_the_backlog(serve: Serve, udp: Receiver) -> None:
    """A worker is busy: the connections that come meanwhile wait."""
    source = "import time\ndef app(environ, start_response):\n    while True:\n        time.sleep(0.01)\n"
    flags = ["--enable-backlog-metric", "--graceful-timeout", "1"]
    server = serve("app:app", "--statsd-host", udp.address, *flags, source=source)
    assert udp.wait_for(r"gunicorn\.backlog:.*", 2) == "gunicorn.backlog:0|h"
    connections = [server.connect() for _ in range(3)]
    for connection in connections:
        connection.send(get())
    udp.wait_for(r"gunicorn\.backlog:[1-3]\|h")
    for connection in connections:
        connection.close()


def test_without_the_setting_there_is_no_backlog(serve: Serve, udp: Receiver) -> None:
    server = serving(serve, udp)
    for _ in range(3):
        server.get("/")
    server.stop()
    assert not any("backlog" in metric for metric in udp())


def test_a_subclass_sends_its_own_metrics(serve: Serve, udp: Receiver) -> None:
    module = "gunicorn" if IS_GUNICORN else "rgunicorn"
    config = f"""
from {module}.instrument.statsd import Statsd

class logger_class(Statsd):
    def access(self, resp, req, environ, request_time):
        super().access(resp, req, environ, request_time)
        self.increment("own.count", 3, sampling_rate=0.5)
        self.decrement("own.left", 2)
        self.gauge("own.gauge", 7)
        self.histogram("own.sizes", 8)
        self.timer("own.time", 9)
        self.info("", extra={{"metric": "own.extra", "value": 1, "mtype": "counter"}})
"""
    server = serving(serve, udp, config=config)
    server.get("/")
    udp.wait_for(r"own\.extra:.*")
    assert [metric for metric in udp() if metric.startswith("own")] == [
        "own.count:3|c|@0.5",
        "own.left:-2|c|@1.0",
        "own.gauge:7|g",
        "own.sizes:8|h",
        "own.time:9|ms",
        "own.extra:1|c|@1.0",
    ]


def test_a_logger_class_of_the_users_own_sends_nothing(serve: Serve, udp: Receiver) -> None:
    module = "gunicorn" if IS_GUNICORN else "rgunicorn"
    config = f"from {module}.glogging import Logger\nclass logger_class(Logger):\n    pass\n"
    server = serving(serve, udp, config=config)
    server.get("/")
    server.stop()
    assert udp() == []


@pytest.mark.ours("Gunicorn warns at every request")
def test_a_server_that_is_gone_is_told_of_once_and_found_again(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "statsd"

    def bind() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(path))
        return sock

    first = bind()
    server = serving(serve, Receiver(first, f"unix://{path}"))
    first.close()
    path.unlink()
    for _ in range(5):
        assert server.get("/").status == 404
    server.wait_for_log(r"\[WARNING\] Error sending message to statsd$")
    with bind() as second:
        receiver = Receiver(second, f"unix://{path}")
        wait_for(lambda: server.get("/") and receiver(), "a metric at the new server")
    assert len(re.findall("Error sending message to statsd", server.log())) == 1


def test_a_server_that_does_not_read_stops_nothing(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "statsd"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        if IS_GUNICORN:
            pytest.skip("Gunicorn waits for it")
        sock.bind(str(path))
        server = serving(serve, Receiver(sock, f"unix://{path}"))
        with server.connect() as connection:
            for _ in range(500):
                assert connection.request(get()).status == 404
