"""Fixtures of all tests, and the server's log beside each failure."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator

import pytest

from support.classes import KINDS, Kind
from support.server import IS_GUNICORN, Server

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell makes what it starts in the background ignore it, and so would every program started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)

Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers for one test; each is stopped, and its end checked, after it."""
    yield from _serving()


@pytest.fixture(scope="module")
def serve_module() -> Iterator[Serve]:
    """Starts servers that the tests of one file share."""
    yield from _serving()


@pytest.fixture(scope="module", params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each worker class of the server under test, and of Gunicorn beside it."""
    found = request.param
    assert isinstance(found, Kind)
    return found


@pytest.fixture(scope="module")
def serve_kind(kind: Kind) -> Iterator[Serve]:
    """Starts servers that the tests of one file and one worker class share."""
    yield from _serving()


def _serving() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(*arguments: str, launch: bool = False, **settings: object) -> Server:
        server = Server(*arguments, **settings)  # type: ignore[arg-type]
        servers.append(server)
        return server.launch() if launch else server.start()

    try:
        yield start
        for server in servers:
            if not server.ended:
                server.stop()
    finally:
        for server in servers:
            server.destroy()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("ours")
    if marker and IS_GUNICORN:
        pytest.skip(f"Gunicorn differs: {marker.args[0]}")
    kind = item.callspec.params.get("kind") if hasattr(item, "callspec") else None
    if isinstance(kind, Kind):
        _skip_what_differs(item, kind)


def _skip_what_differs(item: pytest.Item, kind: Kind) -> None:
    """Skips a test for a worker class that is not here, or that is to behave otherwise."""
    if kind.missing:
        pytest.skip(kind.missing)
    for marker in item.iter_markers("differs"):
        reason, *names = marker.args
        if kind.matches(names):
            pytest.skip(f"{kind} differs: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for server in Server.live:
            report.sections.append((f"log of {' '.join(server.command())}", server.tail()))
    return report
