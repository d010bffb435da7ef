"""The worker classes for gevent: each request in a greenlet, and the hub watches the native event loop."""

from __future__ import annotations

import os
import sys
import time
import weakref
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

try:
    import gevent
except ImportError:
    raise RuntimeError("gevent worker requires gevent 24.10.1 or higher") from None
if tuple(int(part) for part in gevent.__version__.split(".")[:2]) < (24, 10):
    raise RuntimeError("gevent worker requires gevent 24.10.1 or higher")

from gevent import hub, monkey, pywsgi, socket
from gevent.event import Event
from gevent.pool import Pool

import rgunicorn
from rgunicorn.http.wsgi import base_environ
from rgunicorn.workers.base_async import AsyncWorker

if TYPE_CHECKING:
    from rgunicorn import _native

VERSION = f"gevent/{gevent.__version__} gunicorn/{rgunicorn.__version__}"

#: Greenlets that wait for the next request, at most. A new one costs more than a short request.
_SPARE = 100
#: Of the time for a graceful end: what killed greenlets have to clean up, in seconds.
_LAST_WORDS = 0.25
_READABLE = 1


class GeventWorker(AsyncWorker):
    """Requests run in greenlets. `patch()` is called before the application is imported."""

    KIND = "gevent"
    limits_requests = True

    #: The server and the handler of a subclass that brings its own: then they serve, and not the native loop.
    server_class: ClassVar[Any] = None
    wsgi_handler: ClassVar[Any] = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.limits_requests = cls.is_native()

    @classmethod
    def is_native(cls) -> bool:
        """Whether the native loop serves, and not a server of gevent's."""
        return cls.server_class in (None, PyWSGIServer) and cls.wsgi_handler in (None, PyWSGIHandler)

    def patch(self) -> None:
        """Makes the standard library cooperative."""
        monkey.patch_all()

    def init_process(self) -> None:
        """Patches, then goes on as every worker."""
        self.patch()
        hub.reinit()
        super().init_process()

    def timeout_ctx(self) -> Any:
        """Around the wait for a request, for those with a loop of their own."""
        return gevent.Timeout(self.cfg.keepalive, False)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """INT and QUIT: leaves at once. In a greenlet, where the hook may wait for something."""
        gevent.spawn(super().handle_quit, sig, frame)

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """USR1: reopens the log files. In a greenlet, because another one may hold their locks."""
        gevent.spawn(self.reopen, super().handle_usr1, sig, frame)

    def run(self) -> None:
        """Serves until `alive` is false."""
        if self.is_native():
            self.enter_native_loop()
            _HubLoop(self).run()
        else:
            self._run_servers()

    def _run_servers(self) -> None:
        servers = [self._server(listener) for listener in self.sockets]
        for server in servers:
            server.start()
        while self.alive:
            self.notify()
            gevent.sleep(1.0)
        for server in servers:
            server.close()
        until = time.monotonic() + self.cfg.graceful_timeout - _LAST_WORDS
        while any(len(server.pool) for server in servers):
            if time.monotonic() >= until:
                self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
                break
            self.notify()
            gevent.sleep(0.1)
        for server in servers:
            server.stop(timeout=_LAST_WORDS)

    def _server(self, listener: Any) -> Any:
        """gevent's own WSGI server for one listener."""
        sock = socket.socket(listener.FAMILY, socket.SOCK_STREAM, fileno=os.dup(listener.fileno()))
        environ = {**base_environ(self.cfg), "wsgi.multithread": True, "SERVER_SOFTWARE": VERSION}
        server = self.server_class(
            sock,
            application=self.wsgi,
            spawn=Pool(self.worker_connections),
            log=self.log,
            handler_class=self.wsgi_handler,
            environ=environ,
        )
        if self.cfg.workers > 1:
            # The next connection goes to whoever is idle.
            server.max_accept = 1
        return server


GeventWorker.RUNS = GeventWorker


