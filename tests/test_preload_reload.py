"""HUP with `preload_app`: the arbiter executes its program anew, once a process has proved that it loads."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from pathlib import Path

import pytest

from conftest import Serve
from support import processes
from support.processes import alive, stays, wait_for
from support.server import Server
from test_process_daemon import Daemon
from test_process_daemon import daemon as daemon
from test_process_sockets import Passed, hello

pytestmark = pytest.mark.ours("a preloaded application stays as it is")

APP = """
import os, time
{top}
TEXT = {text!r}

def app(environ, start_response):
    body = f"{{TEXT}} {{os.getppid()}}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

#: Waits as long as there is a file, in whatever process; says so.
HOLD = """
while os.path.exists("../hold"):
    open("../held", "w").close()
    time.sleep(0.01)
"""

#: Waits in the arbiter alone.
HOLD_IN_ARBITER = """
if os.path.exists("../hold") and "RGUNICORN_START" not in os.environ:
    open("../held", "w").close()
    while os.path.exists("../hold"):
        time.sleep(0.01)
"""

STRAY = "os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)"

HUP, TERM = signal.SIGHUP, signal.SIGTERM


def write(server: Server, text: str, top: str = "") -> None:
    """Changes the application."""
    (server.directory / "app.py").write_text(APP.format(text=text, top=top))


def says(server: Server, text: str) -> bool:
    """Whether the application of that text answers, from a worker of the first process."""
    return server.get().text == f"{text} {server.pid}"


def reload(server: Server, text: str, top: str = "") -> None:
    """Changes the application, and waits until the new one alone is served."""
    before = server.workers()
    write(server, text, top)
    server.kill(HUP)
    wait_for(lambda: says(server, text), f"{text}: {server.tail()}")
    wait_for(lambda: not set(before) & set(server.workers()), "the end of the old workers")


def held(server: Server) -> bool:
    """Whether the application waits while it is imported."""
    return (server.home / "held").exists()


def begin(serve: Serve, *flags: str, **settings: object) -> Server:
    """A server with a preloaded application that says `one`."""
    return serve("app:app", "--preload", *flags, source=APP.format(text="one", top=""), **settings)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_new_code_is_served_by_the_same_arbiter_and_nothing_is_left_open(kind: str, serve: Serve) -> None:
    # What the application opens for programs that it starts, too.
    source = APP.format(text="one", top=STRAY)
    server = serve("app:app", "--preload", "-w", "2", "-p", "pid", kind=kind, source=source)
    opened = sorted(name.partition(":")[0] for name in processes.descriptors(server.pid))
    worker_opened = len(processes.descriptors(server.workers()[0]))
    for number in range(5):
        reload(server, f"number {number}", top=STRAY)
        wait_for(lambda: len(server.booted()) == 2, "two workers")
        now = sorted(name.partition(":")[0] for name in processes.descriptors(server.pid))
        assert now == opened
        assert len(processes.descriptors(server.workers()[0])) == worker_opened
        assert (server.directory / "pid").read_text() == f"{server.pid}\n"
    server.stop()


@pytest.mark.parametrize("text", ["1/0", "syntax error", "raise SystemExit(0)", "import os; os.abort()"])
def test_code_that_does_not_load_changes_nothing(text: str, serve: Serve) -> None:
    server = begin(serve, limits={4: (0, 0)})
    worker = server.worker()
    write(server, "two", top=text)
    server.kill(HUP)
    said = r"Reload failed: the new code does not load \(process \d+ .*\)\. The old workers keep serving\.$"
    server.wait_for_log(said)
    if "abort" not in text:
        assert server.log().count("Traceback (most recent call last)") == 1
    assert server.worker() == worker
    assert says(server, "one")
    reload(server, "three")


