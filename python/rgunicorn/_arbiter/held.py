"""The time between the execution of a program and its arbiter's loop.

Signals are remembered, and the workers that the process has already are looked after if the loop never comes.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

from rgunicorn import _start

#: What ends a service.
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_ALL = (
    *_ENDING,
    signal.SIGHUP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)

#: Seconds until killed workers are gone.
_KILL_GRACE = 1.0

_numbers: list[int] = []
#: What must not be closed before the loop has it.
_kept: list[object] = []
_interruptible = False


class Interrupted(SystemExit):
    """The service was told to end while it loaded its application."""


def begin() -> None:
    """To be called as early as can be in a program that was executed with its signals blocked."""
    _numbers.extend(_start.LEFT.get("held", []))
    atexit.register(_look_after)
    if threading.current_thread() is threading.main_thread():
        for number in _ALL:
            signal.signal(number, _hold)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])


def keep(thing: object) -> None:
    """A listener that was taken over: it stays open even if the start fails."""
    _kept.append(thing)


def take() -> list[int]:
    """The loop is there: gives the signals that have come, oldest first."""
    atexit.unregister(_look_after)
    _kept.clear()
    # Only now the handlers are somebody else's for certain.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    numbers = _numbers.copy()
    _numbers.clear()
    return numbers


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """In here a signal that ends the service raises `Interrupted`: whatever is loaded will not be needed."""
    global _interruptible
    _interruptible = True
    try:
        if set(_numbers) & set(_ENDING):
            raise Interrupted
        yield
    finally:
        _interruptible = False


@contextlib.contextmanager
def mortal() -> Iterator[None]:
    """In here TERM ends process 1, too.

    Without a handler the kernel keeps the signal from the first process of a container.
    """
    main = threading.current_thread() is threading.main_thread()
    if os.getpid() != 1 or not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _end_at_once)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is _end_at_once:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(0)


def _hold(number: int, frame: FrameType | None) -> None:
    _numbers.append(number)
    if _interruptible and number in _ENDING:
        raise Interrupted


def _look_after() -> None:
    """The program ends and has not come to its loop: its workers serve on, and it is tried again."""
    left = _start.LEFT
    if os.getpid() != left.get("pid"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
    _say("the program has ended before it took over its workers, which serve on; it is started again")
    waited = None if set(_numbers) & set(_ENDING) else signal.sigtimedwait(_ENDING, 1)
    if waited is None and not set(_numbers) & set(_ENDING):
        again = {**left, "held": _numbers}
        for fd in left["descriptors"]:
            with contextlib.suppress(OSError):
                os.set_inheritable(fd, True)
        try:
            command = [sys.executable, *sys.orig_argv[1:]]
            _start.execute(command[0], command, _start.DIRECTORY, _start.ENVIRONMENT, again)
        except OSError as error:
            _say(f"it cannot be started: {error}")
            _end(left, 1)
    _end(left, 0)


def _end(left: dict[str, Any], status: int) -> NoReturn:
    """Ends the service without an arbiter."""
    workers = {int(pid) for pid in left["workers"]}
    _tell(workers, signal.SIGTERM)
    _await(workers, left["graceful_timeout"])
    if workers:
        _say(f"{len(workers)} of the workers have not left within graceful_timeout and are killed")
        _tell(workers, signal.SIGKILL)
        _await(workers, _KILL_GRACE)
    for path in left["files"]:
        with contextlib.suppress(OSError):
            os.unlink(path)
    os._exit(status)


def _tell(workers: set[int], number: signal.Signals) -> None:
    for pid in workers:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _await(workers: set[int], seconds: float) -> None:
    """Takes out of `workers` those that have ended, until none is left or the time is over."""
    until = time.monotonic() + seconds
    while True:
        for pid in list(workers):
            with contextlib.suppress(OSError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            workers.discard(pid)
        if not workers or time.monotonic() >= until:
            return
        signal.sigtimedwait([signal.SIGCHLD], 0.1)


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"rgunicorn: {text}", file=sys.stderr, flush=True)