class _HubLoop:
    """The native event loop in gevent's hub."""

    def __init__(self, worker: GeventWorker) -> None:
        self.worker = worker
        self.hub = hub.get_hub()
        self.native = worker.embed(_wait, gevent.getcurrent, self.hub.loop.run_callback)
        self.watcher = self.hub.loop.io(self.native.fileno(), _READABLE)
        self.done = Event()
        self.failure: BaseException | None = None
        #: All that live; those that wait for a request.
        self.greenlets: set[RequestGreenlet] = set()
        self.spare: list[RequestGreenlet] = []

    def run(self) -> None:
        """Serves until the worker leaves. Raises what has ended it, SystemExit for example."""
        every = 1.0 if self.worker.notifies else None
        try:
            self.watcher.start(self.turn)
            # A signal may have come before anything watched for it.
            self.worker.poke()
            while not self.done.wait(every):
                self.worker.notify()
            if self.failure is not None:
                raise self.failure
            if self.native.running:
                self.worker.log.warning("Worker graceful timeout (pid:%s)", self.worker.pid)
        finally:
            running = list(self.greenlets)
            gevent.killall(running, block=False)
            # One that does not end is left behind.
            gevent.joinall(running, timeout=_LAST_WORDS)
            self.watcher.close()
            self.native.close()

    def turn(self) -> None:
        """Starts what requests there are. Called by the hub, so it must not wait for anything."""
        if os.getpid() != self.worker.pid:
            # A process that the application has forked: its hub goes on, the server is its parent's business.
            self.watcher.stop()
            return
        native, spare = self.native, self.spare
        try:
            for call in native.turn(self.worker.worker_connections):
                if spare:
                    spare.pop().switch(call)
                else:
                    RequestGreenlet(None, self, call).switch()
            if not self.worker.alive:
                native.drain()
        except BaseException as error:
            self.end(error)
        if native.is_done:
            self.end()

    def end(self, failure: BaseException | None = None) -> None:
        """Wakes the main greenlet, which leaves."""
        if not self.done.is_set():
            self.failure = failure
            self.watcher.stop()
            self.done.set()

    def exit_of(self, error: SystemExit) -> None:
        """SystemExit came out of a request: a signal handler's ends the process, others do not."""
        if self.worker.leaves_at_once:
            self.end(error)


class RequestGreenlet(gevent.Greenlet):
    """Runs requests, one after the other.

    It goes on with the next one only if the last has left nothing by which anybody could tell that it is not
    new: no reference (weak ones, and greenlet-local storage, are some), no link, no attribute.
    """

    def _run(self, loop: _HubLoop, call: _native.Call) -> None:
        loop.greenlets.add(self)
        spare, back = loop.spare, loop.hub.switch
        try:
            while True:
                known = sys.getrefcount(self)
                try:
                    call.run()
                except SystemExit as error:
                    loop.exit_of(error)
                del call
                if sys.getrefcount(self) != known or len(spare) >= _SPARE or self._is_marked():
                    return
                self.gr_context = None
                spare.append(self)
                call = back()
        finally:
            loop.greenlets.discard(self)
            if self in spare:
                spare.remove(self)

    def _is_marked(self) -> bool:
        return bool(
            self.has_links() or weakref.getweakrefcount(self) or self.__dict__ or self.spawn_tree_locals
        )


class _TimeIsUp(Exception):
    """A wait was too long."""


def _wait(fd: int, write: bool, timeout: float | None) -> bool:
    """Waits in the hub for the descriptor. False: `timeout` seconds have passed."""
    try:
        (socket.wait_write if write else socket.wait_read)(fd, timeout, _TimeIsUp)
    except _TimeIsUp:
        return False
    return True


class GeventResponse:
    """A response of gevent's server, as loggers get it."""

    status: Any = None
    headers: Any = None
    sent: Any = None

    def __init__(self, status: Any, headers: Any, clength: Any) -> None:
        self.status = status
        self.headers = headers
        self.sent = clength


class PyWSGIHandler(pywsgi.WSGIHandler):
    """gevent's handler with the server's access log, for subclasses."""

    def log_request(self) -> None:
        """Writes the line of a request."""
        took = datetime.fromtimestamp(self.time_finish) - datetime.fromtimestamp(self.time_start)
        # Bytes, but text where gevent itself answers.
        status = self.status.decode() if isinstance(self.status, bytes) else self.status
        response = GeventResponse(status, getattr(self, "response_headers", {}), self.response_length)
        fields = self.headers.items() if hasattr(self, "headers") else []
        self.server.log.access(response, fields, self.environ, took)

    def get_environ(self) -> dict[str, Any]:
        """The environ of a request."""
        environ: dict[str, Any] = super().get_environ()
        environ["gunicorn.sock"] = self.socket
        environ["RAW_URI"] = self.path
        return environ


class PyWSGIServer(pywsgi.WSGIServer):
    """gevent's server, for subclasses."""


class GeventPyWSGIWorker(GeventWorker):
    """The same, unless a subclass changes `server_class` or `wsgi_handler`: then gevent's server serves."""

    server_class = PyWSGIServer
    wsgi_handler = PyWSGIHandler
