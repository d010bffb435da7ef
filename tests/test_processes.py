"""The processes in trouble: terminals, logs that vanish, sockets that change hands, unruly applications."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Serve
from support.cases import get
from support.processes import alive, processor_time, wait_for
from support.server import Server

HOOKS = """
def worker_int(worker):
    worker.log.info("worker_int %s", worker.pid)

def worker_exit(server, worker):
    worker.log.info("worker_exit %s", worker.pid)
"""

STEALS_WAKEUPS = """
import signal

def app(environ, start_response):
    signal.set_wakeup_fd(-1)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

FORKS = """
import os, time

def app(environ, start_response):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    start_response("200 OK", [])
    return iter([str(child).encode()])
"""

FORKED_EXIT = """
import os, sys

def app(environ, start_response):
    child = os.fork()
    if child == 0:
        sys.exit(7)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    start_response("200 OK", [("Content-Length", "1")])
    return [str(status).encode()]
"""

HOLDS_INTERPRETER = """
import re, threading

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0"), ("Connection", "close")])
    if environ["PATH_INFO"] == "/hold":
        threading.Timer(0.2, re.match, ["(a+)+$", "a" * 60 + "b"]).start()
    return []
"""

EXITS = """
import os

def app(environ, start_response):
    if environ["QUERY_STRING"]:
        os._exit(int(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


# Signals


@pytest.mark.ours("both handlers run, and the second cuts the end short")
def test_a_terminal_interrupt_runs_each_hook_once(serve: Serve) -> None:
    server = serve("views:app", "-w", "4", config=HOOKS)
    workers = server.workers()
    os.killpg(server.pid, signal.SIGINT)
    server.wait_for_exit(0)
    for pid in workers:
        for line in (f"worker_int {pid}", f"worker_exit {pid}", f"Worker exiting (pid: {pid})"):
            assert server.log().count(f"[INFO] {line}\n") == 1, line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_hears_signals_although_the_application_took_the_wakeup_descriptor(
    number: signal.Signals, serve: Serve
) -> None:
    server = serve(source=STEALS_WAKEUPS)
    assert server.get().status == 200
    began = time.monotonic()
    server.stop(number)
    assert time.monotonic() - began < 10


# Logs


@pytest.mark.ours("Gunicorn ends")
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_a_log_directory_that_is_gone_does_not_end_the_service(
    number: signal.Signals, serve: Serve, tmp_path: Path
) -> None:
    directory, moved = tmp_path / "log", tmp_path / "moved"
    directory.mkdir()
    log, access = directory / "error.log", directory / "access.log"
    flags = ("-w", "2", "--error-logfile", str(log), "--access-logfile", str(access))
    server = serve("views:app", *flags, error_log=log)
    workers = server.workers()
    directory.rename(moved)
    server.error_log = moved / "error.log"
    server.kill(number)
    if number == signal.SIGUSR1:
        # Arbiter and workers, each for both files.
        server.wait_for_log(r"\[ERROR\] Cannot reopen the log file: .*error\.log", count=3)
        server.wait_for_log(r"\[ERROR\] Cannot reopen the log file: .*access\.log", count=3)
        assert server.workers() == workers
    else:
        server.wait_for_log("reloading the logger configuration failed, keeping the previous one")
        wait_for(lambda: not set(server.workers()) & set(workers), "new workers")
    assert server.get("/hello").status == 200
    wait_for(lambda: "/hello" in (moved / "access.log").read_text(), "the access log")


@pytest.mark.ours("Gunicorn's worker says nothing")
def test_it_serves_without_standard_streams(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(EXITS)
    server = Server("app:app", "--access-logfile", "-", "--capture-output", binds=[f"unix:{tmp_path}/socket"])
    command = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *server.command()]
    process = subprocess.Popen(
        [*command[:-1], "--error-logfile", str(tmp_path / "log"), command[-1]], cwd=tmp_path, env=server.env
    )
    try:
        wait_for(lambda: "Booting worker" in read(tmp_path / "log"), "a worker")
        server.addresses = [str(tmp_path / "socket")]
        assert server.get().status == 200
        process.terminate()
        assert process.wait(20) == 0
        assert read(tmp_path / "log").count("Booting worker") == 1
    finally:
        process.kill()
        process.wait()
        server.destroy()


def read(path: Path) -> str:
    """The text of a file that may not be there yet."""
    return path.read_text() if path.exists() else ""


# Listeners


@pytest.mark.ours("Gunicorn removes whatever is there")
def test_the_end_leaves_the_socket_file_of_a_successor(serve: Serve, tmp_path: Path) -> None:
    bind = f"unix:{tmp_path / 'socket'}"
    first, second = serve("views:app", binds=[bind]), serve("views:app", binds=[bind])
    first.stop()
    assert second.get("/hello").status == 200
    second.stop()
    assert not (tmp_path / "socket").exists()


@pytest.mark.ours("a reload replaces listeners at its end")
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_address_that_comes_back_before_the_reload_is_over_is_kept(
    kind: str, serve: Serve, tmp_path: Path
) -> None:
    first, second = f"unix:{tmp_path / 'first'}", f"unix:{tmp_path / 'second'}"
    if kind == "tcp":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            first = f"127.0.0.1:{free.getsockname()[1]}"
    server = serve("views:app", binds=[], config=f"bind = {first!r}\n")
    old, config = server.workers(), server.directory / "gunicorn.conf.py"
    for count, bind in enumerate((second, first), 2):
        config.write_text(f"bind = {bind!r}\nraw_env = ['N={count}']\n")
        server.kill(signal.SIGHUP)
        server.wait_for_log("Listening at: ", count=count)
    wait_for(lambda: len(server.booted()) == 1 and not set(old) & set(server.workers()), "the reload")
    assert server.get("/hello").status == 200
    assert not (tmp_path / "second").exists()


# Applications


def test_a_connection_ends_although_a_forked_child_lives_on(serve: Serve) -> None:
    server = serve(source=FORKS)
    with server.connect(timeout=10) as connection:
        connection.send(get(version=b"HTTP/1.0"))
        child = int(connection.read_to_end().rpartition(b"\r\n\r\n")[2])
    assert alive(child)
    os.kill(child, signal.SIGKILL)


@pytest.mark.ours("there the client gets the child's error page")
def test_a_forked_child_that_exits_neither_answers_nor_serves(serve: Serve) -> None:
    server = serve(source=FORKED_EXIT)
    assert server.get().body == b"7"
    server.stop()
    assert server.log().count("Worker exiting") == 1
    assert "Error" not in server.log()


@pytest.mark.ours("Gunicorn ends")
@pytest.mark.parametrize("status", ["0", "3", "4"])
def test_an_exit_of_the_application_ends_its_worker_alone(status: str, serve: Serve) -> None:
    server = serve(source=EXITS)
    old = server.worker()
    with server.connect() as connection:
        connection.send(get(target=f"/?{status}".encode()))
        connection.read_to_end()
    wait_for(lambda: server.booted() and old not in server.workers(), "a replacement")
    assert server.get().status == 200


@pytest.mark.ours("the line names the worker alone in both, but Gunicorn's threaded worker has another clock")
def test_a_thread_that_never_lets_go_of_the_interpreter_makes_the_worker_late(serve: Serve) -> None:
    server = serve("app:app", "--timeout", "1", source=HOLDS_INTERPRETER)
    stuck = server.worker()
    assert server.get("/hold").status == 200
    wait_for(lambda: processor_time(stuck) > 1, "the thread to hold the interpreter")
    with server.connect() as connection:
        connection.send(get())
        server.wait_for_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{stuck}\)$")
    wait_for(lambda: server.booted() and stuck not in server.workers(), "a replacement")
    assert server.get().status == 200


# Values


@pytest.mark.ours("Gunicorn raises on some of them")
def test_odd_values_of_a_file_do_not_keep_workers_from_serving(serve: Serve) -> None:
    config = f"""
loglevel = None
accesslog = "-"
access_log_format = None
secure_scheme_headers = {{"X-PROTOCOL": 1}}
umask = graceful_timeout = backlog = {2**63 - 1}
"""
    server = serve("views:app", config=config)
    with server.connect() as kept:
        kept.assert_open_at("/hello")
        server.kill(signal.SIGHUP)
        server.wait_for_log("Worker exiting")
        kept.assert_open_at("/hello")
    wait_for(lambda: '"GET /hello HTTP/1.1" 200 6' in server.stdout(), "the access log")
