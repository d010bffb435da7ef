"""`touch_reload`: any change of a file is a HUP, nothing else is, and nobody looks while nothing happens."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.processes import stays, wait_for
from support.server import Server

pytestmark = pytest.mark.ours("a setting of rgunicorn's own")

HANG_UP = "Hang up: Master"
#: Longer than what is waited for after a change.
QUIET = 0.3


def reloads(server: Server) -> int:
    """How often it has reloaded."""
    return server.log().count(HANG_UP)


def reloaded(server: Server, change: Callable[[], object]) -> None:
    """Makes a change, and waits until it has led to one reload and new workers alone."""
    before, count = server.workers(), reloads(server)
    change()
    wait_for(lambda: reloads(server) > count, f"a reload; log:\n{server.tail()}")
    wait_for(lambda: server.booted() and not set(server.workers()) & set(before), "new workers alone")
    stays(lambda: reloads(server) == count + 1, "one reload", QUIET)


def replace(path: Path, text: str) -> None:
    """Changes a file as editors do."""
    new = path.with_name("new")
    new.write_text(text)
    new.rename(path)


def point(link: Path, target: Path) -> None:
    """Makes a link point elsewhere, as a deploy does."""
    new = link.with_name("new")
    new.symlink_to(target)
    new.rename(link)


def make(path: Path) -> None:
    """Makes a file, and the directories that it needs."""
    path.parent.mkdir(parents=True)
    path.touch()


def test_whatever_happens_to_the_file_reloads_once(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "reload"
    server = serve("views:app", "--touch-reload", str(path), "-w", "2")
    changes: list[Callable[[], object]] = [
        path.touch,
        path.touch,
        lambda: os.utime(path, (1, 1)),
        lambda: path.write_text("one"),
        lambda: replace(path, "two"),
        path.unlink,
        lambda: path.symlink_to(__file__),
        lambda: replace(path, "three"),
    ]
    for change in changes:
        reloaded(server, change)
    assert server.get("/hello").status == 200
    line = rf"\[{server.pid}\] \[INFO\] touch_reload: {re.escape(str(path))} has changed$"
    assert len(re.findall(line, server.log(), re.MULTILINE)) == len(changes)


def test_it_does_what_hup_does(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "reload"
    server = serve("views:app", config=f"touch_reload = [{str(path)!r}]\nworkers = 1\n")
    (server.directory / "gunicorn.conf.py").write_text(f"touch_reload = [{str(path)!r}]\nworkers = 2\n")
    reloaded(server, path.touch)
    wait_for(lambda: len(server.booted()) == 2, "two workers")
    (server.directory / "gunicorn.conf.py").write_text("workers = 'many'\n")
    path.write_text("two")
    server.wait_for_log("Reload failed: bad configuration")
    assert server.get("/hello").status == 200


def test_a_deploy_that_switches_a_link_on_the_way(serve: Serve, tmp_path: Path) -> None:
    for release in ("1", "2"):
        make(tmp_path / "releases" / release / "reload")
    current = tmp_path / "current"
    current.symlink_to("releases/1")
    server = serve("views:app", "--touch-reload", str(current / "reload"))
    reloaded(server, lambda: point(current, Path("releases/2")))
    reloaded(server, (tmp_path / "releases" / "2" / "reload").touch)
    (tmp_path / "releases" / "1" / "reload").write_text("nobody looks there any more")
    count = reloads(server)
    stays(lambda: reloads(server) == count, "no reload", QUIET)


def test_a_directory_that_takes_the_place_of_another(serve: Serve, tmp_path: Path) -> None:
    current = tmp_path / "current"
    make(current / "reload")
    make(tmp_path / "next" / "reload")
    server = serve("views:app", "--touch-reload", str(current / "reload"))

    def swap() -> None:
        current.rename(tmp_path / "before")
        (tmp_path / "next").rename(current)

    reloaded(server, swap)
    reloaded(server, (current / "reload").touch)


def test_directories_need_not_exist(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "reload"
    server = serve("views:app", "--touch-reload", str(path))
    reloaded(server, lambda: make(path))
    reloaded(server, lambda: shutil.rmtree(tmp_path / "not"))
    reloaded(server, lambda: make(path))


def test_a_directory_itself_counts_when_another_takes_its_place(serve: Serve, tmp_path: Path) -> None:
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
    current = tmp_path / "current"
    current.symlink_to("1")
    server = serve("views:app", "--touch-reload", str(current))
    (current / "file").touch()
    stays(lambda: reloads(server) == 0, "no reload", QUIET)
    reloaded(server, lambda: point(current, Path("2")))


def test_a_file_that_is_written_piece_by_piece_is_one_change(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "reload"
    server = serve("views:app", "--touch-reload", str(path))

    def write() -> None:
        with path.open("w") as file:
            for _ in range(15):
                file.write("x")
                file.flush()
                time.sleep(0.02)
        path.chmod(0o600)

    reloaded(server, write)


def test_several_files_and_relative_ones(serve: Serve, tmp_path: Path) -> None:
    other = tmp_path / "other"
    server = serve(
        "views:app", "--chdir", str(tmp_path), "--touch-reload", "one", "--touch-reload", str(other)
    )
    reloaded(server, (tmp_path / "one").touch)
    reloaded(server, other.touch)
    server.wait_for_log(f"touch_reload: {re.escape(str(tmp_path / 'one'))} has changed$")


def test_a_reload_changes_which_files_count(serve: Serve, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    server = serve("views:app", config="")
    config = server.directory / "gunicorn.conf.py"
    one.touch()
    config.write_text(f"touch_reload = [{str(one)!r}]")
    reloaded(server, lambda: server.kill(signal.SIGHUP))
    config.write_text(f"touch_reload = [{str(two)!r}]")
    reloaded(server, one.touch)
    one.touch()
    stays(lambda: reloads(server) == 2, "no reload", QUIET)
    config.write_text("")
    reloaded(server, two.touch)
    two.touch()
    stays(lambda: reloads(server) == 3, "no reload", QUIET)


def switches(pid: int) -> int:
    """How often a process has gone to sleep, or was put aside."""
    text = Path(f"/proc/{pid}/status").read_text()
    return sum(int(count) for count in re.findall(r"ctxt_switches:\s+(\d+)", text))


def sleeps(pid: int, seconds: float = 0.5) -> bool:
    """Whether a process does nothing for so long."""
    before = switches(pid)
    time.sleep(seconds)
    return switches(pid) == before


@pytest.fixture
def quiet_directory() -> Iterator[Path]:
    """A directory in which, and above which, no other test makes files."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        yield Path(directory)


