"""The access log: a line for every answered request, in the format asked for, that no client can forge."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get, post
from support.processes import wait_for
from support.server import Server

SOURCE = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("it fails")
    environ["wsgi.input"].read()
    start_response("201 Created", [("X-Out", "set")])
    return [b"hello", b" world"]
"""
TIME = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"


def lines(log: Path, count: int) -> list[str]:
    """The lines of the log, once there are so many."""
    return wait_for(
        lambda: found if len(found := log.read_text().splitlines()) >= count else None, f"{count} lines"
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def logging(serve: Serve, log: Path, *flags: str, kind: str = "tcp") -> Server:
    return serve("app:app", "--access-logfile", str(log), *flags, source=SOURCE, kind=kind)


def test_the_default_line(serve: Serve, log: Path) -> None:
    server = logging(serve, log)
    server.get("/a%20b?q=1", "Referer: http://r/", "User-Agent: agent/1.0")
    request = re.escape('"GET /a%20b?q=1 HTTP/1.1" 201 11 "http://r/" "agent/1.0"')
    assert re.fullmatch(rf"127\.0\.0\.1 - - {TIME} {request}", lines(log, 1)[0])


def test_every_atom(serve: Serve, log: Path) -> None:
    atoms = ["m", "U", "q", "H", "B", "u", "p", "{x-in}i", "{x-out}o", "{server_port}e", "l", "{no}i"]
    server = logging(serve, log, "--access-logformat", "|".join(f"%({atom})s" for atom in atoms))
    with server.connect() as connection:
        fields = b"Authorization: Basic dXNlcjpwdw==\r\nX-In: a\r\nX-In: b\r\nContent-Length: 3\r\n"
        connection.request(post(fields, b"abc").replace(b" / ", b" /p%41th?a=b "))
    port = server.address[1]
    expected = f"POST|/pAth|a=b|HTTP/1.1|11|user|<{server.worker()}>|b|set|{port}|-|-"
    assert lines(log, 1) == [expected]


def test_durations(serve: Serve, log: Path) -> None:
    server = serve("views:app", "--access-logfile", str(log), "--access-logformat", "%(T)s %(M)s %(D)s %(L)s")
    server.get("/sleep?0.3")
    seconds, milliseconds, microseconds, decimal = lines(log, 1)[0].split()
    assert (int(seconds), int(milliseconds)) == (0, int(microseconds) // 1000)
    assert 290_000 < int(microseconds) < 5_000_000
    assert f"{int(microseconds) / 1e6:.6f}" == decimal


@pytest.mark.ours("control characters are escaped")
def test_a_client_cannot_forge_a_line_or_a_field(serve: Serve, log: Path) -> None:
    server = logging(serve, log, "--access-logformat", '"%(U)s" "%(a)s"')
    server.get("/%0aGET", 'User-Agent: x" "y\\')
    assert lines(log, 1) == [r'"/\x0aGET" "x\" \"y\\"']


@pytest.mark.ours("refused requests have a line")
def test_refused_requests_have_a_line(serve: Serve, log: Path) -> None:
    server = logging(serve, log, "--access-logformat", "%(h)s %(r)s %(s)s")
    for request in (b"nonsense\r\n\r\n", b"GET /x HTTP/1.1\r\n\r\n"):
        with server.connect() as connection:
            assert connection.request(request).status == 400
    assert lines(log, 2) == ["127.0.0.1 - 400", "127.0.0.1 GET /x HTTP/1.1 400"]


@pytest.mark.ours("an error has one line")
def test_a_failed_request_has_one_line(serve: Serve, log: Path) -> None:
    server = logging(serve, log, "--access-logformat", "%(U)s %(s)s")
    assert server.get("/fails").status == 500
    server.get("/")
    assert lines(log, 2) == ["/fails 500", "/ 201"]


def test_a_unix_socket_has_no_address(serve: Serve, log: Path) -> None:
    server = logging(serve, log, "--access-logformat", "[%(h)s] %(s)s", kind="unix")
    server.get("/")
    assert lines(log, 1) == ["[] 201"]


def test_it_goes_to_standard_output_for_a_dash(serve: Serve) -> None:
    server = serve("app:app", "--access-logfile", "-", "--access-logformat", "line %(s)s", source=SOURCE)
    server.get("/")
    wait_for(lambda: (server.home / "stdout").read_text() == "line 201\n", "the line")


def test_workers_write_whole_lines_into_one_file(serve: Serve, log: Path) -> None:
    server = logging(serve, log, "-w", "3", "--access-logformat", f"%(r)s {'x' * 300} end")
    connections = [server.connect() for _ in range(6)]
    for _ in range(30):
        for connection in connections:
            connection.send(get() * 5)
    for connection in connections:
        for _ in range(150):
            connection.read_response()
        connection.close()
    assert set(lines(log, 900)) == {f"GET / HTTP/1.1 {'x' * 300} end"}


def test_usr1_reopens_it(serve: Serve, log: Path) -> None:
    server = logging(serve, log, "--access-logformat", "%(U)s")
    server.get("/before")
    lines(log, 1)
    moved = log.with_suffix(".old")
    log.rename(moved)
    server.kill(signal.SIGUSR1)
    wait_for(log.exists, "a new file")
    wait_for(lambda: server.get("/after") and "/after" in log.read_text(), "a line in the new file")
    assert moved.read_text().splitlines()[0] == "/before"
