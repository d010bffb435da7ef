"""Where there is little: a read-only root, no HOME, no /dev/shm, a user without a name, process 1.

And nothing is made on disk that nobody asked for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from conftest import Serve
from support.processes import alive, children, stat, stays, wait_for
from support.server import Server

#: No entry of /etc/passwd; reading the interpreter's own files is allowed, wherever they lie.
STRANGER = [
    *("setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"),
    *(
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    ),
]

#: Every mount of a namespace of its own becomes read-only, and /dev/shm is empty and closed.
READ_ONLY = """
mount --make-rprivate /
mount -t tmpfs -o ro,mode=000,size=4k none /dev/shm
while read -r _ point _; do
    mount -o remount,bind,ro "$point" 2>/dev/null || true
done < /proc/self/mounts
if touch /read-only-root 2>/dev/null; then exit 99; fi
exec "$@"
"""


@cache
def refusal(*command: str) -> str | None:
    """Why the machine does not allow a command; None if it does."""
    if shutil.which(command[0]) is None:
        return f"{command[0]} is not installed"
    done = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=20, check=False)
    return done.stderr.strip() or f"{command[0]} fails" if done.returncode else None


def needs(*command: str) -> pytest.MarkDecorator:
    """Skips, with the reason, where the machine does not allow this."""
    reason = refusal(*command)
    return pytest.mark.skipif(reason is not None, reason=str(reason))


def bare(server: Server) -> Server:
    """The server without HOME, TMPDIR and a name in its environment."""
    for name in ("HOME", "TMPDIR"):
        del server.env[name]
    return server


@pytest.fixture
def prepared() -> Iterator[list[Server]]:
    """Servers that are started by hand; they are gone after the test."""
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.destroy()


# A read-only root, and somebody else


@needs("unshare", "--mount")
@needs(*STRANGER)
@pytest.mark.parametrize("who", [[], STRANGER], ids=["root", "a stranger"])
def test_a_read_only_root_without_home_and_shared_memory(who: list[str], prepared: list[Server]) -> None:
    server = bare(Server("views:app", "--workers", "2"))
    prepared.append(server)
    server.prefix = ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", *who]
    server.start()
    for _ in range(4):
        assert server.get("/hello").text == "hello\n"
    # Twice the memory that a body may take, and nowhere to put it.
    for _ in range(2):
        body = bytes(range(256)) * 8192
        response = server.get("/count-input", method="POST", body=body)
        assert json.loads(response.body) == [len(body), sum(body)]
    server.wait_for_log(r"\[WARNING\] No temporary file for large request bodies \(.+\)")
    server.kill(signal.SIGHUP)
    server.wait_for_log(r"Booting worker with pid", count=4)
    assert server.get("/hello").text == "hello\n"
    server.stop()


@needs(*STRANGER)
def test_a_user_without_a_name(prepared: list[Server]) -> None:
    server = bare(Server("views:app"))
    prepared.append(server)
    server.prefix = [*STRANGER]
    server.home.chmod(0o755)
    server.start()
    assert server.get("/hello").text == "hello\n"
    assert "54321" in (Path("/proc") / str(server.worker()) / "status").read_text()
    server.stop()


# Bodies that cannot be stored


def test_a_body_that_cannot_be_stored_is_read_from_its_socket(serve: Serve) -> None:
    server = serve("views:app", config="tmp_upload_dir = '/proc/nosuch'\nrequest_body_memory = 1000\n")
    body = bytes(range(256)) * 4000
    head = b"POST /count-input HTTP/1.1\r\nHost: a\r\n"
    with server.connect() as connection:
        for framed in (
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        ):
            response = connection.request(head + framed)
            assert json.loads(response.body) == [len(body), sum(body)]
        connection.assert_open_at("/hello")
    server.wait_for_log(r"\[WARNING\] No temporary file for large request bodies")
    assert server.log().count("No temporary file") == 1


def test_a_small_body_needs_no_file(serve: Serve) -> None:
    server = serve("views:app", config="tmp_upload_dir = '/proc/nosuch'\nrequest_body_memory = 1000\n")
    response = server.get("/count-input", method="POST", body=b"x" * 1000)
    assert json.loads(response.body) == [1000, 1000 * ord("x")]
    assert "No temporary file" not in server.log()


@needs("unshare", "--mount")
def test_a_full_disk_is_as_good_as_none(prepared: list[Server]) -> None:
    server = Server("views:app", config="request_body_memory = 1000\n")
    prepared.append(server)
    fill = f"dd if=/dev/zero of={server.temporary}/x 2>/dev/null"
    script = f'mount --make-rprivate /; mount -t tmpfs -o size=4k none {server.temporary}; {fill}; exec "$@"'
    server.prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    server.start()
    body = b"x" * 500_000
    response = server.get("/count-input", method="POST", body=body)
    assert json.loads(response.body) == [len(body), sum(body)]
    server.wait_for_log(r"No temporary file for large request bodies \(No space left on device")
    server.stop()


# Process 1

ORPHANS = """
import os

