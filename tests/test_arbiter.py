"""The arbiter: what each signal does, who is replaced when, and that an idle service sleeps."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.cases import get
from support.load import Load
from support.processes import stays, wait_for
from support.server import IS_GUNICORN, Server, parse_address
from support.wire import Connection

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "{length}")])
    return [b"{text}"]
"""


def hello(text: str) -> str:
    """The source of an application that says `text`."""
    return HELLO.format(text=text, length=len(text))


def begin(server: Server, path: Path) -> Connection:
    """A request that a worker is busy with until `path` exists."""
    connection = server.connect()
    connection.send(get(target=f"/until?{path}".encode()))
    wait_for(path.with_suffix(".begun").exists, "the application to be called")
    return connection


# Start


def test_the_start_is_logged_as_gunicorn_logs_it(serve: Serve) -> None:
    server = serve("views:app", "-w", "2", binds=["127.0.0.1:0", "[::1]:0"])
    lines = [
        r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] "
        rf"\[{server.pid}\] \[INFO\] Starting r?gunicorn \S+$",
        rf"\[INFO\] Listening at: http://127\.0\.0\.1:\d+,http://\[::1\]:\d+ \({server.pid}\)$",
        r"\[INFO\] Using worker: \w+$",
        *(rf"\[{pid}\] \[INFO\] Booting worker with pid: {pid}$" for pid in server.workers()),
    ]
    for line in lines:
        server.wait_for_log(line)


def test_every_address_is_served(serve: Serve) -> None:
    server = serve("views:app", binds=["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"])
    assert len(server.addresses) == 3
    for address in server.addresses:
        with Connection(address) as connection:
            assert connection.assert_open_at("/hello").body == b"hello\n"


@pytest.mark.parametrize(("umask", "mode"), [("0", 0o777), ("0o117", 0o660)])
def test_a_unix_socket_has_the_mode_that_umask_leaves(umask: str, mode: int, serve: Serve) -> None:
    server = serve("views:app", "--umask", umask, kind="unix")
    assert isinstance(server.address, str)
    assert stat.S_IMODE(os.stat(server.address).st_mode) == mode
    assert server.get("/hello").status == 200


