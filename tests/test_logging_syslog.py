"""Syslog over UDP, TCP and Unix sockets: what arrives there, byte by byte."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Serve
from support.command import Project
from support.processes import wait_for
from support.server import IS_GUNICORN, Server

SOURCE = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
NAME = "gunicorn" if IS_GUNICORN else "rgunicorn"


class Syslog:
    """A syslog server of one kind. `received` is all that has arrived, message by message."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.received: list[bytes] = []
        self.buffer = b""
        self.path = directory / "log"
        family = socket.AF_UNIX if kind.startswith("unix") else socket.AF_INET
        self.is_stream = kind in ("tcp", "unix#stream")
        self.socket = socket.socket(family, socket.SOCK_STREAM if self.is_stream else socket.SOCK_DGRAM)
        self.connections: list[socket.socket] = []
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(str(self.path) if family == socket.AF_UNIX else ("127.0.0.1", 0))
        if self.is_stream:
            self.socket.listen()
        host = None if family == socket.AF_UNIX else "{}:{}".format(*self.socket.getsockname())
        shown = kind.partition("#")
        self.address = f"{kind}://{host}" if host else f"unix://{self.path}{shown[1]}{shown[2]}"
        self.thread = threading.Thread(target=self._receive, daemon=True)
        self.thread.start()

    def _receive(self) -> None:
        while True:
            try:
                if self.is_stream:
                    connection, _ = self.socket.accept()
                    self.connections.append(connection)
                    threading.Thread(target=self._read, args=(connection,), daemon=True).start()
                else:
                    self.received.append(self.socket.recv(65536))
            except OSError:
                return

    def _read(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                *messages, self.buffer = (self.buffer + data).split(b"\0")
                self.received += [message + b"\0" for message in messages]

    def wait_for(self, pattern: bytes) -> re.Match[bytes]:
        """The first message that matches as a whole."""

        def found() -> re.Match[bytes] | None:
            matches = (re.fullmatch(pattern, message, re.DOTALL) for message in self.received)
            return next(filter(None, matches), None)

        return wait_for(found, f"{pattern!r} in {self.received}")

    def close(self) -> None:
        """Ends it."""
        if self.is_stream:
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(params=["udp", "tcp", "unix", "unix#dgram", "unix#stream"])
def syslog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Syslog]:
    server = Syslog(request.param, tmp_path)
    yield server
    server.close()


@pytest.fixture
def udp(tmp_path: Path) -> Iterator[Syslog]:
    server = Syslog("udp", tmp_path)
    yield server
    server.close()


def serving(serve: Serve, syslog: Syslog, *flags: str) -> Server:
    return serve("app:app", "--log-syslog", "--log-syslog-to", syslog.address, *flags, source=SOURCE)


def test_both_logs_go_there(serve: Serve, syslog: Syslog) -> None:
    server = serving(serve, syslog, "--access-logformat", "%(m)s %(U)s %(s)s")
    expected = rf"<14>gunicorn\.app\.app\.error: \[{server.pid}\] Starting {NAME} \S+\0"
    syslog.wait_for(expected.encode())
    server.get("/x")
    syslog.wait_for(rb"<14>gunicorn\.app\.app\.access: \[\d+\] GET /x 200\0")
    # And where they went anyway.
    assert "Listening at" in server.log()


def test_the_access_log_stays_out_if_it_is_told_to(serve: Serve, udp: Syslog, tmp_path: Path) -> None:
    log = tmp_path / "access"
    server = serving(serve, udp, "--disable-redirect-access-to-syslog", "--access-logfile", str(log))
    server.get("/x")
    wait_for(lambda: log.exists() and log.read_text(), "a line")
    server.stop()
    udp.wait_for(rb".*Shutting down: Master\0")
    assert not any(b"access" in message for message in udp.received)


def test_prefix_and_facility(serve: Serve, udp: Syslog) -> None:
    flags = ["--log-syslog-prefix", "pre", "--log-syslog-facility", "LOCAL3", "-n", "a:b"]
    server = serving(serve, udp, *flags)
    # local3 is 19: 19 * 8 + 6 for INFO.
    udp.wait_for(rb"<158>gunicorn\.pre\.error: \[\d+\] Starting .*\0")
    server.get("/")
    udp.wait_for(rb"<158>gunicorn\.pre\.access: .*\0")


