"""USR2: another arbiter beside the one that serves, on the same sockets. Whoever ends, the other goes on."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.processes import alive, wait_for
from support.server import LISTENING, Server
from support.wire import Connection
from test_process_daemon import Daemon
from test_process_daemon import daemon as daemon
from test_process_sockets import Passed, hello, reusing

pytestmark = pytest.mark.ours("upgrades of its own")

HELLO = """
import os

TEXT = {text!r}

def app(environ, start_response):
    body = f"{{TEXT}} {{os.getppid()}}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

TERM, QUIT, HUP = signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP


def upgrade(server: Server) -> int:
    """Sends USR2 to the arbiter that was started last, and waits until the new one serves. Gives its pid."""
    started = listening(server)
    os.kill([pid for pid in started if alive(pid)][-1], signal.SIGUSR2)
    wait_for(lambda: len(listening(server)) == len(started) + 1, f"another one: {server.tail()}")
    new = listening(server)[-1]
    wait_for(lambda: serving(new), "its workers")
    return new


def listening(server: Server) -> list[int]:
    """Every arbiter that has begun to listen, oldest first."""
    return [int(pid) for pid in re.findall(r"Listening at: .*\((\d+)\)$", server.log(), re.MULTILINE)]


def serving(arbiter: int) -> bool:
    """Whether it has workers that wait for connections."""
    return any(processes.polled(pid) & processes.sockets(pid) for pid in processes.children(arbiter))


def end(pid: int, number: signal.Signals = TERM) -> None:
    """Sends a signal to an arbiter and waits until it is gone."""
    os.kill(pid, number)
    wait_for(lambda: not alive(pid), f"the end of {pid}")


def close(server: Server, last: int) -> None:
    """Ends the last arbiter, and checks that nothing is left: no process, no file."""
    end(last)
    assert server.process is not None
    leader = server.process.pid
    wait_for(lambda: not processes.session(leader), "the end of every process")
    server.wait_for_exit(0)


def answers_of(server: Server, number: int = 12) -> set[str]:
    """What so many connections are answered."""
    return {server.get().text for _ in range(number)}


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("number", [QUIT, TERM], ids=["quit", "term"])
def test_the_new_one_takes_the_place_of_the_old(
    kind: str, number: signal.Signals, serve: Serve, tmp_path: Path
) -> None:
    pidfile = tmp_path / "pid"
    server = serve("app:app", "-w", "2", "-p", str(pidfile), kind=kind, source=HELLO.format(text="one"))
    old = server.pid
    (server.directory / "app.py").write_text(HELLO.format(text="two"))
    new = upgrade(server)
    assert int(pidfile.read_text()) == old
    assert int((tmp_path / "pid.2").read_text()) == new
    assert "Master has been promoted" not in server.log()
    end(old, number)
    server.wait_for_log(rf"\[{new}\] \[INFO\] Master has been promoted\.$")
    assert int(pidfile.read_text()) == new
    assert not (tmp_path / "pid.2").exists()
    assert answers_of(server) == {f"two {new}"}
    newer = upgrade(server)
    end(new)
    server.wait_for_log(rf"\[{newer}\] \[INFO\] Master has been promoted\.$")
    assert int(pidfile.read_text()) == newer
    assert answers_of(server) == {f"two {newer}"}
    close(server, newer)
    assert not pidfile.exists()


