"""The file that tells others the server's process id: made whole, and removed only by its owner."""

from __future__ import annotations

import contextlib
import os
import tempfile


class Pidfile:
    """The pidfile `fname`. A relative name means the directory that was current when the object was made."""

    def __init__(self, fname: str) -> None:
        self.fname = fname
        self.pid: int | None = None
        self._path = os.path.abspath(fname)

    @property
    def path(self) -> str:
        """Its whole path."""
        return self._path

    def create(self, pid: int, former: int = 0) -> None:
        """Writes `pid`. RuntimeError: it cannot, or another running process is named there than `former`."""
        directory = os.path.dirname(self._path)
        if not os.path.isdir(directory):
            raise RuntimeError(f"{directory} doesn't exist. Can't create pidfile.")
        try:
            running = self.validate()
            if running not in (None, pid, former):
                raise RuntimeError(f"Already running on PID {running} (or pid file '{self.fname}' is stale)")
            if running != pid:
                _write(self._path, directory, f"{pid}\n")
        except OSError as error:
            raise RuntimeError(f"Can't create pidfile: {error}") from error
        self.pid = pid

    def rename(self, path: str) -> None:
        """Moves to another name."""
        self.unlink()
        self.fname = path
        self._path = os.path.abspath(path)
        if self.pid is not None:
            self.create(self.pid)

    def pass_on(self, successor: int) -> bool:
        """Puts the file that the process `successor` has written beside this one, `NAME.2`, in its place.

        False: it has written none, or this one has become another process's.
        """
        theirs = Pidfile(f"{self._path}.2")
        try:
            if self._named() != self.pid or theirs._named() != successor:
                return False
            os.replace(theirs._path, self._path)
        except OSError:
            return False
        return True

    def unlink(self) -> None:
        """Removes the file, unless it has become another process's, or is gone."""
        with contextlib.suppress(OSError):
            if self.pid is not None and self._named() == self.pid:
                os.unlink(self._path)

    def validate(self) -> int | None:
        """The process named in the file if it runs; None if the file is stale, no pidfile, or not there."""
        pid = self._named()
        if pid is None or pid <= 0:
            return None
        try:
            os.kill(pid, 0)
        except PermissionError:
            return pid
        except (ProcessLookupError, OverflowError):
            return None
        return pid

    def replaces(self, other: Pidfile) -> bool:
        """Whether it is the same file as `other`."""
        return self._path == other._path

    def _named(self) -> int | None:
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                # No more of it than a number: it may be any file.
                return int(file.read(32))
        except (FileNotFoundError, ValueError):
            return None


def replace(former: Pidfile | None, fname: str | None, pid: int, gone: int = 0) -> Pidfile | None:
    """Writes the pidfile that a configuration names, if it names one, in place of the former one.

    The process `gone` does not count, though it may not have been collected yet.

    Raises RuntimeError; then the former one is still there.
    """
    pidfile = None
    if fname:
        pidfile = Pidfile(fname)
        pidfile.create(pid, gone)
    if former is not None and not (pidfile is not None and pidfile.replaces(former)):
        former.unlink()
    return pidfile


def _write(path: str, directory: str, text: str) -> None:
    """Whoever reads sees the whole file or none."""
    fd, temporary = tempfile.mkstemp(dir=directory)
    try:
        with os.fdopen(fd, "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
