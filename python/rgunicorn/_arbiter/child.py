"""The life of a worker process, from the fork to SystemExit."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from rgunicorn import systemd, util
from rgunicorn._arbiter import listening
from rgunicorn.errors import AppImportError

if TYPE_CHECKING:
    from rgunicorn.arbiter import Arbiter
    from rgunicorn.config import Config
    from rgunicorn.workers.base import Worker


def live(arbiter: Arbiter, worker: Worker) -> NoReturn:
    """Runs the worker to its end. Raises SystemExit: the statuses 3 and 4 say that it could not boot."""
    try:
        _live(arbiter, worker)
    except SystemExit as end:
        if worker.has_stuck_threads:
            _leave_threads_behind(end)
        raise


def _leave_threads_behind(end: SystemExit) -> NoReturn:
    """Ends the process: the interpreter cannot be taken down around threads that still use it."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


def _live(arbiter: Arbiter, worker: Worker) -> NoReturn:
    _prepare(arbiter, worker)
    try:
        _boot_and_run(arbiter, worker)
        sys.exit(0)
    except SystemExit as end:
        if not end.code and worker.booted and worker.cfg.max_requests:
            _retire(worker)
        raise
    except AppImportError as error:
        arbiter.log.debug("Exception while loading the application", exc_info=True)
        print(error, file=sys.stderr, flush=True)
        if not _has_standard_error(worker.cfg):
            arbiter.log.error("Exception while loading the application: %s", error)
        sys.exit(arbiter.APP_LOAD_ERROR)
    except BaseException as error:
        arbiter.log.exception("Exception in worker process")
        if worker.booted:
            sys.exit(-1)
        print(error, file=sys.stderr, flush=True)
        sys.exit(arbiter.WORKER_BOOT_ERROR)
    finally:
        _leave(arbiter, worker)


def _retire(worker: Worker) -> None:
    """Of a class that neither marks nor counts its requests, as uvicorn's: it will have had so many."""
    # Not for a process that the application has forked.
    if worker.slot is not None and worker.pid == os.getpid():
        worker.slot.retire()


def _has_standard_error(cfg: Config) -> bool:
    """Whether what is written to standard error, which a daemon does not have, is found in the error log."""
    return cfg.errorlog == "-" or bool(cfg.capture_output)


def _prepare(arbiter: Arbiter, worker: Worker) -> None:
    # Until `init_signals`. Without a handler TTIN and TTOU would stop the process.
    arbiter.hold_signals(ignored=(signal.SIGTTIN, signal.SIGTTOU))
    # Blocked since the fork: the files that it was forked with may have been renamed already.
    signal.signal(signal.SIGUSR1, lambda number, frame: arbiter.log.reopen_files())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    worker.pid = os.getpid()
    systemd.forget_watchdog()
    for listener in arbiter.superseded():
        listener.close()


def _boot_and_run(arbiter: Arbiter, worker: Worker) -> None:
    util.set_process_title(f"worker [{arbiter.proc_name}]")
    arbiter.log.info("Booting worker with pid: %s", worker.pid)
    # Those of systemd stand for all.
    if not arbiter.systemd:
        worker.own_sockets = listening.open_own(arbiter.cfg, arbiter.log, arbiter.WORKER_BOOT_ERROR)
    worker.sockets = [*worker.sockets, *worker.own_sockets]
    arbiter.cfg.post_fork(arbiter, worker)
    worker.init_process()


def _leave(arbiter: Arbiter, worker: Worker) -> None:
    for number in (signal.SIGTERM, signal.SIGUSR1):
        # Once the interpreter takes its handlers back they would cut the `atexit` hooks short.
        signal.signal(number, signal.SIG_IGN)
    arbiter.log.info("Worker exiting (pid: %s)", worker.pid)
    if worker.slot is not None:
        # A class that marks no requests counts them as Gunicorn's do: who has served has not died young.
        worker.slot.count_up_to(max(worker.nr, 0))
    try:
        arbiter.cfg.worker_exit(arbiter, worker)
    except Exception:
        arbiter.log.warning("Exception during worker exit:\n%s", traceback.format_exc())
    for listener in (*worker.sockets, *arbiter.LISTENERS):
        listener.close()
