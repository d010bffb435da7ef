"""What every worker class shares: the life of a worker process from the fork to `run()`, and its signals."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
import traceback
from datetime import datetime
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from rgunicorn import _native, reloader, util
from rgunicorn.http._refusals import refusal
from rgunicorn.http.wsgi import error_environ
from rgunicorn.workers import _readiness
from rgunicorn.workers.workertmp import WorkerTmp

if TYPE_CHECKING:
    from rgunicorn.app.base import BaseApplication
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger
    from rgunicorn.sock import BaseSocket


class Worker:
    """A worker. Made in the arbiter before the fork; `init_process` and the rest happen in its own process.

    A subclass overrides `run()`, which serves until `alive` is false and then returns.
    """

    SIGNALS: ClassVar[list[int]] = [
        signal.SIGABRT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGWINCH,
        signal.SIGCHLD,
    ]

    #: Whether the class heeds `request_timeout`.
    limits_requests: ClassVar[bool] = False
    #: Whether the scoreboard hears of each request: who serves in a loop of his own need not tell.
    counts_requests: ClassVar[bool] = False

    #: Set by the arbiter before the fork: where the worker tells what it is doing.
    slot: _native.Slot | None = None
    #: Set by the arbiter before the fork: a descriptor that ends when the arbiter does.
    lifeline: int = -1
    #: Threads of the server are still inside the application when the worker has run: nobody waits for them.
    has_stuck_threads = False

    def __init__(
        self,
        age: int,
        ppid: int,
        sockets: list[BaseSocket],
        app: BaseApplication,
        timeout: float,
        cfg: Config,
        log: Logger,
    ) -> None:
        self.age = age
        self.pid: int | str = "[booting]"
        self.ppid = ppid
        self.sockets = sockets
        #: Those of them that are this worker's alone (`reuse_port`).
        self.own_sockets: list[BaseSocket] = []
        self.app = app
        self.timeout = timeout
        self.cfg = cfg
        self.log = log
        self.booted = False
        self.aborted = False
        self.alive = True
        self.nr = 0
        self.max_requests = sys.maxsize
        if cfg.max_requests > 0:
            self.max_requests = cfg.max_requests + random.randint(0, cfg.max_requests_jitter)
        self.reloader: reloader.ReloaderBase | None = None
        self.PIPE: tuple[int, ...] = ()
        self.tmp = WorkerTmp(cfg)
        self.wait_fds: list[Any] = []
        self.wsgi: Any = None
        self._quitting = False

    def __str__(self) -> str:
        return f"<Worker {self.pid}>"

    def notify(self) -> None:
        """Tells the arbiter that the worker lives; from then on repeat it within `cfg.timeout` seconds."""
        self.tmp.notify()

    def run(self) -> None:
        """Serves until `alive` is false."""
        raise NotImplementedError

    def init_process(self) -> None:
        """Prepares the process, loads the application and runs. Whoever overrides it calls this last."""
        os.environ.update(self.cfg.env)
        util.set_owner_process(self.cfg.uid, self.cfg.gid, initgroups=self.cfg.initgroups)
        util.seed()
        self.PIPE = os.pipe()
        for end in self.PIPE:
            os.set_blocking(end, False)
            util.close_on_exec(end)
        for listener in self.sockets:
            util.close_on_exec(listener.fileno())
        self.wait_fds = [*self.sockets, self.PIPE[0]]
        self.log.close_on_exec()
        # A signal that comes between the reset and the new handlers waits for these.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self.SIGNALS)
        self.init_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self.cfg.reload:
            self.reloader = self._make_reloader()
        self.load_wsgi()
        if self.reloader is not None:
            self.reloader.start()
        self.cfg.post_worker_init(self)
        for listener in self.own_sockets:
            listener.listen_now()
        self.booted = True
        if self.slot is not None:
            self.slot.loaded()
        self.run()

    def load_wsgi(self) -> None:
        """Imports the application. With `reload` a report stands in for one that fails."""
        try:
            self.wsgi = self.app.wsgi()
        except Exception as error:
            # Other errors than those of syntax may be the surroundings': a server that cannot start says so.
            is_replacement = self.age > self.cfg.workers
            if self.reloader is None or not (isinstance(error, SyntaxError) or is_replacement):
                raise
            self.log.exception("%s", error)
            for path in reloader.files_of(error):
                self.reloader.add_extra_file(path)
            self.wsgi = util.make_fail_app(traceback.format_exc())
        else:
            if self.cfg.ready_path is not None:
                self.answer_ready_path(self.cfg.ready_path)

    def answer_ready_path(self, path: str) -> None:
        """Puts the answers to `ready_path` in front of the application."""
        answering = _readiness.answering(path, self.slot, self.wsgi)
        if answering is None:
            self.log.warning("ready_path has no effect: the application is neither of WSGI nor of ASGI")
        else:
            self.wsgi = answering

    def _make_reloader(self) -> reloader.ReloaderBase:
        self.log.warning("Reloader is on. Use in development only!")
        if self.cfg.preload_app:
            self.log.warning(
                "preload_app is on, too: changes to the application need a reload of the server (HUP)."
            )
        engine = reloader.reloader_engines[self.cfg.reload_engine]
        if engine is reloader.InotifyReloader and not reloader.can_wait():
            if self.cfg.reload_engine == "inotify":
                self.log.warning("reload_engine: inotify cannot wait in a greenlet; files are polled.")
            engine = reloader.Reloader
        return engine(extra_files=self.cfg.reload_extra_files, callback=self._reload)

    def _reload(self, path: str) -> None:
        """A file has changed: the worker leaves, another one takes its place."""
        self.log.info("Worker reloading: %s modified", path)
        if self.slot is not None:
            # The replacement is started now, and whatever this worker's class makes of `alive`, it gets TERM.
            self.slot.retire()
        try:
            # Before the main thread may end the process.
            self.cfg.worker_int(self)
        finally:
            self.alive = False
            with contextlib.suppress(BlockingIOError):
                os.write(self.PIPE[1], b"1")
        # Ends the thread that watches.
        sys.exit(0)

    def init_signals(self) -> None:
        """Installs the handlers; each signal also puts a byte into `PIPE`, which wakes whoever polls it."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGQUIT, self.handle_quit)
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGINT, self.handle_quit)
        signal.signal(signal.SIGWINCH, self.handle_winch)
        signal.signal(signal.SIGUSR1, self.handle_usr1)
        signal.signal(signal.SIGABRT, self.handle_abort)
        signal.siginterrupt(signal.SIGTERM, False)
        signal.siginterrupt(signal.SIGUSR1, False)
        if self.PIPE:
            # A full pipe wakes its reader already.
            signal.set_wakeup_fd(self.PIPE[1], warn_on_full_buffer=False)

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """USR1: reopens the log files."""
        self.log.reopen_files()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """TERM: finishes what runs, then leaves. QUIT is quick even for worker classes that bring it here."""
        self.alive = False
        if sig == signal.SIGQUIT:
            self.handle_quit(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """INT and QUIT: leaves at once."""
        self.alive = False
        # A terminal's INT and the arbiter's QUIT come together: a second SystemExit would cut `worker_exit`
        # short.
        if self._quitting:
            return
        self._quitting = True
        self.cfg.worker_int(self)
        time.sleep(0.1)
        sys.exit(0)

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """ABRT: the request has taken longer than `timeout`; raises inside it."""
        self.alive = False
        self.cfg.worker_abort(self)
        sys.exit(1)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answers a request that cannot be served, and logs why; for worker classes that read them in Python.

        `req` is None if nothing could be understood. `client` is the socket, `addr` what `accept` gives.
        """
        started = datetime.now()
        answer = refusal(exc)
        if answer.clients_fault:
            host = addr[0] if isinstance(addr, tuple) else ""
            self.log.warning("Invalid request from ip=%s: %s", host, exc)
        elif hasattr(req, "uri"):
            self.log.exception("Error handling request %s %s", req.method, req.uri, exc_info=exc)
        else:
            self.log.exception("Error handling request (no URI read)", exc_info=exc)
        if req is not None:
            response = SimpleNamespace(status=f"{answer.status} {answer.reason}", headers=[], sent=0)
            environ = error_environ(req, self.cfg)
            self.log.access(response, req, environ, datetime.now() - started)
        try:
            util.write_error(client, answer.status, answer.reason, answer.text)
        except OSError:
            self.log.debug("Failed to send error message.")

    def handle_winch(self, sig: int, frame: FrameType | None) -> None:
        """WINCH: a terminal that was resized is no reason to do anything."""
        self.log.debug("worker: SIGWINCH ignored.")
