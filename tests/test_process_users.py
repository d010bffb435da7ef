"""The workers' user, groups and umask, and who owns what they share with the arbiter, which keeps its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.processes import PROC, wait_for
from support.server import Server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be others")

#: A user and a group that every system has, and numbers that none has.
NOBODY = 65534
STRANGER = 54321
MEMBER_OF = 54322

#: Nothing is imported that is not there already: the interpreter may lie where only root can read.
APP = """
import os
WHEN_IMPORTED = os.getuid(), os.getgid()

def app(environ, start_response):
    found = [WHEN_IMPORTED, os.getresuid(), os.getresgid(), sorted(os.getgroups())]
    body = repr(found).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def everybodys(*flags: str, **settings: object) -> Server:
    """A server in a directory that everybody may use."""
    server = Server("app:app", *flags, source=APP, **settings)  # type: ignore[arg-type]
    server.home.chmod(0o755)
    for directory in (server.directory, server.temporary):
        directory.chmod(0o777)
    return server


@contextmanager
def serving(*flags: str, **settings: object) -> Iterator[Server]:
    """Such a server while it runs."""
    with everybodys(*flags, **settings) as server:
        yield server


def ids(server: Server) -> tuple[tuple[int, int], tuple[int, ...], tuple[int, ...], list[int]]:
    """What the application saw: user and group when it was imported, users, groups, supplementary groups."""
    response = server.get("/")
    assert response.status == 200
    found = eval(response.body)
    assert isinstance(found, list)
    return found[0], found[1], found[2], found[3]


def owner(path: Path) -> tuple[int, int]:
    """User and group of a file."""
    found = path.stat()
    return found.st_uid, found.st_gid


@pytest.mark.parametrize(
    ("user", "group", "uid", "gid"),
    [
        ("nobody", "nogroup", NOBODY, NOBODY),
        (str(NOBODY), str(NOBODY), NOBODY, NOBODY),
        (str(STRANGER), str(STRANGER), STRANGER, STRANGER),
        ("nobody", None, NOBODY, 0),
        (None, "nogroup", 0, NOBODY),
    ],
)
def test_the_application_is_imported_and_run_as_the_user(
    user: str | None, group: str | None, uid: int, gid: int
) -> None:
    flags = [*(["--user", user] if user else []), *(["--group", group] if group else [])]
    with serving(*flags) as server:
        when_imported, users, groups, _ = ids(server)
        assert when_imported == (uid, gid)
        assert users == (uid,) * 3
        assert groups == (gid,) * 3
        status = (PROC / str(server.pid) / "status").read_text()
        assert re.search(r"^Uid:\s+0\s+0\s+0\s+0$", status, re.MULTILINE)


def test_settings_in_a_file_may_be_numbers_and_names() -> None:
    with serving(config=f"user = {NOBODY}\ngroup = 'nogroup'") as server:
        assert ids(server)[1] == (NOBODY,) * 3
        assert ids(server)[2] == (NOBODY,) * 3


def test_hooks_run_as_the_arbiters_user_until_after_post_fork() -> None:
    config = """
import os
user, group = "nobody", "nogroup"
def post_fork(server, worker): worker.log.info("post_fork as %s", os.getuid())
def post_worker_init(worker): worker.log.info("post_worker_init as %s", os.getuid())
def worker_exit(server, worker): worker.log.info("worker_exit as %s", os.getuid())
def child_exit(server, worker): server.log.info("child_exit as %s", os.getuid())
"""
    with serving(config=config) as server:
        server.stop()
        found = re.findall(r"(\w+) as (\d+)$", server.log(), re.MULTILINE)
    nobody = str(NOBODY)
    assert found == [
        ("post_fork", "0"),
        ("post_worker_init", nobody),
        ("worker_exit", nobody),
        ("child_exit", "0"),
    ]


@pytest.mark.ours("they stay")
def test_roots_own_groups_go_and_others_stay() -> None:
    config = f"""
import os, pwd
user, group = {STRANGER}, {STRANGER}
roots = os.getgrouplist(pwd.getpwuid(0).pw_name, 0)
def on_starting(server): os.setgroups([*roots, {MEMBER_OF}])
"""
    with serving(config=config) as server:
        assert ids(server)[3] == [MEMBER_OF]


