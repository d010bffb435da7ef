"""Workers that are replaced while the service goes on: replacement first, one at a time."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Serve
from support.command import Project
from support.load import Load
from support.processes import private_memory, stays, wait_for
from support.server import Server

pytestmark = pytest.mark.ours("Gunicorn has no such settings, or ends workers before there are new ones")

#: `/grow` takes 100 MiB for good. The import takes a while, and there is a file meanwhile.
APP = """
import os, time
mark = "importing-%d" % os.getpid()
open(mark, "w").close()
time.sleep(float(os.environ.get("SLOW", "0")))
os.unlink(mark)
kept = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        kept.append(b"x" * (100 << 20))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

MEMORY = Path("/sys/fs/cgroup/memory")


def start(serve: Serve, workers: int, *flags: str, slow: str = "0") -> Server:
    """A service of so many workers, whose import takes `slow` seconds."""
    return serve("app:app", "-w", str(workers), *flags, source=APP, env={"SLOW": slow})


# max_worker_lifetime


def test_workers_that_are_old_enough_are_replaced_one_at_a_time(serve: Serve) -> None:
    server = start(serve, 3, "--max-worker-lifetime", "1", slow="0.2")
    old = set(server.workers())
    fewest, importing = 3, 0
    with Load(server, "/") as load:
        while old & set(server.workers()):
            fewest = min(fewest, len(server.booted()))
            importing = max(importing, len(list(server.directory.glob("importing-*"))))
    assert load.errors == []
    assert fewest == 3
    assert importing == 1
    for pid in old:
        text = r"has lived for \d+ seconds \(max_worker_lifetime\) and is replaced\.$"
        server.wait_for_log(rf"\[INFO\] Worker \(pid:{pid}\) {text}")
    assert "die young" not in server.log()


def test_jitter_spreads_their_ends(serve: Serve) -> None:
    server = start(serve, 4, "--max-worker-lifetime", "1", "--max-worker-lifetime-jitter", "1000000")
    workers = server.workers()
    stays(lambda: server.workers() == workers, "the workers", 1.5)


# max_worker_memory


def test_a_worker_that_has_grown_is_replaced(serve: Serve) -> None:
    server = start(serve, 1, "--max-worker-memory", "120M", slow="0.2")
    first = server.worker()
    with Load(server, "/", clients=1) as load:
        assert server.get("/grow").text == str(first)
        assert private_memory(first) < 120 << 20
        stays(lambda: server.workers() == [first], "the only worker", 2.5)
        assert server.get("/grow").text == str(first)
        wait_for(lambda: first not in server.workers() and server.booted(), "another worker")
    assert load.errors == []
    limit = r"max_worker_memory \(120\.0 MiB\)"
    found = server.wait_for_log(
        rf"Worker \(pid:{first}\) has (\d+)\.\d MiB of private memory, more than {limit}"
    )
    assert 200 <= int(found[1]) < 300
    second = server.worker()
    stays(lambda: server.workers() == [second], "the new worker", 0.5)


def test_memory_that_workers_share_does_not_count(serve: Serve) -> None:
    source = "ballast = b'x' * (100 << 20)\n" + APP
    flags = ["--preload", "-w", "2", "--max-worker-memory", "80M"]
    server = serve("app:app", *flags, source=source)
    workers = server.workers()
    stays(lambda: server.workers() == workers, "the workers", 2.5)


def test_a_limit_that_no_worker_can_keep_is_told_and_no_loop(serve: Serve) -> None:
    server = start(serve, 1, "--max-worker-memory", "1M")
    server.wait_for_log(
        r"\[WARNING\] Worker .* though it is only \d+ seconds old: it may need more than that\.$"
    )
    stays(lambda: server.log().count("Booting worker") <= 2, "one replacement", 2.5)
    assert "die young" not in server.log()


def test_a_part_of_the_memory_is_told_in_bytes(serve: Serve) -> None:
    server = start(serve, 1, "--max-worker-memory", "50%")
    found = server.wait_for_log(r"\[INFO\] max_worker_memory: 50% = (\d+)\.\d MiB of (\d+)\.\d MiB$")
    assert abs(int(found[1]) * 2 - int(found[2])) <= 2


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ("lots", "Not an amount of memory: 'lots' (bytes, or such as '300M', '1.5G' or '20%')"),
        ("300", "300 bytes are less than any worker needs: is '300M' meant?"),
        ("120%", "Not a part of the memory there is: '120%' (above 0%, at most 100%)"),
    ],
)
def test_what_is_no_amount_is_refused(value: str, refusal: str, tmp_path: Path) -> None:
    said = Project(tmp_path).refusal("--max-worker-memory", value, "app:app")
    assert refusal in said


# request_timeout


def test_a_stuck_worker_is_replaced_first(serve: Serve, tmp_path: Path) -> None:
    source = (
        "import os, time\n"
        + APP.replace('if environ["PATH_INFO"] == "/grow":', "if slept(environ):")
        + (
            "\ndef slept(environ):\n"
            "    while environ['PATH_INFO'] == '/stuck':\n"
            "        try:\n            time.sleep(100)\n        except BaseException:\n            pass\n"
        )
    )
    flags = ["--request-timeout", "1", "--graceful-timeout", "1", "--threads", "2", "-w", "1"]
    server = serve("app:app", *flags, source=source)
    first = server.worker()
    assert server.get("/stuck").status == 504
    with Load(server, "/", clients=1) as load:
        wait_for(lambda: first not in server.workers(), "its end")
    assert load.errors == []
    log = server.log()
    assert log.rindex("Booting worker") < log.index(f"Worker exiting (pid: {first})")


# Out of memory


@contextlib.contextmanager
def limited_group(size: int) -> Iterator[Path]:
    """A control group (version 1) with so much memory, where there can be one."""
    group = MEMORY / f"rgunicorn-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(size))
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    try:
        if "oom_kill " not in (group / "memory.oom_control").read_text():
            pytest.skip("this kernel does not count")
        yield group
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text(), "the group to be empty")
        group.rmdir()


def test_a_worker_that_ran_out_of_memory(serve: Serve) -> None:
    with limited_group(200 << 20) as group:
        server = serve("app:app", source=APP.replace("100 << 20", "1000 << 20"), launch=True)
        # Before it looks at its group.
        (group / "cgroup.procs").write_text(str(server.pid))
        server.wait_until_listening()
        worker = server.worker()
        with server.connect() as connection:
            connection.send(b"GET /grow HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.assert_closed()
        server.wait_for_log(rf"Worker \(pid:{worker}\) was sent SIGKILL! Perhaps out of memory\?$")
        server.wait_for_log(rf"Worker \(pid:{worker}\) was serving GET /grow from 127\.0\.0\.1:\d+, ")
        wait_for(server.booted, "another worker")
        # The next one is not taken for the same.
        worker = server.worker()
        os.kill(worker, signal.SIGKILL)
        server.wait_for_log(rf"Worker \(pid:{worker}\) was sent SIGKILL!$")
        server.stop()


def test_a_worker_that_was_killed_did_not_run_out_of_memory(serve: Serve) -> None:
    server = start(serve, 1)
    worker = server.worker()
    os.kill(worker, signal.SIGKILL)
    server.wait_for_log(rf"\[ERROR\] Worker \(pid:{worker}\) was sent SIGKILL!$")
    assert not re.search("out of memory", server.log())
