"""How this program was started: its command, environment and directory before settings changed anything.

And who has executed it, if that was an arbiter.

Whoever executes the program leaves it a variable, which is meant for one process and taken away at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from typing import Any, NoReturn

#: What an arbiter leaves to the program that it executes: a JSON object with at least `role` and `pid`. The
#: system limits its length: where it has `memory` all is in the file of that descriptor.
VARIABLE = "RGUNICORN_START"

#: It takes the place of another arbiter, which lives.
UPGRADE = "upgrade"
#: It is that arbiter: the same process has executed the program anew.
RENEWAL = "renewal"
#: It shall try whether configuration and application load, and do nothing else.
PROOF = "proof"

#: Variables that are meant for one process, and those by which Gunicorn upgrades.
_PERSONAL = (VARIABLE, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "GUNICORN_PID", "GUNICORN_FD")


def getcwd() -> str:
    """The current directory by the name the shell has for it: `$PWD`, with its links, if it is the same.

    Of a directory that has been removed only that name is left; there may be another one by it.
    """
    shell = os.environ.get("PWD")
    try:
        directory = os.getcwd()
    except FileNotFoundError:
        return shell if shell and os.path.isabs(shell) else "/removed"
    try:
        if shell and os.path.samefile(shell, directory):
            return shell
    except OSError:
        pass
    return directory


def _take() -> dict[str, Any]:
    try:
        found = json.loads(os.environ[VARIABLE])
    except (KeyError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    if found.get("role") == PROOF:
        # It stays for processes that this one starts: a server among them is not to begin its work either.
        return found
    del os.environ[VARIABLE]
    if found.get("pid") != os.getpid():
        return {}
    memory = found.get("memory")
    return found if memory is None else _read(memory)


def _read(memory: int) -> dict[str, Any]:
    with open(memory, "rb") as file:
        file.seek(0)
        found = json.loads(file.read())
    assert isinstance(found, dict)
    return found


DIRECTORY = getcwd()
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in _PERSONAL}
#: What the arbiter that has executed this program has left to it; empty if none has.
LEFT = _take()

#: The process that runs the program. One that it forks, and that is no daemon, cannot be it again.
_process = os.getpid()


def role() -> str | None:
    """Why an arbiter has executed this program; None if none has."""
    return LEFT.get("role")


def command() -> list[str]:
    """The interpreter with its options, the program and its arguments."""
    # Empty where the interpreter is a part of another program.
    given = sys.orig_argv[1:] or sys.argv
    return [sys.executable, *given]


def keep_strays(passed: set[int]) -> None:
    """Closes, when the program is executed, what something has left open for others, but not `passed`.

    Those that the program was started with stay. Otherwise each execution would leave some more open.
    """
    for fd in _inheritable() - GIVEN - passed:
        with contextlib.suppress(OSError):
            os.set_inheritable(fd, False)


def _inheritable() -> set[int]:
    """The descriptors, beside the standard ones, that an executed program would have."""
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if int(name) > 2 and os.get_inheritable(int(name)):
                    found.add(int(name))
    return found


def is_program() -> bool:
    """Whether executing the command in this process would start again what runs here."""
    return os.getpid() == _process and bool(sys.executable and sys.orig_argv)


def daemonized() -> None:
    """This process goes on as the program."""
    global _process
    _process = os.getpid()


def execute(
    file: str, arguments: list[str], directory: str, environment: dict[str, str], left: dict[str, Any]
) -> NoReturn:
    """Executes a program in this process, and leaves `left` to it. OSError: nothing has changed."""
    # Not by its name: it may have been removed since.
    here = os.open(".", os.O_RDONLY)
    memory = _written(left) if left["role"] == RENEWAL else None
    short = left if memory is None else {"role": RENEWAL, "pid": left["pid"], "memory": memory}
    try:
        os.chdir(directory)
        os.execvpe(file, arguments, {**environment, VARIABLE: json.dumps(short)})
    finally:
        os.chdir(here)
        os.close(here)
        if memory is not None:
            os.close(memory)


def _written(left: dict[str, Any]) -> int | None:
    """A file without a name that contains it, inheritable; None: the system has none."""
    try:
        with open(os.memfd_create("rgunicorn-start"), "wb") as file:
            file.write(json.dumps(left).encode())
            file.flush()
            # Inheritable, unlike the file's own.
            return fcntl.fcntl(file, fcntl.F_DUPFD, 3)
    except (AttributeError, OSError):
        return None


def predecessor() -> int:
    """The arbiter in whose place this program is to come, 0 if there is none or it is gone."""
    if role() == RENEWAL:
        return int(LEFT.get("master_pid", 0))
    named = os.environ.get("GUNICORN_PID", "")
    # A process of an application that was started with the variable is nobody's successor.
    if named.isdecimal() and int(named) == os.getppid() and "GUNICORN_FD" in os.environ:
        return int(named)
    return 0


#: Descriptors that whoever has started the program wanted it to have.
GIVEN = set(LEFT["given"]) if role() == RENEWAL else _inheritable()

if role() == RENEWAL:
    # As early as can be: until then signals are blocked.
    from rgunicorn._arbiter import held

    held.begin()
