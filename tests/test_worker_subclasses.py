"""Subclasses of the sync worker: what they override is called, or they are refused at the start."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from conftest import Serve
from rgunicorn.workers.sync import SyncWorker
from support.processes import wait_for
from support.server import Server

pytestmark = pytest.mark.ours("the tests are about the native loop")

HEAD = """
import rgunicorn.workers.sync as sync

class Mine(sync.SyncWorker):
"""
APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
USE = "worker_class = 'mine.Mine'\n"


def write(tmp_path: Path, body: str) -> dict[str, str]:
    """A module `mine` with the worker class, and the environment in which it is found."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (tmp_path / "mine.py").write_text(HEAD + lines)
    return {"PYTHONPATH": str(tmp_path)}


def start(serve: Serve, tmp_path: Path, body: str, config: str = USE, launch: bool = False) -> Server:
    env = write(tmp_path, body)
    return serve("app:app", source=APP, config=config, env=env, launch=launch)


@pytest.mark.parametrize("name", SyncWorker.STEPS)
def test_a_step_that_would_never_be_called_is_refused(name: str, serve: Serve, tmp_path: Path) -> None:
    server = start(serve, tmp_path, f"def {name}(self, *args): pass", launch=True)
    server.wait_for_exit(1)
    assert f"Error: mine.Mine overrides {name}(), which the native sync worker never calls" in server.log()


def test_it_is_refused_on_a_reload_too(serve: Serve, tmp_path: Path) -> None:
    server = start(serve, tmp_path, "def handle_request(self, *args): pass", config="")
    worker = server.worker()
    (server.directory / "gunicorn.conf.py").write_text(USE)
    server.kill(signal.SIGHUP)
    server.wait_for_log(r"RuntimeError: mine\.Mine overrides handle_request\(\)")
    assert server.get().text == "ok"
    assert server.worker() == worker


def test_a_step_overridden_behind_our_back_ends_the_start(serve: Serve, tmp_path: Path) -> None:
    body = "def handle(self, *args): pass\ndef run(self): super().run()"
    server = start(serve, tmp_path, body, launch=True)
    server.wait_for_exit(3)
    assert "[ERROR] mine.Mine overrides handle(), which the native sync worker never calls" in server.log()


def test_a_worker_that_serves_itself_may_call_its_methods_what_it_likes(serve: Serve, tmp_path: Path) -> None:
    body = (
        "def run(self):\n"
        "    import selectors\n"
        "    selector = selectors.EpollSelector()\n"
        "    for each in self.wait_fds:\n"
        "        selector.register(each, selectors.EVENT_READ)\n"
        "    self.notify()\n"
        "    while self.alive:\n"
        "        for key, _ in selector.select():\n"
        "            if key.fileobj is self.sockets[0]:\n"
        "                self.accept(self.sockets[0])\n"
        "def accept(self, listener):\n"
        "    client = listener.accept()[0]\n"
        "    client.recv(1000)\n"
        "    client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nmine')\n"
        "    client.close()\n"
    )
    server = start(serve, tmp_path, body, config=USE + "timeout = 1\n")
    assert server.get().text == "mine"
    # It has said once that it lives, and not again: as in Gunicorn it is late then.
    server.wait_for_log(r"\[CRITICAL\] WORKER TIMEOUT")


def test_what_every_worker_class_has_is_called(serve: Serve, tmp_path: Path) -> None:
    """Each override says so and goes on as before."""
    said = {
        "init_process": "",
        "init_signals": "",
        "load_wsgi": "",
        "run": "",
        "handle_usr1": "sig, frame",
        "handle_winch": "sig, frame",
        "handle_exit": "sig, frame",
    }
    body = "".join(
        f"def {name}(self{', ' if parameters else ''}{parameters}):\n"
        f"    self.log.info('called {name}')\n"
        f"    super().{name}({parameters})\n"
        for name, parameters in said.items()
    )
    server = start(serve, tmp_path, body)
    for number in (signal.SIGUSR1, signal.SIGWINCH):
        os.kill(server.worker(), number)
    for name in said:
        if name != "handle_exit":
            server.wait_for_log(f"called {name}$")
    assert server.get().text == "ok"
    server.stop()
    server.wait_for_log("called handle_exit$")


def test_an_overridden_quit_is_called(serve: Serve, tmp_path: Path) -> None:
    body = (
        "def handle_quit(self, sig, frame):\n    self.log.info('called')\n    super().handle_quit(sig, frame)"
    )
    server = start(serve, tmp_path, body)
    server.stop(signal.SIGINT)
    server.wait_for_log("called$")


def test_an_overridden_notify_is_called_while_nothing_happens(serve: Serve, tmp_path: Path) -> None:
    body = "def notify(self):\n    self.log.info('alive')\n    super().notify()"
    server = start(serve, tmp_path, body, config=USE + "timeout = 1\n")
    server.wait_for_log("alive$", count=4)
    assert server.get().text == "ok"
    assert "WORKER TIMEOUT" not in server.log()


def test_an_overridden_notify_is_called_for_requests(serve: Serve, tmp_path: Path) -> None:
    body = "def notify(self):\n    self.log.info('alive')"
    server = start(serve, tmp_path, body, config=USE + "timeout = 300\n")
    before = server.log().count("alive")
    for _ in range(3):
        server.get()
    wait_for(lambda: server.log().count("alive") >= before + 3, "notify() for each request")
