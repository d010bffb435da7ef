"""Daemon mode: the command returns, the service runs on without terminal, its pidfile tells whom to signal.

A daemon leaves the session of the test. It is found, and ended, by the directory that it works in.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import processes
from support.processes import PROC, alive, wait_for
from support.server import APPS, LISTENING, parse_address
from support.wire import Address, Connection


class Daemon:
    """One run of `rgunicorn --daemon` in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log_file = directory / "error.log"
        self.pid = 0

    def command(self, *flags: str) -> list[str]:
        """The command line."""
        fixed = ["--daemon", "--pid", "server.pid", "--error-logfile", "error.log", "--bind", "127.0.0.1:0"]
        return [str(Path(sys.executable).with_name("rgunicorn")), *fixed, *flags, "views:app"]

    def environment(self, **more: str) -> dict[str, str]:
        """The environment."""
        path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(APPS), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**path, "TMPDIR": str(self.directory), **more}

    def launch(self, *flags: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        """Runs the command until it returns. Its output goes to a file: a pipe would last as the daemon."""
        with (self.directory / "output").open("wb") as output:
            return subprocess.run(
                self.command(*flags),
                cwd=self.directory,
                env=self.environment(**env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=60,
                check=False,
            )

    def start(self, *flags: str, **env: str) -> Daemon:
        """Launches and waits until it serves."""
        done = self.launch(*flags, **env)
        assert done.returncode == 0, self.output()
        self.wait_until_listening()
        return self

    def wait_until_listening(self) -> None:
        """Waits for the `Listening at` line in the log, and for a worker."""
        line = wait_for(lambda: LISTENING.search(self.log()), f"the log; output: {self.output()}")
        self.pid = int(line[2])
        self.address: Address = parse_address(line[1])
        wait_for(lambda: processes.children(self.pid), "a worker")

    def log(self) -> str:
        """Its error log."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def output(self) -> str:
        """What the command wrote to the standard streams it was started with."""
        return (self.directory / "output").read_text()

    def get(self, target: str) -> bytes:
        """The body of an answer."""
        with Connection(self.address) as connection:
            return connection.assert_open_at(target).body

    def stop(self) -> None:
        """Ends it by its pidfile, and checks that nothing of it is left."""
        os.kill(int((self.directory / "server.pid").read_text()), signal.SIGTERM)
        wait_for(lambda: not self.left(), "the end of the daemon")
        assert not (self.directory / "server.pid").exists(), self.log()

    def left(self) -> list[int]:
        """Its processes."""
        found = []
        for pid in processes.pids():
            with contextlib.suppress(OSError):
                if os.readlink(PROC / str(pid) / "cwd") == str(self.directory) and alive(pid):
                    found.append(pid)
        return found

    def destroy(self) -> None:
        """Ends whatever still runs."""
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that has not been started; if it was, its end is checked."""
    found = Daemon(tmp_path)
    try:
        yield found
        if found.left():
            found.stop()
    finally:
        found.destroy()


def test_the_command_returns_and_the_service_runs_in_a_session_of_its_own(daemon: Daemon) -> None:
    daemon.start()
    assert (daemon.directory / "server.pid").read_text() == f"{daemon.pid}\n"
    assert daemon.get("/hello") == b"hello\n"
    state, parent, group, session, terminal, *_ = processes.stat(daemon.pid)
    assert state not in "ZX"
    assert parent != str(os.getpid())
    assert session != str(os.getsid(0))
    # Not the session's leader, so that it can never be given a terminal.
    assert session == group != str(daemon.pid)
    assert terminal == "0"
    daemon.stop()
    assert "Shutting down: Master" in daemon.log()


def test_the_standard_streams_are_dev_null(daemon: Daemon) -> None:
    daemon.start()
    for pid in (daemon.pid, *processes.children(daemon.pid)):
        assert [os.readlink(PROC / str(pid) / "fd" / str(fd)) for fd in (0, 1, 2)] == [os.devnull] * 3
    assert daemon.output() == ""


def test_standard_streams_that_were_closed_are_dev_null_too(daemon: Daemon) -> None:
    (daemon.directory / "output").write_text("")
    closing = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-']
    command = [*closing, *daemon.command()]
    done = subprocess.run(command, cwd=daemon.directory, env=daemon.environment(), timeout=60, check=False)
    assert done.returncode == 0
    daemon.wait_until_listening()
    for fd in ("0", "1", "2"):
        assert os.readlink(PROC / str(daemon.pid) / "fd" / fd) == os.devnull
        flags = re.search(r"flags:\s+0*(\d+)", (PROC / str(daemon.pid) / "fdinfo" / fd).read_text())
        assert flags
        assert not int(flags[1], 8) & os.O_CLOEXEC


def test_the_umask_is_022_and_the_directory_stays(daemon: Daemon) -> None:
    before = os.umask(0)
    try:
        daemon.start()
    finally:
        os.umask(before)
    status = (PROC / str(daemon.pid) / "status").read_text()
    assert re.search(r"^Umask:\s+0022$", status, re.MULTILINE)
    assert os.readlink(PROC / str(daemon.pid) / "cwd") == str(daemon.directory)


def test_output_that_is_no_terminal_is_kept_where_that_is_asked_for(daemon: Daemon) -> None:
    daemon.start("--enable-stdio-inheritance", "--access-logfile", "-")
    daemon.get("/hello")
    streams = [os.readlink(PROC / str(daemon.pid) / "fd" / str(fd)) for fd in (0, 1, 2)]
    assert streams == [os.devnull, *[str(daemon.directory / "output")] * 2]
    wait_for(lambda: '"GET /hello HTTP/1.1" 200' in daemon.output(), "the access log")


@pytest.mark.parametrize("flags", [(), ("--enable-stdio-inheritance",)])
def test_a_terminal_is_let_go(flags: tuple[str, ...], daemon: Daemon) -> None:
    ours, theirs = pty.openpty()
    try:
        (daemon.directory / "output").write_text("")
        command = subprocess.run(
            daemon.command(*flags),
            cwd=daemon.directory,
            env=daemon.environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            timeout=60,
            check=False,
        )
        assert command.returncode == 0
        daemon.wait_until_listening()
        streams = [os.readlink(PROC / str(daemon.pid) / "fd" / str(fd)) for fd in (0, 1, 2)]
        assert streams == [os.devnull] * 3
        assert not any("/pts/" in name for name in processes.descriptors(daemon.pid))
    finally:
        os.close(ours)
        os.close(theirs)


def test_winch_stops_the_workers_and_ttin_brings_one_back(daemon: Daemon) -> None:
    daemon.start("--workers", "2")
    wait_for(lambda: len(processes.children(daemon.pid)) == 2, "two workers")
    os.kill(daemon.pid, signal.SIGWINCH)
    wait_for(lambda: not processes.children(daemon.pid), "no worker")
    assert "graceful stop of workers" in daemon.log()
    os.kill(daemon.pid, signal.SIGTTIN)
    wait_for(lambda: len(processes.children(daemon.pid)) == 1, "one worker")
    assert daemon.get("/hello") == b"hello\n"


def test_a_reload_keeps_it_going(daemon: Daemon) -> None:
    daemon.start()
    (before,) = processes.children(daemon.pid)
    os.kill(daemon.pid, signal.SIGHUP)
    wait_for(lambda: before not in processes.children(daemon.pid), "the new worker alone")
    assert daemon.get("/hello") == b"hello\n"
    assert (daemon.directory / "server.pid").read_text() == f"{daemon.pid}\n"


def test_a_second_one_ends_itself(daemon: Daemon) -> None:
    daemon.start()
    before = daemon.left()
    assert len(before) == 2
    assert daemon.launch().returncode == 0
    wait_for(lambda: sorted(daemon.left()) == sorted(before), "the first one alone")
    assert (daemon.directory / "server.pid").read_text() == f"{daemon.pid}\n"


def test_systemds_readiness_protocol_and_daemon_do_not_go_together(daemon: Daemon) -> None:
    daemon.start(NOTIFY_SOCKET="/nonexistent/notify")
    assert daemon.output().startswith("Warning: daemon is set, but systemd waits")


def test_it_is_applied_before_the_application_and_its_threads(daemon: Daemon) -> None:
    (daemon.directory / "gunicorn.conf.py").write_text("""
import threading
preload_app = True
def when_ready(server):
    names = sorted(thread.name for thread in threading.enumerate() if thread.is_alive())
    server.log.info("threads %s", names)
def on_starting(server):
    thread = threading.Thread(target=threading.Event().wait, name="of the hook", daemon=True)
    thread.start()
""")
    daemon.start()
    assert "threads ['MainThread', 'of the hook']" in daemon.log()


@pytest.mark.parametrize("flag", ["--check-config", "--print-config"])
def test_a_check_stays_in_the_foreground(flag: str, daemon: Daemon) -> None:
    assert daemon.launch(flag).returncode == 0
    assert ("daemon" in daemon.output()) == (flag == "--print-config")
    assert daemon.left() == []