@pytest.mark.parametrize(
    "config", ["preload_app = True\nworkers = 'many'", "preload_app = True\n1/0", "preload_app = True\ny ="]
)
def test_a_configuration_that_does_not_load_changes_nothing(
    config: str, serve: Serve, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    server = begin(serve, "--error-logfile", str(log), config="preload_app = True\n", error_log=log)
    worker = server.worker()
    (server.directory / "gunicorn.conf.py").write_text(config)
    server.kill(HUP)
    server.wait_for_log("Reload failed: the new code does not load")
    # Why is in the same file, though the process that has found it had no log.
    server.wait_for_log("many|ZeroDivisionError|SyntaxError")
    assert server.worker() == worker
    assert says(server, "one")


def test_the_service_goes_on_while_the_new_code_is_tried(serve: Serve) -> None:
    server = begin(serve)
    (server.home / "hold").touch()
    write(server, "two", top=HOLD)
    server.kill(HUP)
    wait_for(lambda: held(server), "the proof")
    assert says(server, "one")
    server.kill(signal.SIGTTIN)
    wait_for(lambda: len(server.booted()) == 2, "another worker")
    # Anything that has come since is for another try.
    server.kill(HUP)
    server.wait_for_log("Hang up: Master$", count=2)
    write(server, "three")
    (server.home / "hold").unlink()
    wait_for(lambda: says(server, "three"), "the latest code")
    server.wait_for_log("tries whether the new code loads", count=2)


def test_an_import_that_does_not_end_keeps_no_other_code_from_being_tried(serve: Serve) -> None:
    server = begin(serve)
    (server.home / "hold").touch()
    write(server, "two", top=HOLD)
    server.kill(HUP)
    wait_for(lambda: held(server), "the proof")
    reload(server, "three")


def test_term_ends_the_service_while_the_new_code_is_tried(serve: Serve) -> None:
    server = begin(serve, "-p", "pid")
    (server.home / "hold").touch()
    write(server, "two", top=HOLD)
    server.kill(HUP)
    wait_for(lambda: held(server), "the proof")
    server.stop()


@pytest.mark.parametrize("number", [TERM, signal.SIGINT, signal.SIGQUIT])
def test_the_service_ends_in_the_middle_of_the_import(number: signal.Signals, serve: Serve) -> None:
    server = begin(serve, "-w", "2", "-p", "pid", kind="unix")
    (server.home / "hold").touch()
    write(server, "two", top=HOLD_IN_ARBITER)
    server.kill(HUP)
    wait_for(lambda: held(server), "the import")
    assert says(server, "one")
    server.stop(number)


def test_signals_and_deaths_during_the_import_count(serve: Serve) -> None:
    server = begin(serve, "-w", "2")
    (server.home / "hold").touch()
    write(server, "two", top=HOLD_IN_ARBITER)
    server.kill(HUP)
    wait_for(lambda: held(server), "the import")
    killed, stays_on = server.workers()
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not alive(killed), "its end")
    for number in (signal.SIGTTIN, signal.SIGUSR1, HUP):
        server.kill(number)
    assert says(server, "one")
    write(server, "three")
    (server.home / "hold").unlink()
    server.wait_for_log(rf"Worker \(pid:{killed}\) was sent SIGKILL!")
    wait_for(lambda: says(server, "three"), "the latest code")
    wait_for(lambda: not alive(stays_on), "the end of the old worker")
    server.wait_for_log("Handling signal: ttin$")
    server.wait_for_log("Handling signal: usr1$")


