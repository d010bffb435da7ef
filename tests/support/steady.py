"""A server under steady load: what a test does to it costs no request, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from . import processes
from .processes import wait_for
from .server import Server
from .traffic import MIX, Lane, Outcome, Traffic

#: Times that each thing is done: few in `make test`, many in `make soak`.
ROUNDS = int(os.environ.get("LOSS_ROUNDS", "3"))
#: Seconds that the application takes to import, and less than which every response must take.
IMPORT = 2.0
BOUND = IMPORT / 2
#: A file to which each run adds its figures, as one line of JSON.
REPORT = os.environ.get("LOSS_REPORT")

#: The worker classes: each name's flags.
DRIVERS = {"sync": [], "gthread": ["--threads", "4"], "gevent": ["-k", "gevent"]}

#: Bytes that the arbiter may have grown by: the pages that it no longer shares with workers, not a leak.
GROWTH = 3 << 20

SOURCE = """
import time
time.sleep({seconds})
from steady import make
app = make({version!r})
"""

BROKEN = """
import time
time.sleep(0.3)
raise RuntimeError("broken on purpose")
"""


#: Becomes the command, with the descriptor of the first argument as the one that systemd would pass.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


def source(version: str, seconds: float = IMPORT) -> str:
    """An application of that version, which takes so long to import."""
    return SOURCE.format(version=version, seconds=seconds)


def service(driver: str, *flags: str, workers: int = 2) -> Server:
    """A server that listens on TCP and on a Unix socket; not started."""
    server = Server(
        "app:app", "-w", str(workers), *DRIVERS[driver], *flags, source=source("1"), binds=["127.0.0.1:0"]
    )
    server.binds.append(f"unix:{server.directory / 'socket'}")
    return server


class Steady:
    """A started server, and load on it in the body of a `with`; afterwards all is checked."""

    def __init__(
        self,
        name: str,
        server: Server,
        lanes: Sequence[Lane] = MIX,
        *,
        bound: float = BOUND,
        lossy: bool = False,
    ) -> None:
        self.name = name
        self.server = server
        self.lanes = lanes
        self.bound = bound
        #: Whether requests may fail: the test looks at them itself.
        self.lossy = lossy
        #: The process that tends the service: an upgrade makes it another one.
        self.arbiter = 0
        self.rounds = 0

    # The processes

    def workers(self) -> list[int]:
        """The workers of the arbiter, oldest first."""
        return processes.children(self.arbiter)

    def booted(self) -> list[int]:
        """Those that have loaded the application."""
        return booted(self.arbiter)

    def kill(self, number: signal.Signals) -> None:
        """Sends the arbiter a signal."""
        os.kill(self.arbiter, number)

    def write(self, text: str) -> None:
        """Changes the application."""
        path = self.server.directory / "app.py"
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)

    def wait_for_successors(self, before: Sequence[int], count: int = 2, seconds: float = 30.0) -> None:
        """Waits until none of these workers is left, and that many others have booted."""

        def replaced() -> bool:
            now = self.workers()
            return not set(now) & set(before) and len(now) == count == len(self.booted())

        try:
            wait_for(replaced, f"{count} workers, none of {before}", seconds)
        except AssertionError as error:
            raise AssertionError(self.server.report(f"{error}: {self.workers()}, {self.booted()}")) from None

    def wait_for_workers(self, count: int, seconds: float = 30.0) -> None:
        """Waits until there are that many, all booted."""
        self.wait_for_successors([], count, seconds)

    # Begin and end

    def __enter__(self) -> Steady:
        try:
            self.server.start()
            self.arbiter = self.server.pid
            self._warm()
            self.before = Footprint(self)
            self.traffic = Traffic(self.server.addresses, self.lanes).__enter__()
        except BaseException:
            self.server.destroy()
            raise
        return self

    def _warm(self) -> None:
        """What a first request makes must be there when the descriptors are counted."""
        own = [len(processes.sockets(pid)) for pid in self.workers()]
        seen: set[int] = set()
        while len(seen) < 2:
            with Traffic(self.server.addresses, [Lane("kept", 8, 80), Lane("posting", 4, 40)]) as traffic:
                pass
            seen |= traffic.outcome.workers()
        wait_for(
            lambda: [len(processes.sockets(pid)) for pid in self.workers()] == own,
            "the end of its connections",
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.traffic.__exit__(kind, error, trace)
            if error is None:
                self._check()
        finally:
            self.server.destroy()

    def _check(self) -> None:
        outcome = self.outcome
        report(self.name, self.rounds, outcome)
        if not self.lossy:
            try:
                outcome.assert_nothing_lost(self.bound)
            except AssertionError as error:
                raise AssertionError(self.server.report(str(error))) from None
        self.before.assert_back(self)
        self._stop()

    def _stop(self) -> None:
        """Ends the service; it may have another arbiter than the one that was started."""
        if self.arbiter != self.server.pid:
            os.kill(self.arbiter, signal.SIGTERM)
            wait_for(lambda: not processes.alive(self.arbiter), "the end of the last arbiter")
            self.server.wait_for_exit(0)
        elif not self.server.ended:
            self.server.stop()

    @property
    def outcome(self) -> Outcome:
        """What came of the load."""
        return self.traffic.outcome


class Footprint:
    """What the processes of a service hold: descriptors by kind, and the arbiter's memory."""

    def __init__(self, steady: Steady) -> None:
        self.arbiter = kinds(steady.arbiter)
        self.workers = [kinds(pid) for pid in steady.workers()]
        self.memory = proportional_memory(steady.arbiter)

    def assert_back(self, steady: Steady) -> None:
        """The service holds no more than before, once connections and processes that end are gone."""

        def back() -> bool:
            try:
                found = Footprint(steady)
            except (FileNotFoundError, ProcessLookupError):
                # A worker has ended while it was looked at.
                return False
            return (
                found.arbiter == self.arbiter
                and all(each in self.workers for each in found.workers)
                and found.memory - self.memory < GROWTH
            )

        try:
            wait_for(back, "what the service held before", 10)
        except AssertionError:
            found = Footprint(steady)
            raise AssertionError(
                f"{steady.name}: arbiter {self.arbiter} -> {found.arbiter}\n"
                f"workers {self.workers}\n     -> {found.workers}\n"
                f"memory of the arbiter {self.memory} -> {found.memory}"
            ) from None


def booted(arbiter: int) -> list[int]:
    """The workers of an arbiter that watch its listeners."""
    listeners = processes.sockets(arbiter)
    return [pid for pid in processes.children(arbiter) if processes.polled(pid) & listeners]


def kinds(pid: int) -> Counter[str]:
    """The open descriptors of a process by kind: `socket`, `pipe`, or the name of a file."""
    return Counter(Path(name.partition(":[")[0]).name for name in processes.descriptors(pid))


def proportional_memory(pid: int) -> int:
    """Bytes of a process; what several share is divided among them."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:"))


def report(name: str, rounds: int, outcome: Outcome) -> None:
    """Says what came of a run, to people and to the file of figures."""
    print(f"{name}, {rounds} rounds: {outcome.tell()}")
    if REPORT:
        line = {"scenario": name, "rounds": rounds, "time": time.time(), **outcome.summary}
        with Path(REPORT).open("a") as file:
            file.write(json.dumps(line) + "\n")
