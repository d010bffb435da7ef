"""What systemd is told: readiness, reloads, the end, how the service is, and that its arbiter lives."""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.processes import wait_for
from support.server import Server
from support.systemd import Systemd

HELD = """
import os, time
while os.path.exists("../hold"):
    time.sleep(0.01)
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    """systemd, with a socket in the file system."""
    found = Systemd(str(tmp_path / "notify"))
    yield found
    found.close()


def held(serve: Serve, systemd: Systemd, *flags: str, **env: str) -> Server:
    """A server whose application cannot be imported as long as the file `hold` is there."""
    server = serve("app:app", *flags, source=HELD, env={"NOTIFY_SOCKET": systemd.address, **env})
    (server.home / "hold").touch()
    return server


@pytest.mark.ours("it is ready when the arbiter listens")
def test_the_service_is_ready_when_its_first_worker_serves(systemd: Systemd, serve: Serve) -> None:
    config = "def post_fork(server, worker): open('../hold', 'w').close()"
    server = serve("app:app", source=HELD, config=config, env={"NOTIFY_SOCKET": systemd.address}, launch=True)
    messages = systemd.wait_for("STATUS", "Starting: 0 of 1 worker, 1 starting")
    assert not any("READY" in message for message in messages)
    assert systemd.is_silent(0.3)
    (server.home / "hold").unlink()
    assert systemd.next() == {"READY": "1", "STATUS": "Serving: 1 worker"}
    server.wait_until_bound()
    assert server.get("/").body == b"ok"


@pytest.mark.ours("it is ready when the arbiter listens")
def test_an_application_that_cannot_be_imported_is_never_ready(systemd: Systemd, serve: Serve) -> None:
    env = {"NOTIFY_SOCKET": systemd.address}
    server = serve("app:app", source="1 / 0", env=env, launch=True)
    server.wait_for_exit(3)
    messages = systemd.wait_for("STOPPING")
    assert not any("READY" in message for message in messages)


@pytest.mark.ours("it says READY only")
def test_a_reload_is_told_and_its_end(systemd: Systemd, serve: Serve) -> None:
    before = time.monotonic_ns() // 1000
    server = held(serve, systemd)
    systemd.wait_for("READY")
    server.kill(signal.SIGHUP)
    (reloading,) = systemd.wait_for("RELOADING")
    assert before < int(reloading["MONOTONIC_USEC"]) < time.monotonic_ns() // 1000
    messages = systemd.wait_for("STATUS", "Reloading: 1 worker, 1 starting")
    assert not any("READY" in message for message in messages)
    (server.home / "hold").unlink()
    assert systemd.wait_for("READY")[-1]["STATUS"].startswith("Serving: 1 worker")
    systemd.wait_for("STATUS", "Serving: 1 worker")


@pytest.mark.ours("a bad configuration ends it")
@pytest.mark.parametrize(
    ("config", "line"),
    [("workers = 'many'", "bad configuration"), ("def post_fork(server, worker): 1 / 0", "do not boot")],
)
def test_a_reload_that_fails_leaves_a_service_that_is_ready(
    config: str, line: str, systemd: Systemd, serve: Serve
) -> None:
    server = serve("views:app", config="", env={"NOTIFY_SOCKET": systemd.address})
    systemd.wait_for("READY")
    (server.directory / "gunicorn.conf.py").write_text(config)
    server.kill(signal.SIGHUP)
    systemd.wait_for("RELOADING")
    systemd.wait_for("READY")
    assert line in server.log()
    assert server.get("/hello").status == 200


@pytest.mark.ours("it says READY only")
def test_the_end_is_told_and_who_is_waited_for(systemd: Systemd, serve: Serve, tmp_path: Path) -> None:
    server = serve("views:app", "-w", "2", env={"NOTIFY_SOCKET": systemd.address})
    systemd.wait_for("STATUS", "Serving: 2 workers")
    path = tmp_path / "done"
    with server.connect() as connection:
        connection.send(f"GET /until?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for(path.with_suffix(".begun").exists, "the application to be called")
        server.kill(signal.SIGTERM)
        assert systemd.wait_for("STOPPING") == [{"STOPPING": "1"}]
        systemd.wait_for("STATUS", "Stopping: 1 worker left")
        path.touch()
        assert connection.read_response().status == 200
    server.wait_for_exit(0)
    assert systemd.drain() == []


@pytest.mark.ours("it says READY only")
def test_the_status_tells_how_many_workers_serve(systemd: Systemd, serve: Serve) -> None:
    server = serve("views:app", "-w", "2", env={"NOTIFY_SOCKET": systemd.address})
    systemd.wait_for("STATUS", "Serving: 2 workers")
    server.kill(signal.SIGTTIN)
    systemd.wait_for("STATUS", "Serving: 3 workers")
    server.kill(signal.SIGTTOU)
    systemd.wait_for("STATUS", "Serving: 2 workers, 1 leaving")
    systemd.wait_for("STATUS", "Serving: 2 workers")
    os.kill(server.workers()[0], signal.SIGKILL)
    messages = systemd.wait_for("STATUS", "Serving: 2 workers")
    assert "Serving: 1 of 2 workers, 1 starting" in [message["STATUS"] for message in messages]


@pytest.mark.ours("it says READY only")
def test_nothing_is_told_twice(systemd: Systemd, serve: Serve) -> None:
    server = serve("views:app", env={"NOTIFY_SOCKET": systemd.address})
    systemd.wait_for("STATUS", "Serving: 1 worker")
    server.kill(signal.SIGUSR1)
    server.wait_for_log("Handling signal: usr1")
    assert systemd.is_silent(0.3)


# WATCHDOG

INTERVAL = 0.4


def watched(systemd: Systemd, **more: str) -> dict[str, str]:
    """The environment of a unit with WatchdogSec."""
    return {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": str(int(INTERVAL * 1e6)), **more}


@pytest.mark.ours("it knows no watchdog")
def test_signs_of_life_come_at_half_the_interval(systemd: Systemd, serve: Serve) -> None:
    serve("views:app", env=watched(systemd))
    systemd.wait_for("WATCHDOG")
    moments = [time.monotonic()]
    for _ in range(5):
        assert systemd.wait_for("WATCHDOG")[-1] == {"WATCHDOG": "1"}
        moments.append(time.monotonic())
    pauses = [after - before for before, after in itertools.pairwise(moments)]
    assert max(pauses) < INTERVAL
    assert sum(pauses) / len(pauses) > INTERVAL / 4


@pytest.mark.ours("it knows no watchdog")
def test_they_come_from_the_loop_so_that_an_arbiter_that_hangs_is_silent(
    systemd: Systemd, serve: Serve
) -> None:
    config = """
