"""What is done to a server, whichever it is; each function is one round."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from support import processes
from support.occupied import held_by_one, occupy
from support.processes import wait_for
from support.steady import BROKEN, IMPORT, booted, source
from support.traffic import Lane, Outcome, Traffic

from .contenders import Contender, Started

#: Seconds that a server gets for what it was told.
PATIENCE = 20.0


@dataclass
class Trial:
    """A server under load."""

    contender: Contender
    server: Started
    #: All that were started.
    servers: list[Started]
    listener: socket.socket | None
    #: The process that tends the service.
    main: int = 0
    version: int = 1

    def workers(self) -> set[int]:
        """Those that answer."""
        with Traffic(self.server.addresses, [Lane("kept", 8, 80), Lane("once", 4, 40)]) as traffic:
            pass
        return traffic.outcome.workers()

    def kill(self, number: signal.Signals) -> None:
        """Sends the main process a signal."""
        os.kill(self.main, number)

    def change(self) -> None:
        """A new version of the application."""
        self.version += 1
        (self.server.directory / "app.py").write_text(source(str(self.version)))

    def settle(self, gone: Callable[[], object]) -> None:
        """Waits until that has happened, or for long enough, and until it answers; then a little more."""
        for condition in (gone, self.server.answers):
            try:
                wait_for(condition, "the end of the round", PATIENCE)
            except AssertionError:
                return
        time.sleep(1.0)


def dead(pids: set[int]) -> Callable[[], bool]:
    """Whether none of these runs any more."""
    return lambda: not any(processes.alive(pid) for pid in pids)


def reload(trial: Trial) -> None:
    """HUP onto another version."""
    before = trial.workers()
    trial.change()
    trial.kill(signal.SIGHUP)
    trial.settle(dead(before))


def reload_onto_broken_code(trial: Trial) -> None:
    """HUP onto code that does not import."""
    (trial.server.directory / "app.py").write_text(BROKEN)
    trial.kill(signal.SIGHUP)
    # Granian takes so long to try both workers.
    time.sleep(5 * IMPORT)


def one_more_and_one_less(trial: Trial) -> None:
    """TTIN, and TTOU."""
    before = set(processes.children(trial.main))
    trial.kill(signal.SIGTTIN)
    time.sleep(1.5 * IMPORT)
    trial.kill(signal.SIGTTOU)
    trial.settle(lambda: len(processes.children(trial.main)) == len(before))


def wait_for_recycling(trial: Trial) -> None:
    """Every worker has been replaced, by its number of requests."""
    trial.settle(dead(trial.workers()))


def leak(trial: Trial) -> None:
    """A worker grows until it is replaced."""
    before = trial.workers()
    deadline = time.monotonic() + PATIENCE
    while all(map(processes.alive, before)) and time.monotonic() < deadline:
        # It may end while it is looked at.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if max(map(processes.private_memory, before)) < 130 << 20:
                trial.server.get("/leak/10")
        time.sleep(0.05)
    trial.settle(trial.server.answers)


def upgrade(trial: Trial) -> None:
    """USR2, and QUIT of the old arbiter once the new one serves."""
    old, path = trial.main, trial.server.directory / "pid.2"
    trial.kill(signal.SIGUSR2)
    wait_for(lambda: path.exists() and path.read_text(), "the second arbiter")
    new = int(path.read_text())
    wait_for(lambda: len(booted(new)) == 2 or not slow_to_see(new), "its workers")
    os.kill(old, signal.SIGQUIT)
    trial.main = new
    trial.settle(dead({old}))


def slow_to_see(arbiter: int) -> bool:
    """Whether an arbiter's workers may still import: not every server can be seen to watch its listeners."""
    children = processes.children(arbiter)
    return len(children) < 2 or min(map(processes.age, children)) < 1.5 * IMPORT


def take_over(trial: Trial) -> None:
    """TERM, when another service serves the same socket; a third party holds it."""
    assert trial.listener
    old, new = trial.server, trial.contender.server("takeover", trial.listener)
    trial.servers.append(new)
    new.start()
    time.sleep(1.5 * IMPORT)
    old.kill(signal.SIGTERM)
    trial.server, trial.main = new, new.pid
    trial.settle(dead({old.pid}))


def kill_a_worker(trial: Trial) -> None:
    """SIGKILL of a worker."""
    victim = min(trial.workers())
    os.kill(victim, signal.SIGKILL)
    time.sleep(2 * IMPORT)
    trial.settle(trial.server.answers)


def keep_one_busy(trial: Trial) -> None:
    """A worker has slow requests in all its hands for 5 s."""
    occupy(held_by_one(trial.server, trial.contender.hands))


#: Clients that send at once and read at once: what slow ones cost a server is another matter.
PLAIN = (Lane("kept", 10, 70), Lane("once", 6, 60), Lane("idling", 8, 8))


@dataclass(frozen=True)
class Scenario:
    """What is done, under which load."""

    name: str
    title: str
    act: Callable[[Trial], None]
    lanes: tuple[Lane, ...] = PLAIN


SCENARIOS = [
    Scenario("reload", "HUP", reload),
    Scenario("preload", "HUP with `--preload`", reload),
    Scenario("broken", "HUP onto code that does not import", reload_onto_broken_code),
    Scenario("workers", "TTIN, TTOU", one_more_and_one_less),
    Scenario("max_requests", "`max_requests` 200", wait_for_recycling),
    Scenario("memory", "a memory limit", leak),
    Scenario("upgrade", "USR2, QUIT of the old arbiter", upgrade),
    Scenario("takeover", "TERM, a socket that others hold", take_over),
    Scenario("kill", "`kill -9` of a worker", kill_a_worker),
    Scenario("busy", "one of two workers busy for 5 s", keep_one_busy, (Lane("kept", 20, 120),)),
]


def run(contender: Contender, scenario: Scenario, rounds: int) -> Outcome:
    """What came of a scenario."""
    listener = socket.create_server(("127.0.0.1", 0)) if scenario.name == "takeover" else None
    server = contender.server(scenario.name, listener)
    trial = Trial(contender, server, [server], listener)
    try:
        server.start()
        trial.main = server.pid
        # Until every worker has the application.
        time.sleep(IMPORT / 2)
        with Traffic(server.addresses, scenario.lanes, PATIENCE / 2) as traffic:
            for _ in range(rounds):
                scenario.act(trial)
        return traffic.outcome
    finally:
        for each in trial.servers:
            each.destroy()
        if listener:
            listener.close()
