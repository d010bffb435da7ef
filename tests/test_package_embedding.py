"""Programs that run the server themselves, written as Gunicorn's documentation shows it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from support.processes import wait_for
from support.script import Script

Run = Callable[..., Script]

#: What embedders write; `{package}` is the name that they import.
STANDALONE = """
import os
import rgunicorn.app.base
import {package}.app.base

def handler(environ, start_response):
    body = f"{{os.environ.get('SERVER_SOFTWARE')}} {{environ['PATH_INFO']}}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

class StandaloneApplication({package}.app.base.BaseApplication):
    def __init__(self, app, options=None):
        self.options = options or {{}}
        self.application = app
        super().__init__()

    def load_config(self):
        given = {{k: v for k, v in self.options.items() if k in self.cfg.settings and v is not None}}
        for key, value in given.items():
            self.cfg.set(key.lower(), value)

    def load(self):
        return self.application

if __name__ == "__main__":
    hooks = {{"when_ready": lambda server: server.log.info("ready %s", server.cfg.proc_name)}}
    options = {{"bind": os.environ["BIND"], "workers": os.environ["WORKERS"], "not_a_setting": 1, **hooks}}
    StandaloneApplication(handler, options).run()
    raise AssertionError("run() does not return")
"""


@pytest.fixture
def run() -> Iterator[Run]:
    """Starts programs; each is stopped, and its end checked, after the test."""
    servers: list[Script] = []

    def start(source: str, *arguments: str, **settings: object) -> Script:
        script = Script(source, *arguments, **settings)  # type: ignore[arg-type]
        servers.append(script)
        script.start()
        return script

    try:
        yield start
        for server in servers:
            if not server.ended:
                server.stop()
    finally:
        for server in servers:
            server.destroy()


@pytest.mark.parametrize("package", ["rgunicorn", "gunicorn"])
def test_a_standalone_application(package: str, run: Run) -> None:
    # Neither the program's arguments nor variables nor a configuration file concern it.
    env = {"WORKERS": "2", "GUNICORN_CMD_ARGS": "--workers 7"}
    server = run(STANDALONE.format(package=package), "--workers", "5", env=env)
    assert server.get("/path").text.startswith("gunicorn/27.0.1 ")
    assert len(server.workers()) == 2
    server.wait_for_log("ready gunicorn$")
    old = set(server.workers())
    server.kill(signal.SIGHUP)
    wait_for(lambda: len(server.workers()) == 2 and not old & set(server.workers()), "new workers")
    assert server.get("/").status == 200


APPLICATION = """
import os, sys
from rgunicorn.app.base import Application

class Own(Application):
    def init(self, parser, opts, args):
        print("args", args, opts.workers, file=sys.stderr)
        return {"bind": os.environ["BIND"], "workers": 3, "proc_name": "own"}

    def load(self):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "3")])
            return [b"own"]
        return app

if __name__ == "__main__":
    Own("%(prog)s [OPTIONS]").run()
"""


def test_an_application_with_a_command_line_of_its_own(run: Run) -> None:
    server = run(APPLICATION, "--workers", "2", "one", "two", env={"WORKERS": "2"})
    assert server.get("/").text == "own"
    assert len(server.workers()) == 2
    server.wait_for_log(r"^args \['one', 'two'\] 2$")


WSGI = """
import os, sys

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]

if __name__ == "__main__":
    from rgunicorn.app.wsgiapp import run
    sys.argv = ["anything", "--bind", os.environ["BIND"], "script:app"]
    run()
"""

SUBCLASS = """
import os, sys
from rgunicorn.app.wsgiapp import WSGIApplication

class Own(WSGIApplication):
    def __init__(self, uri, options):
        self.options, self.uri = options, uri
        super().__init__()

    def load_config(self):
        self.app_uri = self.uri
        for key, value in self.options.items():
            self.cfg.set(key, value)

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]

if __name__ == "__main__":
    Own("script:app", {"bind": os.environ["BIND"], "worker_class": "sync"}).run()
