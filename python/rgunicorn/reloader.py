"""Watches the files that a process has loaded, in a thread, and tells when one changes: `reload`."""

from __future__ import annotations

import glob
import importlib
import importlib.util
import os
import select
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from rgunicorn import util

Callback = Callable[[str], object]


class ReloaderBase(threading.Thread):
    """Calls `callback` with the path of a file that has changed.

    The files are those of all modules, and `extra_files`: paths, and patterns. What there is when the thread
    is started counts as unchanged, and so do modules that are loaded later; a new file that a pattern matches
    is a change.
    """

    def __init__(
        self,
        extra_files: Iterable[str] | None = None,
        interval: float = 1,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(name="reloader", daemon=True)
        self._extra_files = set(extra_files or ())
        self._interval = interval
        self._callback = callback
        self._matched: set[str] = set()

    def add_extra_file(self, filename: str) -> None:
        """Watches one more file."""
        self._extra_files.add(filename)

    def get_files(self) -> list[str]:
        """Every file to watch that is known now."""
        return [*_module_files(), *_expanded(list(self._extra_files))]

    def _newly_matched(self) -> set[str]:
        """The files that patterns match, and did not when this was called last."""
        patterns = (name for name in list(self._extra_files) if util.is_glob_pattern(name))
        before, self._matched = self._matched, set(_expanded(patterns))
        return self._matched - before

    def _tell(self, path: str) -> None:
        if self._callback is not None:
            self._callback(path)


class Reloader(ReloaderBase):
    """Asks for the times of all files every `interval` seconds."""

    def __init__(
        self,
        extra_files: Iterable[str] | None = None,
        interval: float = 1,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(extra_files, interval, callback)
        self._times: dict[str, int] = {}
        self._ended = threading.Event()

    def start(self) -> None:
        """Looks at the files as they are now, and starts."""
        self._newly_matched()
        self._changed()
        super().start()

    def run(self) -> None:
        """Until the process ends."""
        while not self._ended.wait(self._interval):
            for path in (*self._newly_matched(), *self._changed()):
                self._tell(path)

    def _changed(self) -> list[str]:
        """The files that have changed since the last time. What is new to it has not."""
        found = []
        for path in self.get_files():
            try:
                time = os.stat(path).st_mtime_ns
            except OSError:
                # An editor may be about to put it back.
                continue
            if self._times.setdefault(path, time) != time:
                self._times[path] = time
                found.append(path)
        return found


class InotifyReloader(ReloaderBase):
    """Is told by the kernel, through the package `inotify`. Raises ImportError if that is missing."""

    def __init__(
        self,
        extra_files: Iterable[str] | None = None,
        interval: float = 1,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(extra_files, interval, callback)
        if not has_inotify:
            raise ImportError("You must have the inotify module installed to use the inotify reloader")
        adapters: Any = importlib.import_module("inotify.adapters")
        constants: Any = importlib.import_module("inotify.constants")
        self._mask = (
            constants.IN_CREATE | constants.IN_CLOSE_WRITE | constants.IN_MODIFY | constants.IN_MOVED_TO
        )
        self._watcher = adapters.Inotify()
        self._directories: set[str] = set()

    def add_extra_file(self, filename: str) -> None:
        """Watches one more file."""
        super().add_extra_file(filename)
        self._watch()

    def start(self) -> None:
        """Watches the directories of all files, and starts."""
        self._newly_matched()
        self._watch()
        super().start()

    def run(self) -> None:
        """Until the process ends."""
        while True:
            for _, _, directory, name in self._watcher.event_gen(timeout_s=self._interval, yield_nones=False):
                path = os.path.join(directory, name)
                if name and path in set(map(_real, self.get_files())):
                    self._tell(path)
            # For what has been imported since, and what has come with a directory of its own.
            self._watch()
            for path in self._newly_matched():
                self._tell(path)

    def _watch(self) -> None:
        """Adds the directories that hold the files: editors replace a file more often than they change it."""
        directories = {os.path.dirname(_real(path)) for path in self.get_files()}
        for directory in directories - self._directories:
            if os.path.isdir(directory):
                self._watcher.add_watch(directory, mask=self._mask)
                self._directories.add(directory)


#: The package is imported where it is used.
has_inotify = sys.platform == "linux" and importlib.util.find_spec("inotify") is not None

preferred_reloader: type[ReloaderBase] = InotifyReloader if has_inotify else Reloader

reloader_engines: dict[str, type[ReloaderBase]] = {
    "auto": preferred_reloader,
    "poll": Reloader,
    "inotify": InotifyReloader,
}


def can_wait() -> bool:
    """Whether a thread may wait in the kernel. gevent and eventlet make it a greenlet and take epoll away."""
    return hasattr(select, "epoll")


def files_of(error: BaseException) -> set[str]:
    """The files that an exception came through. A module that fails to load is not among the loaded ones."""
    found: set[str] = set()
    seen: set[BaseException | None] = {None}
    pending: list[BaseException | None] = [error]
    while pending:
        cause = pending.pop()
        if cause is None or cause in seen:
            continue
        seen.add(cause)
        pending += (cause.__cause__, cause.__context__)
        if isinstance(cause, SyntaxError) and cause.filename:
            found.add(cause.filename)
        found |= {frame.f_code.co_filename for frame, _ in traceback.walk_tb(cause.__traceback__)}
    return {path for path in found if os.path.isfile(path)}


def _module_files() -> Iterator[str]:
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            # Not by attribute: a module that loads itself lazily would do so now.
            path = vars(module).get("__file__")
            if isinstance(path, str):
                # Of a module without source, as before its source was taken away.
                yield path[:-1] if path.endswith((".pyc", ".pyo")) else path


def _expanded(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if util.is_glob_pattern(name):
            yield from glob.glob(name, recursive=True)
        else:
            yield name


def _real(path: str) -> str:
    return os.path.realpath(path)