def test_nobody_looks_while_nothing_happens_even_where_others_write_beside_it(
    serve: Serve, quiet_directory: Path
) -> None:
    path, log = quiet_directory / "reload", quiet_directory / "log"
    for file in (path, log):
        file.touch()
    server = serve("views:app", "--touch-reload", str(path), "--touch-reload", str(path / "a" / "b"))
    reloaded(server, path.touch)
    wait_for(lambda: sleeps(server.pid), "quiet")
    before = switches(server.pid)
    for _ in range(10):
        with log.open("a") as file:
            file.write("line\n")
        time.sleep(0.1)
    time.sleep(1)
    assert switches(server.pid) == before


def test_files_that_others_make_beside_it_do_not_keep_the_arbiter_awake(
    serve: Serve, quiet_directory: Path
) -> None:
    path = quiet_directory / "reload"
    server = serve("views:app", "--touch-reload", str(path))
    wait_for(lambda: sleeps(server.pid), "quiet")
    before, until = switches(server.pid), time.monotonic() + 1
    made = 0
    while time.monotonic() < until:
        (quiet_directory / str(made)).touch()
        made += 1
        time.sleep(0.002)
    assert made > 100
    assert switches(server.pid) - before < 40
    reloaded(server, path.touch)
    wait_for(lambda: sleeps(server.pid), "quiet")


def test_what_comes_and_goes_beside_it_is_no_reload(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "reload"
    path.touch()
    server = serve("views:app", "--touch-reload", str(path))
    (tmp_path / "other").touch()
    path.chmod(0o600)
    path.read_text()
    stays(lambda: reloads(server) == 0, "no reload", QUIET)
    reloaded(server, path.touch)


def test_no_worker_keeps_what_watches(serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", "--touch-reload", str(tmp_path / "reload"))
    assert "anon_inode:inotify" in processes.descriptors(server.pid)
    assert "anon_inode:inotify" not in processes.descriptors(server.worker())


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed: .ci/run installs it")
@pytest.mark.parametrize("call", ["inotify_init1:error=EMFILE", "inotify_add_watch:error=EACCES"])
def test_what_cannot_be_watched_is_looked_at(call: str, serve: Serve, tmp_path: Path) -> None:
    server = Server("views:app", "--touch-reload", str(tmp_path / "reload"))
    name = call.partition(":")[0]
    server.prefix = ["strace", "-DDD", "-o", os.devnull, "-e", f"trace={name}", "-e", f"inject={call}"]
    try:
        server.launch()
        found = wait_for(lambda: "Listening" in server.log() or server._dead() or None, "a start")
        if not found or server._dead():
            pytest.skip(f"this machine forbids tracing: {server.tail(3)}")
        server.wait_until_listening()
        reloaded(server, (tmp_path / "reload").touch)
        server.stop()
    finally:
        server.destroy()


SLOW = """
import os, time
def held():
    return os.path.exists("../hold") and open("../hold").read() == str(os.getpid())
if held():
    open("../loading", "a").close()
while held():
    time.sleep(0.01)
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def test_a_change_while_preloaded_code_is_loaded_anew_is_not_lost(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "reload"
    server = serve("app:app", "--preload", "--touch-reload", str(path), source=SLOW)
    # Not the process that tries whether the code loads: the arbiter, which is executed anew.
    (server.home / "hold").write_text(str(server.pid))
    path.touch()
    wait_for((server.home / "loading").exists, "the code to be loaded")
    path.touch()
    (server.home / "hold").unlink()
    wait_for(lambda: reloads(server) == 2, "the second reload")
    wait_for(server.booted, "a worker")
