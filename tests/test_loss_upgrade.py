"""One arbiter makes way for another under load: no request fails, and none waits for the new one."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from support import processes
from support.processes import wait_for
from support.server import Server
from support.steady import ACTIVATE, ROUNDS, Steady, booted, service, source
from support.steady import DRIVERS as FLAGS
from support.traffic import MIX

pytestmark = [
    pytest.mark.ours(reason="connections and requests are lost with the workers that had them"),
    pytest.mark.timeout(60 + 20 * ROUNDS),
]

DRIVERS = pytest.mark.parametrize("driver", ["sync", "gthread"])


def upgrade(steady: Steady, number: signal.Signals, pidfile: Path) -> None:
    """Starts a second arbiter, waits for its workers, ends the first, and waits until the other is alone."""
    old, next_pidfile = steady.arbiter, pidfile.with_name(pidfile.name + ".2")
    steady.kill(signal.SIGUSR2)
    wait_for(lambda: next_pidfile.exists() and next_pidfile.read_text(), "the second arbiter")
    new = int(next_pidfile.read_text())
    wait_for(lambda: len(booted(new)) == 2, "the workers of the second arbiter")
    os.kill(old, number)
    wait_for(lambda: not processes.alive(old), "the end of the first arbiter")
    wait_for(lambda: not next_pidfile.exists(), "the promotion of the second")
    assert pidfile.read_text() == f"{new}\n"
    steady.arbiter = new


WAYS = [
    pytest.param(signal.SIGQUIT, [], id="QUIT"),
    pytest.param(signal.SIGTERM, [], id="TERM"),
    pytest.param(signal.SIGQUIT, ["--preload"], id="QUIT-preload"),
]


@pytest.mark.parametrize(("number", "preload"), WAYS)
@DRIVERS
def test_upgrade(driver: str, number: signal.Signals, preload: list[str], tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    server = service(driver, "--pid", str(pidfile), *preload)
    name = f"USR2, {number.name.removeprefix('SIG')} of the old arbiter{''.join(preload)}, {driver}"
    with Steady(name, server) as steady:
        for steady.rounds in range(1, ROUNDS + 1):
            steady.write(source(f"{steady.rounds}"))
            upgrade(steady, number, pidfile)
            assert server.get("/echo/1").header("X-Version") == f"{steady.rounds}"
    assert not pidfile.exists()


class Activated(Server):
    """A service that gets a listening socket as systemd passes it."""

    def __init__(self, driver: str, listener: socket.socket, *flags: str) -> None:
        super().__init__("app:app", "-w", "2", *FLAGS[driver], *flags, source=source("1"))
        self.descriptors = [listener.fileno()]
        self.prefix = [sys.executable, "-c", ACTIVATE, str(listener.fileno())]


@pytest.mark.parametrize("flags", [[], ["--shutdown-delay", "1"]], ids=["at-once", "delay"])
@DRIVERS
def test_another_service_takes_a_socket_over(driver: str, flags: list[str]) -> None:
    """The socket is held by somebody else, as by systemd; the old service ends once the new one is there."""
    # A connection that has been idle for seconds is closed at once, and its client may be about to send.
    lanes = [lane for lane in MIX if lane.style != "idling"]
    name = f"TERM, the socket held by another{' ' if flags else ''}{' '.join(flags)}, {driver}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with Steady(name, Activated(driver, listener, *flags), lanes) as steady:
            for steady.rounds in range(1, ROUNDS + 1):
                new = Activated(driver, listener, *flags).start()
                old, steady.server, steady.arbiter = steady.server, new, new.pid
                old.stop()
                old.destroy()
        assert steady.server.ended
