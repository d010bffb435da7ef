"""Recipes of configuration files, as people write them: what hooks do besides logging."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from conftest import Serve
from support.processes import alive, wait_for
from support.server import Server


def lines(path: Path) -> list[str]:
    """The lines of a file that a hook writes; none before it does."""
    return path.read_text().splitlines() if path.exists() else []


# A stuck request says where it is stuck

STACKS = """
import faulthandler, sys, threading, traceback

timeout = 1

def worker_abort(worker):
    with open("../stacks", "w") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        for thread in threading.enumerate():
            file.write(f"thread {thread.name}\\n")
            traceback.print_stack(sys._current_frames()[thread.ident], file=file)
    worker.log.info("stacks of %s, alive: %s", worker.pid, worker.alive)
"""

STUCK = """
import time

def waits_for_ever():
    while True:
        time.sleep(0.05)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        try:
            waits_for_ever()
        finally:
            open("../unwound", "w").close()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.ours("with threads, the main one goes on")
def test_worker_abort_dumps_the_stacks_of_a_stuck_request(serve: Serve) -> None:
    server = serve(source=STUCK, config=STACKS)
    first = server.worker()
    with server.connect() as connection:
        connection.send(b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.read_response().status == 500
    server.wait_for_log(rf"WORKER TIMEOUT \(pid:{first}\)")
    server.wait_for_log(rf"stacks of {first}, alive: False")
    stacks = (server.home / "stacks").read_text()
    assert "waits_for_ever" in stacks
    assert "thread MainThread" in stacks
    assert (server.home / "unwound").exists()
    assert server.get().body == b"ok"


# Files as signs

READY = """
from pathlib import Path

workers = 2

def when_ready(server):
    Path("../ready").write_text(",".join(str(listener) for listener in server.LISTENERS))
"""


def test_when_ready_touches_a_file(serve: Serve) -> None:
    server = serve("views:app", config=READY)
    assert (server.home / "ready").read_text() == f"http://127.0.0.1:{server.address[1]}"
    assert server.get("/hello").text == "hello\n"


# The time of a request

TIMING = """
import time

def pre_request(worker, req):
    req.started = time.monotonic()
    worker.log.debug("%s %s", req.method, req.path)

def post_request(worker, req, environ, resp):
    took = time.monotonic() - req.started
    worker.log.info("timed %s %s %s %.3f %s", req.method, req.path, resp.status_code, took, environ["x.view"])
"""

TIMED = """
import time

def app(environ, start_response):
    environ["x.view"] = "known to the hook"
    time.sleep(0.05)
    start_response("201 Created", [("Content-Length", "2")])
    return [b"ok"]
"""


def test_requests_are_timed_by_their_hooks(serve: Serve) -> None:
    server = serve(source=TIMED, config=TIMING)
    assert server.get("/a?b").status == 201
    found = server.wait_for_log(r"timed GET /a 201 ([\d.]+) known to the hook$")
    assert 0.05 <= float(found[1]) < 5


# What the standard library offers around forks

FORKING = """
import os

STATE = {"connections": ["of the parent"]}

def renew():
    STATE["connections"] = []
    STATE["pid"] = os.getpid()

os.register_at_fork(after_in_child=renew, before=lambda: STATE.__setitem__("before", True))

def app(environ, start_response):
    body = repr((STATE["connections"], STATE["pid"] == os.getpid(), STATE["before"])).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_handlers_registered_at_fork_run_in_workers(serve: Serve) -> None:
    server = serve("app:app", "--preload", source=FORKING)
    assert server.get().body == b"([], True, True)"


COUNTERS = """
import multiprocessing

workers = 2
#: Made before the fork, so every worker has the same.
requests = multiprocessing.Value("i", 0)
booted = multiprocessing.Value("i", 0)

def post_worker_init(worker):
    with booted.get_lock():
        booted.value += 1

def post_request(worker, req, environ, resp):
    with requests.get_lock():
        requests.value += 1

def on_exit(server):
    server.log.info("served %s by %s", requests.value, booted.value)
"""


def test_counters_of_multiprocessing_are_shared_by_the_fork(serve: Serve) -> None:
    server = serve("views:app", config=COUNTERS)
    for _ in range(5):
        server.get("/hello")
    server.stop()
    assert "served 5 by 2" in server.log()


# Every worker has a number, and a successor takes the one that became free

NUMBERS = """
workers = 2

def on_starting(server):
    server.numbers = {}

def nworkers_changed(server, new_value, old_value):
    server._limit = new_value

def pre_fork(server, worker):
    taken = {w.number for w in tuple(server.WORKERS.values()) if hasattr(w, "number")}
    worker.number = next(n for n in range(1, server._limit + 3) if n not in taken)
    server.numbers[worker.age] = worker.number

def post_fork(server, worker):
    worker.log.info("worker %s of age %s, of %s", worker.number, worker.age, server._limit)

def worker_exit(server, worker):
    worker.log.info("number %s is free", worker.number)
"""


def test_workers_have_numbers(serve: Serve) -> None:
    server = serve("views:app", config=NUMBERS)
    found = re.findall(r"worker (\d) of age (\d), of 2$", server.log(), re.MULTILINE)
    assert sorted(found) == [("1", "1"), ("2", "2")]
    os.kill(server.workers()[0], signal.SIGTERM)
    server.wait_for_log(r"number 1 is free$")
    server.wait_for_log(r"worker 1 of age 3, of 2$")


# Signals

CHAINED = """
import signal

def post_worker_init(worker):
    former = signal.getsignal(signal.SIGTERM)
    assert callable(former)

    def leave(signum, frame):
        worker.log.info("first the own handler of %s", worker.app.callable.__name__)
        former(signum, frame)

    signal.signal(signal.SIGTERM, leave)
    interrupted = signal.getsignal(signal.SIGINT)

    def interrupt(signum, frame):
        worker.log.info("own SIGINT")
        interrupted(signum, frame)

    signal.signal(signal.SIGINT, interrupt)
"""


def test_a_handler_chained_in_post_worker_init_runs_first(serve: Serve) -> None:
    server = serve("views:app", config=CHAINED)
    assert server.get("/hello").text == "hello\n"
    server.stop()
    log = server.log()
    assert log.index("first the own handler of app") < log.index("Worker exiting")


def test_a_chained_handler_of_a_quick_end(serve: Serve) -> None:
    server = serve("views:app", config=CHAINED)
    worker = server.worker()
    os.kill(worker, signal.SIGINT)
    server.wait_for_log("own SIGINT")
    wait_for(lambda: not alive(worker), "the worker's end")
    wait_for(lambda: len(server.booted()) == 1, "its successor")
    server.stop()


# Threads of the arbiter

THREADS = """
import threading, time

beats = []

def when_ready(server):
    def beat():
        while True:
            beats.append(len(server.WORKERS))
            with open("../beats", "a") as file:
                file.write(f"{len(server.WORKERS)}\\n")
            time.sleep(0.02)
    threading.Thread(target=beat, name="beat", daemon=True).start()

def post_fork(server, worker):
    worker.log.info("threads of a worker: %s", [thread.name for thread in threading.enumerate()])
"""


def test_threads_started_in_when_ready_live_on(serve: Serve) -> None:
    server = serve("views:app", config=THREADS)
    beats = server.home / "beats"
    wait_for(lambda: len(lines(beats)) > 3, "the first beats")
    server.kill(signal.SIGHUP)
    server.wait_for_log("Booting worker with pid", count=2)
    wait_for(lambda: len(server.booted()) == 1, "the new worker")
    before = len(lines(beats))
    # The arbiter sleeps; its thread does not.
    wait_for(lambda: len(lines(beats)) > before + 5, "beats after the reload")
    assert "threads of a worker: ['MainThread']" in server.log()
    server.stop()


# JSON in the access log: formatters read the record's arguments by atom

JSON_LOG = """
import json, logging

KEYS = ["h", "m", "U", "q", "H", "s", "f", "a", "B", "b", "l", "{x-in}i", "{content-type}o"]

class JsonFormatter(logging.Formatter):
    def format(self, record):
        line = {key: record.args.get(key) for key in KEYS}
        line["timed"] = all(key in record.args for key in "tTDMLp")
        line["record"] = [record.getMessage(), record.name, record.levelname]
        return json.dumps(line)

ACCESS = {"class": "logging.FileHandler", "filename": "../access.json", "formatter": "json"}
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {"access": ACCESS},
    "root": {"level": "INFO", "handlers": []},
    "loggers": {"gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False}},
}
access_log_format = "%(m)s %(U)s"
"""


def test_a_json_formatter_reads_the_atoms_of_a_record(serve: Serve) -> None:
    server = serve("views:app", config=JSON_LOG)
    server.get("/hello?a=b", "X-In: in", "User-Agent: agent")
    record = json.loads(wait_for(lambda: lines(server.home / "access.json"), "the line")[0])
    assert record.pop("timed")
    assert record.pop("record") == ["GET /hello", "gunicorn.access", "INFO"]
    assert record == {
        "h": "127.0.0.1",
        "m": "GET",
        "U": "/hello",
        "q": "a=b",
        "H": "HTTP/1.1",
        "s": "200",
        "f": "-",
        "a": "agent",
        "B": 6,
        "b": "6",
        "l": "-",
        "{x-in}i": "in",
        "{content-type}o": "text/plain",
    }


# Settings by the dozen

ENVIRONMENT = """
import os

for name, value in os.environ.items():
    if name.startswith("GUNICORN_") and name != "GUNICORN_CMD_ARGS":
        locals()[name.removeprefix("GUNICORN_").lower()] = value

def when_ready(server):
    server.log.info("configured %r %r %r", server.cfg.workers, server.cfg.timeout, server.cfg.proc_name)
"""


def test_variables_become_settings(serve: Serve) -> None:
    env = {"GUNICORN_WORKERS": "2", "GUNICORN_TIMEOUT": "0x20", "GUNICORN_PROC_NAME": "shop"}
    server: Server = serve("views:app", config=ENVIRONMENT, env=env, launch=True)
    server.wait_for_log(r"configured 2 32 'shop'$")
    server.wait_until_bound()
    wait_for(lambda: len(server.booted()) == 2, "both workers")