@pytest.mark.parametrize("first", ["old", "new", "at once"])
def test_the_pidfile_is_passed_on_and_not_left_behind(first: str, serve: Serve, tmp_path: Path) -> None:
    server = serve("app:app", "-p", str(tmp_path / "pid"), source=HELLO.format(text="one"))
    old, new = server.pid, upgrade(server)
    if first == "old":
        # Its file is passed on already, to one that cannot have learnt yet that it is the service.
        os.kill(new, signal.SIGSTOP)
        end(old)
        assert int((tmp_path / "pid").read_text()) == new
        os.kill(new, TERM)
        os.kill(new, signal.SIGCONT)
    elif first == "new":
        os.kill(new, TERM)
        end(old)
    else:
        os.kill(old, TERM)
        os.kill(new, TERM)
    wait_for(lambda: not alive(old) and not alive(new), "the end of both")
    assert not list(tmp_path.glob("pid*"))


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_old_one_goes_on_when_the_new_one_ends(kind: str, serve: Serve, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    server = serve("app:app", "-p", str(pidfile), kind=kind, source=HELLO.format(text="one"))
    for _ in range(2):
        new = upgrade(server)
        end(new)
        server.wait_for_log(rf"The new master \(pid:{new}\) has ended\. This one goes on\.$")
        server.wait_for_log(rf"\[{new}\] \[INFO\] Shutting down: Master\.2$")
        assert not (tmp_path / "pid.2").exists()
        assert int(pidfile.read_text()) == server.pid
        assert answers_of(server, 3) == {f"one {server.pid}"}


def test_a_new_one_that_is_killed_leaves_nothing_behind(serve: Serve, tmp_path: Path) -> None:
    server = serve("app:app", "-p", str(tmp_path / "pid"), kind="unix", source=HELLO.format(text="one"))
    new = upgrade(server)
    workers = processes.children(new)
    end(new, signal.SIGKILL)
    server.wait_for_log(rf"The new master \(pid:{new}\) was sent SIGKILL\. This one goes on\.$")
    wait_for(lambda: not (tmp_path / "pid.2").exists(), "the end of its pidfile")
    wait_for(lambda: not any(map(alive, workers)), "the end of its workers")
    assert answers_of(server, 3) == {f"one {server.pid}"}


def test_an_old_one_that_is_killed_is_succeeded(serve: Serve, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    server = serve("app:app", "-p", str(pidfile), kind="unix", source=HELLO.format(text="one"))
    new = upgrade(server)
    # Nobody collects it: its process id is still taken.
    os.kill(server.pid, signal.SIGKILL)
    server.wait_for_log(r"Master has been promoted\.$")
    wait_for(lambda: int(pidfile.read_text()) == new, "its pidfile")
    wait_for(lambda: answers_of(server, 3) == {f"one {new}"}, "the end of the old workers")
    end(new)
    server.wait_for_exit(-signal.SIGKILL)
    assert not pidfile.exists()


def test_one_upgrade_at_a_time(serve: Serve) -> None:
    server = serve("app:app", source=HELLO.format(text="one"))
    new = upgrade(server)
    server.kill(signal.SIGUSR2)
    server.wait_for_log(rf"\[{server.pid}\] \[WARNING\] USR2 signal ignored\. Child exists\.$")
    os.kill(new, signal.SIGUSR2)
    server.wait_for_log(rf"\[{new}\] \[WARNING\] USR2 signal ignored\. Parent exists\.$")
    end(new)


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["workers", "preload"])
@pytest.mark.parametrize("text", ["1/0", "syntax error"])
def test_a_new_one_that_does_not_start_is_reported(
    text: str, preload: list[str], serve: Serve, tmp_path: Path
) -> None:
    flags = ["-p", str(tmp_path / "pid"), *preload]
    server = serve("app:app", *flags, kind="unix", source=HELLO.format(text="one"))
    (server.directory / "app.py").write_text(text)
    server.kill(signal.SIGUSR2)
    server.wait_for_log(r"The new master \(pid:\d+\) exited with code [134]\. This one goes on\.$")
    assert not (tmp_path / "pid.2").exists()
    assert answers_of(server, 3) == {f"one {server.pid}"}
    (server.directory / "app.py").write_text(HELLO.format(text="two"))
    new = upgrade(server)
    end(server.pid)
    wait_for(lambda: answers_of(server, 3) == {f"two {new}"}, "the new application")
    close(server, new)


def test_with_reuse_port_each_has_sockets_of_its_own() -> None:
    with reusing("-w", "2") as (server, port):
        server.addresses = [("127.0.0.1", port)]
        new = upgrade(server)
        end(server.pid, QUIT)
        server.wait_for_log(r"Master has been promoted\.$")
        assert server.get("/hello").body == b"hello\n"
        close(server, new)


def test_addresses_of_the_new_configuration_are_opened(serve: Serve, tmp_path: Path) -> None:
    config = f"bind = ['127.0.0.1:0', 'unix:{tmp_path}/one']"
    server = serve("app:app", source=HELLO.format(text="one"), binds=[], config=config)
    tcp = server.address
    (server.directory / "gunicorn.conf.py").write_text(config.replace("/one", "/two"))
    new = upgrade(server)
    end(server.pid)
    for server.addresses in [[tcp], [f"{tmp_path}/two"]]:
        assert answers_of(server, 3) == {f"one {new}"}
    wait_for(lambda: [path.name for path in tmp_path.iterdir()] == ["two"], "the end of the old address")
    close(server, new)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flags", [[], ["--reuse-port"]], ids=["shared", "reuse-port"])
def test_sockets_of_systemd_are_passed_on(flags: list[str], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Passed([str(path), "127.0.0.1"], *flags) as server:
        for _ in range(2):
            old, new = listening(server)[-1], upgrade(server)
            end(old, QUIT)
            server.wait_for_log(rf"\[{new}\] \[INFO\] Master has been promoted\.$")
            hello(server)
        close(server, new)
        assert path.exists()


@pytest.mark.parametrize("module", [False, True], ids=["command", "module"])
def test_paths_options_and_variables_are_those_of_the_first_start(module: bool, serve: Serve) -> None:
    config = """
import os, sys

raw_env = ["SHOP=1"]
worker_class = "sync"

def on_starting(server):
    server.log.info("started %s", [os.environ.get("SHOP"), os.environ.get("OWN"), sys.flags.optimize])

def pre_exec(server):
    server.log.info("pre_exec %s %s", server.pid == os.getppid(), server.master_name)
    server.cfg.env_orig["OWN"] = "2"
"""
    server = Server("app:app", "--chdir", "sub", "-c", "conf/own.py")
    server.prefix = [sys.executable, "-O", "-X", "dev"]
    if module:
        server.prefix += ["-m"]
        server.program = "rgunicorn"
    for name, text in {"conf/own.py": config, "sub/app.py": HELLO.format(text="one")}.items():
        (server.directory / name).parent.mkdir(exist_ok=True)
        (server.directory / name).write_text(text)
    server.files = server._files()
    if module:
        command = server.command
        server.command = lambda: [
            word.rpartition("/")[2] if word.endswith("/rgunicorn") else word for word in command()
        ]  # type: ignore[method-assign]
    with server:
        server.wait_for_log(r"started \['1', None, 1\]$")
        new = upgrade(server)
        server.wait_for_log(r"pre_exec True Master$")
        server.wait_for_log(rf"\[{new}\] \[INFO\] started \['1', '2', 1\]$")
        end(server.pid)
        assert answers_of(server, 3) == {f"one {new}"}
        close(server, new)


def test_a_pre_exec_that_raises_ends_the_upgrade_alone(serve: Serve) -> None:
    config = "def pre_exec(server): raise ValueError('not now')"
    server = serve("app:app", source=HELLO.format(text="one"), config=config)
    server.kill(signal.SIGUSR2)
    server.wait_for_log("ValueError: not now$")
    server.wait_for_log(r"The new master \(pid:\d+\) exited with code 1\. This one goes on\.$")
    assert answers_of(server, 3) == {f"one {server.pid}"}


def test_hooks_see_who_is_who(serve: Serve) -> None:
    config = """
def when_ready(server):
    server.log.info("ready %s %s %s", server.master_name, server.master_pid, server.proc_name)

def child_exit(server, worker):
    server.log.info("child_exit %s %s", server.master_name, server.reexec_pid)
"""
    server = serve("app:app", "-n", "shop", source=HELLO.format(text="one"), config=config)
    server.wait_for_log("ready Master 0 shop$")
    new = upgrade(server)
    server.wait_for_log(rf"ready Master\.2 {server.pid} shop\.2$")
    end(server.pid)
    server.wait_for_log(rf"child_exit Master {new}$")
    close(server, new)


def test_a_daemon_dances(daemon: Daemon) -> None:
    daemon.start("-w", "2")
    old = daemon.pid
    os.kill(old, signal.SIGUSR2)
    wait_for(lambda: len(LISTENING.findall(daemon.log())) == 2, f"the new one: {daemon.log()}")
    new = int(LISTENING.findall(daemon.log())[1][1])
    wait_for(lambda: serving(new), "its workers")
    os.kill(old, signal.SIGWINCH)
    wait_for(lambda: processes.children(old) == [new], "the end of the old workers")
    assert daemon.get("/hello") == b"hello\n"
    # Back again.
    end(new)
    os.kill(old, HUP)
    wait_for(lambda: len(processes.children(old)) == 2, "workers of the old one")
    assert daemon.get("/hello") == b"hello\n"
    # And forth.
    os.kill(old, signal.SIGUSR2)
    wait_for(lambda: len(LISTENING.findall(daemon.log())) == 3, "the next one")
    newest = int(LISTENING.findall(daemon.log())[2][1])
    wait_for(lambda: serving(newest), "its workers")
    os.kill(old, signal.SIGWINCH)
    end(old, QUIT)
    pidfile = daemon.directory / "server.pid"
    wait_for(lambda: pidfile.exists() and pidfile.read_text() == f"{newest}\n", "its pidfile")
    assert daemon.get("/hello") == b"hello\n"


def test_systemd_is_told_who_is_the_main_process(tmp_path: Path, serve: Serve) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(path))
        told.settimeout(20)
        server = serve("app:app", source=HELLO.format(text="one"), env={"NOTIFY_SOCKET": str(path)})
        new = upgrade(server)
        end(server.pid)
        heard: list[str] = []
        # The old one says it while it is listened to, the new one when it is, which then is ready.
        while heard.count(f"MAINPID={new}") < 2 or "READY=1" not in heard[heard.index(f"MAINPID={new}") :]:
            heard += told.recv(4096).decode().splitlines()
        assert "READY=1" in heard[: heard.index(f"MAINPID={new}")]
        assert "STOPPING=1" not in heard
        close(server, new)


def test_connections_wait_for_whoever_goes_on(serve: Serve) -> None:
    server = serve("app:app", source=HELLO.format(text="one"))
    new = upgrade(server)
    with Connection(server.address) as connection:
        assert connection.assert_open_at("/").text in (f"one {server.pid}", f"one {new}")
        end(server.pid)
    assert answers_of(server, 3) == {f"one {new}"}
    close(server, new)