import os, time
def child_exit(server, worker):
    open("hanging", "w").close()
    while not os.path.exists("../go"):
        time.sleep(0.01)
    os.unlink("hanging")
"""
    server = serve("views:app", config=config, env=watched(systemd))
    systemd.wait_for("WATCHDOG")
    os.kill(server.worker(), signal.SIGKILL)
    wait_for((server.directory / "hanging").exists, "the hook")
    systemd.drain()
    assert systemd.is_silent(INTERVAL * 2)
    (server.home / "go").touch()
    systemd.wait_for("WATCHDOG")


@pytest.mark.ours("it knows no watchdog")
@pytest.mark.parametrize(
    "variables", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}]
)
def test_a_watchdog_that_is_not_meant_is_not_fed(
    variables: dict[str, str], systemd: Systemd, serve: Serve
) -> None:
    serve("views:app", env=watched(systemd, **variables))
    systemd.wait_for("STATUS", "Serving: 1 worker")
    assert systemd.is_silent(INTERVAL * 2)


@pytest.mark.ours("workers see all of it")
def test_workers_know_nothing_of_the_watchdog(systemd: Systemd, serve: Serve) -> None:
    config = """
import os
def post_fork(server, worker):
    names = ("WATCHDOG_USEC", "WATCHDOG_PID", "NOTIFY_SOCKET")
    worker.log.info("variables %s", [name for name in names if name in os.environ])
