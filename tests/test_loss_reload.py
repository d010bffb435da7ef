"""HUP under load: no request fails, and none waits for the new code to load."""

from __future__ import annotations

import re
import signal

import pytest

from support.steady import BROKEN, ROUNDS, Steady, service, source

pytestmark = [
    pytest.mark.ours(reason="connections and requests are lost with the workers that had them"),
    pytest.mark.timeout(60 + 20 * ROUNDS),
]


def reload(steady: Steady, version: str) -> None:
    """Changes the application, and waits until only workers that have loaded it are left."""
    before = steady.workers()
    steady.write(source(version))
    steady.kill(signal.SIGHUP)
    steady.wait_for_successors(before)
    assert steady.server.get("/echo/1").header("X-Version") == version, "new workers have the old code"


@pytest.mark.parametrize("driver", ["sync", "gthread", "gevent"])
def test_reload(driver: str) -> None:
    if driver == "gevent":
        pytest.importorskip("gevent")
    with Steady(f"HUP, {driver}", service(driver)) as steady:
        for steady.rounds in range(1, ROUNDS + 1):
            reload(steady, f"{steady.rounds + 1}")


@pytest.mark.parametrize("driver", ["sync", "gthread"])
def test_reload_of_a_preloaded_application(driver: str) -> None:
    with Steady(f"HUP with --preload, {driver}", service(driver, "--preload")) as steady:
        for steady.rounds in range(1, ROUNDS + 1):
            reload(steady, f"{steady.rounds + 1}")


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["workers", "preload"])
@pytest.mark.parametrize("driver", ["sync", "gthread"])
def test_reload_onto_code_that_does_not_import(driver: str, preload: list[str]) -> None:
    name = f"HUP onto broken code{' with --preload' if preload else ''}, {driver}"
    with Steady(name, service(driver, *preload)) as steady:
        old = steady.workers()
        steady.write(BROKEN)
        for steady.rounds in range(1, ROUNDS + 1):
            steady.kill(signal.SIGHUP)
            steady.server.wait_for_log(r"^RuntimeError: broken on purpose$", count=steady.rounds)
            steady.wait_for_workers(2)
            assert steady.workers() == old
        reload(steady, "mended")
        tracebacks = re.findall(r"^RuntimeError: broken on purpose$", steady.server.log(), re.MULTILINE)
        assert len(tracebacks) == steady.rounds, "each failure is logged once"
