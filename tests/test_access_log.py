"""The access log: a line for every answered request, in the format asked for, that no client can forge."""

from __future__ import annotations

import json
import os
import re
import resource
import select
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from conftest import Serve
from support.cases import get, post
from support.diag import receive_queue
from support.processes import stays, wait_for
from support.server import Server

SOURCE = """
def app(environ, start_response):
    environ["wsgi.errors"].write("said by the application\\n")
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


def logging(serve: Serve, log: Path, *flags: str, kind: str = "tcp", config: str | None = None) -> Server:
    return serve("app:app", "--access-logfile", str(log), *flags, source=SOURCE, kind=kind, config=config)


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
    for request in (b"nonsense\r\n\r\n", b"GET /x HTTP/1.1\r\n\r\n", b"GET \x01 HTTP/1.1\r\n\r\n"):
        with server.connect() as connection:
            assert connection.request(request).status == 400
    expected = ["- 400", "GET /x HTTP/1.1 400", "GET - HTTP/1.1 400"]
    assert lines(log, 3) == [f"127.0.0.1 {line}" for line in expected]


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


def hammer(server: Server) -> int:
    """Many requests on several connections at once; gives how many."""
    connections = [server.connect() for _ in range(6)]
    for _ in range(30):
        for connection in connections:
            connection.send(get() * 5)
    for connection in connections:
        for _ in range(150):
            connection.read_response()
        connection.close()
    return 900


def test_workers_write_whole_lines_into_one_file(serve: Serve, log: Path) -> None:
    server = logging(serve, log, "-w", "4", "--access-logformat", f"%(r)s {'x' * 300} end")
    assert set(lines(log, hammer(server))) == {f"GET / HTTP/1.1 {'x' * 300} end"}


def test_workers_write_whole_lines_into_one_pipe(serve: Serve, log: Path) -> None:
    os.mkfifo(log)
    received = []
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(log.read_text)
        server = logging(serve, log, "-w", "4", "--access-logformat", f"%(r)s {'x' * 300} end")
        count = hammer(server)
        server.stop()
        received = reader.result(20).splitlines()
    assert (len(received), set(received)) == (count, {f"GET / HTTP/1.1 {'x' * 300} end"})


@pytest.mark.ours("a worker does not wait for whoever should read its log")
def test_a_pipe_that_nobody_reads_stops_nothing(serve: Serve, log: Path) -> None:
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        server = logging(serve, log, "--access-logformat", "x" * 1000)
        for _ in range(2):
            hammer(server)
        server.wait_for_log(r"\[WARNING\] Cannot write the access log, lines are lost: nobody reads it$")
        with open(reader, "rb", closefd=False) as pipe:
            wait_for(lambda: drained(pipe), "an empty pipe")
        server.get("/")
        found = server.wait_for_log(r"The access log is written again; (\d+) lines were lost$")
        assert 1000 < int(found[1]) < 1800
    finally:
        os.close(reader)


def drained(pipe: BinaryIO) -> bool:
    """Reads what there is; whether there was nothing more for a while."""
    while pipe.read(1 << 20):
        pass
    return not select.select([pipe], [], [], 0.3)[0]


@pytest.mark.ours("a pipe without a reader is not opened again")
@pytest.mark.parametrize("kind", ["full", "closed"])
def test_logs_that_take_nothing_stop_nothing(serve: Serve, tmp_path: Path, kind: str) -> None:
    """A full disk, or a pipe whose reader is gone."""
    path = Path("/dev/full")
    reader = None
    if kind == "closed":
        path = tmp_path / "pipe"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    errors = tmp_path / "errors"
    server = serve(
        "app:app",
        "--access-logfile",
        str(path),
        "--error-logfile",
        str(errors),
        source=SOURCE,
        error_log=errors,
    )
    if reader is not None:
        os.close(reader)
    for _ in range(3):
        assert server.get("/").status == 201
    assert server.get("/fails").status == 500
    reason = "No space left on device" if kind == "full" else "Broken pipe"
    server.wait_for_log(f"Cannot write the access log, lines are lost: {reason}")
    server.kill(signal.SIGUSR1)
    assert server.get("/").status == 201
    server.kill(signal.SIGHUP)
    if kind == "closed":
        server.wait_for_log("reloading the logger configuration failed, keeping the previous one")
    server.wait_for_log("Booting worker", count=2)
    assert server.get("/").status == 201


def test_a_line_that_was_cut_by_a_full_disk_stays_alone(serve: Serve, log: Path) -> None:
    # The limit is one for the error log too, which is to stay below.
    earlier = f"{'x' * 100_000}\n"
    log.write_text(earlier)
    server = logging(serve, log, "--access-logformat", "%(U)s end")
    unlimited = resource.prlimit(server.worker(), resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.prlimit(server.worker(), resource.RLIMIT_FSIZE, (size, unlimited[1]))

    server.get("/one")
    lines(log, 2)
    limit(len(earlier + "/one end\n/tw"))
    server.get("/two")
    server.wait_for_log("Cannot write the access log, lines are lost: File too large")
    server.get("/three")
    assert server.get("/fails").status == 500
    server.wait_for_log("it fails")
    limit(unlimited[0])
    server.get("/four")
    wait_for(lambda: log.read_text().endswith("/four end\n"), "the line of the last request")
    whole = log.read_text().splitlines()[1:]
    # A line is written when the worker has nothing to do: those of before perhaps when the limit is gone.
    assert whole[:2] == ["/one end", "/tw"]
    assert all(line.endswith(" end") for line in whole[2:])


@pytest.mark.ours("what the application writes to wsgi.errors fails")
def test_an_error_log_that_takes_nothing_stops_nothing(serve: Serve, tmp_path: Path) -> None:
    """Of a full error log nothing can be read: the server is asked itself."""
    server = serve("app:app", "--error-logfile", "/dev/full", source=SOURCE, kind="unix", launch=True)
    socket = server.directory / "socket"
    server.addresses = [str(socket)]
    wait_for(lambda: socket.exists() and server.workers(), "a worker")
    for _ in range(3):
        assert server.get("/fails").status == 500
    assert server.get("/").status == 201
    server.stop()


def test_the_address_is_what_the_application_says(serve: Serve, log: Path) -> None:
    """Behind a proxy, middleware puts the client's own address into the environ."""
    source = """
def app(environ, start_response):
    environ["REMOTE_ADDR"] = environ["HTTP_X_REAL"]
    start_response("200 OK", [])
    return []
"""
    server = serve("app:app", "--access-logfile", str(log), "--access-logformat", "%(h)s", source=source)
    server.get("/", "X-Real: 192.0.2.7")
    assert lines(log, 1) == ["192.0.2.7"]


