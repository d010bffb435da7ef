"""HUP step by step: one new worker first, then as many at a time as there may be, never fewer than before."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from conftest import Serve
from support.load import Load
from support.processes import stays, wait_for
from support.server import Server

pytestmark = pytest.mark.ours("Gunicorn replaces all workers at once")

#: While there is a file `hold` the import waits; each file `pass` lets one worker through.
APP = """
import os, time
from pathlib import Path

def may_go_on():
    try:
        os.unlink("pass")
        return True
    except FileNotFoundError:
        return not Path("hold").exists()

while not may_go_on():
    time.sleep(0.005)
{more}

def app(environ, start_response):
    body = "{text} %d" % os.getpid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body.encode()]
"""


def write(server: Server, text: str, more: str = "") -> None:
    """Changes the application: it says `text`, and does `more` when it is imported."""
    new = server.directory / "new"
    new.write_text(APP.format(text=text, more=more))
    new.rename(server.directory / "app.py")


def start(serve: Serve, workers: int, *flags: str, config: str | None = None) -> Server:
    """A service that says `old`."""
    source = APP.format(text="old", more="")
    return serve("app:app", "-w", str(workers), *flags, source=source, config=config)


def hold(server: Server) -> None:
    """From now on no worker gets through the import."""
    (server.directory / "hold").touch()


def let_go(server: Server) -> None:
    """All may."""
    (server.directory / "hold").unlink()


def let_one_pass(server: Server) -> None:
    """One of them gets through."""
    path = server.directory / "pass"
    path.touch()
    wait_for(lambda: not path.exists(), "a worker that goes on")


def hup(server: Server, new: int) -> set[int]:
    """Sends HUP, and waits for so many workers that there were not; gives those that there were."""
    old = set(server.workers())
    server.kill(signal.SIGHUP)
    wait_for(lambda: len(set(server.workers()) - old) == new, f"{new} new")
    return old


def ready(server: Server, old: set[int], number: int) -> bool:
    """Whether so many workers serve, none of them an old one."""
    return len(server.booted()) == len(server.workers()) == number and not old & set(server.workers())


def wait_until_new(server: Server, old: set[int], number: int) -> None:
    """Waits for the end of the reload."""
    wait_for(lambda: ready(server, old, number), f"{number} new workers alone")


def test_there_are_never_fewer_workers_and_no_request_fails(serve: Serve) -> None:
    server = start(serve, 4)
    write(server, "new", more="time.sleep(0.2)")
    old = set(server.workers())
    fewest, most = 4, 4
    with Load(server, "/") as load:
        server.kill(signal.SIGHUP)
        while not ready(server, old, 4):
            fewest = min(fewest, len(server.booted()))
            most = max(most, len(server.workers()))
        wait_for(lambda: load.answers and load.answers[-1].body.startswith("new"), "the new code")
    assert load.errors == []
    assert fewest == 4
    # A quarter of them more, and those that are leaving.
    assert most < 8


def test_the_first_new_worker_is_alone_until_it_has_booted(serve: Serve) -> None:
    server = start(serve, 3)
    hold(server)
    old = hup(server, 1)
    stays(lambda: len(server.workers()) == 4 and old <= set(server.booted()), "all old and one new", 0.5)
    let_go(server)
    wait_until_new(server, old, 3)
    assert server.log().count("Booting worker") == 6


@pytest.mark.parametrize(("surge", "importing"), [("1", 1), ("2", 2), ("9", 3)])
def test_then_as_many_as_the_surge_allows(surge: str, importing: int, serve: Serve) -> None:
    server = start(serve, 4, "--reload-surge", surge)
    hold(server)
    old = hup(server, 1)
    let_one_pass(server)

    def waiting() -> bool:
        return len(server.booted()) == 4 and len(server.workers()) == 4 + importing

    server.wait_for_log("Booting worker", count=5 + importing)
    wait_for(waiting, f"4 that serve and {importing} that boot")
    stays(waiting, f"4 that serve and {importing} that boot", 0.3)
    assert len(old & set(server.workers())) == 3
    let_go(server)
    wait_until_new(server, old, 4)


@pytest.mark.parametrize(
    ("more", "errors"), [("1 / 0", 2), ("os._exit(7)", 1), ("os.abort()", 1), ("os.kill(os.getpid(), 9)", 1)]
)
def test_code_that_does_not_load_is_tried_once(more: str, errors: int, serve: Serve) -> None:
    server = start(serve, 3)
    old = server.workers()
    write(server, "new", more=more)
    before = server.log()
    server.kill(signal.SIGHUP)
    server.wait_for_log(
        r"\[ERROR\] Reload failed: the new workers do not boot \(pid:\d+ .*\)\. The old ones keep serving\.$"
    )
    assert server.workers() == old
    stays(lambda: server.workers() == old, "the old workers alone", 0.3)
    said = server.log().removeprefix(before)
    assert said.count("Booting worker") == 1
    # That of the worker, with its traceback, is one more.
    assert said.count("[ERROR]") == errors
    assert "[WARNING]" not in said
    assert said.count("Traceback") == (1 if more == "1 / 0" else 0)
    assert server.get().text.startswith("old")
    write(server, "mended")
    server.kill(signal.SIGHUP)
    wait_until_new(server, set(old), 3)
    assert server.get().text.startswith("mended")


def test_a_configuration_that_does_not_load_is_one_error(serve: Serve) -> None:
    server = start(serve, 1, config="")
    old = server.workers()
    (server.directory / "gunicorn.conf.py").write_text("1 / 0\n")
    before = server.log()
    server.kill(signal.SIGHUP)
    server.wait_for_log(r"Reload failed: bad configuration\. The old one stays")
    server.wait_for_log("^ZeroDivisionError")
    said = server.log().removeprefix(before)
    assert (said.count("[ERROR]"), said.count("ZeroDivisionError")) == (1, 1)
    assert server.workers() == old


def test_an_address_that_is_taken_is_one_line_at_once(serve: Serve) -> None:
    source, config = APP.format(text="old", more=""), "bind = ['127.0.0.1:0']\nworkers = 2\n"
    server = serve("app:app", source=source, config=config, binds=[])
    old = server.workers()
    before = server.log()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (server.directory / "gunicorn.conf.py").write_text(f"bind = ['127.0.0.1:{port}']\n")
        server.kill(signal.SIGHUP)
        line = server.wait_for_log(r"\[ERROR\] .*$")[0]
    where = f"cannot listen at 127.0.0.1:{port}: Address already in use (bind from the configuration file "
    assert line.startswith(f"[ERROR] Reload failed: bad configuration: {where}")
    assert line.endswith("/gunicorn.conf.py, line 1). The old workers and listeners go on.")
    assert server.log().removeprefix(before).count("\n") == 3
    assert server.workers() == old
    assert server.get().text.startswith("old")


def test_once_one_has_booted_a_failure_is_tried_again(serve: Serve) -> None:
    server = start(serve, 3)
    # Those after the first fail, twice.
    born = "n = len(list(Path().glob('born*'))); Path(f'born{n}').touch()\nif n in (1, 2): 1 / 0"
    write(server, "new", more=born)
    old = set(server.workers())
    server.files |= {f"run/born{number}" for number in range(5)}
    server.kill(signal.SIGHUP)
    wait_until_new(server, old, 3)
    assert server.log().count("ZeroDivisionError") >= 2
    assert "Reload failed" not in server.log()


def test_a_second_hup_supersedes_the_first(serve: Serve) -> None:
    server = start(serve, 2)
    hold(server)
    write(server, "first")
    old = hup(server, 1)
    (first,) = set(server.workers()) - old
    write(server, "second")
    server.kill(signal.SIGHUP)
    wait_for(lambda: len(server.workers()) == 4, "another new worker")
    assert old == set(server.booted())
    let_go(server)
    wait_until_new(server, {*old, first}, 2)
    assert {server.get().text.split()[0] for _ in range(10)} == {"second"}


def test_a_second_hup_with_broken_code_returns_to_the_first(serve: Serve) -> None:
    server = start(serve, 3)
    hold(server)
    write(server, "first")
    old = hup(server, 1)
    let_one_pass(server)
    wait_for(lambda: len(old & set(server.workers())) == 2 and len(server.workers()) == 4, "the next one")
    write(server, "broken", more="1 / 0")
    let_go(server)
    server.kill(signal.SIGHUP)
    server.wait_for_log("Reload failed: |Workers die young")
    write(server, "third")
    wait_until_new(server, old, 3)


def test_ttin_and_ttou_during_a_reload(serve: Serve) -> None:
    server = start(serve, 2)
    hold(server)
    old = hup(server, 1)
    server.kill(signal.SIGTTIN)
    server.wait_for_log("Handling signal: ttin")
    stays(lambda: len(server.workers()) == 3, "one new worker alone", 0.2)
    let_go(server)
    wait_until_new(server, old, 3)
    hold(server)
    old = hup(server, 1)
    server.kill(signal.SIGTTOU)
    server.wait_for_log("Handling signal: ttou")
    stays(lambda: old <= set(server.booted()), "the old workers", 0.2)
    let_go(server)
    # HUP has gone back to the 2 that were asked for.
    wait_until_new(server, old, 1)


def test_ttin_during_a_reload_that_fails_counts(serve: Serve) -> None:
    server = start(serve, 1)
    hold(server)
    old = hup(server, 1)
    server.kill(signal.SIGTTIN)
    server.wait_for_log("Handling signal: ttin")
    (new,) = set(server.workers()) - old
    os.kill(new, signal.SIGKILL)
    server.wait_for_log("Reload failed: ")
    let_go(server)
    wait_for(lambda: len(server.booted()) == 2 and old < set(server.workers()), "one worker more")


def test_workers_that_die_during_a_reload(serve: Serve) -> None:
    server = start(serve, 3)
    hold(server)
    old = hup(server, 1)
    os.kill(min(old), signal.SIGKILL)
    # It is replaced though nobody knows yet whether the new code loads.
    wait_for(lambda: len(set(server.workers()) - old) == 2, "its replacement")
    stays(lambda: len(server.workers()) == 4, "2 that serve and 2 that boot", 0.3)
    let_one_pass(server)
    wait_for(lambda: len(server.booted()) == 3, "3 that serve")
    (first,) = set(server.booted()) - old
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: first not in server.workers(), "its end")
    let_go(server)
    wait_until_new(server, old, 3)


def test_a_worker_that_dies_during_a_reload_onto_broken_code_is_replaced_with_pauses(serve: Serve) -> None:
    server = start(serve, 2)
    hold(server)
    old = hup(server, 1)
    os.kill(min(old), signal.SIGKILL)
    wait_for(lambda: len(set(server.workers()) - old) == 2, "its replacement")
    # Those that wait have the code that they have read.
    write(server, "broken", more="1 / 0")
    before = server.log()
    os.kill(server.workers()[1], signal.SIGKILL)
    server.wait_for_log(
        r"Reload failed: the new workers do not boot \(pid:\d+ was sent SIGKILL\)\. The old ones keep"
    )
    let_go(server)
    server.wait_for_log(r"Workers die young\. The next one starts in 0\.4 seconds\.")
    said = server.log().removeprefix(before)
    assert said.count("Reload failed") == 1
    assert said.count("Booting worker") <= 5
    assert server.get().text == f"old {max(old)}"
    write(server, "mended")
    server.kill(signal.SIGHUP)
    wait_until_new(server, old, 2)
    assert server.get().text.startswith("mended")


def test_a_configuration_whose_workers_do_not_boot_does_not_end_a_service_without_old_ones(
    serve: Serve,
) -> None:
    source, config = APP.format(text="old", more=""), "workers = 1\n"
    server = serve("app:app", source=source, config=config)
    hold(server)
    (server.directory / "gunicorn.conf.py").write_text("def post_worker_init(worker): 1 / 0\n")
    (old,) = hup(server, 1)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: old not in server.workers(), "its end")
    let_go(server)
    server.wait_for_log(
        r"do not boot \(pid:\d+ exited with code 3\), and no old one is left\. The configuration"
    )
    wait_for(server.booted, "a worker of the configuration before")
    assert server.get().text == f"old {server.worker()}"


def test_workers_that_retire_during_a_reload(serve: Serve) -> None:
    server = start(serve, 2, "--max-requests", "5")
    write(server, "new", more="time.sleep(0.2)")
    with Load(server, "/", clients=1) as load:
        old = set(server.workers())
        for _ in range(3):
            server.kill(signal.SIGHUP)
            wait_for(lambda: load.answers and load.answers[-1].body.startswith("new"), "the new code")
        wait_for(lambda: not old & set(server.workers()), "the end of the old ones")
    assert load.errors == []
