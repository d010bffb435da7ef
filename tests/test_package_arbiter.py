"""`server` as hooks and threads use it: its attributes, and what can be asked of it while it runs."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from conftest import Serve
from support.processes import stays, wait_for
from support.server import IS_GUNICORN, Server

FACTS = """
import json

def when_ready(server):
    facts = {
        "pid": server.pid,
        "address": server.address,
        "listeners": [[str(s), s.getsockname(), s.cfg_addr, s.fileno() >= 0] for s in server.LISTENERS],
        "workers": [server.WORKERS, server.num_workers, server.cfg.workers],
        "age": server.worker_age,
        "class": server.worker_class.__name__,
        "timeout": server.timeout,
        "name": server.proc_name,
        "masters": [server.master_pid, server.reexec_pid, server.master_name],
        "systemd": server.systemd,
        "statuses": [server.WORKER_BOOT_ERROR, server.APP_LOAD_ERROR],
        "hup": server.SIG_NAMES[1],
        "signals": len(server.SIGNALS),
        "context": [server.START_CTX["args"], server.START_CTX["cwd"], server.START_CTX[0]],
        "app": server.app.cfg is server.cfg,
    }
    server.log.info("facts %s", json.dumps(facts))

def pre_fork(server, worker):
    server.log.info("pre_fork %s %s %s", worker, worker.age, len(server.WORKERS))
"""


def test_the_server_has_its_attributes(serve: Serve) -> None:
    server = serve("views:app", "-w", "2", "--timeout", "7", "--name", "shop", config=FACTS)
    facts = json.loads(server.wait_for_log("facts (.*)$")[1])
    host, port = server.address
    assert facts == {
        "pid": server.pid,
        "address": [["127.0.0.1", 0]],
        "listeners": [[f"http://{host}:{port}", [host, port], ["127.0.0.1", 0], True]],
        "workers": [{}, 2, 2],
        "age": 0,
        "class": "ThreadWorker" if IS_GUNICORN else "SyncWorker",
        "timeout": 7,
        "name": "shop",
        "masters": [0, 0, "Master"],
        "systemd": False,
        "statuses": [3, 4],
        "hup": "hup",
        "signals": facts["signals"],
        "context": [[sys.executable, *server.command()], str(server.directory), sys.executable],
        "app": True,
    }
    server.wait_for_log(r"pre_fork <Worker \[booting\]> 1 0$")
    server.wait_for_log(r"pre_fork <Worker \[booting\]> 2 1$")


#: Found in seven public configurations: which worker of how many am I?
NUMBERS = """
workers = 3

def nworkers_changed(server, new, old):
    server._worker_numbers_wanted = new

def on_starting(server):
    server._overflow = 100

def pre_fork(server, worker):
    taken = {w._number for w in tuple(server.WORKERS.values()) if w.alive}
    free = set(range(1, server._worker_numbers_wanted + 1)) - taken
    worker._number = min(free) if free else server._overflow

def post_fork(server, worker):
    import os
    os.environ["WORKER_NUMBER"] = str(worker._number)
    worker.log.info("post_fork %s of %s", worker._number, server._worker_numbers_wanted)

def post_worker_init(worker):
    worker.log.info("number %s alive %s", worker._number, worker.alive)

def worker_exit(server, worker):
    worker.log.info("worker_exit %s", worker._number)

def child_exit(server, worker):
    server.log.info("child_exit %s %s", worker._number, worker.pid)
"""


def test_own_attributes_of_server_and_worker_go_through_the_fork(serve: Serve) -> None:
    source = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "1")])
    return [os.environ["WORKER_NUMBER"].encode()]
"""
    server = serve(source=source, config=NUMBERS)
    for number in (1, 2, 3):
        server.wait_for_log(f"post_fork {number} of 3$")
        server.wait_for_log(f"number {number} alive True$")
    assert server.get().text in ("1", "2", "3")
    killed = server.workers()[1]
    os.kill(killed, signal.SIGKILL)
    number = int(server.wait_for_log(rf"child_exit (\d) {killed}$")[1])
    server.wait_for_log(f"post_fork {number} of 3$", count=2)
    server.stop()
    for number in (1, 2, 3):
        assert f"worker_exit {number}" in server.log()


def asking(statement: str, setting: str = "") -> str:
    """A configuration whose hooks can be told to ask: each worker's end runs the statement once."""
    return f"""
{setting}
def child_exit(server, worker):
    if not hasattr(server, "asked"):
        server.asked = True
        {statement}
        server.log.info("asked")
"""


