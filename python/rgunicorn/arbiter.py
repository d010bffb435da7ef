"""The arbiter as Python sees it: configuration, listeners, worker objects and hooks.

Which worker to fork, signal or bury is decided in Rust (`_native.run_arbiter`), which calls these methods;
nothing here forks or waits. What lasts is in attributes, under the names that hooks know from Gunicorn.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import rgunicorn
from rgunicorn import _alias, _native, _start, pidfile, sock, util
from rgunicorn._arbiter import child, listening, proof
from rgunicorn._arbiter.manager import Manager
from rgunicorn._arbiter.orders import Orders
from rgunicorn._arbiter.program import Before, Program
from rgunicorn._arbiter.reports import Reports
from rgunicorn._logs import config as log_config
from rgunicorn._process import Environment
from rgunicorn.errors import HaltServer

if TYPE_CHECKING:
    from rgunicorn.app.base import BaseApplication
    from rgunicorn.config import Config
    from rgunicorn.workers.base import Worker


#: Where a reload cannot load a preloaded application anew.
STALE = "preload_app: this process cannot execute its program anew; the application stays as it was loaded."


class Arbiter(Orders, Reports, Program):
    """Holds the listeners and the workers of one service.

    Of `app`, a `BaseApplication`, it uses the configuration `cfg`, `wsgi()`, which gives the application, and
    `reload()`, which reads the configuration again.
    """

    #: Exit status of a worker that could not boot, and of an arbiter that ends because of it.
    WORKER_BOOT_ERROR = 3
    #: Exit status when the application could not be found.
    APP_LOAD_ERROR = 4

    def __init__(self, app: BaseApplication) -> None:
        super().__init__()
        if _start.role() == _start.PROOF:
            proof.prove(app)
        _alias.install()
        os.environ["SERVER_SOFTWARE"] = rgunicorn.SERVER_SOFTWARE
        self._num_workers: int | None = None
        self._environment = Environment()
        self._stopping = False
        #: What a reload returns to that is not known to load.
        self._before: Before | None = None
        #: Listeners of configurations whose workers may still serve, by their address.
        self._older: dict[str, sock.BaseSocket] = {}
        #: The configuration by which the log was set up: not the one in force if that one's is bad.
        self._log_cfg: Config | None = None
        self.LISTENERS: list[sock.BaseSocket] = []
        self.WORKERS: dict[int, Worker] = {}
        self.worker_age = 0
        self.pid: int | None = None
        #: The arbiter that has started this one to take its place; 0: none.
        self.master_pid = _start.predecessor()
        #: The arbiter that this one has started to take its place; 0: none.
        self.reexec_pid = 0
        self.master_name = "Master.2" if self.master_pid else "Master"
        self.renewed = _start.role() == _start.RENEWAL
        #: Whether the listeners were inherited from systemd.
        self.systemd = False
        self.pidfile: pidfile.Pidfile | None = None
        self.setup(app)
        self._manager = Manager(
            self.log, follows=bool(self.master_pid), renewed=_start.role() == _start.RENEWAL
        )
        #: How the program was started.
        self.START_CTX: dict[str | int, Any] = {
            "args": _start.command(),
            "cwd": _start.DIRECTORY,
            0: sys.executable,
        }

    def setup(self, app: BaseApplication) -> None:
        """Takes everything that depends on the configuration from `app.cfg`."""
        self.app = app
        self.cfg = app.cfg
        self._set_up_log(self.cfg)
        self.worker_class = self.cfg.worker_class
        self._listen_at()
        self.num_workers = self.cfg.workers
        self.timeout = self.cfg.timeout
        self._take_names()
        lines = "".join(f"\n  {name}: {setting.value}" for name, setting in self.cfg.settings.items())
        self.log.debug("Current configuration:%s", lines)
        self._environment.set(self.cfg.env)
        if self.cfg.preload_app:
            self.load()

    @property
    def num_workers(self) -> int:
        """How many workers there should be."""
        return self._num_workers or 0

    @num_workers.setter
    def num_workers(self, value: int) -> None:
        old, self._num_workers = self._num_workers, value
        self.cfg.nworkers_changed(self, value, old)
        self.wakeup()

    def run(self) -> NoReturn:
        """Starts the service and keeps it running; ends by raising SystemExit, here and in every worker."""
        self._check_subclass()
        self.start()
        if self.cfg.preload_app:
            # What was loaded is not for the collector to touch: in the workers that would copy the memory.
            gc.collect()
            gc.freeze()
        try:
            _native.run_arbiter(self)
        except Exception:
            # The loop could not begin: no memory, no descriptors.
            self._clean_up()
            raise

    def start(self) -> None:
        """Opens the listeners."""
        if _start.role() == _start.RENEWAL:
            self.pid = os.getpid()
            self._go_on()
            return
        self.log.info("Starting rgunicorn %s", rgunicorn.VERSION)
        for calculation in (self.cfg.workers_sum, self.cfg.worker_memory_sum):
            if calculation:
                self.log.info(calculation)
        self.pid = os.getpid()
        self.hold_signals(ignored=self.SIGNALS)
        try:
            self._write_pidfile()
            self.cfg.on_starting(self)
            self.init_signals()
            self._open_listeners()
            self.log.debug("Arbiter booted")
            self.log.info("Listening at: %s (%s)", self._listening_at(), self.pid)
            self.log.info("Using worker: %s", self.cfg.worker_class_str)
            if self.cfg.request_timeout and not getattr(self.worker_class, "limits_requests", False):
                self.log.warning(
                    "request_timeout has no effect with the worker class %s", self.cfg.worker_class_str
                )
            if hasattr(self.worker_class, "check_config"):
                self.worker_class.check_config(self.cfg, self.log)
            self.cfg.when_ready(self)
        except BaseException:
            self._clean_up()
            raise

    def halt(self, reason: str | None = None, exit_status: int = 0) -> NoReturn:
        """Ends the arbiter; while there are workers, by an exception that makes the loop stop them first."""
        if not self._over:
            super().halt(reason, exit_status)
        self._clean_up()
        log = self.log.info if exit_status == 0 else self.log.error
        log("Shutting down: %s", self.master_name)
        if reason is not None:
            log("Reason: %s", reason)
        self.cfg.on_exit(self)
        sys.exit(exit_status)

    # What the loop in Rust asks for.

    def limits(self) -> tuple[int, int, int, bool, int, int, int, int, int]:
        """The settings that decide about workers, as `arbiter::plan` has them: times in seconds, memory
        in bytes, 0 for none."""
        cfg = self.cfg
        return (
            self.num_workers,
            self.timeout,
            cfg.graceful_timeout,
            cfg.daemon,
            cfg.reload_surge,
            cfg.max_worker_lifetime,
            cfg.max_worker_lifetime_jitter,
            cfg.worker_memory,
            cfg.shutdown_delay,
        )

    def new_worker(self, slot: _native.Slot, lifeline: int) -> Worker:
        """Makes the object of a worker that is about to be forked."""
        self.worker_age += 1
        ppid = self.pid or os.getpid()
        worker: Worker = self.worker_class(
            self.worker_age, ppid, self.LISTENERS, self.app, self.timeout / 2.0, self.cfg, self.log
        )
        worker.slot = slot
        worker.tmp.attach(slot)
        worker.lifeline = lifeline
        self.cfg.pre_fork(self, worker)
        util.flush_streams()
        return worker

    def add_worker(self, worker: Worker, pid: int) -> None:
        """Remembers a worker that has been forked."""
        worker.pid = pid
        self.WORKERS[pid] = worker
        self._report_count()

    def abort_worker(self, pid: int) -> None:
        """A worker is late and will be ended."""
        worker = self.WORKERS.get(pid)
        if worker is not None:
            worker.aborted = True

    def remove_worker(self, pid: int) -> None:
        """Forgets a worker that has ended."""
        worker = self.WORKERS.pop(pid, None)
        if worker is not None:
            # That a service which ends has no workers left alarms nobody.
            if not self._stopping:
                self._report_count()
            self.cfg.child_exit(self, worker)

    def child_main(self, worker: Worker) -> NoReturn:
        """The life of a worker process, from the fork to SystemExit."""
        self.set_waker(-1)
        child.live(self, worker)

    def failed(self, error: BaseException) -> tuple[int, str | None, bool]:
        """Something that the loop asked for has raised: gives the status to end with, the reason, and whether
        the workers may finish what they do."""
        if isinstance(error, HaltServer):
            return error.exit_status, error.reason, True
        if isinstance(error, (KeyboardInterrupt, StopIteration)):
            return 0, None, True
        if isinstance(error, SystemExit):
            return (error.code if isinstance(error.code, int) else int(error.code is not None)), None, False
        self.log.error("Unhandled exception in main loop", exc_info=error)
        return 255, None, False

    def conclude(self, reason: str | None, exit_status: int) -> NoReturn:
        """The loop has ended, and the workers are gone."""
        self._over = True
        self.set_waker(-1)
        self.halt(reason, exit_status)

    def announce_end(self) -> None:
        """The service was told to end, now or after `shutdown_delay`."""
        self._manager.stops(successor=self.reexec_pid)

    def close_listeners(self) -> None:
        """Stops listening; the files of Unix sockets go too."""
        self.announce_end()
        self._stopping = True
        if self._has_sibling():
            # It goes on listening, and the files are its business.
            return
        listeners, self.LISTENERS = self.LISTENERS, []
        sock.close_sockets(listeners)

    # Reloading.

    def read_again(self, can_renew: bool) -> bool | None:
        """Reads the configuration again. If it is bad everything stays as it was, and the result is False.

        None: the application is, or shall be, in the memory of this process, which has to load it anew.
        That takes `can_renew`.
        """
        before = Before(self.cfg, self._log_cfg, self.num_workers, self._shared, self.LISTENERS)
        self._manager.reloads()
        try:
            renewable = can_renew and _start.is_program()
            if self.cfg.preload_app and renewable:
                return None
            self._environment.restore()
            self.app.reload()
            if self.app.cfg.preload_app and renewable:
                self._return_to(before)
                return None
            self.setup(self.app)
            if before.cfg.preload_app:
                self.log.warning("%s", STALE)
            self.log.reopen_files()
            if self.worker_class is not before.cfg.worker_class:
                # The new one may not want it; native ones say so again.
                sock.hand_out_at_once(self.LISTENERS)
            if self._shared != before.shared and not self.systemd:
                self.LISTENERS = self._rebound(before)
                self.log.info("Listening at: %s", self._listening_at())
            self.cfg.on_reload(self)
            self._write_pidfile()
        except (Exception, SystemExit) as error:
            self._return_to(before)
            self._refuse_reload(error)
            self._manager.reloaded()
            return False
        if self._before is None:
            self._before = before
        else:
            # That one has never been known to load: nothing returns to it.
            self._close_unneeded(before.listeners)
        return True

    def prove_reload(self) -> None:
        """A worker has booted with what was read last: a later failure returns to that."""
        if self._before is not None:
            self._older |= self._before.by_address()
            self._before = None

    def keep_reload(self) -> None:
        """Only workers with the latest configuration serve: what the others needed can go."""
        superseded = self.superseded()
        self._older = {}
        self._close(superseded)
        self._manager.reloaded()

    def drop_reload(self) -> None:
        """The first new worker does not boot: brings the configuration before it back."""
        if self._before is not None:
            before, self._before = self._before, None
            # TTIN and TTOU that came meanwhile count.
            number = before.num_workers + self.num_workers - self.cfg.workers
            before.num_workers = max(number, min(before.num_workers, 1))
            self._return_to(before)
        self._manager.reloaded()

    def _return_to(self, before: Before) -> None:
        unneeded, self.LISTENERS = self.LISTENERS, before.listeners
        self._close_unneeded(unneeded)
        self._environment.restore()
        self.app.cfg = self.cfg = before.cfg
        if before.log_cfg is not None and before.log_cfg is not self._log_cfg:
            self._set_up_log(before.log_cfg)
        self.worker_class = self.cfg.worker_class
        self._listen_at()
        self._shared = before.shared
        self.timeout = self.cfg.timeout
        self._take_names()
        self._environment.set(self.cfg.env)
        try:
            self._write_pidfile()
        except RuntimeError as error:
            self.log.error("%s", error)
        if self._num_workers != before.num_workers:
            self.num_workers = before.num_workers

    def superseded(self) -> list[sock.BaseSocket]:
        """Listeners that only workers from before a reload serve."""
        before = [] if self._before is None else self._before.listeners
        return [old for old in [*self._older.values(), *before] if old not in self.LISTENERS]

    def _close_unneeded(self, listeners: list[sock.BaseSocket]) -> None:
        needed = [*self.LISTENERS, *self.superseded()]
        self._close([listener for listener in listeners if listener not in needed])

    def _rebound(self, before: Before) -> list[sock.BaseSocket]:
        """Listeners for the new addresses: those there were are kept, with whoever waits in their queues."""
        former = {} if self._before is None else self._before.by_address()
        kept = self._older | former | before.by_address()
        added = [address for address in self._shared if str(address) not in kept]
        made = iter(sock.open_listeners(self.cfg, self.log, added, patient=False))
        return [kept.get(str(address)) or next(made) for address in self._shared]

    def _listen_at(self) -> None:
        self.address = self.cfg.address
        #: Those of them at which the arbiter listens for all workers.
        self._shared = listening.shared_addresses(self.cfg)

    def _close(self, listeners: list[sock.BaseSocket]) -> None:
        sock.close_sockets(listeners, unlink=not self._has_sibling())

    def _write_pidfile(self, gone: int = 0) -> None:
        """Writes the pidfile of the configuration in force, and removes the one before it."""
        name = self.cfg.pidfile
        if name and self.master_pid:
            name = f"{name}.2"
        self.pidfile = pidfile.replace(self.pidfile, name, self.pid or os.getpid(), gone)

    def _clean_up(self) -> None:
        """Leaves nothing behind in the file system."""
        # A process that a hook has forked comes here too.
        if os.getpid() == self.pid:
            self.close_listeners()
            self._manager.ends()
            self.leave_pidfile()

    def _listening_at(self) -> str:
        return ",".join(str(listener) for listener in self.LISTENERS)

    def _set_up_log(self, cfg: Config) -> None:
        if self._log_cfg is None:
            self.log = cfg.logger_class(cfg)
        elif not log_config.reload(self.log, cfg):
            return
        self._log_cfg = cfg
