"""A server inside a program: in this process, in one of its threads or in its event loop.

It is a worker without an arbiter: the same classes serve, on a place of the scoreboard that nobody looks at.
"""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from rgunicorn import sock
from rgunicorn._embedded import listeners, logger
from rgunicorn._embedded.settings import configuration
from rgunicorn._embedded.turns import Turns
from rgunicorn._embedded.worker import make_worker

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from rgunicorn._embedded.listeners import Bind

#: What ends a program.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(app: WSGIApplication, bind: Bind = "127.0.0.1:8000", threads: int = 1, **settings: Any) -> None:
    """Serves a WSGI application in this process until SIGINT or SIGTERM, then returns.

    For scripts; it takes what a `Server` takes. The first signal lets running requests finish, for
    `graceful_timeout` seconds at most; the second is handled as it would have been without the server.
    """
    with Server(app, bind, threads, _is_script=True, **settings) as server:
        server.serve_forever()


class _Course(enum.Enum):
    """What is going on with a server, in words."""

    LISTENS = "nobody runs it"
    SERVES = "serve_forever() runs it"
    TURNS = "an event loop runs it"
    CLOSED = "it is closed"


class Server:
    """Serves a WSGI application in this process; it listens from the start.

    `bind` is a text as for `--bind`, `(host, port)`, a listening socket, or a list of these. `threads` is how
    many requests are served at a time. Settings of rgunicorn are given by name: an unknown one, and one about
    processes, is a TypeError, a bad value a ValueError. An address that cannot be had is an OSError.

    Either `serve_forever()` runs it, or an event loop that calls `turn()` whenever `fileno()` is readable.
    """

    #: Where it listens: host and port, with the real port for 0, or the path of a Unix socket.
    addresses: list[tuple[str, int] | str]

    def __init__(
        self,
        app: WSGIApplication,
        bind: Bind = "127.0.0.1:8000",
        threads: int = 1,
        *,
        _is_script: bool = False,
        **settings: Any,
    ) -> None:
        if not callable(app):
            raise TypeError(f"app is to be a WSGI application, not {app!r}")
        cfg = configuration({**settings, "threads": threads})
        self._log = logger.make(cfg, is_script=_is_script)
        self._listeners = listeners.listen(bind, cfg, self._log)
        try:
            self.addresses = [listeners.name(listener) for listener in self._listeners]
            self._worker = make_worker(app, cfg, self._log, self._listeners)
        except BaseException:
            sock.close_sockets(self._listeners)
            raise
        # Reentrant: a signal handler may come to `close` in the middle of anything.
        self._lock = threading.RLock()
        self._course = _Course.LISTENS
        self._turns: Turns | None = None

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # It runs by itself.

    def serve_forever(self) -> None:
        """Serves until `close()` is called or, in the main thread, SIGINT or SIGTERM comes; then closes it.

        Running requests are finished first, for `graceful_timeout` seconds at most. If it is closed already
        it returns at once. What a signal handler of the program raises comes out of here.
        """
        with self._lock:
            if self._course is _Course.CLOSED:
                return
            if self._course is not _Course.LISTENS:
                raise RuntimeError(f"cannot serve: {self._course.value}")
            self._course = _Course.SERVES
        try:
            with self._ended_by_signals():
                self._say_where()
                self._worker.run()
        finally:
            self._release()

    @contextlib.contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        # What is ignored stays so. None: somebody else's, who is not written in Python.
        former = {number: each for number, each in handlers.items() if each not in (None, signal.SIG_IGN)}

        def end(number: int, frame: FrameType | None) -> None:
            restore()
            self.close()

        def restore() -> None:
            for number, handler in former.items():
                if signal.getsignal(number) is end:
                    signal.signal(number, handler)

        # A full pipe wakes its reader already.
        wakeup = signal.set_wakeup_fd(self._worker.PIPE[1], warn_on_full_buffer=False)
        try:
            for number in former:
                signal.signal(number, end)
            yield
        finally:
            restore()
            signal.set_wakeup_fd(wakeup)

    # An event loop runs it.

    def fileno(self) -> int:
        """A descriptor that is readable whenever `turn()` has something to do."""
        return self._loop().fileno()

    def turn(self) -> None:
        """Accepts, reads and sends what can be, and serves the requests that are complete. It does not wait.

        With one thread requests are served here, with more than one in those.
        """
        self._loop().turn()

    def drain(self) -> None:
        """From now on there are no new connections, and each has one more response at most; see `is_done`."""
        self._loop().drain()

    @property
    def is_done(self) -> bool:
        """Whether nobody is left to be served after `drain()`, or `graceful_timeout` is over."""
        return self._course is _Course.CLOSED or self._loop().is_done

    def _loop(self) -> Turns:
        with self._lock:
            if self._course is _Course.LISTENS:
                self._turns = Turns(self._worker)
                self._course = _Course.TURNS
                self._say_where()
            if self._turns is None:
                raise RuntimeError(f"no turn: {self._course.value}")
            return self._turns

    def _say_where(self) -> None:
        self._log.info("Listening at: %s (%s)", ",".join(map(str, self._listeners)), os.getpid())

    # The end.

    def close(self) -> None:
        """Ends the server. May be called twice, from any thread, and from a signal handler.

        While `serve_forever()` runs it returns at once, and that returns when running requests are finished.
        Otherwise everything is closed before it returns.
        """
        with self._lock:
            if self._course is _Course.SERVES:
                self._worker.leave()
                return
        self._release()

    def _release(self) -> None:
        with self._lock:
            if self._course is _Course.CLOSED:
                return
            self._course = _Course.CLOSED
            turns, self._turns = self._turns, None
        if turns is not None:
            turns.close()
        sock.close_sockets(self._listeners)
        self._worker.release()