def test_the_name_of_the_process(serve: Serve, udp: Syslog) -> None:
    serving(serve, udp, "-n", "a:b")
    udp.wait_for(rb"<14>gunicorn\.a\.b\.error: .*\0")


def test_the_format_of_a_subclass(serve: Serve, udp: Syslog) -> None:
    config = f"""
from {NAME}.glogging import Logger
class logger_class(Logger):
    syslog_fmt = "own %(message)s"
"""
    flags = ["--log-syslog", "--log-syslog-to", udp.address]
    serve("app:app", *flags, source=SOURCE, config=config)
    udp.wait_for(rb"<14>gunicorn\.app\.app\.error: own Starting .*\0")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--log-syslog-to", "nowhere"], "invalid syslog address"),
        (["--log-syslog-to", "udp://h:x"], "'x' is not a valid port number."),
        (["--log-syslog-facility", "none"], "unknown facility name"),
    ],
)
@pytest.mark.ours("its command is run by another test")
def test_what_is_wrong_is_told(tmp_path: Path, flags: list[str], reason: str) -> None:
    project = Project(tmp_path)
    project.write("app.py", SOURCE)
    assert reason in project.refusal("--log-syslog", *flags, "-b", "127.0.0.1:0", "app")


@pytest.mark.ours("Gunicorn ends with a traceback")
def test_a_server_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("app.py", SOURCE)
    said = project.refusal("--log-syslog", "--log-syslog-to", "tcp://127.0.0.1:1", "-b", "127.0.0.1:0", "app")
    assert "Error: syslog at tcp://127.0.0.1:1 cannot be reached: " in said


@pytest.mark.ours("Gunicorn never finds it again")
@pytest.mark.skipif(
    "sys.version_info < (3, 11)", reason="the standard library's handler cannot connect again"
)
def test_a_server_that_was_away_is_found_again(serve: Serve, tmp_path: Path) -> None:
    first = Syslog("tcp", tmp_path)
    port = first.socket.getsockname()[1]
    server = serving(serve, first)
    first.wait_for(rb".*Booting worker.*\0")
    first.close()
    again = socket.create_server(("127.0.0.1", port), reuse_port=False)
    again.settimeout(0.01)
    received: list[bytes] = []

    def received_something() -> bool:
        server.get("/")
        try:
            connection, _ = again.accept()
        except TimeoutError:
            return False
        with connection:
            connection.settimeout(10)
            received.append(connection.recv(1000))
        return True

    with again:
        wait_for(received_something, "a message at the new server")
    assert b"access: " in received[0]


def test_addresses() -> None:
    if IS_GUNICORN:
        from gunicorn.glogging import SYSLOG_FACILITIES, parse_syslog_address
    else:
        from rgunicorn.glogging import SYSLOG_FACILITIES, parse_syslog_address
    for text, expected in {
        "udp://host:5": (socket.SOCK_DGRAM, ("host", 5)),
        "udp://HOST": (socket.SOCK_DGRAM, ("host", 514)),
        "udp://": (socket.SOCK_DGRAM, ("localhost", 514)),
        "tcp://[::1]:6": (socket.SOCK_STREAM, ("::1", 6)),
        "tcp://[::1]": (socket.SOCK_STREAM, ("::1", 514)),
        "unix:///dev/log": (None, "/dev/log"),
        "unix:///dev/log#dgram": (socket.SOCK_DGRAM, "/dev/log"),
        "unix:///dev/log#stream": (None, "/dev/log"),
    }.items():
        assert parse_syslog_address(text) == expected, text
    for text in ("", "host:5", "http://host", "udp://h:", "udp://h:p"):
        with pytest.raises(RuntimeError):
            parse_syslog_address(text)
    assert (SYSLOG_FACILITIES["kern"], SYSLOG_FACILITIES["user"], SYSLOG_FACILITIES["local7"]) == (0, 1, 23)
    assert len(SYSLOG_FACILITIES) == 21
