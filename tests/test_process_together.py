"""Settings about processes in combination, at the start and over reloads."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.processes import PROC, wait_for
from support.server import Server

APP = """
import os
WHEN_IMPORTED = os.environ.get("SHOP"), os.getuid()

def app(environ, start_response):
    body = repr((WHEN_IMPORTED, os.environ.get("SHOP"), os.getuid(), os.getcwd())).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def seen(server: Server) -> tuple[tuple[str | None, int], str | None, int, str]:
    """Variable and user when the application was imported; variable, user and directory now."""
    found = eval(server.get("/").body)
    assert isinstance(found, tuple)
    return found  # type: ignore[return-value]


def reload(server: Server, config: str) -> None:
    """Reloads with another configuration file, and waits until only new workers are left."""
    before = server.workers()
    (server.directory / "gunicorn.conf.py").write_text(config)
    server.kill(signal.SIGHUP)
    wait_for(lambda: server.booted() and not set(server.workers()) & set(before), "new workers alone")


def title(pid: int) -> str:
    """What the list of processes shows."""
    return (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").decode()


def test_a_reload_changes_environment_and_directory_and_the_pidfile_stays(
    serve: Serve, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for directory in (one, two):
        directory.mkdir()
    config = "raw_env = ['SHOP={0}']\nchdir = '{1}'\npidfile = '{2}'"
    pidfile = tmp_path / "pid"
    server = serve("app:app", source=APP, config=config.format("one", one, pidfile))
    assert seen(server) == (("one", os.getuid()), "one", os.getuid(), str(one))
    reload(server, config.format("two", two, pidfile))
    assert seen(server) == (("two", os.getuid()), "two", os.getuid(), str(two))
    assert pidfile.read_text() == f"{server.pid}\n"
    reload(server, "")
    assert seen(server) == ((None, os.getuid()), None, os.getuid(), str(server.directory))
    assert not pidfile.exists()


@pytest.mark.ours("a relative pidfile follows the current directory")
def test_a_relative_pidfile_is_found_again_after_a_reload_has_changed_the_directory(
    serve: Serve, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for directory in (one, two):
        directory.mkdir()
    server = serve("app:app", source=APP, config=f"chdir = '{one}'\npidfile = 'pid'")
    assert (one / "pid").read_text() == f"{server.pid}\n"
    reload(server, f"chdir = '{two}'\npidfile = 'pid'")
    assert (two / "pid").read_text() == f"{server.pid}\n"
    assert not (one / "pid").exists()
    server.stop()
    assert not (two / "pid").exists()


def test_preloaded_code_is_imported_anew_with_the_latest_environment(
    serve: Serve,
) -> None:
    config = "preload_app = True\nraw_env = ['SHOP={}']"
    server = serve("app:app", source=APP, config=config.format("one"))
    reload(server, config.format("two"))
    assert seen(server)[:2] == (("two", os.getuid()), "two")


def test_a_reload_changes_the_titles(serve: Serve) -> None:
    pytest.importorskip("setproctitle")
    server = serve("app:app", source=APP, config="proc_name = 'one'")
    assert title(server.pid) == "gunicorn: master [one]"
    reload(server, "proc_name = 'two'")
    assert title(server.pid) == "gunicorn: master [two]"
    assert title(server.worker()) == "gunicorn: worker [two]"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be others")
def test_preloaded_code_is_imported_as_root_and_run_as_the_user() -> None:
    server = Server("app:app", "--preload", "-u", "nobody", "-g", "nogroup", source=APP)
    server.home.chmod(0o755)
    server.directory.chmod(0o777)
    with server:
        found = seen(server)
        assert found[0][1] == 0
        assert found[2] == 65534


@pytest.mark.ours("it makes no file, so a directory that is not there harms nobody")
def test_worker_tmp_dir_is_accepted_and_not_needed(serve: Serve) -> None:
    server = serve("app:app", "--worker-tmp-dir", "/nonexistent", source=APP)
    assert server.get("/").status == 200
    files = [name for name in processes.descriptors(server.worker()) if not name.startswith("/memfd:")]
    assert not [name for name in files if "deleted" in name]


@pytest.mark.ours("a hook that raises ends it")
def test_variables_of_a_reload_that_fails_reach_no_worker(serve: Serve) -> None:
    server = serve(source=APP, config="raw_env = ['OTHER=1']\n")
    (server.directory / "gunicorn.conf.py").write_text(
        "raw_env = ['SHOP=new']\ndef on_reload(server): raise ValueError('not now')\n"
    )
    server.kill(signal.SIGHUP)
    server.wait_for_log("ValueError: not now")
    first = server.worker()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: [pid for pid in server.booted() if pid != first], "another worker")
    assert seen(server)[:2] == ((None, os.getuid()), None)


@pytest.mark.ours("the current directory must be there")
def test_a_reload_after_the_directory_was_replaced(serve: Serve, tmp_path: Path) -> None:
    """A deploy makes the directory anew, and removes the one that the server was started in."""
    app, start = tmp_path / "app", tmp_path / "start"
    for directory in (app, start):
        directory.mkdir()
    (app / "app.py").write_text(APP)
    config = tmp_path / "conf.py"
    config.write_text("raw_env = ['SHOP=one']")
    server = serve("app:app", "--chdir", str(app), "-c", str(config), chdir=start)
    app.rename(tmp_path / "former")
    app.mkdir()
    (app / "app.py").write_text(APP)
    for path in (start, tmp_path / "former" / "app.py", tmp_path / "former"):
        path.unlink() if path.is_file() else path.rmdir()
    config.write_text("workers = 'many'")
    server.kill(signal.SIGHUP)
    server.wait_for_log("Reload failed: bad configuration")
    assert "FileNotFoundError" not in server.log()
    config.write_text("raw_env = ['SHOP=two']")
    before = server.workers()
    server.kill(signal.SIGHUP)
    wait_for(lambda: server.booted() and not set(server.workers()) & set(before), "new workers alone")
    assert seen(server)[0][0] == "two"
    assert seen(server)[3] == str(app)