def test_a_file_that_is_touched_during_the_import_counts(serve: Serve, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    touched.touch()
    server = begin(serve, "--touch-reload", str(touched))
    (server.home / "hold").touch()
    write(server, "two", top=HOLD_IN_ARBITER)
    server.kill(HUP)
    wait_for(lambda: held(server), "the import")
    write(server, "three")
    touched.write_text("now")
    (server.home / "hold").unlink()
    server.wait_for_log("touch_reload: .* has changed$")
    wait_for(lambda: says(server, "three"), "the latest code")


def test_an_import_that_fails_after_its_proof_leaves_the_old_workers(serve: Serve) -> None:
    server = begin(serve)
    worker = server.worker()
    write(server, "two", top="if 'RGUNICORN_START' not in os.environ: raise ValueError('only here')")
    server.kill(HUP)
    server.wait_for_log(r"Reload failed: the new code does not load\. The old workers keep serving\.$")
    server.wait_for_log("ValueError: only here$")
    stays(lambda: server.worker() == worker and says(server, "one"), "the old worker", 0.5)
    reload(server, "three")


def test_a_program_that_ends_before_its_arbiter_is_tried_again(serve: Serve) -> None:
    config = """
import os
preload_app = True
if os.path.exists("broken") and "RGUNICORN_START" not in os.environ:
    raise ValueError("not now")
"""
    server = begin(serve, config=config)
    server.files.add("run/broken")
    worker = server.worker()
    (server.directory / "broken").touch()
    write(server, "two")
    server.kill(HUP)
    server.wait_for_log("ended before it took over its workers")
    assert says(server, "one")
    assert server.worker() == worker
    (server.directory / "broken").unlink()
    wait_for(lambda: says(server, "two"), "the new code")


def test_it_can_be_ended_while_its_program_does_not_start(serve: Serve) -> None:
    config = """
import os
preload_app = True
if os.path.exists("broken") and "RGUNICORN_START" not in os.environ:
    raise ValueError("not now")
"""
    server = begin(serve, "-w", "2", "-p", "pid", kind="unix", config=config)
    server.files.add("run/broken")
    (server.directory / "broken").touch()
    server.kill(HUP)
    server.wait_for_log("ended before it took over its workers")
    server.stop()


def test_its_end_is_that_of_a_worker_that_does_not_leave(serve: Serve) -> None:
    config = """
import os, signal
preload_app = True
graceful_timeout = 1
if os.path.exists("broken") and "RGUNICORN_START" not in os.environ:
    raise ValueError("not now")
def post_worker_init(worker):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
    stays_on = "if environ['PATH_INFO'] == '/stays': open('../held', 'w').close(); time.sleep(60)"
    source = APP.format(text="one", top="").replace("    body =", f"    {stays_on}\n    body =")
    server = serve("app:app", "-w", "2", source=source, config=config)
    server.files |= {"run/broken"}
    with server.connect() as connection:
        connection.send(b"GET /stays HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: held(server), "the request")
        (server.directory / "broken").touch()
        server.kill(HUP)
        server.wait_for_log("ended before it took over its workers")
        server.stop()
    server.wait_for_log("rgunicorn: . of the workers have not left within graceful_timeout and are killed$")


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)], ids=["off", "on"])
def test_the_reload_switches_it(before: bool, after: bool, serve: Serve) -> None:
    source = APP.format(text="one", top="IMPORTED = os.getpid()").replace("os.getppid()", "IMPORTED")
    server = serve("app:app", source=source, config=f"preload_app = {before}\n")
    assert server.get().text == f"one {server.pid if before else server.worker()}"
    (server.directory / "app.py").write_text(source.replace("'one'", "'two'"))
    (server.directory / "gunicorn.conf.py").write_text(f"preload_app = {after}\n")
    server.kill(HUP)
    wait_for(lambda: server.get().text.startswith("two"), "the new code")
    wait_for(lambda: len(server.workers()) == 1, "one worker")
    assert server.get().text == f"two {server.pid if after else server.worker()}"


HOOKS = """
preload_app = True
def on_starting(server):
    server.shop = [1]
    server.log.info("on_starting %s", server.worker_age)
def when_ready(server):
    server.log.info("when_ready %s", len(server.LISTENERS))
def on_reload(server):
    server.log.info("on_reload %s", server.shop)
def nworkers_changed(server, new, old):
    server.log.info("nworkers_changed %s %s", new, old)
def pre_fork(server, worker):
    taken = {w.number for w in server.WORKERS.values() if w.alive}
    worker.number = min({1, 2, 3, 4} - taken)
    server.log.info("pre_fork %s", worker.age)
def child_exit(server, worker):
    server.log.info("child_exit %s %s %s", worker, worker.age, worker.number)
def pre_exec(server):
    server.log.info("pre_exec")
def on_exit(server):
    server.log.info("on_exit")
"""


def test_hooks_are_called_as_for_a_program_that_starts_and_reloads(serve: Serve) -> None:
    server = begin(serve, "-w", "2", config=HOOKS)
    first = server.workers()
    reload(server, "two")
    for pid, number in zip(first, (1, 2), strict=True):
        server.wait_for_log(rf"child_exit <Worker {pid}> {number} {number}$")
    log = server.log()
    assert log.count("on_starting 0") == 1
    assert log.count("on_starting 2") == 1
    assert log.count("when_ready 1") == 2
    assert log.count("on_reload [1]") == 1
    assert log.count("nworkers_changed 2 None") == 2
    assert "pre_fork 3" in log
    assert "pre_exec" not in log
    assert "on_exit" not in log
    server.stop()
    assert server.log().count("on_exit") == 1


def test_a_kept_connection_survives(serve: Serve) -> None:
    server = begin(serve, "--threads", "2")
    with server.connect() as connection:
        assert connection.assert_open_at("/").text == f"one {server.pid}"
        reload(server, "two")
        assert connection.assert_open_at("/").text == f"two {server.pid}"


def test_addresses_of_the_new_configuration_are_opened_and_old_ones_kept(
    serve: Serve, tmp_path: Path
) -> None:
    config = f"preload_app = True\nbind = ['127.0.0.1:0', 'unix:{tmp_path}/one']\n"
    server = begin(serve, binds=[], config=config)
    tcp = server.address
    (server.directory / "gunicorn.conf.py").write_text(config.replace("/one", "/two"))
    server.kill(HUP)
    wait_for(lambda: [path.name for path in tmp_path.iterdir()] == ["two"], "the end of the old address")
    for server.addresses in [[tcp], [f"{tmp_path}/two"]]:
        assert says(server, "one")
    server.stop()
    assert not list(tmp_path.iterdir())


def test_an_address_that_is_taken_leaves_as_many_workers_as_there_were(serve: Serve) -> None:
    config = "preload_app = True\nbind = ['127.0.0.1:0']\nworkers = {}\n"
    server = begin(serve, binds=[], config=config.format(3))
    workers = set(server.workers())
    assert len(workers) == 3
    path = server.directory / "gunicorn.conf.py"
    with socket.create_server(("127.0.0.1", 0)) as other:
        path.write_text(config.format(1) + f"bind += ['127.0.0.1:{other.getsockname()[1]}']\n")
        server.kill(HUP)
        taken = rf"cannot listen at 127\.0\.0\.1:{other.getsockname()[1]}: Address already in use \(.*\)"
        server.wait_for_log(
            rf"Reload failed: bad configuration: {taken}\. The old workers and listeners go on\.$"
        )
        stays(lambda: set(server.workers()) == workers, "three workers", 0.5)
    reload(server, "two")
    wait_for(lambda: len(server.workers()) == 1, "one worker")


def test_sockets_of_systemd_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Passed([str(path), "127.0.0.1"], "--preload") as server:
        worker = server.worker()
        server.kill(HUP)
        wait_for(lambda: server.booted() and worker not in server.workers(), "the new worker")
        hello(server)
        server.stop()
        assert path.exists()


def test_paths_options_and_variables_are_those_of_the_first_start() -> None:
    config = """
import os, sys
raw_env = ["SHOP=1"]
preload_app = True
def when_ready(server):
    server.log.info("started %s", [os.environ.get("SHOP"), os.environ.get("SHOP_TOO"), sys.flags.optimize])
    os.environ["SHOP_TOO"] = "1"
"""
    server = Server("app:app", "--chdir", "sub", "-c", "conf/own.py")
    server.prefix = [sys.executable, "-O", "-X", "dev"]
    for name, text in {"conf/own.py": config, "sub/app.py": APP.format(text="one", top="")}.items():
        (server.directory / name).parent.mkdir(exist_ok=True)
        (server.directory / name).write_text(text)
    server.files = server._files()
    with server:
        for number in range(1, 4):
            server.wait_for_log(r"started \['1', None, 1\]$", count=number)
            worker = server.worker()
            server.kill(HUP)
            wait_for(lambda worker=worker: worker not in server.workers(), "the end of the worker")


PROGRAM = """
import os, sys
from rgunicorn.app.base import BaseApplication

class Own(BaseApplication):
    def load_config(self):
        for name, value in {"bind": "127.0.0.1:0", "preload_app": True, "workers": 1}.items():
            self.cfg.set(name, value)

    def load(self):
        import app
        return app.app

if __name__ == "__main__":
    Own().run()
"""


def test_a_program_of_ones_own_is_executed_again() -> None:
    server = Server("serve.py", binds=[])
    for name, text in {"app.py": APP.format(text="one", top=""), "serve.py": PROGRAM}.items():
        (server.directory / name).write_text(text)
    server.files = server._files()
    server.command = lambda: [sys.executable, "serve.py"]  # type: ignore[method-assign]
    server.env["PYTHONPATH"] = ""
    with server:
        assert says(server, "one")
        reload(server, "two")


FORKING = PROGRAM.replace(
    "    Own().run()",
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        Own().run()
""",
)


