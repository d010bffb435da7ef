"""What belongs to a process: its place in the foreground, its user, its environment, what it has to write."""

from __future__ import annotations

import contextlib
import os
import pwd
import sys
from collections.abc import Mapping

from rgunicorn import _start


def flush_streams() -> None:
    """To be called before a fork: else each side would write what waits in standard output and error."""
    for stream in (sys.stdout, sys.stderr):
        # None where the program was started without it. It may be closed, or its disk full.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()


def print_out(text: str) -> None:
    """Writes to standard output what whoever started the program has asked for."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        # Who reads has seen enough (`| head`). What Python still holds goes nowhere.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def daemonize(enable_stdio_inheritance: bool = False) -> None:
    """Goes into the background: a session of its own, no terminal, umask 022.

    Standard input, output and error become /dev/null. With `enable_stdio_inheritance` output and error stay,
    unless they are a terminal. A server that replaces another is in the background already.
    """
    if _start.role() is not None or "GUNICORN_FD" in os.environ:
        return
    flush_streams()
    if os.fork():
        os._exit(0)
    os.setsid()
    # No longer the leader of the session, it cannot be given a terminal by opening one.
    if os.fork():
        os._exit(0)
    _start.daemonized()
    os.umask(0o022)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        if fd == 0 or not enable_stdio_inheritance or os.isatty(fd):
            os.dup2(null, fd)
    if null > 2:
        os.close(null)
    else:
        # It was closed before. Programs that the application runs expect to find it.
        os.set_inheritable(null, True)


class Environment:
    """Variables that settings have put over those that the process was started with."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}

    def set(self, variables: Mapping[str, str]) -> None:
        """Sets them."""
        for name, value in variables.items():
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def restore(self) -> None:
        """Undoes what `set` has done."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()


def get_username(uid: int) -> str:
    """The name of a user. Raises KeyError if there is none."""
    return pwd.getpwuid(uid).pw_name


def set_owner_process(uid: int, gid: int, initgroups: bool = False) -> None:
    """Makes the process another user's and group's; 0 leaves the one it has. Raises OSError.

    `initgroups` gives it all groups of the user, if the user has a name. Otherwise it keeps those that it was
    started with, but for those of root. Groups come first: afterwards they may no longer be changed.
    """
    if os.geteuid() == 0:
        _change_groups(uid, gid or os.getegid(), initgroups)
    try:
        if gid and gid != os.getegid():
            os.setgid(gid)
        if uid and uid != os.geteuid():
            os.setuid(uid)
    except PermissionError as error:
        raise PermissionError(error.errno, f"cannot become user {uid}, group {gid}: only root can") from error


def _change_groups(uid: int, gid: int, initgroups: bool) -> None:
    if initgroups:
        with contextlib.suppress(KeyError):
            os.initgroups(get_username(uid), gid)
            return
    if uid:
        # What a container or a unit file has added was meant for the service; "disk" and "wheel" were not.
        kept = [group for group in os.getgroups() if group not in _groups_of_root()]
        # A container may forbid to change them.
        with contextlib.suppress(PermissionError):
            os.setgroups(kept)


def _groups_of_root() -> list[int]:
    try:
        return os.getgrouplist(get_username(0), 0)
    except KeyError:
        return [0]
