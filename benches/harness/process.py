"""One running server: started on its core, looked at through /proc, ended by pid whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .servers import BENCHES, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .workloads import Workload

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
START_SECONDS = 15.0
STOP_SECONDS = 3.0


class ServerFailed(Exception):
    """The server did not start, or is gone."""


@dataclass(frozen=True)
class Cpu:
    """CPU that processes have used since they were started, in microseconds."""

    user: float
    system: float

    def since(self, before: Cpu) -> Cpu:
        """What was used after `before`."""
        return Cpu(self.user - before.user, self.system - before.system)


@dataclass(frozen=True)
class Running:
    """A server that accepts connections on 127.0.0.1:`port`."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path
    access_log: Path | None

    def pids(self) -> list[int]:
        """Every process of the server: helpers and workers share the session of the first."""
        return _session(self.process.pid)

    def cpu(self) -> Cpu:
        """The CPU used by all of them and by the children they have reaped."""
        ticks = [_stat(pid)[11:15] for pid in self.pids()]  # utime stime cutime cstime
        user = sum(int(t[0]) + int(t[2]) for t in ticks if t)
        system = sum(int(t[1]) + int(t[3]) for t in ticks if t)
        return Cpu(user * TICK_US, system * TICK_US)

    def private_kib(self) -> int:
        """Memory that belongs to the server's processes alone, in KiB."""
        return sum(_private_kib(pid) for pid in self.pids())

    def tail(self) -> str:
        """The last line that the server has written."""
        lines = self.output.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


@contextlib.contextmanager
def running(server: Server, workload: Workload, core: int, directory: Path) -> Iterator[Running]:
    """Start `server` on `core` and wait until it accepts; end all its processes on the way out."""
    port = _free_port()
    output, log = directory / "output", directory / "access.log" if workload.access_log else None
    # setpriv: the server also ends if this process is killed and has no chance to end it.
    pinned = ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", str(core)]
    many = workload.kind == "idle"
    argv = [*pinned, *server.argv(port, workload.app, log, many, workload.threads)]
    environment = {**os.environ, "PYTHONPATH": str(BENCHES)}
    with output.open("wb") as sink:
        process = subprocess.Popen(
            argv,
            cwd=BENCHES,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    it = Running(process, port, output, log)
    try:
        _wait_until_accepting(it)
        yield it
    finally:
        _stop(process)


def _wait_until_accepting(it: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if it.process.poll() is not None:
            raise ServerFailed(f"exited with {it.process.returncode}: {it.tail()}")
        try:
            socket.create_connection(("127.0.0.1", it.port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise ServerFailed(f"not accepting after {START_SECONDS:.0f} s: {it.tail()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """TERM for the first process, then KILL for whatever of its session is left."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    for pid in _session(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _session(leader: int) -> list[int]:
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if (_stat(pid)[3:4] or [""])[0] == str(leader)]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name (the first is the state), or none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _private_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
