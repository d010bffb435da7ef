"""The threaded worker class: as many requests at once as threads, and how it starts, leaves and ends."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from conftest import Serve
from rgunicorn.workers.gthread import ThreadWorker
from support.cases import get
from support.processes import alive, wait_for
from support.server import Server
from support.wire import Connection, Response

SOURCE = """
import atexit, os, pathlib, sys, threading, time

once = threading.local()
atexit.register(lambda: pathlib.Path("atexit").touch() if os.environ.get("ATEXIT") else None)

def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = "ok"
    if path == "/sleep":
        time.sleep(float(query))
    elif path == "/until":
        begun = pathlib.Path(query + ".begun-" + str(threading.get_ident()))
        begun.touch()
        while not os.path.exists(query):
            time.sleep(0.01)
    elif path == "/thread":
        once.calls = getattr(once, "calls", 0) + 1
        time.sleep(0.01)
        known = threading.current_thread() in threading.enumerate()
        body = f"{threading.current_thread().name} {threading.get_ident()} {once.calls} {known}"
    elif path == "/exit":
        sys.exit(3)
    elif path == "/interrupt":
        raise KeyboardInterrupt
    elif path == "/flags":
        body = f"{environ['wsgi.multithread']} {environ['wsgi.multiprocess']} {environ['wsgi.run_once']}"
    elif path == "/main":
        body = str(threading.current_thread() is threading.main_thread())
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body.encode()]
"""


def threaded(serve: Serve, *flags: str, threads: int = 4, **settings: object) -> Server:
    return serve("app:app", "--threads", str(threads), *flags, source=SOURCE, **settings)


def together(server: Server, *targets: str) -> list[Response]:
    """The answers to requests that are sent at once, each on a connection of its own."""
    connections = [server.connect() for _ in targets]
    for connection, target in zip(connections, targets, strict=True):
        connection.send(get(target=target.encode()))
    answers = [connection.read_response() for connection in connections]
    for connection in connections:
        connection.close()
    return answers


def begin(server: Server, path: Path, number: int) -> list[Connection]:
    """Clients whose requests are in the application until `path` exists."""
    connections = []
    for count in range(number):
        connection = server.connect()
        connection.send(get(target=f"/until?{path}".encode()))
        connections.append(connection)
        wait_for(
            lambda count=count: len(list(path.parent.glob(path.name + ".begun-*"))) == count + 1, "a thread"
        )
    return connections


@pytest.mark.parametrize("flags", [[], ["-k", "sync"], ["-k", "gthread"]])
def test_threads_ask_for_the_class(flags: list[str], serve: Serve) -> None:
    server = threaded(serve, *flags, threads=2)
    server.wait_for_log(r"\[INFO\] Using worker: gthread$")
    assert server.get("/flags").text == "True False False"
    assert server.get("/main").text == "False"


def test_one_thread_is_enough(serve: Serve) -> None:
    server = threaded(serve, "-k", "gthread", "-w", "2", threads=1)
    assert server.get("/flags").text == "True True False"
    assert [answer.text for answer in together(server, "/sleep?0.2", "/sleep?0.2")] == ["ok"] * 2


def test_requests_run_at_the_same_time(serve: Serve) -> None:
    server = threaded(serve, threads=4)
    began = time.monotonic()
    answers = together(server, *["/sleep?0.5"] * 4)
    assert [answer.text for answer in answers] == ["ok"] * 4
    assert time.monotonic() - began < 1.4


def test_a_short_request_waits_for_no_long_one(serve: Serve, tmp_path: Path) -> None:
    server = threaded(serve, threads=3)
    waiting = begin(server, tmp_path / "go", 2)
    with server.connect() as connection:
        for _ in range(50):
            began = time.monotonic()
            assert connection.request(get()).text == "ok"
            assert time.monotonic() - began < 1
    (tmp_path / "go").touch()
    assert [connection.read_response().text for connection in waiting] == ["ok"] * 2
    for connection in waiting:
        connection.close()


def test_a_thread_keeps_its_state(serve: Serve) -> None:
    """Thread-local objects live as long as the thread, whatever the number of requests."""
    server = threaded(serve, threads=3)
    seen: dict[str, list[int]] = {}
    for _ in range(10):
        for answer in together(server, *["/thread"] * 3):
            _, ident, calls, known = answer.text.split()
            assert known == "True"
            seen.setdefault(ident, []).append(int(calls))
    assert len(seen) <= 3
    for calls in seen.values():
        assert sorted(calls) == list(range(1, len(calls) + 1))


@pytest.mark.ours("the end of one request ends the worker, or the server")
@pytest.mark.parametrize("target", ["/exit", "/interrupt"])
def test_an_exit_of_the_application_is_the_error_of_one_request(target: str, serve: Serve) -> None:
    server = threaded(serve)
    worker = server.worker()
    for _ in range(6):
        assert server.get(target).status == 500
    assert server.get().text == "ok"
    assert server.worker() == worker
    server.wait_for_log(rf"\[ERROR\] Error handling request GET {target}$", count=6)


def test_many_connections_are_kept(serve: Serve) -> None:
    server = threaded(serve, threads=2)
    connections = [server.connect() for _ in range(60)]
    for _ in range(3):
        for connection in connections:
            connection.send(get())
        assert [connection.read_response().text for connection in connections] == ["ok"] * 60
    for connection in connections:
        connection.close()


def test_more_threads_than_anybody_needs(serve: Serve) -> None:
    server = threaded(serve, threads=100)
    began = time.monotonic()
    assert [answer.text for answer in together(server, *["/sleep?0.5"] * 100)] == ["ok"] * 100
    assert time.monotonic() - began < 5


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    server = threaded(serve, threads=4)
    with server.connect() as connection:
        connection.send(b"".join(get(target=f"/sleep?0.0{5 - number}".encode()) for number in range(5)))
        assert [connection.read_response().text for _ in range(5)] == ["ok"] * 5


def test_clients_of_all_kinds_at_once(serve: Serve) -> None:
    """Kept connections, pipelines, slow and quick requests on many connections: every answer comes, whole."""
    server = threaded(serve, threads=4)
    failures: list[object] = []

    def client(number: int) -> None:
        try:
            with server.connect() as connection:
                for turn in range(40):
                    count = 1 + (number + turn) % 3
                    target = b"/sleep?0.003" if turn % 7 == number % 7 else b"/"
                    connection.send(get(target=target) * count)
                    for _ in range(count):
                        assert connection.read_response().text == "ok"
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


@pytest.mark.parametrize("threads", [1, 3])
def test_term_lets_requests_finish(threads: int, serve: Serve, tmp_path: Path) -> None:
    server = threaded(serve, "-k", "gthread", threads=threads)
    waiting = begin(server, tmp_path / "go", threads)
    server.kill(signal.SIGTERM)
    server.wait_for_log(r"\[INFO\] Handling signal: term$")
    (tmp_path / "go").touch()
    for connection in waiting:
        answer = connection.read_response()
        assert (answer.text, answer.persists) == ("ok", False)
        connection.close()
    server.wait_for_exit(0)


def test_a_kept_connection_goes_to_the_successor(serve: Serve, tmp_path: Path) -> None:
    server = threaded(serve, threads=2)
    worker, waiting = server.worker(), begin(server, tmp_path / "go", 1)
    with server.connect() as kept:
        assert kept.request(get()).persists
        server.kill(signal.SIGHUP)
        wait_for(lambda: server.booted() and worker not in server.booted(), "its successor")
        assert kept.request(get()).persists
        assert len(server.workers()) == 2
        assert kept.request(get()).persists
    (tmp_path / "go").touch()
    assert waiting[0].read_response().text == "ok"
    waiting[0].close()
    wait_for(lambda: not alive(worker), "its end")


@pytest.mark.ours("waits for its threads")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_are_quick(number: signal.Signals, serve: Serve, tmp_path: Path) -> None:
    """Whatever the threads do. The hooks and what is registered with `atexit` still run."""
    ended = tmp_path / "ended"
    config = f"def worker_exit(server, worker):\n    open({str(ended)!r}, 'w').close()\n"
    server = threaded(serve, threads=3, config=config, env={"ATEXIT": "1"})
    waiting = begin(server, tmp_path / "never", 2)
    server.kill(number)
    wait_for(lambda: (server.directory / "atexit").exists(), "the hooks of the interpreter", 5)
    (server.directory / "atexit").unlink()
    server.wait_for_exit(0, 5)
    assert ended.exists()
    for connection in waiting:
        connection.close()


def test_a_request_longer_than_graceful_timeout_is_cut(serve: Serve, tmp_path: Path) -> None:
    server = threaded(serve, "--graceful-timeout", "1", threads=3)
    waiting = begin(server, tmp_path / "never", 2)
    server.stop(seconds=10)
    for connection in waiting:
        connection.close()


def test_max_requests_replaces_a_worker_first(serve: Serve) -> None:
    server = threaded(serve, "-w", "1", "--max-requests", "20", threads=4)
    first = server.worker()
    for _ in range(40):
        assert server.get().text == "ok"
    wait_for(lambda: first not in server.workers(), "its end")
    assert len(server.workers()) >= 1
    server.wait_for_log("Autorestarting worker after current request")


def test_the_end_of_the_arbiter_ends_the_worker(serve: Serve) -> None:
    server = threaded(serve, threads=2)
    worker = server.worker()
    server.kill(signal.SIGKILL)
    wait_for(lambda: not alive(worker), "the worker's end")
    assert "Parent changed, shutting down" in server.log()
    server.ended = True


def test_an_own_pool_of_threads_is_used(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "pools.py").write_text(
        "import threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from gunicorn.workers.gthread import ThreadWorker\n"
        "class Pooled(ThreadWorker):\n"
        "    def get_thread_pool(self):\n"
        "        return ThreadPoolExecutor(self.cfg.threads, thread_name_prefix='mine')\n"
    )
    server = threaded(serve, "-k", "pools.Pooled", threads=2, env={"PYTHONPATH": str(tmp_path)})
    assert {answer.text.split()[0][:4] for answer in together(server, *["/thread"] * 4)} == {"mine"}


@pytest.mark.ours("its clients are reset for ever")
def test_a_worker_whose_threads_cannot_be_prepared_is_replaced(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "pools.py").write_text(
        "import pathlib\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from gunicorn.workers.gthread import ThreadWorker\n"
        "def prepare():\n"
        f"    if not pathlib.Path({str(tmp_path / 'database')!r}).exists():\n"
        "        raise RuntimeError('no database')\n"
        "class Pooled(ThreadWorker):\n"
        "    def get_thread_pool(self):\n"
        "        return ThreadPoolExecutor(self.cfg.threads, initializer=prepare)\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    server = threaded(serve, "-k", "pools.Pooled", threads=2, env=env, launch=True)
    server.wait_for_log("A thread of the worker has ended, so the worker leaves")
    server.wait_for_log("RuntimeError: no database")
    (tmp_path / "database").touch()
    server.wait_until_bound()
    assert server.get().text == "ok"


@pytest.mark.ours("the tests are about the native loop")
@pytest.mark.parametrize("name", ThreadWorker.STEPS)
def test_a_step_that_would_never_be_called_is_refused(name: str, serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from gunicorn.workers.gthread import ThreadWorker\n"
        f"class Mine(ThreadWorker):\n    def {name}(self, *args): pass\n"
    )
    server = threaded(serve, "-k", "mine.Mine", env={"PYTHONPATH": str(tmp_path)}, launch=True)
    server.wait_for_exit(1)
    assert (
        f"Error: mine.Mine overrides {name}(), which the native threaded worker never calls" in server.log()
    )


def test_too_few_connections_for_the_threads_are_warned_about(serve: Serve) -> None:
    server = threaded(serve, "--worker-connections", "4", threads=4)
    server.wait_for_log(r"\[WARNING\] No keepalived connections can be handled\.")


def test_usr1_reopens_the_access_log(serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = threaded(serve, "--access-logfile", str(log), threads=2)
    server.get("/before")
    wait_for(lambda: "/before" in log.read_text(), "the line")
    log.rename(tmp_path / "old.log")
    server.kill(signal.SIGUSR1)

    def reopened() -> bool:
        server.get("/after")
        return log.exists() and "/after" in log.read_text()

    wait_for(reopened, "the new file")


@pytest.mark.ours("threads end with their loop")
def test_a_request_longer_than_timeout_is_no_timeout(serve: Serve) -> None:
    """As in Gunicorn: `timeout` is about the process."""
    server = threaded(serve, "--timeout", "1", threads=2)
    worker = server.worker()
    assert server.get("/sleep?2.5").text == "ok"
    assert server.worker() == worker
    assert "WORKER TIMEOUT" not in server.log()
