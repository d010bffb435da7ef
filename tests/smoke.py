"""An installed rgunicorn, without its source tree and without Gunicorn: it starts, serves, reloads and ends.

Run by tests/smoke.sh with the interpreter of a clean virtual environment. Uses the standard library alone.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

APP = """
import gunicorn
import gunicorn.app.base
import rgunicorn
import rgunicorn.app.base

assert gunicorn is rgunicorn
assert gunicorn.app.base is rgunicorn.app.base

def app(environ, start_response):
    body = ("%s %s" % (environ["SERVER_SOFTWARE"], environ["wsgi.input"].read().decode())).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

CONFIG = """
import gunicorn.config

workers = 2
bind = "127.0.0.1:0"

def post_fork(server, worker):
    from gunicorn.workers.sync import SyncWorker
    assert isinstance(worker, SyncWorker)
    server.log.info("post_fork %s", worker.age)
"""


def wait_for(condition: Callable[[], Value | None], what: str, seconds: float = 30.0) -> Value:
    """Asks until there is something true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    sys.exit(f"after {seconds} s still waiting for {what}")


def check_installation() -> None:
    """The package is installed, complete, and not imported from a source tree; Gunicorn is not there."""
    spec = importlib.util.find_spec("rgunicorn")
    assert spec is not None
    assert spec.origin is not None
    assert "site-packages" in spec.origin, spec.origin
    package = Path(spec.origin).parent
    assert (package / "py.typed").exists()
    assert list(package.glob("_native*.so"))
    assert list(package.glob("_native.pyi"))
    assert importlib.util.find_spec("gunicorn") is None, "Gunicorn is installed here"
    assert importlib.metadata.requires("rgunicorn") in (None, [])


def run(*command: str) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def serve(command: list[str]) -> None:
    """A life of the service: requests, a reload, the end."""
    log = Path("log")
    with log.open("w") as stderr:
        process = subprocess.Popen([*command, "app:app"], stderr=stderr)
    try:
        address = wait_for(lambda: re.search(r"Listening at: (http://\S+)", log.read_text()), "the address")[
            1
        ]
        for _ in range(5):
            with urllib.request.urlopen(address, data=b"hello", timeout=30) as response:
                assert re.fullmatch(rb"gunicorn/27\.0\.1 rgunicorn/\S+ hello", response.read())
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: log.read_text().count("post_fork") >= 4, "the new workers")
        urllib.request.urlopen(address, timeout=30).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
    assert "Traceback" not in log.read_text(), log.read_text()


def main() -> None:
    check_installation()
    command = str(Path(sys.executable).with_name("rgunicorn"))
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        Path("app.py").write_text(APP)
        Path("gunicorn.conf.py").write_text(CONFIG)
        assert "rgunicorn" in run(command, "--version")
        assert "--workers" in run(command, "--help")
        run(command, "--check-config", "app:app")
        serve([command])
        serve([sys.executable, "-m", "rgunicorn"])
    print(f"smoke test passed on Python {sys.version.split()[0]}: {importlib.metadata.version('rgunicorn')}")


if __name__ == "__main__":
    main()
