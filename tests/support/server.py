"""The server under test: the real command, in a directory of its own, with an end that is checked.

`TEST_SERVER` chooses the command: `rgunicorn` (the default) or `gunicorn`, whose behaviour is the yardstick.
It never sleeps for a fixed time: every wait is for a condition.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from . import processes
from .processes import wait_for
from .wire import Address, Connection, Response

COMMAND = os.environ.get("TEST_SERVER", "rgunicorn")
IS_GUNICORN = Path(COMMAND).name == "gunicorn"
APPS = Path(__file__).parents[1] / "apps"
EXAMPLES = Path(__file__).parents[2] / "examples"

#: Gunicorn keeps connections alive only in this class, and opens a control socket unless told not to.
GUNICORN_FLAGS = ["--no-control-socket", "--worker-class", "gthread", "--keep-alive", "75"]

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1

LISTENING = re.compile(r"Listening at: (\S+(?:,\S+)*) \((\d+)\)")


class Server:
    """One run of the command.

    `app` names the application; `source` is the text of an `app.py` for it. `flags` come after `--bind`.
    `kind` is `tcp`, `tcp6` or `unix`; `binds` replaces it. `config` is the text of a gunicorn.conf.py.
    `limits` are soft and hard resource limits. `error_log` is where the flags send the error log.
    `program` is the command, if it is not the one under test.
    """

    live: ClassVar[list[Server]] = []

    def __init__(
        self,
        app: str = "app:app",
        *flags: str,
        source: str | None = None,
        kind: str = "tcp",
        binds: Sequence[str] | None = None,
        config: str | None = None,
        env: Mapping[str, str] | None = None,
        limits: Mapping[int, tuple[int, int]] | None = None,
        chdir: Path | None = None,
        error_log: Path | None = None,
        program: str = COMMAND,
    ) -> None:
        self.program = program
        #: What runs the command, in front of it: strace, unshare.
        self.prefix: list[str] = []
        #: Open descriptors that it gets.
        self.descriptors: list[int] = []
        self.home = Path(tempfile.mkdtemp(prefix="rg-"))
        self.directory = self.home / "run"
        self.temporary = self.home / "tmp"
        for directory in (self.directory, self.temporary):
            directory.mkdir()
        if source is not None:
            (self.directory / "app.py").write_text(source)
        if config is not None:
            (self.directory / "gunicorn.conf.py").write_text(config)
        self.files = self._files()
        self.config = config
        self.app = app
        self.flags = list(flags)
        self.binds = list(binds) if binds is not None else [self._bind(kind)]
        self.env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.temporary),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(APPS),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        }
        self.limits = dict(limits or {})
        self.chdir = chdir
        self.error_log = error_log or self.home / "stderr"
        self.process: subprocess.Popen[bytes] | None = None
        self.addresses: list[Address] = []
        self.ended = False

    def _bind(self, kind: str) -> str:
        return {"tcp": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": f"unix:{self.directory / 'socket'}"}[kind]

    # Start and end

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and not self.ended:
                self.stop()
        finally:
            self.destroy()

    def start(self) -> Server:
        """Starts the command and waits until it listens and has all its workers."""
        self.launch()
        self.wait_until_listening()
        return self

    def launch(self) -> Server:
        """Starts the command and waits for nothing."""
        Server.live.append(self)
        with (self.home / "stdout").open("ab") as stdout, (self.home / "stderr").open("ab") as stderr:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.chdir or self.directory,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                pass_fds=self.descriptors,
                preexec_fn=self._prepare,
            )
        return self

    def command(self) -> list[str]:
        """The command line."""
        program = self.program
        own = GUNICORN_FLAGS if Path(program).name == "gunicorn" else []
        path = program if "/" in program else str(Path(sys.executable).with_name(program))
        binds = [word for bind in self.binds for word in ("--bind", bind)]
        return [*self.prefix, path, *binds, *own, *self.flags, self.app]

    def _prepare(self) -> None:
        """Runs in the child: it ends with the tests, however they end, and has the limits asked for."""
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for limit, values in self.limits.items():
            resource.setrlimit(limit, values)

    def wait_until_listening(self) -> None:
        """Waits for the `Listening at` line, and until all workers have loaded the application."""
        self.wait_until_bound()
        number = self.wanted_workers()
        wait_for(lambda: self._dead() or len(self.booted()) >= number, f"{number} workers")
        assert not self._dead(), self.report("it ended while starting")

    def wait_until_bound(self) -> None:
        """Waits for the `Listening at` line: connections wait in the kernel until a worker comes."""
        line = wait_for(self._listening, f"`Listening at`; log:\n{self.tail()}")
        self.addresses = [parse_address(text) for text in line[1].split(",")]

    def _listening(self) -> re.Match[str] | None:
        assert not self._dead(), self.report("it ended while starting")
        return LISTENING.search(self.log())

    def wanted_workers(self) -> int:
        """The number that `-w` or the configuration file asks for."""
        for index, flag in enumerate(self.flags):
            if flag in ("-w", "--workers"):
                return int(self.flags[index + 1])
        found = re.search(r"^workers = (\d+)$", self.config or "", re.MULTILINE)
        return int(found[1]) if found else 1

    def _dead(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self, number: signal.Signals) -> None:
        """Sends a signal to the arbiter."""
        os.kill(self.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> None:
        """Sends a signal, and checks that all ends cleanly with status 0."""
        self.kill(number)
        self.wait_for_exit(0, seconds)

    def wait_for_exit(self, status: int, seconds: float = 20.0) -> None:
        """Waits for the arbiter's end and checks its status, and that neither process nor file is left."""
        assert self.process is not None
        try:
            found = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.report(f"it had not ended after {seconds} s")) from None
        self.ended = True
        assert found == status, self.report(f"it ended with status {found}, not {status}")
        orphans = processes.session(self.process.pid)
        assert not orphans, self.report(f"it left processes behind: {orphans}")
        left = self._files() - self.files
        assert not left, self.report(f"it left files behind: {sorted(left)}")

    def destroy(self) -> None:
        """Ends whatever still runs and removes the directory. Asks nothing."""
        if self.process is not None:
            for pid in {*processes.session(self.process.pid), self.process.pid}:
                if processes.alive(pid):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(20)
        if self in Server.live:
            Server.live.remove(self)
        shutil.rmtree(self.home, ignore_errors=True)

    def _files(self) -> set[str]:
        return {
            str(path.relative_to(self.home))
            for root in ("run", "tmp")
            for path in (self.home / root).rglob("*")
        }

    # What it says

    def log(self) -> str:
        """Its error log so far: standard error, unless `error_log` says where it goes."""
        path = self.error_log
        return path.read_text("utf-8", "backslashreplace") if path.exists() else ""

    def stdout(self) -> str:
        """Its standard output so far."""
        path = self.home / "stdout"
        return path.read_text("utf-8", "backslashreplace") if path.exists() else ""

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.log().splitlines()[-lines:])

    def report(self, what: str) -> str:
        """A failure message with the command and the log."""
        return f"{what}\n$ {' '.join(self.command())}\n{self.tail()}"

    def wait_for_log(self, pattern: str, seconds: float = 20.0, count: int = 1) -> re.Match[str]:
        """Waits until `pattern` (of `re`, per line) is in the log `count` times; gives the last of them."""

        def found() -> re.Match[str] | None:
            matches = list(re.finditer(pattern, self.log(), re.MULTILINE))
            return matches[-1] if len(matches) >= count else None

        try:
            return wait_for(found, f"{pattern!r} in the log", seconds)
        except AssertionError as error:
            raise AssertionError(self.report(str(error))) from None

    # Its processes

    @property
    def pid(self) -> int:
        """The arbiter's process."""
        assert self.process is not None
        return self.process.pid

    def workers(self) -> list[int]:
        """The workers, oldest first."""
        return processes.children(self.pid)

    def booted(self) -> list[int]:
        """The workers that have loaded the application: only they watch the listeners."""
        listeners = processes.sockets(self.pid)
        return [pid for pid in self.workers() if processes.polled(pid) & listeners]

    def worker(self) -> int:
        """The only worker."""
        (pid,) = self.workers()
        return pid

    # Talk to it

    @property
    def address(self) -> Address:
        """Where it listens, first address."""
        return self.addresses[0]

    def connect(self, timeout: float = 20.0, receive_buffer: int | None = None) -> Connection:
        """A new connection to it."""
        return Connection(self.address, timeout, receive_buffer)

    def get(
        self, target: str = "/", *headers: str, method: str = "GET", body: bytes | None = None
    ) -> Response:
        """One request on a connection of its own."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
        with self.connect() as connection:
            return connection.request(head.encode("latin-1") + (body or b""))


def parse_address(text: str) -> Address:
    """An address as the `Listening at` line writes it."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        return "\0" + path[1:] if path.startswith("@") else path
    host, _, port = text.removeprefix("http://").removeprefix("https://").rpartition(":")
    return host.strip("[]"), int(port)
