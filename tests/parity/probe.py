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
from typing import Any

PACKAGE = sys.argv[1]


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


def run_one(arguments: list[str], env: dict[str, str]) -> dict[str, Any]:
    """The end of the command `gunicorn ARGUMENTS`: its status and what it wrote."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        child = os.fork()
        if child == 0:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            os._exit(command(arguments, env))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
    return {"status": status, "stdout": texts[0], "stderr": texts[1]}


def command(arguments: list[str], env: dict[str, str]) -> int:
    """Runs in the child; ends in time whatever happens."""
    signal.alarm(20)
    os.environ.update(env)
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
    for module in ("config", "app.wsgiapp"):
        importlib.import_module(f"{PACKAGE}.{module}")
    with open(sys.argv[2]) as file:
        jobs = json.load(file)
    answers = [
        set_one(job["name"], job["value"]) if "name" in job else run_one(job["arguments"], job.get("env", {}))
        for job in jobs
    ]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
