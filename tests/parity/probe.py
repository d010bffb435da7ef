"""Many configurations judged in one process of each server: `probe.py PACKAGE JOBS`.

A job with `name` and `value` (Python source) sets one setting of a `Config`. A job with `arguments` is a
whole command, in a forked child that has imported the server already: it costs milliseconds, not an import.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import re
import signal
import sys
import tempfile
import traceback
from typing import IO, Any

PACKAGE = sys.argv[1]
#: Commands that run at the same time.
AT_ONCE = 8


def hook(count: int) -> Any:
    """A function with `count` positional parameters."""
    return {
        0: lambda: None,
        1: lambda a: None,
        2: lambda a, b: None,
        3: lambda a, b, c: None,
        4: lambda a, b, c, d: None,
        5: lambda a, b, c, d, e: None,
    }[count]


class Hooks:
    """Hooks that are methods, and objects that can be called."""

    def one(self, a: Any) -> None:
        pass

    def two(self, a: Any, b: Any) -> None:
        pass

    def __call__(self, a: Any, b: Any) -> None:
        pass


def defaulted(a: Any, b: Any = None) -> None:
    """Counts as two."""


def variadic(a: Any, b: Any, *rest: Any) -> None:
    """Counts as two."""


def only_variadic(*rest: Any) -> None:
    """Counts as none."""


def shown(text: str) -> str:
    """A text without addresses of objects."""
    return re.sub(r" at 0x[0-9a-f]+", " at 0x", text)


def set_one(name: str, source: str) -> dict[str, Any]:
    """What becomes of a value: how it is printed, or why it is refused."""
    values = dict(globals(), partial=functools.partial, START=os.getcwd())
    config = importlib.import_module(f"{PACKAGE}.config").Config()
    try:
        config.set(name, eval(source, values))
    except Exception as error:
        return {"refused": shown(str(error))}
    try:
        printed = str(config)
    except Exception as error:
        return {"unprintable": type(error).__name__}
    lines = (line.partition(" = ") for line in printed.splitlines())
    value = config.settings[name].get()
    return {
        "printed": shown(next(text for key, _, text in lines if key.strip() == name)),
        "type": type(value).__name__,
    }


class Commands:
    """The ends of the commands `gunicorn ARGUMENTS`: status and what they wrote. Several run at a time."""

    def __init__(self) -> None:
        self.answers: dict[int, dict[str, Any]] = {}
        self.running: dict[int, tuple[int, IO[bytes], IO[bytes]]] = {}

    def start(self, index: int, arguments: list[str]) -> None:
        """Runs one; its answer will stand at `index`."""
        if len(self.running) >= AT_ONCE:
            self.wait()
        stdout, stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        child = os.fork()
        if child == 0:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            os._exit(command(arguments))
        self.running[child] = (index, stdout, stderr)

    def wait(self) -> None:
        """Waits for the end of any of them."""
        child, status = os.wait()
        index, *files = self.running.pop(child)
        texts = []
        for file in files:
            with file:
                file.seek(0)
                texts.append(file.read().decode("utf-8", "backslashreplace"))
        code = os.waitstatus_to_exitcode(status)
        self.answers[index] = {"status": code, "stdout": texts[0], "stderr": texts[1]}


def command(arguments: list[str]) -> int:
    """Runs in the child; ends in time whatever happens."""
    signal.alarm(20)
    sys.argv = ["gunicorn", *arguments]
    status = 1
    try:
        importlib.import_module(f"{PACKAGE}.app.wsgiapp").run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    return status


def main() -> None:
    # All that a check of the configuration imports, so that no child has to.
    for module in ("config", "app.wsgiapp", "arbiter", "glogging", "workers.sync"):
        importlib.import_module(f"{PACKAGE}.{module}")
    with open(sys.argv[2]) as file:
        jobs = json.load(file)
    commands = Commands()
    for index, job in enumerate(jobs):
        if "name" in job:
            commands.answers[index] = set_one(job["name"], job["value"])
        else:
            commands.start(index, job["arguments"])
    while commands.running:
        commands.wait()
    json.dump([commands.answers[index] for index in range(len(jobs))], sys.stdout)


if __name__ == "__main__":
    main()
