"""The program executed anew: beside this arbiter as its successor, or in its place.

And what such a program takes over from the arbiter before it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from rgunicorn import _native, _start, pidfile, sock, util
from rgunicorn._arbiter import held, listening
from rgunicorn.errors import AddressError, ConfigError, ConfigFileError

if TYPE_CHECKING:
    from rgunicorn._arbiter.manager import Manager
    from rgunicorn.app.base import BaseApplication
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger
    from rgunicorn.workers.base import Worker


_PLAIN = (str, int, float, bool, type(None))


@dataclass
class Before:
    """What a reload replaces, and what its failure brings back."""

    cfg: Config
    log_cfg: Config | None
    num_workers: int
    shared: list[util.Address]
    listeners: list[sock.BaseSocket]

    def by_address(self) -> dict[str, sock.BaseSocket]:
        """The listeners, by the addresses that the configuration gives."""
        return {str(address): one for address, one in zip(self.shared, self.listeners, strict=False)}


class Program:
    """A part of `Arbiter`."""

    #: The program has been executed in place of one that served, and has loaded the new code.
    renewed: bool

    app: BaseApplication
    cfg: Config
    log: Logger
    pid: int | None
    master_pid: int
    master_name: str
    reexec_pid: int
    systemd: bool
    worker_class: type[Worker]
    proc_name: str
    timeout: int
    worker_age: int
    pidfile: pidfile.Pidfile | None
    LISTENERS: list[sock.BaseSocket]
    WORKERS: dict[int, Worker]
    START_CTX: dict[str | int, Any]
    num_workers: int
    _shared: list[util.Address]
    _log_cfg: Config | None
    _before: Before | None
    _older: dict[str, sock.BaseSocket]
    _manager: Manager

    if TYPE_CHECKING:

        def keep_reload(self) -> None: ...
        def superseded(self) -> list[sock.BaseSocket]: ...
        def _write_pidfile(self, gone: int = 0) -> None: ...
        def _rebound(self, before: Before) -> list[sock.BaseSocket]: ...

    # The program beside this one.

    def execute_successor(self, native: str) -> NoReturn:
        """In a process that was forked for it: executes the program as the next arbiter."""
        try:
            self.cfg.env_orig = dict(_start.ENVIRONMENT)
            self.cfg.pre_exec(self)
            environment = {
                **self.cfg.env_orig,
                "GUNICORN_PID": str(self.pid),
                "GUNICORN_FD": ",".join(str(listener.fileno()) for listener in self.LISTENERS),
            }
            # It is meant for this arbiter alone.
            environment.pop("WATCHDOG_PID", None)
            left = {"role": _start.UPGRADE, "native": native, "systemd": self.systemd}
            self._execute(environment, {**left, "listeners": listening.described(self.LISTENERS)})
        except BaseException:
            self.log.exception("The new master cannot be started")
        finally:
            os._exit(1)

    def execute_proof(self) -> NoReturn:
        """In a process that was forked for it: executes the program to try whether it loads."""
        try:
            self._report_in_error_log()
            self._execute(_start.ENVIRONMENT, {"role": _start.PROOF, "carries": _native.CARRIES})
        except BaseException:
            self.log.exception("The program cannot be started anew")
        finally:
            os._exit(1)

    def forget_successor(self, pid: int) -> None:
        """The next arbiter is gone: what it could not remove goes too."""
        self.reexec_pid = 0
        if self.cfg.pidfile:
            left = pidfile.Pidfile(f"{self.cfg.pidfile}.2")
            left.pid = pid
            left.unlink()

    def leave_pidfile(self) -> None:
        """Removes the pidfile, or passes it on: the next arbiter is named there before this one is gone."""
        if self.pidfile is None:
            return
        if self.reexec_pid and self._has_sibling() and self.pidfile.pass_on(self.reexec_pid):
            return
        self.pidfile.unlink()
        if self.master_pid:
            # The arbiter before may have passed its own on already.
            passed_on = pidfile.Pidfile(self.pidfile.path.removesuffix(".2"))
            passed_on.pid = self.pid
            passed_on.unlink()

    def promote(self) -> None:
        """The arbiter before this one is gone: this one is the service."""
        former, self.master_pid = self.master_pid, 0
        self.master_name = "Master"
        os.environ.pop("GUNICORN_PID", None)
        if self._before is None:
            self.keep_reload()
        self._take_names()
        try:
            self._write_pidfile(former)
        except RuntimeError as error:
            self.log.error("%s", error)
        self._manager.promoted()

    # The program in place of this one.

    def execute(self, native: str, passed: list[int], waiting: list[int]) -> NoReturn:
        """Executes the program in this process, with the descriptors `passed`. Raises OSError."""
        superseded = self.superseded()
        listeners = [*self.LISTENERS, *superseded]
        left = {
            "role": _start.RENEWAL,
            "native": native,
            "held": waiting,
            "given": sorted(_start.GIVEN),
            "systemd": self.systemd,
            "listeners": listening.described(self.LISTENERS),
            "superseded": listening.described(superseded),
            "shared": self._shared,
            "pidfile": self.pidfile and self.pidfile.path,
            "master_pid": self.master_pid,
            "reexec_pid": self.reexec_pid,
            "worker_age": self.worker_age,
            "num_workers": self.num_workers,
            "workers": {pid: _plain_attributes(worker) for pid, worker in self.WORKERS.items()},
            "touched": {path: _print(path) for path in self.touch_files()},
            # Should the program not come to its arbiter.
            "descriptors": [listener.fileno() for listener in listeners],
            "files": self._files(listeners),
            "graceful_timeout": self.cfg.graceful_timeout,
        }
        self._manager.loads()
        _start.keep_strays({*passed, *left["descriptors"]})
        try:
            self._execute(_start.ENVIRONMENT, left, listeners)
        finally:
            for listener in listeners:
                os.set_inheritable(listener.fileno(), False)

    def _files(self, listeners: Sequence[sock.BaseSocket]) -> list[str]:
        """What this arbiter is to remove at its end."""
        found = [] if self.pidfile is None else [self.pidfile.path]
        if not self._has_sibling():
            files = (getattr(listener, "file", None) for listener in listeners)
            found += [file[0] for file in files if file is not None]
        return found

    def _go_on(self) -> None:
        """Takes over from the program before, and does what a reload does."""
        left = _start.LEFT
        self.reexec_pid, self.worker_age = left["reexec_pid"], left["worker_age"]
        self.systemd = left["systemd"]
        if left["pidfile"]:
            self.pidfile = pidfile.Pidfile(left["pidfile"])
            self.pidfile.pid = self.pid
        self.LISTENERS = listening.adopted(self.cfg, self.log, left["listeners"])
        superseded = listening.adopted(self.cfg, self.log, left["superseded"])
        for listener in (*self.LISTENERS, *superseded):
            held.keep(listener)
        shared = [tuple(address) if isinstance(address, list) else address for address in left["shared"]]
        addresses = [*shared, *(listener.cfg_addr for listener in superseded)]
        before = Before(
            self.cfg, self._log_cfg, left["num_workers"], addresses, [*self.LISTENERS, *superseded]
        )
        try:
            self._write_pidfile()
            # They prepare a process, and of that nothing is left.
            self.cfg.on_starting(self)
            if self._shared != shared and not self.systemd:
                self.LISTENERS = self._rebound(before)
                self.log.info("Listening at: %s", ",".join(map(str, self.LISTENERS)))
            self.cfg.when_ready(self)
            if self.renewed:
                self.cfg.on_reload(self)
        except (Exception, SystemExit) as error:
            self._refuse_reload(error)
            self.renewed = False
        self._before = before

    def _refuse_reload(self, error: BaseException) -> None:
        """Says, once, why the configuration that was read again is of no use."""
        if isinstance(error, ConfigFileError):
            # Where in the file is what counts, not how it came to be read.
            text = "Reload failed: bad configuration. The old one stays. %s"
            self.log.error(text, error, exc_info=error.__cause__)
        elif isinstance(error, (ConfigError, AddressError)):
            text = "Reload failed: bad configuration: %s. The old workers and listeners go on."
            self.log.error(text, error)
        else:
            self.log.error("Reload failed: bad configuration. The old one stays.", exc_info=error)

    def load(self) -> None:
        """Loads the application. Where the service runs already that may fail."""
        if self.pid is not None or _start.role() != _start.RENEWAL:
            with held.mortal():
                self.app.wsgi()
            return
        try:
            with held.interruptible():
                self.app.wsgi()
        except held.Interrupted:
            self.renewed = False
        except BaseException:
            self.log.exception("Reload failed: the new code does not load. The old workers keep serving.")
            self.renewed = False

    def _open_listeners(self) -> None:
        opened = listening.open_shared(self.cfg, self.log)
        self.LISTENERS, self.systemd, self._older = opened.listeners, opened.of_systemd, opened.unwanted

    # For the loop in Rust.

    def heritage(self) -> tuple[str | None, str]:
        """Why this program was executed, and what the loop of another one has left to this one's."""
        found = _start.role()
        if found is None and self.master_pid:
            # By an arbiter that is not of rgunicorn.
            with contextlib.suppress(OSError, AttributeError):
                return _start.UPGRADE, f"lifeline={os.pidfd_open(self.master_pid)}"
        return found, _start.LEFT.get("native", "")

    def adopt_worker(self, pid: int, slot: _native.Slot) -> None:
        """A worker that the program before has forked."""
        attributes = _start.LEFT["workers"].get(str(pid), {})
        # Not earlier: worker classes import what the configuration may want to change first.
        from rgunicorn._arbiter.former import FormerWorker

        self.WORKERS[pid] = FormerWorker.of(self, pid, attributes, slot)

    @property
    def counts_requests(self) -> bool:
        """Whether the sum of what the workers have counted is true."""
        return getattr(self.worker_class, "counts_requests", False)

    def touch_files(self) -> list[str]:
        """The files of `touch_reload`: relative ones are where the application is."""
        return [os.path.join(self.cfg.chdir, name) for name in self.cfg.touch_reload]

    def touch_files_before(self) -> dict[str, Any]:
        """Those of the program before this one, as they were when this one was executed."""
        found: dict[str, list[Any] | None] = _start.LEFT.get("touched", {})
        return {path: known and (*known[:2], known[2] and tuple(known[2])) for path, known in found.items()}

    def take_held_signals(self) -> list[int]:
        """Signals that have come before there was a loop, oldest first."""
        return held.take() if _start.role() == _start.RENEWAL else []

    def _has_sibling(self) -> bool:
        """Whether another arbiter listens on the same sockets."""
        if self.master_pid and os.getppid() == self.master_pid:
            return True
        if not self.reexec_pid:
            return False
        try:
            ended = os.waitid(os.P_PID, self.reexec_pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return ended is None

    def _take_names(self) -> None:
        """What the process is called. A successor is told from its predecessor."""
        self.proc_name = f"{self.cfg.proc_name}.2" if self.master_pid else self.cfg.proc_name
        util.set_process_title(f"master [{self.proc_name}]")

    def _report_in_error_log(self) -> None:
        """What is written to standard error comes into the error log's file, if it has one."""
        for handler in getattr(getattr(self.log, "error_log", None), "handlers", ()):
            stream = getattr(handler, "stream", None)
            if isinstance(handler, logging.FileHandler) and stream is not None:
                os.dup2(stream.fileno(), 2)

    def _execute(
        self,
        environment: dict[str, str],
        left: dict[str, Any],
        listeners: Sequence[sock.BaseSocket] | None = None,
    ) -> NoReturn:
        for listener in self.LISTENERS if listeners is None else listeners:
            os.set_inheritable(listener.fileno(), True)
        util.flush_streams()
        start = self.START_CTX
        _start.execute(start[0], start["args"], start["cwd"], environment, {**left, "pid": os.getpid()})


def _print(path: str) -> tuple[int, int, tuple[int, int] | None] | None:
    """What tells a file from its former and later self, as `arbiter::touch` has it; None: it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    when = None if stat.S_ISDIR(found.st_mode) else divmod(found.st_mtime_ns, 1_000_000_000)
    return found.st_dev, found.st_ino, when


def _plain_attributes(thing: object) -> dict[str, Any]:
    """The attributes of an object that are text, numbers, truth values or None."""
    return {name: value for name, value in vars(thing).items() if isinstance(value, _PLAIN)}
