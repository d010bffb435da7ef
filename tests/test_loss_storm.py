"""Signals in any order and close together, under load: a random sequence whose seed is printed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support import processes
from support.processes import wait_for
from support.steady import BROKEN, Steady, booted, service, source

#: Seconds of each storm, and the seed; without one it is another storm each time.
SECONDS = float(os.environ.get("STORM_SECONDS", "8"))
SEED = int(os.environ.get("STORM_SEED", "0")) or random.randrange(1, 10**6)

#: Seconds that the application takes to import here: more happens in the same time.
IMPORT = 0.5

pytestmark = [
    pytest.mark.ours(reason="connections and requests are lost with the workers that had them"),
    pytest.mark.timeout(120 + 2 * SECONDS),
]


class Storm:
    """What may befall a service. Each action says what it did; none waits for its end unless it must."""

    def __init__(self, steady: Steady, pidfile: Path, seed: int) -> None:
        self.steady = steady
        self.pidfile = pidfile
        self.random = random.Random(seed)
        self.version = 1
        self.actions: list[Callable[[], str]] = [
            *[self.reload] * 4,
            self.reload_thrice,
            self.reload_onto_broken_code,
            *[self.more] * 2,
            *[self.less] * 2,
            self.reopen_logs,
            self.end_a_worker,
            *[self.upgrade] * 2,
            self.upgrade_in_vain,
        ]

    def rage(self, seconds: float) -> None:
        """One thing after the other, some at once."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            action = self.random.choice(self.actions)
            print(f"{time.monotonic() - began:7.2f} {action()}")
            self.steady.rounds += 1
            time.sleep(self.random.choice([0, 0, 0.01, 0.1, 0.5, 1.0, 2.0]))

    def calm(self) -> None:
        """Two workers with the newest code are left."""
        self.reload()
        newest = str(self.version)

        def settled() -> bool:
            return len(self.steady.workers()) == 2 == len(self.steady.booted()) and all(
                self.steady.server.get("/echo/1").header("X-Version") == newest for _ in range(8)
            )

        wait_for(settled, "two workers with the newest code", 40)

    def reload(self) -> str:
        """HUP onto new code."""
        self.version += 1
        self.steady.write(source(str(self.version), IMPORT))
        self.steady.kill(signal.SIGHUP)
        return f"HUP onto {self.version}"

    def reload_thrice(self) -> str:
        """HUP three times at once."""
        said = [self.reload() for _ in range(3)]
        return ", ".join(said)

    def reload_onto_broken_code(self) -> str:
        """HUP onto code that does not import."""
        self.steady.write(BROKEN)
        self.steady.kill(signal.SIGHUP)
        time.sleep(self.random.choice([0, 0.2, 1.0]))
        # Whatever starts later must start.
        self.steady.write(source(str(self.version), IMPORT))
        return "HUP onto broken code"

    def more(self) -> str:
        """TTIN."""
        if len(self.steady.workers()) < 6:
            self.steady.kill(signal.SIGTTIN)
        return "TTIN"

    def less(self) -> str:
        """TTOU."""
        self.steady.kill(signal.SIGTTOU)
        return "TTOU"

    def reopen_logs(self) -> str:
        """USR1."""
        self.steady.kill(signal.SIGUSR1)
        return "USR1"

    def end_a_worker(self) -> str:
        """TERM of one worker, by somebody else than the arbiter."""
        ready = self.steady.booted()
        if len(ready) < 2:
            return "no worker to spare"
        victim = self.random.choice(ready)
        os.kill(victim, signal.SIGTERM)
        return f"TERM of worker {victim}"

    def upgrade(self) -> str:
        """USR2, and the end of the old arbiter as soon as the new one has a worker; perhaps in a reload."""
        before = self.random.choice([None, self.reload, self.more])
        said = before() + ", " if before else ""
        new = self._second()
        number = self.random.choice([signal.SIGQUIT, signal.SIGTERM])
        between = self.random.choice([None, self.reload, self.less])
        said += between() + ", " if between else ""
        old, self.steady.arbiter = self.steady.arbiter, new
        os.kill(old, number)
        wait_for(lambda: not processes.alive(old), "the end of the old arbiter")
        wait_for(lambda: self.pidfile.exists() and self.pidfile.read_text() == f"{new}\n", "the promotion")
        return f"{said}USR2 and {number.name} of the old arbiter: {old} -> {new}"

    def upgrade_in_vain(self) -> str:
        """USR2, and the end of the new arbiter."""
        new = self._second()
        os.kill(new, signal.SIGTERM)
        wait_for(lambda: not processes.alive(new), "the end of the new arbiter")
        return f"USR2 and TERM of the new arbiter {new}"

    def _second(self) -> int:
        """A second arbiter that has a worker."""
        path = self.pidfile.with_name(f"{self.pidfile.name}.2")

        def begun() -> bool:
            return path.exists() and path.read_text() not in ("", f"{self.steady.arbiter}\n")

        wait_for(lambda: not path.exists(), "no second pidfile")
        self.steady.kill(signal.SIGUSR2)
        wait_for(begun, "the second arbiter")
        new = int(path.read_text())
        wait_for(lambda: booted(new), "a worker of the second arbiter")
        return new


FLAGS = [[], ["--preload"], ["--max-requests", "150"], ["--reload-surge", "2"]]


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: " ".join(flags) or "plain")
@pytest.mark.parametrize("driver", ["sync", "gthread"])
def test_storm(driver: str, flags: list[str], tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    server = service(driver, "--pid", str(pidfile), *flags)
    (server.directory / "app.py").write_text(source("1", IMPORT))
    name = f"storm{' ' if flags else ''}{' '.join(flags)}, {driver}"
    print(f"{name}: STORM_SEED={SEED}")
    with Steady(name, server) as steady:
        storm = Storm(steady, pidfile, SEED)
        storm.rage(SECONDS)
        storm.calm()