"""
    server = serve("views:app", config=config, env=watched(systemd))
    # An application may have something to tell, too.
    server.wait_for_log(r"variables \['NOTIFY_SOCKET'\]$")


# The other end


def test_a_name_in_the_abstract_namespace_is_reached(serve: Serve) -> None:
    systemd = Systemd(f"@rg-{uuid.uuid4().hex}")
    serve("views:app", env={"NOTIFY_SOCKET": systemd.address})
    systemd.wait_for("READY")
    systemd.close()


@pytest.mark.ours("its words are others")
@pytest.mark.parametrize("address", ["{}/none", "@rg-nobody", "relative", "{}", "@" + "x" * 200])
def test_nobody_at_the_other_end_is_no_error(address: str, serve: Serve, tmp_path: Path) -> None:
    env = {"NOTIFY_SOCKET": address.format(tmp_path), "WATCHDOG_USEC": "100000"}
    server = serve("views:app", "--log-level", "debug", env=env)
    server.wait_for_log(r"\[DEBUG\] Exception while invoking sd_notify\(\)$", count=3)
    assert server.get("/hello").status == 200


@pytest.mark.ours("it says READY only")
def test_a_reader_that_hangs_holds_nothing_up(systemd: Systemd, serve: Serve) -> None:
    systemd.fill()
    server = serve("views:app", "--log-level", "debug", env=watched(systemd))
    started = time.monotonic()
    server.kill(signal.SIGTTIN)
    wait_for(lambda: len(server.booted()) == 2, "two workers")
    server.kill(signal.SIGTTOU)
    wait_for(lambda: len(server.workers()) == 1, "one worker")
    assert time.monotonic() - started < 5
    # What matters waits for it, but not for ever.
    server.stop()
    assert re.search("Exception while invoking sd_notify", server.log())


# Upgrades, and reloads that execute the program anew


@pytest.mark.ours("it cannot load preloaded code anew")
def test_loading_code_anew_is_no_hang(systemd: Systemd, serve: Serve) -> None:
    server = serve("views:app", "--preload", env=watched(systemd))
    systemd.wait_for("READY")
    (first,) = server.workers()
    server.kill(signal.SIGHUP)
    systemd.wait_for("RELOADING")
    loading = systemd.wait_for("WATCHDOG_USEC")
    assert loading[-1] == {"WATCHDOG": "1", "WATCHDOG_USEC": "600000000"}
    on = systemd.wait_for("WATCHDOG_USEC")
    assert on[-1] == {"WATCHDOG": "1", "WATCHDOG_USEC": str(int(INTERVAL * 1e6))}
    ready = systemd.wait_for("READY")
    assert not any("READY" in message for message in [*loading, *on])
    assert any(message.get("STATUS", "").startswith("Reloading") for message in [*on, *ready])
    wait_for(lambda: first not in server.workers(), "the new worker alone")
    assert [message for message in systemd.wait_for("WATCHDOG") if "WATCHDOG_USEC" in message] == []


@pytest.mark.ours("the new arbiter says READY at once, and nobody names it")
def test_the_new_arbiter_of_an_upgrade_speaks_when_it_is_alone(systemd: Systemd, serve: Serve) -> None:
    server = serve("views:app", env=watched(systemd), config="proc_name = 'old'\n")
    systemd.wait_for("STATUS", "Serving: 1 worker")
    server.kill(signal.SIGUSR2)
    server.wait_for_log("Listening at", count=2)
    new = wait_for(
        lambda: [pid for pid in server.workers() if processes.children(pid)], "a worker of the new arbiter"
    )[0]
    systemd.drain()
    time.sleep(INTERVAL)
    # Only the first one tells that it lives.
    assert all(message == {"WATCHDOG": "1"} for message in systemd.drain())
    server.kill(signal.SIGQUIT)
    messages = systemd.wait_for("READY")
    assert [message["MAINPID"] for message in messages if "MAINPID" in message] == [str(new)] * 2
    assert not any("STOPPING" in message for message in messages)
    systemd.wait_for("WATCHDOG")
    os.kill(new, signal.SIGTERM)
    systemd.wait_for("STOPPING")
    wait_for(lambda: not processes.alive(new), "the end of the new one")
    server.ended = True
