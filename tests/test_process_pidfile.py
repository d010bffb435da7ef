"""The pidfile: who is named in it, when it is there, and that nothing leaves it behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Serve
from support.command import Project
from support.processes import wait_for
from support.server import IS_GUNICORN, Server

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


def named(path: Path) -> str | None:
    """What the file says, if it is there."""
    return path.read_text() if path.exists() else None


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(20)
    return child.pid


def test_it_names_the_arbiter_while_it_runs(serve: Serve) -> None:
    server = serve("views:app", "--pid", "server.pid")
    path = server.directory / "server.pid"
    assert named(path) == f"{server.pid}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    server.stop()
    assert not path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_every_way_to_stop_removes_it(number: signal.Signals, serve: Serve) -> None:
    server = serve("views:app", "-p", "server.pid")
    server.stop(number)
    assert not (server.directory / "server.pid").exists()


def test_it_is_there_before_on_starting_and_gone_before_on_exit(serve: Serve) -> None:
    config = """
import os
pidfile = "server.pid"
def on_starting(server):
    server.log.info("starting with %s", open("server.pid").read().strip())
    server.log.info("attribute %s", server.pidfile.fname)
def on_exit(server):
    server.log.info("exit with %s", os.path.exists("server.pid"))
"""
    server = serve("views:app", config=config)
    server.wait_for_log(f"starting with {server.pid}$")
    server.wait_for_log("attribute server.pid$")
    assert server.log().index("Starting ") < server.log().index("starting with")
    server.stop()
    server.wait_for_log("exit with False$")


@pytest.mark.parametrize(
    "content", ["", "hello\n", "{dead}\n", *([] if IS_GUNICORN else ["-5\n", "99999999999999999999\n"])]
)
def test_one_that_names_nobody_is_overwritten(content: str, dead: int, serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    path.write_text(content.format(dead=dead))
    server = serve("views:app", "--pid", str(path))
    assert named(path) == f"{server.pid}\n"
    server.stop()
    assert not path.exists()


def test_a_second_server_is_refused_and_leaves_the_file_alone(serve: Serve) -> None:
    first = serve("views:app", "--pid", "server.pid")
    path = first.directory / "server.pid"
    second = serve("views:app", "--pid", str(path), launch=True)
    second.wait_for_exit(1)
    line = rf"^Error: Already running on PID {first.pid} \(or pid file '{path}' is stale\)$"
    second.wait_for_log(line)
    assert "Traceback" not in second.log()
    assert named(path) == f"{first.pid}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_another_users_process_counts_as_running() -> None:
    program = """
import os, tempfile
from rgunicorn.pidfile import Pidfile
with tempfile.TemporaryDirectory() as directory:
    os.chmod(directory, 0o755)
    Pidfile(f"{directory}/pid").create(os.getppid())
    os.setresuid(65534, 65534, 0)
    print(Pidfile(f"{directory}/pid").validate() == os.getppid())
    os.setresuid(0, 0, 0)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True\n", done.stderr


def test_a_missing_directory_is_one_line(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("app.py", APP)
    said = project.refusal("--bind", "127.0.0.1:0", "--pid", str(tmp_path / "none" / "pid"), "app:app")
    assert said.endswith(f"Error: {tmp_path / 'none'} doesn't exist. Can't create pidfile.\n\n")
    assert "Traceback" not in said


def test_a_directory_in_its_place_is_one_line(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("app.py", APP)
    (tmp_path / "pid").mkdir()
    said = project.refusal("--bind", "127.0.0.1:0", "--pid", "pid", "app:app")
    assert "Error: Can't create pidfile: " in said
    assert "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.py", "pid"]


@pytest.mark.ours("a start that fails leaves the pidfile")
@pytest.mark.parametrize(
    ("config", "status"),
    [
        ("def on_starting(server): raise ValueError('no')", 1),
        ("def when_ready(server): raise ValueError('no')", 1),
        ("bind = '192.0.2.1:1'", 1),
        ("from rgunicorn import _native\n_native.run_arbiter = lambda arbiter: 1 / 0", 1),
        ("def pre_fork(server, worker): raise ValueError('no')", 255),
        ("def post_fork(server, worker): raise ValueError('no')", 3),
        ("def on_exit(server): raise ValueError('no')\ndef post_fork(server, worker): 1 / 0", 1),
    ],
)
def test_a_start_that_fails_leaves_none(config: str, status: int, serve: Serve) -> None:
    server = serve("views:app", "--pid", "server.pid", config=config, binds=[], launch=True)
    if "bind" not in config:
        server.flags += ["--bind", "127.0.0.1:0"]
    server.wait_for_exit(status)
    assert not (server.directory / "server.pid").exists()


@pytest.mark.ours("a start that fails leaves the pidfile")
def test_a_signal_in_on_starting_leaves_none(serve: Serve) -> None:
    config = """
import time
def on_starting(server):
    open("begun", "w").close()
    time.sleep(60)
"""
    server = serve("views:app", "--pid", "server.pid", config=config, launch=True)
    begun = server.directory / "begun"
    wait_for(begun.exists, "on_starting")
    assert named(server.directory / "server.pid") == f"{server.pid}\n"
    begun.unlink()
    server.stop()


def test_a_file_that_has_become_anothers_is_left(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    server = serve("views:app", "--pid", str(path))
    path.write_text("1\n")
    server.stop()
    assert named(path) == "1\n"


def reloaded(server: Server, count: int = 1) -> None:
    """Sends HUP and waits until the new worker is the only one."""
    before = server.workers()
    server.kill(signal.SIGHUP)
    server.wait_for_log("Hang up: Master", count=count)
    wait_for(lambda: server.booted() and not set(server.workers()) & set(before), "the new worker alone")


def test_a_reload_writes_it_again(serve: Serve) -> None:
    server = serve("views:app", "--pid", "server.pid")
    path = server.directory / "server.pid"
    path.unlink()
    reloaded(server)
    assert named(path) == f"{server.pid}\n"


def test_a_reload_with_another_name_moves_it(serve: Serve) -> None:
    server = serve("views:app", config='pidfile = "one.pid"')
    one, two = server.directory / "one.pid", server.directory / "two.pid"
    assert named(one) == f"{server.pid}\n"
    (server.directory / "gunicorn.conf.py").write_text('pidfile = "two.pid"')
    reloaded(server)
    assert named(two) == f"{server.pid}\n"
    assert not one.exists()
    (server.directory / "gunicorn.conf.py").write_text("")
    reloaded(server, count=2)
    assert not two.exists()


@pytest.mark.ours("a reload that fails ends the server")
@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("pidfile = 'two.pid'\ndef on_reload(server): raise ValueError", "Reload failed: bad configuration"),
        ("pidfile = 'none/two.pid'", "Reload failed: bad configuration"),
        ("pidfile = 'two.pid'\ndef post_fork(server, worker): 1 / 0", "the new workers do not boot"),
    ],
)
def test_a_reload_that_fails_leaves_it_as_it_was(config: str, line: str, serve: Serve) -> None:
    server = serve("views:app", config="pidfile = 'one.pid'")
    (server.directory / "gunicorn.conf.py").write_text(config)
    server.kill(signal.SIGHUP)
    server.wait_for_log(line)
    one = server.directory / "one.pid"
    wait_for(lambda: named(one) == f"{server.pid}\n", "the former pidfile")
    wait_for(lambda: not (server.directory / "two.pid").exists(), "no other pidfile")
    assert server.get("/hello").status == 200