@pytest.mark.parametrize(
    ("credentials", "user"),
    [
        ("Basic dXNlcjpwdw==", "user"),
        ("basic dXNlcjpwdw==", "user"),
        ("Basic dXNlcg==", "user"),
        ("Basic w7xiZXI6cHc=", "über"),
        ("Basic /zpwdw==", "-"),
        ("Basic !", "-"),
        ("Basic", "-"),
        ("Bearer dXNlcjpwdw==", "-"),
        ("Basic OnB3", "-"),
    ],
)
def test_users(
    serve_module: Serve, tmp_path_factory: pytest.TempPathFactory, credentials: str, user: str
) -> None:
    if not (servers := _USERS):
        log = tmp_path_factory.mktemp("users") / "log"
        servers.append((logging(serve_module, log, "--access-logformat", "%(u)s"), log))
    server, log = servers[0]
    before = len(log.read_text().splitlines())
    server.get("/", f"Authorization: {credentials}")
    assert lines(log, before + 1)[before] == user


#: The server of `test_users` and its log, once it runs.
_USERS: list[tuple[Server, Path]] = []


@pytest.mark.ours("a user name is one field")
def test_a_user_name_is_one_field(serve: Serve, log: Path) -> None:
    server = logging(serve, log, "--access-logformat", "%(u)s")
    server.get("/", "Authorization: Basic YSBiIgo6cHc=")
    assert lines(log, 1) == [r"a\x20b\"\x0a"]