def test_where_the_program_cannot_be_executed_again_the_application_stays() -> None:
    server = Server("serve.py", binds=[])
    for name, text in {"app.py": APP.format(text="one", top=""), "serve.py": FORKING}.items():
        (server.directory / name).write_text(text)
    server.files = server._files()
    server.command = lambda: [sys.executable, "serve.py"]  # type: ignore[method-assign]
    try:
        server.launch().wait_until_bound()
        (arbiter,) = processes.children(server.pid)
        (worker,) = wait_for(lambda: processes.children(arbiter), "a worker")
        write(server, "two")
        os.kill(arbiter, HUP)
        server.wait_for_log("preload_app: this process cannot execute its program anew")
        wait_for(lambda: worker not in processes.children(arbiter), "the end of the worker")
        assert server.get().text == f"one {arbiter}"
        os.kill(arbiter, TERM)
        server.wait_for_exit(0)
    finally:
        server.destroy()


def test_without_shared_memory_that_lasts_the_application_stays(serve: Serve) -> None:
    server = begin(serve, limits={resource.RLIMIT_FSIZE: (1 << 20, 1 << 20)})
    worker = server.worker()
    write(server, "two")
    server.kill(HUP)
    server.wait_for_log("preload_app: this process cannot execute its program anew")
    wait_for(lambda: worker not in server.workers(), "the end of the worker")
    assert says(server, "one")


