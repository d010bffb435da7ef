"""The arbiter with a worker class in Python: what it starts, watches, replaces, ends, and says meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from conftest import Serve
from support.processes import alive, stays, wait_for
from support.server import Server

pytestmark = pytest.mark.ours("the worker class is one of rgunicorn's")

TESTS = str(Path(__file__).parent)

APP = """
import os, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/slow"):
        time.sleep(float(path.partition("=")[2]))
    if path == "/die":
        os._exit(7)
    return [str(os.getpid()).encode()]
"""
BROKEN = "1 / 0\n"


@pytest.fixture
def start(serve: Serve) -> Serve:
    """Starts a server whose workers are stubs."""

    def start_stub(*flags: str, source: str = APP, kind: str = "StubWorker", **settings: object) -> Server:
        path = os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")])
        flags = ("-k", f"support.stub_worker.{kind}", *flags)
        return serve("app:app", *flags, source=source, env={"PYTHONPATH": path}, **settings)

    return start_stub


def write(server: Server, source: str) -> None:
    (server.directory / "app.py").write_text(source)


def ask(server: Server, target: str = "/") -> int:
    """The pid of the worker that served a request."""
    return int(server.get(target).body)


def test_starts_serves_and_stops(start: Serve) -> None:
    server = start("-w", "3")
    assert ask(server) in server.workers()
    server.wait_for_log("Booting worker", count=3)
    first, *_ = server.workers()
    server.wait_for_log(rf"\[{first}\] \[INFO\] Booting worker with pid: {first}$")
    server.stop()
    for line in ("Handling signal: term", "Shutting down: Master"):
        server.wait_for_log(rf"\[{server.pid}\] \[INFO\] {line}$")
    server.wait_for_log(r"\[INFO\] Worker exiting \(pid: \d+\)$", count=3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop(start: Serve, number: signal.Signals) -> None:
    start("-w", "2").stop(number)


def test_a_killed_worker_is_replaced_at_once(start: Serve) -> None:
    server = start("-w", "2")
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    server.wait_for_log(rf"Worker \(pid:{victim}\) was sent SIGKILL!$")
    wait_for(lambda: len(server.workers()) == 2, "the replacement", seconds=5)
    assert ask(server) != victim


def test_more_and_fewer_workers(start: Serve) -> None:
    server = start("-w", "2")
    oldest = server.workers()[0]
    server.kill(signal.SIGTTIN)
    wait_for(lambda: len(server.workers()) == 3, "a third worker")
    server.wait_for_log("Booting worker", count=3)
    server.kill(signal.SIGTTOU)
    wait_for(lambda: len(server.workers()) == 2, "two workers")
    assert oldest not in server.workers()


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [(BROKEN, 3, "Worker failed to boot."), ("app = None", 4, "App failed to load.")],
)
def test_an_application_that_does_not_load_ends_the_service(
    start: Serve, source: str, status: int, reason: str
) -> None:
    server = start("-w", "4", source=source, launch=True, kind="StubWorker")
    server.wait_for_exit(status)
    server.wait_for_log(rf"\[ERROR\] Worker \(pid:\d+\) exited with code {status}\.$")
    server.wait_for_log(r"\[ERROR\] Shutting down: Master$")
    server.wait_for_log(rf"\[ERROR\] Reason: {reason}$")


def test_a_crash_loop_backs_off(start: Serve) -> None:
    server = start("-w", "2", source="import os; os._exit(9)", launch=True)
    server.wait_for_log(r"Workers die young\. The next one starts in 0\.4 seconds\.$")
    assert server.log().count("Booting worker") <= 12
    server.stop()


def test_a_reload_replaces_every_worker(start: Serve) -> None:
    server = start("-w", "2")
    old = server.workers()
    write(server, APP.replace("str(os.getpid()).encode()", "b'new'"))
    server.kill(signal.SIGHUP)
    wait_for(lambda: not set(old) & set(server.workers()), "the old workers' end")
    assert server.get().body == b"new"
    assert len(server.workers()) == 2


def test_a_reload_waits_for_slow_imports(start: Serve) -> None:
    server = start()
    old = ask(server)
    write(server, "import time; time.sleep(0.7)\n" + APP)
    server.kill(signal.SIGHUP)
    server.wait_for_log("Booting worker", count=2)
    stays(lambda: ask(server) == old, "served by the old worker", seconds=0.4)
    wait_for(lambda: not alive(old), "the old worker's end")
    assert ask(server) != old


def test_a_reload_onto_broken_code_keeps_the_old_workers(start: Serve) -> None:
    server = start("-w", "2")
    old = server.workers()
    write(server, BROKEN)
    server.kill(signal.SIGHUP)
    server.wait_for_log(
        r"Reload failed: the new workers do not boot \(pid:\d+ exited with code 3\)\."
        r" The old ones keep serving\.$"
    )
    wait_for(lambda: server.workers() == old, "only the old workers")
    assert ask(server) in old
    write(server, APP)
    server.kill(signal.SIGHUP)
    wait_for(lambda: not set(old) & set(server.workers()), "the old workers' end")


@pytest.mark.parametrize("config", ["workers = 'many'", "1 / 0", "raw_env = ['no value']", "import nosuch"])
def test_a_reload_with_a_bad_configuration_changes_nothing(start: Serve, config: str) -> None:
    server = start("-w", "2", config="")
    old = server.workers()
    assert ask(server) in old
    (server.directory / "gunicorn.conf.py").write_text(config)
    server.kill(signal.SIGHUP)
    server.wait_for_log(r"\[ERROR\] Reload failed: bad configuration(\. The old one stays|: .*go on)\b.*$")
    assert server.log().count("Traceback") == (config != "workers = 'many'")
    server.kill(signal.SIGTTIN)
    wait_for(lambda: len(server.workers()) == 3, "a third worker")
    assert set(old) < set(server.workers())


def test_a_reload_moves_to_other_addresses(start: Serve) -> None:
    config = "import os\nbind = ['unix:a.sock'] if not os.path.exists('moved') else ['unix:b.sock']\n"
    server = start(config=config, binds=[])
    old = server.worker()
    (server.directory / "moved").touch()
    server.files.add("run/moved")
    server.kill(signal.SIGHUP)
    wait_for(lambda: not alive(old), "the old worker's end")
    wait_for(lambda: not (server.directory / "a.sock").exists(), "the old socket's end")
    assert (server.directory / "b.sock").exists()


def test_max_requests_replaces_before_it_ends(start: Serve) -> None:
    server = start("--max-requests", "3")
    first = ask(server)
    wait_for(lambda: ask(server) != first, "another worker")
    asked = server.wait_for_log("Autorestarting worker after current request").start()
    replaced = server.wait_for_log("Booting worker", count=2).start()
    ended = server.wait_for_log(rf"Worker exiting \(pid: {first}\)").start()
    assert asked < replaced < ended


def test_a_stuck_worker_is_aborted_and_its_request_named(start: Serve) -> None:
    server = start("--timeout", "1")
    stuck = server.worker()
    with server.connect() as connection:
        connection.send(b"GET /slow=60 HTTP/1.1\r\n\r\n")
        server.wait_for_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{stuck}\) GET /slow=60, 1\.\ds$", seconds=5)
    wait_for(lambda: not alive(stuck), "its end", seconds=5)
    assert ask(server) != stuck


def test_a_worker_that_ignores_abort_is_killed(start: Serve) -> None:
    source = "import signal\n" + APP.replace(
        "path = ", "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGABRT]); path = "
    )
    server = start("--timeout", "1", source=source)
    stuck = server.worker()
    with server.connect() as connection:
        connection.send(b"GET /slow=60 HTTP/1.1\r\n\r\n")
        server.wait_for_log(rf"Worker \(pid:{stuck}\) was sent SIGKILL!", seconds=10)


def test_a_worker_class_that_stops_beating_is_aborted(start: Serve) -> None:
    server = start("--timeout", "1", kind="BeatingWorker")
    server.wait_for_log(r"WORKER TIMEOUT \(pid:\d+\)$", seconds=5)
    server.stop()


def test_a_slow_import_is_never_a_timeout(start: Serve) -> None:
    server = start("--timeout", "1", source="import time; time.sleep(2)\n" + APP)
    assert ask(server)
    assert "TIMEOUT" not in server.log()


def test_a_graceful_stop_lets_requests_finish(start: Serve) -> None:
    server = start()
    with server.connect() as connection:
        connection.send(b"GET /slow=0.5 HTTP/1.1\r\n\r\n")
        time.sleep(0.1)
        server.kill(signal.SIGTERM)
        assert connection.read_response().status == 200
    server.wait_for_exit(0)


def test_a_second_int_makes_it_quick(start: Serve) -> None:
    server = start()
    with server.connect() as connection:
        connection.send(b"GET /slow=60 HTTP/1.1\r\n\r\n")
        time.sleep(0.1)
        server.kill(signal.SIGTERM)
        server.wait_for_log("Handling signal: term")
        server.kill(signal.SIGINT)
        server.wait_for_log(r"\[INFO\] Quick shutdown requested$")
        server.wait_for_exit(0, seconds=5)


def test_graceful_timeout_ends_the_wait(start: Serve) -> None:
    server = start("--graceful-timeout", "1")
    with server.connect() as connection:
        connection.send(b"GET /slow=60 HTTP/1.1\r\n\r\n")
        time.sleep(0.1)
        server.stop(seconds=5)


def test_workers_end_with_the_arbiter(start: Serve) -> None:
    server = start("-w", "2")
    workers = server.workers()
    server.kill(signal.SIGKILL)
    wait_for(lambda: not any(map(alive, workers)), "the workers' end", seconds=5)
    server.ended = True


def test_usr1_reopens_the_log(start: Serve) -> None:
    server = start("--error-logfile", "error.log", launch=True)
    path = server.directory / "error.log"
    server.files |= {"run/error.log", "run/error.log.1"}
    wait_for(lambda: path.exists() and "Booting worker" in path.read_text(), "the log")
    path.rename(path.with_suffix(".log.1"))
    server.kill(signal.SIGUSR1)
    wait_for(path.exists, "the new log")
    server.stop()
    assert "Shutting down: Master" in path.read_text()
    assert "Worker exiting" in path.read_text()


def test_an_address_in_use_is_refused(start: Serve) -> None:
    first = start()
    host, port = first.address
    second = start(binds=[f"{host}:{port}"], launch=True)
    second.wait_for_exit(1)
    second.wait_for_log(rf"\[ERROR\] Connection in use: \('{host}', {port}\)$", count=5)
    second.wait_for_log(rf"\[ERROR\] connection to \('{host}', {port}\) failed: ", count=5)
    second.wait_for_log(rf"\[ERROR\] Can't connect to \('{host}', {port}\)$")


def test_a_stop_while_an_address_is_in_use(start: Serve) -> None:
    first = start()
    host, port = first.address
    second = start(binds=[f"{host}:{port}"], launch=True)
    second.wait_for_log("Connection in use")
    second.stop()


HOOKS = """
import os