"""


@pytest.mark.parametrize("source", [WSGI, SUBCLASS], ids=["run", "subclass"])
def test_an_application_that_is_named(source: str, run: Run) -> None:
    assert run(source).get("/").text == "hello"


@pytest.mark.parametrize("option", ["'workers': 'many'", "'bind': 'localhost:no'"])
def test_options_that_cannot_be_used_end_it_with_status_1(option: str) -> None:
    source = STANDALONE.format(package="gunicorn").replace('"not_a_setting": 1', option)
    server = Script(source, env={"WORKERS": "1"})
    try:
        server.launch()
        server.wait_for_exit(1)
        assert server.log().strip().startswith("Error: ")
    finally:
        server.destroy()


@pytest.mark.parametrize("module", ["rgunicorn", "rgunicorn.app.wsgiapp"])
def test_a_module_is_the_command(module: str, run: Run) -> None:
    server = run(WSGI, "--bind", "127.0.0.1:0", "--workers", "2", "script:app", module=module)
    assert server.get("/").text == "hello"
    usage = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    )
    assert "rgunicorn [OPTIONS] [APP_MODULE]" in usage.stdout


ARBITER = """
import os
from rgunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

class Application(BaseApplication):
    def load_config(self):
        self.cfg.set("bind", os.environ["BIND"])
    def load(self):
        return app

class Own(Arbiter):
    def __init__(self, app):
        super().__init__(app)
        self.ups = 0
        self.log.info("made %s", self.cfg.proc_name)
    METHODS

if __name__ == "__main__":
    Own(Application()).run()
"""


def arbiter(body: str) -> str:
    """The source of a program whose arbiter has these methods."""
    return ARBITER.replace("METHODS", body.strip().replace("\n", "\n    "))


def test_an_arbiters_own_handlers_are_called(run: Run) -> None:
    body = """
def handle_hup(self):
    self.log.info("own hup")
def handle_ttin(self):
    self.ups += 1
    self.log.info("own ttin %s", self.ups)
    super().handle_ttin()
def handle_usr1(self):
    self.log.info("own usr1")
    super().handle_usr1()
def handle_chld(self):
    self.log.info("own chld")
def halt(self, reason=None, exit_status=0):
    self.log.info("own halt %s %s", reason, exit_status)
    super().halt(reason, exit_status)
"""
    server = run(arbiter(body))
    server.wait_for_log("made gunicorn$")
    before = server.worker()
    server.kill(signal.SIGHUP)
    server.wait_for_log(r"Handling signal: hup$")
    server.wait_for_log("own hup$")
    assert "Hang up" not in server.log()
    for number in (1, 2):
        server.kill(signal.SIGTTIN)
        server.wait_for_log(f"own ttin {number}$")
    wait_for(lambda: len(server.workers()) == 3, "three workers")
    assert before in server.workers()
    server.kill(signal.SIGUSR1)
    server.wait_for_log("own usr1$")
    server.kill(signal.SIGTTOU)
    server.wait_for_log("own chld$")
    server.stop()
    server.wait_for_log("own halt None 0$")


@pytest.mark.parametrize(
    "end", ["raise StopIteration", "raise SystemExit(0)", "self.stop(False)", "self.halt()"]
)
def test_an_arbiters_own_handler_may_end_it(end: str, run: Run) -> None:
    server = run(arbiter(f"def handle_hup(self):\n    {end}"))
    server.kill(signal.SIGHUP)
    server.wait_for_exit(0, seconds=10)
    server.wait_for_log("Shutting down: Master$")


def test_an_exception_of_an_own_handler_ends_it_with_255(run: Run) -> None:
    server = run(arbiter("def handle_hup(self):\n    1 / 0"))
    server.kill(signal.SIGHUP)
    server.wait_for_exit(255)
    server.wait_for_log(r"\[ERROR\] Unhandled exception in main loop$")


@pytest.mark.parametrize("name", ["spawn_worker", "manage_workers", "kill_worker", "reap_workers", "stop"])
def test_what_the_native_loop_does_not_call_is_refused(name: str, run: Run) -> None:
    server = Script(arbiter(f"def {name}(self, *arguments):\n    pass"))
    try:
        server.launch()
        server.wait_for_exit(1)
        server.wait_for_log(rf"^RuntimeError: Own\.{name}: rgunicorn's loop does not call {name}")
    finally:
        server.destroy()