def app(environ, start_response):
    read, write = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            os.read(os.pipe()[0], 1) if environ["QUERY_STRING"] else None
            os.write(write, b"%d" % os.getpid())
        os._exit(0)
    os.wait()
    start_response("200 OK", [])
    return [os.read(read, 20)]
"""


@needs("unshare", "--pid", "--fork", "--mount-proc")
def test_process_1_reaps_orphans_and_ends_on_term(prepared: list[Server]) -> None:
    server = bare(Server(source=ORPHANS))
    prepared.append(server)
    server.prefix = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    server.launch()
    server.wait_until_bound()
    assert re.search(r"\[1\] \[INFO\] Listening at: .* \(1\)$", server.log(), re.MULTILINE)
    (arbiter,) = wait_for(lambda: children(server.pid), "the arbiter")
    (worker,) = wait_for(lambda: children(arbiter), "its worker")
    for _ in range(3):
        assert int(server.get().body) > 2
    # Orphans become children of process 1; what has ended is only gone when that has waited for it.
    wait_for(lambda: offspring(arbiter) == {worker}, "the end of the orphans")
    stays(lambda: alive(arbiter) and alive(worker), "the service", 0.1)
    os.kill(arbiter, signal.SIGTERM)
    assert server.process is not None
    assert server.process.wait(20) == 0
    server.ended = True
    assert "Shutting down: Master" in server.log()
    assert "Traceback" not in server.log()


PATIENT = """
import time
open("../imports", "w").close()
time.sleep(60)
"""


@needs("unshare", "--pid", "--fork", "--mount-proc")
def test_term_ends_process_1_while_it_imports_the_application(prepared: list[Server]) -> None:
    server = Server("app:app", "--preload", source=PATIENT)
    prepared.append(server)
    server.prefix = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    server.launch()
    wait_for((server.home / "imports").exists, "the import")
    (arbiter,) = children(server.pid)
    os.kill(arbiter, signal.SIGTERM)
    assert server.process is not None
    assert server.process.wait(20) == 0
    server.ended = True


def offspring(pid: int) -> set[int]:
    """The children of a process, those that have ended and wait for it included."""
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {number for number in numbers if (fields := stat(number)) and fields[1] == str(pid)}


# Nothing on disk

WATCHED = [
    *(
        "open",
        "openat",
        "creat",
        "mkdir",
        "mkdirat",
        "mknod",
        "mknodat",
        "symlink",
        "symlinkat",
        "link",
        "linkat",
    ),
    *("rename", "renameat", "renameat2", "bind", "memfd_create"),
]
CREATES = re.compile(
    r"(?:open|openat|creat)\(.*O_(?:CREAT|TMPFILE)|\b(?:mkdir|mkdirat|mknod|mknodat|symlink|symlinkat|link|linkat)\("
    r"|\brename\w*\(|\bbind\(\d+, \{sa_family=AF_UNIX|\bmemfd_create\(|\bshm_open"
)


@needs("strace", "-f", "-o", "/dev/null")
def test_nothing_is_created_unless_asked_for(prepared: list[Server], tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    server = Server("views:app", "--workers", "2", env={"XDG_RUNTIME_DIR": str(runtime)})
    prepared.append(server)
    calls = server.home / "calls"
    server.prefix = ["strace", "-f", "-qq", "-o", str(calls), "-e", f"trace={','.join(WATCHED)}"]
    server.launch()
    server.wait_until_bound()
    for _ in range(3):
        assert server.get("/hello").text == "hello\n"
        server.get("/count-input", method="POST", body=b"x" * 100_000)
    (arbiter,) = wait_for(lambda: children(server.pid), "the arbiter")
    os.kill(arbiter, signal.SIGHUP)
    server.wait_for_log("Booting worker with pid", count=4)
    assert server.get("/hello").text == "hello\n"
    os.kill(arbiter, signal.SIGTERM)
    assert server.process is not None
    assert server.process.wait(20) == 0
    server.ended = True
    lines = calls.read_text().splitlines()
    assert any("openat(" in line for line in lines), "strace saw nothing"
    assert CREATES.search('9 openat(AT_FDCWD, "x", O_WRONLY|O_CREAT|O_APPEND|O_CLOEXEC, 0666) = 5')
    made = [line for line in lines if CREATES.search(line) and " = -1 " not in line]
    # Memory that an upgraded program can have, in no directory: scoreboard and page of the handoff socket.
    shared = [line for line in made if 'memfd_create("rgunicorn"' in line]
    assert len(shared) == 2
    assert set(made) == set(shared)
    assert list(runtime.iterdir()) == []
    assert server._files() == server.files
