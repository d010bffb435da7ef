"""Starts that fail: the exit status, and the lines that say why. And the flags that `--help` lists."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from parity.lines import lines
from parity.rows import differences, needed
from parity.starts import APP, STARTS, Start
from parity.values import OWN
from support import processes

#: Seconds for a start to fail; the longest tries for 5 s to bind.
PATIENCE = 20.0
BASE = {"PYTHONDONTWRITEBYTECODE": "1"}

PROGRAMS = ("gunicorn", "rgunicorn")

#: Flags of rgunicorn alone beside those of its own settings.
OWN_FLAGS = {"--completions", "--man"}

End = dict[str, object]


def run(program: str, start: Start, port: int) -> End:
    """The end of one command."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in {"app.py": APP, **start.files}.items():
            (Path(directory) / name).write_text(text)
        (Path(directory) / "RUNNING").write_text(f"{os.getpid()}\n")
        words = {"IN_USE": f"127.0.0.1:{port}"}
        given = [words.get(word, word) for word in start.arguments]
        own = ["--no-control-socket"] if program == "gunicorn" else []
        bind = [] if "--bind" in given or not given else ["--bind", "127.0.0.1:0"]
        command = [str(Path(sys.executable).with_name(program)), *own, *bind, *given]
        with (Path(directory) / "1").open("w+") as stdout, (Path(directory) / "2").open("w+") as stderr:
            env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": directory, **BASE, **start.env}
            process = subprocess.Popen(
                command, cwd=directory, env=env, stdout=stdout, stderr=stderr, start_new_session=True
            )
            status = wait(process)
            stdout.seek(0)
            stderr.seek(0)
            said = stderr.read().replace(directory, "DIRECTORY").replace(str(port), "IN_USE")
            return {"status": status, "stdout": stdout.read(), "lines": lines(said)}


def wait(process: subprocess.Popen[bytes]) -> int | str:
    """The exit status; a server that goes on is ended."""
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        for pid in processes.session(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait(PATIENCE)
        return "it runs"


#: What rgunicorn says beside the reason.
BESIDES = re.compile(
    r" \((\w+ from .+|in the environment variable \w+|allowed: .+)\)$|(?<=error: )in GUNICORN_CMD_ARGS: "
)


def without_source(end: End) -> End:
    """rgunicorn's end without the setting, the source and what is allowed."""
    found = [
        BESIDES.sub("", line) if line.startswith(("Error: ", "SERVER: error: ")) else line
        for line in end["lines"]  # type: ignore[attr-defined]
    ]
    return {**end, "lines": found}


Ends = Mapping[str, tuple[End, End]]


@pytest.fixture(scope="module")
def ends() -> Iterator[Ends]:
    """How every start ended with both; several at a time, since some wait."""
    with socket.create_server(("127.0.0.1", 0)) as taken, ThreadPoolExecutor(4) as pool:
        port = taken.getsockname()[1]
        running = {
            start.name: [pool.submit(run, program, start, port) for program in PROGRAMS] for start in STARTS
        }
        yield {name: (both[0].result(), both[1].result()) for name, both in running.items()}


@pytest.mark.parametrize("start", STARTS, ids=[ascii(start.name)[1:-1] for start in STARTS])
def test_starts(start: Start, ends: Ends) -> None:
    theirs, ours = ends[start.name]
    assert differences(theirs, without_source(ours), start.rows) == []


def help_flags(program: str) -> set[str]:
    """The flags at the beginning of the lines of `--help`."""
    command = [str(Path(sys.executable).with_name(program)), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=True)
    # A flag's line is the flag and its value, then a gap, then what it does, with the aliases at its end.
    heads = [re.split(r" {2,}", line.strip())[0] for line in done.stdout.splitlines()]
    aliases = re.findall(r"\[alias(?:es)?: ([^\]]+)\]", done.stdout)
    places = [*aliases, *(head for head in heads if head.startswith("-"))]
    return {flag for place in places for flag in re.findall(r"(?<!\S)--?[a-zA-Z][\w-]*", place)}


def test_help_lists_the_same_flags() -> None:
    """And those of rgunicorn's own settings, and of what it alone can do."""
    theirs, ours = (help_flags(program) for program in PROGRAMS)
    assert theirs - ours == set()
    assert ours - theirs == {"--" + name.replace("_", "-") for name in OWN} | OWN_FLAGS


def test_every_row_is_needed() -> None:
    used = {row for start in STARTS for row in start.rows.values()}
    assert used | {"error-source", "own-settings"} == needed("start")