def ask(server: Server) -> None:
    """Makes the hook run."""
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_for_log("asked$")


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("server.num_workers = 3", 3),
        ("server.num_workers += 1", 3),
        ("server.handle_ttin()", 3),
        ("server.handle_ttou()", 1),
        ("server.num_workers = 1; server.manage_workers()", 1),
    ],
)
def test_a_hook_changes_the_number_of_workers(statement: str, number: int, serve: Serve) -> None:
    server = serve("views:app", "-w", "2", config=asking(statement))
    ask(server)
    wait_for(lambda: len(server.booted()) == number, f"{number} workers")
    stays(lambda: len(server.workers()) == number, f"{number} workers", 0.3)


@pytest.mark.parametrize("statement", ["server.reload()", "server.handle_hup()", "server.signal(1, None)"])
def test_a_hook_reloads(statement: str, serve: Serve) -> None:
    server = serve("views:app", "-w", "2", config=asking(statement))
    old = set(server.workers())
    ask(server)
    wait_for(lambda: len(server.workers()) == 2 and not old & set(server.workers()), "new workers")
    assert server.get("/hello").status == 200


STOP = pytest.mark.ours("the workers stop, and its loop starts new ones that listen to nothing")


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        pytest.param("server.stop()", 0, marks=STOP),
        pytest.param("server.stop(graceful=False)", 0, marks=STOP),
        ("server.handle_term()", 0),
        ("server.handle_int()", 0),
        ("server.handle_quit()", 0),
        ("server.halt()", 0),
        ("server.halt('no more disks', 9)", 9),
    ],
)
def test_a_hook_ends_the_service(statement: str, status: int, serve: Serve) -> None:
    server = serve("views:app", "-w", "2", config=asking(statement))
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_for_exit(status)
    assert ("Reason: no more disks" in server.log()) == (status == 9)
    assert "Traceback" not in server.log()


def test_a_hook_replaces_all_workers(serve: Serve) -> None:
    server = serve("views:app", "-w", "3", config=asking("server.kill_workers(15)"))
    old = set(server.workers())
    ask(server)
    wait_for(lambda: len(server.booted()) == 3 and not old & set(server.workers()), "new workers")
    assert server.get("/hello").status == 200


def test_a_hook_kills_one_worker(serve: Serve) -> None:
    statement = "server.kill_worker(min(server.WORKERS), 15); server.kill_worker(2**22 + 1, 15)"
    server = serve("views:app", "-w", "2", config=asking(statement))
    old = set(server.workers())
    ask(server)
    wait_for(lambda: len(server.booted()) == 2 and not old & set(server.workers()), "two new workers")


def test_a_hook_reopens_the_logs(serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "log"
    config = f"errorlog = {str(log)!r}\n" + asking("server.handle_usr1()")
    server = serve("views:app", config=config, error_log=log)
    log.rename(tmp_path / "old")
    os.kill(server.worker(), signal.SIGKILL)
    server.wait_for_log("Booting worker")
    assert "was sent SIGKILL!" in (tmp_path / "old").read_text()


@pytest.mark.ours("its loop forks in between")
def test_what_cannot_be_done_raises(serve: Serve) -> None:
    statement = """
        try:
            server.spawn_worker()
        except RuntimeError as error:
            server.log.info("%s", error)"""
    server = serve("views:app", "-w", "1", config=asking(statement))
    ask(server)
    server.wait_for_log("set num_workers instead of spawn_worker")


@pytest.mark.ours("a worker that asks does it to itself")
def test_a_worker_cannot_give_the_arbiters_orders(serve: Serve) -> None:
    config = """
def post_fork(server, worker):
    for ask in (server.reload, server.stop, server.halt, server.handle_ttin, server.manage_workers):
        try:
            ask()
        except RuntimeError as error:
            worker.log.info("refused %s", error)
    server.wakeup()
    server.num_workers = 5
"""
    server = serve("views:app", "-w", "2", config=config)
    server.wait_for_log(rf"refused \w+: this is process \d+, the arbiter is {server.pid}$", count=10)
    stays(lambda: len(server.workers()) == 2, "two workers", 0.5)


def test_a_thread_of_the_arbiter_gives_orders(serve: Serve, tmp_path: Path) -> None:
    go = tmp_path / "go"
    config = f"""
import os, threading, time

def when_ready(server):
    def control():
        while not os.path.exists({str(go)!r}):
            time.sleep(0.02)
        server.num_workers = 3
        server.log.info("thread")
    threading.Thread(target=control, daemon=True).start()
"""
    server = serve("views:app", "-w", "1", config=config)
    stays(lambda: len(server.workers()) == 1, "one worker", 0.3)
    go.touch()
    server.wait_for_log("thread$")
    wait_for(lambda: len(server.booted()) == 3, "three workers")


def test_orders_before_the_loop_runs_are_kept(serve: Serve) -> None:
    server = serve("views:app", "-w", "1", config="def when_ready(server):\n    server.handle_ttin()\n")
    wait_for(lambda: len(server.booted()) == 2, "two workers")
