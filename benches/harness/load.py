"""Runs wrk on its own core and reads what it counted."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from .servers import BENCHES

# wrk ends by itself; this is how much longer than asked it may take.
GRACE_SECONDS = 15


class LoadFailed(Exception):
    """wrk did not give figures, or the figures are not those of a working server."""


@dataclass(frozen=True)
class Counts:
    """One run of wrk: times in microseconds, errors by kind."""

    requests: int
    bytes: int
    duration_us: int
    p50_us: float
    p99_us: float
    max_us: float
    connect: int
    read: int
    write: int
    status: int
    timeout: int

    @property
    def per_second(self) -> float:
        """Answered requests per second."""
        return self.requests * 1_000_000 / self.duration_us

    @property
    def errors(self) -> int:
        """Failures of any kind."""
        return self.connect + self.read + self.write + self.status + self.timeout


@dataclass(frozen=True)
class Load:
    """What wrk sends: `body` is the number of bytes to POST, 0 for GET."""

    connections: int = 32
    path: str = "/"
    body: int = 0
    close: bool = False


def run_wrk(load: Load, port: int, seconds: int, core: int) -> Counts:
    """Load the server for `seconds`; raises `LoadFailed` if wrk gives no figures."""
    argv = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s"]
    argv += ["--timeout", "2s", "-s", str(BENCHES / "wrk.lua")]
    if load.close:
        argv += ["-H", "Connection: close"]
    argv += [f"http://127.0.0.1:{port}{load.path}", "--", str(load.body)]
    try:
        ran = subprocess.run(
            argv, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailed("wrk did not end") from error
    line = next((line for line in ran.stdout.splitlines() if line.startswith("{")), None)
    if line is None:
        raise LoadFailed(f"wrk: {ran.stderr.strip() or ran.stdout.strip()}")
    return Counts(**json.loads(line))