#: A logger that changes nothing, and so is asked for every line.
OWN_LOGGER = """
from rgunicorn.glogging import Logger
class logger_class(Logger):
    def atoms(self, *args):
        return super().atoms(*args)
"""
EVERY_ATOM = (
    '%(h)s %(l)s %(u)s "%(r)s" %(s)s %(m)s "%(U)s" "%(q)s" %(H)s %(b)s %(B)s "%(f)s" "%(a)s" %(T)s %(reason)s'
    ' "%({X-In}i)s" "%({x-out}o)s" "%({Server_Port}e)s" %({no}i)s %(unknown)s %(request_id)s|%(s)8s|%(m)-6s|'
)
REQUESTS = [
    get(),
    get(
        b'Referer: http://r/\r\nUser-Agent: a"b\\c\xe9\r\nX-In: 1\r\nX-In: 2\r\nX-Request-ID: one\r\n',
        b"/a%20%22%0a?b=%22",
    ),
    get(b"Authorization: Basic YSBiIgo6cHc=\r\n", b"/fails"),
    post(
        b"Content-Length: 3\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        b"abc",
    ),
    get(b"Referer: \r\nUser-Agent: -\r\n"),
    get("Authorization: Basic w7xiZXI6cHc=\r\nUser-Agent: \xe9\xfc\r\n".encode("latin-1"), b"/%e9?%C3%A9"),
    get(version=b"HTTP/1.0"),
    b"GET /no-host HTTP/1.1\r\n\r\n",
    b"nonsense\r\n\r\n",
]
VARYING = re.compile(
    r'\[[^]]*\]|"?(?:time|duration|[a-z]+_time)"?[:=][^ ,]*|\b[0-9a-f]{32}\b|<\d+>|"?pid"?[:=]\d+'
)


@pytest.mark.ours("formats and atoms that Gunicorn has not")
@pytest.mark.parametrize("form", [EVERY_ATOM, "combined", "json", "logfmt"])
def test_the_logger_writes_the_same_lines_as_the_native_log(serve: Serve, tmp_path: Path, form: str) -> None:
    found = []
    for name, config in (("native", ""), ("python", OWN_LOGGER)):
        log = tmp_path / name
        server = logging(serve, log, "--access-logformat", form, config=config)
        for number, request in enumerate(REQUESTS, 1):
            with server.connect() as connection:
                connection.request(request)
            lines(log, number)
        port = str(server.address[1])
        found.append([line.replace(port, "PORT") for line in lines(log, len(REQUESTS))])
    native, python = found
    if form == "json":
        assert [told(line) for line in native] == [told(line) for line in python]
    else:
        assert [VARYING.sub("", line) for line in native] == [VARYING.sub("", line) for line in python]


def told(line: str) -> dict[str, Any]:
    """What a line of JSON says and two servers say alike."""
    fields: dict[str, Any] = json.loads(line)
    for name in ("duration", "queue_time", "app_time", "send_time"):
        assert fields[name] is None or 0 <= fields.pop(name) < 20
    assert datetime.fromisoformat(fields.pop("time")).tzinfo is not None
    assert fields.pop("pid") > 1
    if len(fields["request_id"] or "") == 32:
        fields["request_id"] = "new"
    return fields


@pytest.mark.ours("an atom that Gunicorn has not")
def test_the_application_knows_the_name_of_its_request(serve: Serve, log: Path) -> None:
    source = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [environ["rgunicorn.request_id"].encode()]
"""
    form = ("--access-logfile", str(log), "--access-logformat", "%(request_id)s")
    for config in ("", OWN_LOGGER):
        server = serve("app:app", *form, source=source, config=config)
        names = [server.get("/").body.decode() for _ in range(3)]
        names.append(server.get("/", "X-Request-ID: given").body.decode())
        assert len(set(names)) == 4
        assert names[3] == "given"
        assert lines(log, 4) == names
        log.unlink()


@pytest.mark.ours("a format that Gunicorn has not")
def test_the_time_is_split(serve: Serve, log: Path) -> None:
    """The second request waits for the first; the third is read slowly."""
    form = "%(U)s %(queue_time)s %(app_time)s %(send_time)s %(L)s"
    server = serve("views:app", "--access-logfile", str(log), "--access-logformat", form)
    with server.connect() as first, server.connect() as second, server.connect(receive_buffer=4096) as third:
        first.send(get(target=b"/sleep?0.3"))
        wait_for(lambda: receive_queue(server.address, first.socket.getsockname()) == 0, "the first request")
        second.send(get(target=b"/hello"))
        third.send(get(target=b"/big?megabytes=20&as=bytes"))
        lines(log, 2)
        stays(lambda: "/big" not in log.read_text(), "nothing of the third", 0.3)
        third.read_response()
    times = {path: [float(time) for time in rest] for path, *rest in map(str.split, lines(log, 3))}
    queue, application, sending, whole = times["/sleep"]
    assert 0.29 < application == whole < 5
    assert (queue < 0.1, sending) == (True, 0)
    assert 0.1 < times["/hello"][0] < 5
    assert times["/big"][2] > 0.29


def test_a_conversion_that_only_python_knows(serve: Serve, log: Path) -> None:
    server = logging(serve, log, "--access-logformat", "%(B)05d|%(m).2s|%(U)r")
    server.get("/x")
    assert lines(log, 1) == ["00011|GE|'/x'"]


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