def note(name):
    print(name, os.getpid(), flush=True)

def on_starting(server): note("on_starting")
def when_ready(server): note("when_ready")
def on_reload(server): note("on_reload")
def pre_fork(server, worker): note("pre_fork")
def post_fork(server, worker): note("post_fork")
def post_worker_init(worker): note("post_worker_init")
def worker_int(worker): note("worker_int")
def worker_abort(worker): note("worker_abort")
def worker_exit(server, worker): note("worker_exit")
def child_exit(server, worker): note("child_exit")
def nworkers_changed(server, new, old): note(f"nworkers_changed({new},{old})")
def on_exit(server): note("on_exit")
"""


def test_hooks_are_called_in_order(start: Serve) -> None:
    server = start(config=HOOKS)
    worker = server.worker()
    wait_for(lambda: "post_worker_init" in server.stdout(), "the worker")
    server.stop(signal.SIGINT)
    notes = [line.split() for line in server.stdout().splitlines()]
    expected = (
        "nworkers_changed(1,None) on_starting when_ready pre_fork post_fork post_worker_init worker_int"
    )
    assert [name for name, _ in notes] == [*expected.split(), "worker_exit", "child_exit", "on_exit"]
    inside = {name for name, pid in notes if int(pid) == worker}
    assert inside == {"post_fork", "post_worker_init", "worker_int", "worker_exit"}


def test_a_hook_that_raises_ends_the_service_cleanly(start: Serve) -> None:
    server = start(config="def child_exit(server, worker): raise ValueError('no')\n")
    os.kill(server.worker(), signal.SIGKILL)
    server.wait_for_exit(255)
    server.wait_for_log("Unhandled exception in main loop$")
    server.wait_for_log("^ValueError: no$")


#: Its logger raises where a worker is to be replaced; until it has come to that `HUP` is being handled.
RAISES = """
import time
from rgunicorn.glogging import Logger