def test_a_socket_file_that_was_left_behind_is_replaced(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = serve("views:app", binds=[f"unix:{path}"])
    assert server.get("/hello").status == 200
    server.stop()
    assert not path.exists()


def test_an_address_in_use_ends_the_start(serve: Serve) -> None:
    first = serve("views:app")
    assert isinstance(first.address, tuple)
    second = serve("views:app", binds=[f"127.0.0.1:{first.address[1]}"], launch=True)
    second.wait_for_exit(1)
    second.wait_for_log(rf"\[ERROR\] Connection in use: \('127\.0\.0\.1', {first.address[1]}\)$")
    second.wait_for_log(rf"\[ERROR\] Can't connect to \('127\.0\.0\.1', {first.address[1]}\)$")
    assert first.get("/hello").status == 200


# The end


def test_term_finishes_what_is_being_served(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", "-w", "2")
    path = tmp_path / "go"
    with begin(server, path) as connection:
        server.kill(signal.SIGTERM)
        server.wait_for_log(r"\[INFO\] Handling signal: term$")
        wait_for(lambda: len(server.workers()) == 1, "the idle worker to end")
        path.touch()
        response = connection.read_response()
        assert response.body == b"hello\n"
        # Gunicorn has decided before the signal came, and says keep-alive.
        assert IS_GUNICORN or not response.persists
        connection.assert_closed()
    server.wait_for_exit(0)
    server.wait_for_log(rf"\[{server.pid}\] \[INFO\] Shutting down: Master$")


@pytest.mark.ours("no client holds a worker; Gunicorn's wait up to 5 s for a first byte")
def test_term_does_not_wait_for_idle_clients(serve: Serve) -> None:
    server = serve("views:app")
    with server.connect() as idle, server.connect() as silent:
        idle.assert_open_at("/hello")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 4
        idle.assert_closed()
        silent.assert_closed()


def test_term_waits_no_longer_than_graceful_timeout(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", "--graceful-timeout", "1")
    with begin(server, tmp_path / "never"):
        began = time.monotonic()
        server.stop()
        assert 0.9 < time.monotonic() - began < 5


@pytest.mark.ours("SIGQUIT and SIGINT are quick in every class")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_are_quick(number: signal.Signals, serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", "-w", "2")
    with begin(server, tmp_path / "never"):
        began = time.monotonic()
        server.stop(number)
        assert time.monotonic() - began < 4


@pytest.mark.ours("SIGQUIT and SIGINT are quick in every class")
def test_int_hurries_a_graceful_stop(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app")
    with begin(server, tmp_path / "never"):
        server.kill(signal.SIGTERM)
        server.wait_for_log("Handling signal: term$")
        began = time.monotonic()
        server.stop(signal.SIGINT)
        assert time.monotonic() - began < 5


def test_a_worker_that_is_booting_ends_with_the_rest(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "go")
    source = f"from views import until_exists\nfrom pathlib import Path\nuntil_exists(Path({path!r}))\n"
    server = serve("app:app", source=source + hello("late"), launch=True)
    server.wait_for_log("Booting worker")
    server.kill(signal.SIGTERM)
    server.wait_for_log("Handling signal: term$")
    (tmp_path / "go").touch()
    server.wait_for_exit(0)


def test_workers_end_when_the_arbiter_is_killed(serve: Serve) -> None:
    """Nobody else would end them. Gunicorn's look only every timeout/2 seconds."""
    server = serve("views:app", "-w", "3", *(["--timeout", "2"] if IS_GUNICORN else []))
    workers = server.workers()
    server.kill(signal.SIGKILL)
    wait_for(lambda: not any(map(processes.alive, workers)), "the workers to end", 5)
    server.wait_for_exit(-signal.SIGKILL)


# Reload


def test_hup_brings_new_code_and_a_new_number_of_workers(serve: Serve) -> None:
    server = serve("app:app", source=hello("old"), config="workers = 1\n")
    old = server.workers()
    assert server.get().text == "old"
    (server.directory / "app.py").write_text(hello("newer"))
    (server.directory / "gunicorn.conf.py").write_text("workers = 3\n")
    with Load(server, "/") as load:
        server.kill(signal.SIGHUP)
        server.wait_for_log(r"\[INFO\] Handling signal: hup$")
        server.wait_for_log(r"\[INFO\] Hang up: Master$")
        wait_for(
            lambda: len(server.workers()) == 3 and not set(old) & set(server.workers()), "three new workers"
        )
        wait_for(lambda: load.answers and load.answers[-1].body == "newer", "the new code")
    assert load.errors == []
    assert {answer.body for answer in load.answers} <= {"old", "newer"}


def test_hup_lets_a_running_request_finish(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app")
    old = server.worker()
    path = tmp_path / "go"
    with begin(server, path) as connection:
        server.kill(signal.SIGHUP)
        wait_for(lambda: set(server.workers()) - {old}, "a new worker")
        assert server.get("/hello").status == 200
        path.touch()
        assert connection.read_response().body == b"hello\n"
    wait_for(lambda: server.workers() and old not in server.workers(), "the old worker to end")


@pytest.mark.ours("a bad configuration on HUP leaves the old workers serving")
def test_hup_with_a_bad_configuration_changes_nothing(serve: Serve) -> None:
    server = serve("views:app", config="workers = 2\n")
    workers = server.workers()
    for text in ("workers = 'many'\n", "this is no Python\n"):
        (server.directory / "gunicorn.conf.py").write_text(text)
        count = server.log().count("Reload failed")
        server.kill(signal.SIGHUP)
        # Then it has been read: the next text does not come in between.
        server.wait_for_log("Reload failed: bad configuration", count=count + 1)
        assert server.get("/hello").status == 200
        assert server.workers() == workers
    server.wait_for_log(r"\[ERROR\]", count=2)


@pytest.mark.ours("broken code on HUP leaves the old workers serving")
def test_hup_with_broken_code_keeps_the_old_workers(serve: Serve) -> None:
    server = serve("app:app", "-w", "2", source=hello("old"))
    workers = server.workers()
    (server.directory / "app.py").write_text("raise RuntimeError('broken')\n")
    server.kill(signal.SIGHUP)
    server.wait_for_log("^RuntimeError: broken$")
    stays(lambda: set(workers) <= set(server.workers()), "the old workers serve", 1.5)
    assert server.get().text == "old"
    (server.directory / "app.py").write_text(hello("mended"))
    server.kill(signal.SIGHUP)
    wait_for(lambda: server.get().text == "mended", "the mended code")
    wait_for(lambda: len(server.workers()) == 2 and not set(workers) & set(server.workers()), "new workers")


def test_hup_opens_a_new_address(serve: Serve, tmp_path: Path) -> None:
    first, second = (f"unix:{tmp_path / name}" for name in ("first", "second"))
    server = serve("views:app", binds=[], config=f"bind = {first!r}\n")
    assert server.get("/hello").status == 200
    (server.directory / "gunicorn.conf.py").write_text(f"bind = {second!r}\n")
    server.kill(signal.SIGHUP)
    server.wait_for_log(f"Listening at: {second}")
    server.addresses = [second.removeprefix("unix:")]
    wait_for(lambda: server.get("/hello").status == 200, "the new address")


# Numbers


def test_ttin_and_ttou_change_the_number_of_workers(serve: Serve) -> None:
    server = serve("views:app", "-w", "1")
    for number, count in [(signal.SIGTTIN, 2), (signal.SIGTTIN, 3), (signal.SIGTTOU, 2), (signal.SIGTTOU, 1)]:
        oldest = server.workers()[0]
        server.kill(number)
        wait_for(lambda count=count: len(server.workers()) == count, f"{count} workers")  # type: ignore[misc]
        assert (oldest in server.workers()) == (number == signal.SIGTTIN)
    server.wait_for_log(r"\[INFO\] Handling signal: ttin$", count=2)
    server.kill(signal.SIGTTOU)
    server.wait_for_log(r"\[INFO\] Handling signal: ttou$", count=3)
    stays(lambda: len(server.workers()) == 1, "one worker", 0.5)
    assert server.get("/hello").status == 200


def test_hup_returns_to_the_number_that_was_set(serve: Serve) -> None:
    server = serve("views:app", "-w", "1")
    server.kill(signal.SIGTTIN)
    wait_for(lambda: len(server.workers()) == 2, "2 workers")
    old = server.workers()
    server.kill(signal.SIGHUP)
    wait_for(lambda: len(server.workers()) == 1 and server.worker() not in old, "one new worker")


def test_usr1_reopens_the_log_files(serve: Serve, tmp_path: Path) -> None:
    log, moved = tmp_path / "error.log", tmp_path / "error.log.1"
    server = serve("views:app", "-w", "2", "--error-logfile", str(log), error_log=log)
    log.rename(moved)
    server.kill(signal.SIGUSR1)
    wait_for(log.exists, "a new log file")
    # A worker that has not had its signal yet still writes into the old file.
    wait_for(lambda: errors_in(log) if server.get("/fails") else 0, "an error in the new file")
    wait_for(lambda: logs_only_to(server, log, moved), "all workers to write into the new file")


def errors_in(log: Path) -> int:
    """How many failed requests the file tells of."""
    return log.read_text().count("Error handling request GET /fails")


def logs_only_to(server: Server, log: Path, moved: Path) -> bool:
    """Whether of ten failed requests none is told of in the old file."""
    before = errors_in(log), errors_in(moved)
    for _ in range(10):
        server.get("/fails")
    return (errors_in(log), errors_in(moved)) == (before[0] + 10, before[1])


def test_winch_changes_nothing(serve: Serve) -> None:
    server = serve("views:app", "-w", "2", "--log-level", "debug")
    workers = server.workers()
    server.kill(signal.SIGWINCH)
    server.wait_for_log("Handling signal: winch$")
    server.wait_for_log("SIGWINCH ignored. Not daemonized$")
    assert server.workers() == workers


# Replacement


def test_a_worker_that_is_killed_is_replaced(serve: Serve) -> None:
    server = serve("views:app", "-w", "2")
    first, second = server.workers()
    os.kill(first, signal.SIGKILL)
    guess = r" Perhaps out of memory\?" if IS_GUNICORN else ""
    server.wait_for_log(rf"\[ERROR\] Worker \(pid:{first}\) was sent SIGKILL!{guess}$")
    wait_for(lambda: len(server.workers()) == 2 and first not in server.workers(), "a replacement")
    assert second in server.workers()
    assert server.get("/hello").status == 200


def test_a_worker_that_ends_itself_is_replaced(serve: Serve) -> None:
    source = """
import os
def app(environ, start_response):
    if environ["PATH_INFO"] == "/end":
        os._exit(5)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
    server = serve("app:app", source=source)
    worker = server.worker()
    with server.connect() as connection:
        connection.send(get(target=b"/end"))
        connection.assert_closed()
    server.wait_for_log(rf"\[ERROR\] Worker \(pid:{worker}\) exited with code 5\.$")
    assert server.get().text == "ok"
    assert server.worker() != worker


def test_max_requests_replaces_a_worker_and_loses_nothing(serve: Serve) -> None:
    server = serve("views:app", "--max-requests", "5", "-w", "2")
    with Load(server, "/pid") as load:
        wait_for(lambda: len({answer.body for answer in load.answers}) > 8, "workers to be replaced")
    assert load.errors == []
    server.wait_for_log(r"\[INFO\] Autorestarting worker after current request\.$")
    assert "[ERROR]" not in server.log()


@pytest.mark.ours("the replacement is booted before the old worker stops accepting")
def test_max_requests_leaves_no_gap_while_the_replacement_boots(serve: Serve, tmp_path: Path) -> None:
    source = """
import os, time
from pathlib import Path
mark = Path({mark!r})
if mark.exists():
    time.sleep(1)
mark.touch()
def app(environ, start_response):
    text = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]
"""
    server = serve("app:app", "--max-requests", "20", source=source.format(mark=str(tmp_path / "mark")))
    with Load(server, "/", clients=1) as load:
        wait_for(lambda: len({answer.body for answer in load.answers}) > 2, "two replacements")
    assert load.errors == []
    assert load.slowest < 0.5


@pytest.mark.ours("a crash loop backs off")
@pytest.mark.parametrize("line", ["os._exit(9)", "raise SystemExit(9)", "os._exit(0)", "raise SystemExit(0)"])
def test_a_crash_loop_backs_off(line: str, serve: Serve) -> None:
    server = serve("app:app", source=f"import os\n{line}\n", launch=True)
    server.wait_for_log(
        r"\[ERROR\] Worker \(pid:\d+\) exited with code (9\.|0 before it could serve\.)$", count=4
    )
    stays(lambda: server.log().count("Booting worker") < 12, "few attempts", 3)
    assert processes.processor_time(server.pid) < 1.5
    server.stop()


@pytest.mark.ours("a crash loop backs off")
@pytest.mark.parametrize("status", [0, 1])
def test_a_loop_of_workers_that_serve_one_request_backs_off(status: int, serve: Serve) -> None:
    source = f"""
import os, threading
from time import sleep

def app(environ, start_response):
    threading.Thread(target=lambda: sleep(0.01) or os._exit({status})).start()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
    server = serve("app:app", "-w", "2", source=source)
    with Load(server, "/", clients=2) as load:
        server.wait_for_log(r"Workers die young\. The next one starts in 0\.8 seconds\.$")
    assert server.log().count("Booting worker") < 16
    assert processes.processor_time(server.pid) < 1.5
    assert load.answers
    server.stop()


def test_an_idle_worker_is_not_late(serve: Serve) -> None:
    server = serve("views:app", "--timeout", "1")
    worker = server.worker()
    stays(lambda: server.workers() == [worker], "the worker lives", 2.5)
    assert "WORKER TIMEOUT" not in server.log()
    assert server.get("/hello").status == 200


# Idle


def switches(pids: list[int]) -> dict[str, int]:
    """How often each thread has gone to sleep, or was put aside."""
    found = {}
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            text = (task / "status").read_text()
            found[task.name] = sum(int(count) for count in re.findall(r"ctxt_switches:\s+(\d+)", text))
    return found


@pytest.mark.ours("no periodic wake-ups")
@pytest.mark.parametrize("clients", [0, 20])
def test_an_idle_service_sleeps(clients: int, serve: Serve) -> None:
    server = serve("views:app", "-w", "2")
    connections = [server.connect() for _ in range(clients)]
    for connection in connections:
        connection.assert_open_at("/hello")
    everybody = [server.pid, *server.workers()]
    wait_for(lambda: quiet(everybody), "quiet")
    before = switches(everybody)
    time.sleep(3)
    assert switches(everybody) == before
    for connection in connections:
        connection.assert_open_at("/hello")
        connection.close()


def quiet(pids: list[int]) -> bool:
    """Whether nothing happens for half a second."""
    before = switches(pids)
    time.sleep(0.5)
    return switches(pids) == before


@pytest.mark.ours("no periodic wake-ups")
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed: .ci/run installs it")
def test_an_idle_service_makes_no_system_call(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", "-w", "2")
    for _ in range(20):
        assert server.get("/hello").status == 200
    everybody = [server.pid, *server.workers()]
    wait_for(lambda: quiet(everybody), "quiet")
    output = tmp_path / "strace"
    flags = [word for pid in everybody for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-f", "-o", str(output), *flags], stderr=subprocess.PIPE, text=True)
    try:
        assert tracer.stderr
        for _ in everybody:
            line = tracer.stderr.readline()
            if "Operation not permitted" in line:
                pytest.skip(f"this machine forbids tracing: {line.strip()}")
            assert "attached" in line
        # Attaching interrupts each wait: let them all begin anew.
        wait_for(lambda: quiet(everybody), "quiet")
        before = output.read_text()
        time.sleep(3)
        assert output.read_text() == before
    finally:
        tracer.terminate()
        tracer.wait(10)
    assert server.get("/hello").status == 200


def test_the_titles_of_the_processes_name_the_service(serve: Serve) -> None:
    server = serve("views:app", "--name", "shop")
    titles = [
        Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ") for pid in (server.pid, server.worker())
    ]
    assert titles == [b"gunicorn: master [shop]", b"gunicorn: worker [shop]"]


SLOW_TO_LOAD = """
import os, time
while not os.path.exists("go"):
    time.sleep(0.01)
def app(environ, start_response):
    raise RuntimeError("it fails")
"""


def test_usr1_reaches_a_worker_that_is_still_loading(serve: Serve, tmp_path: Path) -> None:
    log, moved = tmp_path / "error.log", tmp_path / "error.log.1"
    server = serve("app:app", "--error-logfile", str(log), source=SLOW_TO_LOAD, error_log=log, launch=True)
    server.wait_for_log("Booting worker")
    server.addresses = [parse_address(server.wait_for_log(r"Listening at: (\S+) ")[1])]
    log.rename(moved)
    server.kill(signal.SIGUSR1)
    wait_for(log.exists, "a new log file")
    go = server.directory / "go"
    go.touch()
    wait_for(server.booted, "the worker to load the application")
    go.unlink()
    assert server.get("/fails").status == 500
    assert (errors_in(log), errors_in(moved)) == (1, 0)