@pytest.mark.ours("the group itself stays root")
def test_initgroups_gives_the_users_groups_and_no_others() -> None:
    config = f"""
import os
user, group, initgroups = "nobody", {STRANGER}, True
def on_starting(server): os.setgroups([0, {MEMBER_OF}])
"""
    with serving(config=config) as server:
        _, users, groups, supplementary = ids(server)
        assert users == (NOBODY,) * 3
        assert groups == (STRANGER,) * 3
        assert supplementary == sorted(os.getgrouplist("nobody", STRANGER))


def test_initgroups_of_a_user_without_a_name_is_no_error() -> None:
    with serving("-u", str(STRANGER), "-g", str(STRANGER), "--initgroups") as server:
        assert ids(server)[1:3] == ((STRANGER,) * 3, (STRANGER,) * 3)


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("own", [False, True])
def test_a_privileged_port_is_served_by_an_unprivileged_worker(own: bool) -> None:
    port = next(port for port in range(80, 1024) if not listens(port))
    flags = ["-u", "nobody", "-g", "nogroup", *(["--reuse-port"] if own else [])]
    server = everybodys(*flags, binds=[f"127.0.0.1:{port}"])
    try:
        server.launch()
        server.addresses = [("127.0.0.1", port)]
        wait_for(lambda: listens(port), "the port")
        assert ids(server)[1] == (NOBODY,) * 3
        server.stop()
    finally:
        server.destroy()


def test_the_arbiter_can_still_replace_reload_and_stop_workers() -> None:
    with serving("-u", "nobody", "-g", "nogroup") as server:
        first = server.worker()
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: server.booted() and first not in server.workers(), "another worker")
        second = server.worker()
        server.kill(signal.SIGHUP)
        wait_for(lambda: server.booted() and second not in server.workers(), "the worker of the reload")
        assert ids(server)[1] == (NOBODY,) * 3


def test_a_reload_can_change_the_user() -> None:
    with serving(config="") as server:
        assert ids(server)[1] == (0,) * 3
        (server.directory / "gunicorn.conf.py").write_text(f"user = group = {STRANGER}")
        server.kill(signal.SIGHUP)
        wait_for(lambda: ids(server)[1] == (STRANGER,) * 3, "the other user")


def test_a_unix_socket_belongs_to_the_user_and_has_the_mode_of_umask() -> None:
    flags = ("-u", str(NOBODY), "-g", str(STRANGER), "--umask", "0117")
    with serving(*flags, kind="unix") as server:
        assert isinstance(server.address, str)
        path = Path(server.address)
        assert owner(path) == (NOBODY, STRANGER)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert ids(server)[1] == (NOBODY,) * 3


def test_umask_is_for_the_servers_files_and_not_for_the_applications() -> None:
    config = "import os\ndef post_worker_init(worker): worker.log.info('umask %03o', os.umask(0))"
    before = os.umask(0o027)
    try:
        with serving("--umask", "0117", config=config) as server:
            server.wait_for_log("umask 027$")
    finally:
        os.umask(before)


@pytest.mark.ours("a file that is opened anew belongs to root")
def test_log_files_belong_to_the_user_and_can_be_rotated() -> None:
    with tempfile.TemporaryDirectory() as directory:
        # tmp_path lies below one that only root may enter.
        os.chmod(directory, 0o755)
        error, access = Path(directory, "error.log"), Path(directory, "access.log")
        flags = ("-u", str(NOBODY), "-g", str(STRANGER), "--error-logfile", str(error))
        with serving(*flags, "--access-logfile", str(access), error_log=error) as server:
            assert owner(error) == owner(access) == (NOBODY, STRANGER)
            for path in (error, access):
                path.rename(path.with_suffix(".1"))
            server.kill(signal.SIGUSR1)
            wait_for(lambda: error.exists() and access.exists(), "new files")
            wait_for(lambda: owner(error) == owner(access) == (NOBODY, STRANGER), "their owner")
            wait_for(lambda: server.get("/") and access.read_text(), "a line of the worker in the new file")
            server.stop()
            assert "Cannot reopen" not in error.read_text() + error.with_suffix(".1").read_text()


@pytest.mark.ours("a file of the worker cannot be given away: exit 255")
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is not installed")
def test_who_cannot_become_the_user_is_told_so() -> None:
    server = everybodys("-u", "nobody", "-g", "nogroup")
    server.prefix = ["setpriv", "--bounding-set=-setuid,-setgid"]
    try:
        server.launch()
        server.wait_for_exit(3)
        server.wait_for_log(f"PermissionError: .*cannot become user {NOBODY}, group {NOBODY}: only root can")
    finally:
        server.destroy()
