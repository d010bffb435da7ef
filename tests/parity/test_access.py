"""The access log: every atom for many requests, and what a format may contain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from parity.access_lines import (
    ATOMS,
    FORMAT_ROWS,
    FORMATS,
    LINE_ROWS,
    PATTERNS,
    REQUESTS,
    ROWS,
    SEPARATOR,
    get,
)
from parity.pair import SYNC, Pair, pair
from parity.rows import differences, needed
from support.processes import wait_for
from support.server import Server

LOG = "access.log"


@contextmanager
def logging(line: str, *flags: str) -> Iterator[Pair]:
    """Both servers with this `access_log_format`."""
    config = f"access_log_format = {line!r}\naccesslog = '../{LOG}'\n"
    with pair("views:app", *SYNC, *flags, config=config) as both:
        yield both


@pytest.fixture(scope="module")
def atoms() -> Iterator[Pair]:
    # A first part marks where a line begins, whatever the others hold.
    with logging(SEPARATOR.join(["%(q)s", *(f"{atom}=%({atom})s" for atom in ATOMS)])) as both:
        yield both


def lines_of(server: Server, request: bytes, marker: str) -> list[str]:
    """The lines that a request leaves in the log: those before the line of a second request, the marker."""
    log = server.home / LOG
    before = len(text(log))
    with server.connect() as connection:
        connection.send(request)
        connection.shutdown_write()
        connection.read_to_end()
    with server.connect() as connection:
        connection.send(get(f"/hello?{marker}".encode(), b"Connection: close\r\n"))
        connection.read_to_end()
    ended = wait_for(
        lambda: found if marker in (found := text(log)[before:]) else None, f"a line of {marker}"
    )
    lines = [line for line in ended.split("\n") if line]
    return [line for line in lines if marker not in line]


def text(log: Path) -> str:
    return log.read_text("utf-8", "surrogateescape") if log.exists() else ""


def by_atom(lines: list[str]) -> dict[str, object]:
    """The atoms of the only line, else the number of lines."""
    if len(lines) != 1:
        return {"lines": len(lines)}
    values = (part.partition("=") for part in lines[0].split(SEPARATOR)[1:])
    return {"lines": 1, **{name: value for name, _, value in values}}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_atom(name: str, atoms: Pair) -> None:
    lines = atoms.ask(lambda server: lines_of(server, REQUESTS[name], "marker"))
    theirs, ours = (by_atom(found) for found in lines)
    if name in LINE_ROWS:
        assert theirs["lines"] != ours["lines"]
        assert ours["lines"] == 1
    else:
        assert differences(theirs, ours, ROWS.get(name)) == []


def test_times_and_processes() -> None:
    line = SEPARATOR.join(["%(q)s", *(f"%({atom})s" for atom in PATTERNS)])
    pattern = re.escape(SEPARATOR).join(["", *PATTERNS.values()])
    with logging(line) as both:
        for found in both.ask(lambda server: lines_of(server, REQUESTS["a plain request"], "marker")):
            assert len(found) == 1
            assert re.fullmatch(pattern, found[0])


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str) -> None:
    with logging(FORMATS[name]) as both:
        theirs, ours = both.ask(written)
    if name in FORMAT_ROWS:
        assert theirs != ours
    else:
        assert theirs == ours


def written(server: Server) -> list[str]:
    """All that two requests leave in the log; the worker's end flushes it."""
    for target in (b"/hello", b"/hello?second"):
        with server.connect() as connection:
            connection.send(get(target, b"Connection: close\r\nUser-Agent: x\r\n"))
            assert b" 200 OK\r\n" in connection.read_to_end()
    server.stop()
    return text(server.home / LOG).split("\n")


def test_every_row_is_needed() -> None:
    used = {row for rows in ROWS.values() for row in rows.values()}
    assert used | {*LINE_ROWS.values(), *FORMAT_ROWS.values()} == needed("access")
