"""What Python must do for `request_timeout`: tell where a request is, and interrupt the main thread."""

from __future__ import annotations

import contextlib
import linecache
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import thread as pool
from types import CodeType, FrameType
from typing import Any

from rgunicorn.errors import RequestTimeout

#: The signal by which the main thread leaves a system call. Hardly anybody uses it, and one that comes when
#: nobody listens is ignored: by a program that the application executes, too.
INTERRUPT = signal.SIGURG

#: Where the server's own modules are, but for those that an application uses.
_PACKAGE = os.path.dirname(os.path.dirname(__file__))
_OURS = {_PACKAGE, *(os.path.join(_PACKAGE, name) for name in ("workers", "_arbiter", "app"))}
#: What a thread begins with.
_THREADS = {threading.__file__, pool.__file__}
_STARTS = {"_bootstrap", "_bootstrap_inner", "run", "_worker"}


def describe(thread: int, is_main: bool, greenlet: Any) -> tuple[str, str]:
    """Who serves a request, and where in the application that is: its stack, as tracebacks show it.

    `thread` is its number for CPython, `is_main` says that it is the main one; `greenlet` is None where there
    are none.
    """
    frame = None
    if greenlet is not None:
        # The one of a greenlet that waits; none if it runs.
        frame = greenlet.gr_frame
    if frame is None:
        frame = sys._current_frames().get(thread)
    who = f"thread {'MainThread' if is_main else _name(thread)}"
    if greenlet is not None:
        who += f", greenlet {getattr(greenlet, 'name', None) or hex(id(greenlet))}"
    return who, _stack(frame)


def _name(thread: int) -> str:
    for known in threading.enumerate():
        if known.ident == thread:
            return known.name
    return str(thread)


def _stack(frame: FrameType | None) -> str:
    """The frames of the application, the innermost last: those above the server's.

    A signal handler of the server's may stand on top of them.
    """
    while frame is not None and _is_ours(frame.f_code):
        frame = frame.f_back
    frames: list[tuple[CodeType, int]] = []
    while frame is not None and not _is_ours(frame.f_code):
        frames.append((frame.f_code, frame.f_lineno or 0))
        frame = frame.f_back
    if frame is None:
        # It has left the application.
        return ""
    summaries = [
        traceback.FrameSummary(code.co_filename, line, code.co_name, lookup_line=False)
        for code, line in reversed(frames)
    ]
    linecache.checkcache()
    return "".join(traceback.StackSummary.from_list(summaries).format()).rstrip("\n")


def _is_ours(code: CodeType) -> bool:
    path = code.co_filename
    return os.path.dirname(path) in _OURS or (path in _THREADS and code.co_name in _STARTS)


def install(handler: Callable[[int, FrameType | None], None]) -> bool:
    """Has `handler` called on `INTERRUPT`. False: somebody else has it, or this is not the main thread."""
    if signal.getsignal(INTERRUPT) != signal.SIG_DFL:
        return False
    try:
        signal.signal(INTERRUPT, handler)
    except ValueError:
        return False
    return True


def is_in_handler(frame: FrameType | None) -> bool:
    """Whether `frame` belongs to the handler of a signal, or to what that calls."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {getattr(getattr(handler, "__func__", handler), "__code__", None) for handler in handlers}
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False


def uninstall() -> None:
    """Takes the handler away, if this is the main thread."""
    with contextlib.suppress(ValueError):
        signal.signal(INTERRUPT, signal.SIG_DFL)


def throw(greenlet: Any) -> None:
    """Raises the exception in a greenlet that waits. To be called in the hub."""
    if not greenlet.dead:
        greenlet.throw(RequestTimeout)


def settle() -> None:
    """Takes an exception that was raised in this thread for a request that has ended meanwhile."""
    with contextlib.suppress(RequestTimeout):
        # CPython looks for such exceptions when a loop begins anew.
        for _ in range(2):
            pass
