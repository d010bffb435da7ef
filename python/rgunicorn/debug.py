"""Prints every line of Python that is executed: the setting `spew`."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Container
from types import FrameType
from typing import Any

_NAME = re.compile(r"[^\W\d]\w*")


class Spew:
    """A trace function: each line to standard output, as `MODULE:LINE: SOURCE`.

    `trace_names` are the modules to print, by default all. With `show_values` the values of the line's names
    follow.
    """

    def __init__(self, trace_names: Container[str] | None = None, show_values: bool = True) -> None:
        self.trace_names = trace_names
        self.show_values = show_values

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Spew:
        """Called by the interpreter."""
        if event == "line":
            module = str(frame.f_globals.get("__name__", "?"))
            if self.trace_names is None or module in self.trace_names:
                self._print(module, frame)
        return self

    def _print(self, module: str, frame: FrameType) -> None:
        path = frame.f_globals.get("__file__") or frame.f_code.co_filename
        source = linecache.getline(path, frame.f_lineno).rstrip() or frame.f_code.co_name
        print(f"{module}:{frame.f_lineno}: {source}")
        if self.show_values:
            known = {**frame.f_globals, **frame.f_locals}
            names = [name for name in dict.fromkeys(_NAME.findall(source)) if name in known]
            if names:
                print("\t" + " ".join(f"{name}={known[name]!r}" for name in names))


def spew(trace_names: Container[str] | None = None, show_values: bool = False) -> None:
    """Starts printing, in this thread and in processes forked from it."""
    sys.settrace(Spew(trace_names, show_values))


def unspew() -> None:
    """Stops printing."""
    sys.settrace(None)