def test_any_number_of_workers_with_any_notes_is_carried_over(serve: Serve) -> None:
    # More than the system takes in one variable.
    config = "def pre_fork(server, worker): worker.note = str(worker.age) * 100_000\n"
    config += "def child_exit(server, worker): print(worker.age, len(worker.note), flush=True)\n"
    server = begin(serve, "-w", "3", config=config)
    opened = len(processes.descriptors(server.pid))
    for text in ("two", "three"):
        reload(server, text)
        wait_for(lambda: len(server.booted()) == len(server.workers()) == 3, "three workers")
        assert len(processes.descriptors(server.pid)) == opened
    wait_for(lambda: len(server.stdout().splitlines()) == 6, "the hooks")
    assert sorted(server.stdout().splitlines()) == [f"{age} 100000" for age in range(1, 7)]


@pytest.mark.parametrize("preload", [True, False])
def test_the_collector_leaves_preloaded_objects_alone(preload: bool, serve: Serve) -> None:
    config = f"""
import gc
preload_app = {preload}
def post_worker_init(worker):
    worker.log.info("frozen %s", gc.get_freeze_count() > 1000)
"""
    server = serve("app:app", source=APP.format(text="one", top=""), config=config)
    server.wait_for_log(f"frozen {preload}$")
    server.kill(HUP)
    server.wait_for_log(f"frozen {preload}$", count=2)


def test_a_daemon_stays_one(daemon: Daemon) -> None:
    daemon.start("--preload")
    pid, (worker,) = daemon.pid, processes.children(daemon.pid)
    for _ in range(2):
        os.kill(pid, HUP)
        wait_for(lambda worker=worker: worker not in processes.children(pid), f"its end: {daemon.log()}")
        (worker,) = wait_for(lambda: processes.children(pid), "another")
    assert daemon.get("/hello") == b"hello\n"
    assert (daemon.directory / "server.pid").read_text() == f"{pid}\n"


def test_an_upgrade_and_a_reload_meet(serve: Serve, tmp_path: Path) -> None:
    server = begin(serve, "-p", str(tmp_path / "pid"), kind="unix")
    server.kill(signal.SIGUSR2)
    new = int(server.wait_for_log(r"Listening at: .*\((\d+)\)$", count=2)[1])
    wait_for(lambda: processes.children(new), "its worker")
    # Both execute their programs.
    for pid in (server.pid, new):
        os.kill(pid, HUP)
    server.wait_for_log("tries whether the new code loads", count=2)
    server.wait_for_log("Booting worker", count=4)
    server.kill(signal.SIGUSR2)
    server.wait_for_log("Child exists")
    os.kill(new, signal.SIGUSR2)
    server.wait_for_log("Parent exists")
    server.kill(TERM)
    server.wait_for_log(rf"\[{new}\] \[INFO\] Master has been promoted\.$")
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() == f"{new}\n", "its file")
    assert server.get().text == f"one {new}"
    os.kill(new, TERM)
    wait_for(lambda: not processes.session(server.pid), "the end of all")
    server.wait_for_exit(0)
    assert not list(tmp_path.iterdir())