class Raises(Logger):
    def info(self, text, *args, **kwargs):
        if text.startswith("Hang up"):
            time.sleep(3)
        if "max_worker_lifetime" in text:
            raise ValueError("no")
        super().info(text, *args, **kwargs)

logger_class = Raises
max_worker_lifetime = 3
"""


@pytest.mark.parametrize("preload", [False, True])
def test_nothing_begins_after_a_failure_in_the_same_batch(preload: bool, serve: Serve) -> None:
    server = serve("app:app", source=APP, config=RAISES + f"preload_app = {preload}\n")
    if preload:
        # When that is done, a proof is due and a worker too old.
        server.kill(signal.SIGHUP)
    server.wait_for_exit(255)
    assert server.log().count("Booting worker") == 1
    assert "tries whether the new code loads" not in server.log()


def test_atexit_hooks_of_workers_run(start: Serve) -> None:
    source = "import atexit, os\natexit.register(lambda: print('bye', os.getpid(), flush=True))\n" + APP
    server = start(source=source)
    worker = server.worker()
    server.wait_for_log("Booting worker")
    assert ask(server) == worker
    server.stop()
    assert f"bye {worker}" in server.stdout()


@pytest.mark.skipif(sys.platform != "linux", reason="counts context switches in /proc")
def test_an_idle_arbiter_sleeps(start: Serve) -> None:
    server = start("-w", "2", "--timeout", "1")
    assert ask(server)
    # The request's deadline passes; after it there is nothing to wake up for.
    time.sleep(1.5)
    before = switches(server.pid)
    time.sleep(1.5)
    assert switches(server.pid) == before


def switches(pid: int) -> list[str]:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return [line for line in status if "ctxt_switches" in line]
