"""The base of worker classes that run requests in greenlets or tasks, those of others too."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from types import FrameType
from typing import Any

from rgunicorn import _native, util
from rgunicorn.http import wsgi
from rgunicorn.http.errors import NoMoreData
from rgunicorn.http.parser import RequestParser
from rgunicorn.workers._reactor import ReactorWorker

#: Waits for a descriptor to become readable, or writable, for so many seconds; false: they have passed.
Wait = Callable[[int, bool, float | None], bool]

#: A client that has gone away.
_GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)


class _Handled:
    """Cannot be iterated: the server takes StopIteration as the word of one who has used the socket."""

    def __iter__(self) -> Iterator[bytes]:
        raise StopIteration


#: What an application may return that has used `environ["gunicorn.socket"]` itself.
ALREADY_HANDLED = _Handled()


class AsyncWorker(ReactorWorker):
    """Many requests at a time.

    gevent's and eventlet's classes serve with the native event loop, which calls none of `STEPS`. A class
    with a `run()` of its own accepts connections itself; `handle()` serves one, in Python.
    """

    KIND = "asynchronous"
    STEPS = ("timeout_ctx", "handle", "handle_request", "handle_error")

    limits_requests = False

    #: A signal handler has raised SystemExit, or is about to: the process ends at once.
    leaves_at_once = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: How many requests run at once, at most.
        self.worker_connections: int = self.cfg.worker_connections

    def is_already_handled(self, respiter: Any) -> bool:
        """Whether the application has answered by the socket. It may raise StopIteration to say the same."""
        return respiter is ALREADY_HANDLED

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """INT and QUIT: leaves at once."""
        self.leaves_at_once = True
        super().handle_quit(sig, frame)

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """ABRT: the process has not shown for `timeout` that it lives; raises in whatever holds it up."""
        self.leaves_at_once = True
        super().handle_abort(sig, frame)

    def notify(self) -> None:
        """Says that the worker lives, if it is served by a loop in Python; leaves if the arbiter is gone."""
        super().notify()
        if not self._is_native and self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            sys.exit(0)

    # For the native event loop

    def embed(
        self, wait: Wait, current: Callable[[], Any], schedule: Callable[[Callable[[], None]], Any]
    ) -> _native.Embedded:
        """The native event loop, which calls `wait` where a request must wait for its client.

        `current()` gives the running greenlet; `schedule(f)` has `f` called in the hub.
        """
        application = self.wsgi
        if type(self).is_already_handled is not AsyncWorker.is_already_handled:
            self.wsgi = self._asking(application)
        try:
            return _native.Embedded(self, wait, current=current, schedule=schedule)
        finally:
            self.wsgi = application

    def _asking(self, application: Callable[..., Any]) -> Callable[..., Any]:
        is_already_handled = self.is_already_handled

        def ask(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            result = application(environ, start_response)
            if not is_already_handled(result):
                return result
            # Whatever may still refer to it.
            util.close(environ["gunicorn.socket"])
            return ALREADY_HANDLED

        return ask

    def reopen(
        self, handle: Callable[[int, FrameType | None], None], sig: int, frame: FrameType | None
    ) -> None:
        """Has `handle` reopen the logger's files, then the native loop its own."""
        handle(sig, frame)
        self.poke()

    # For classes with a loop of their own

    def timeout_ctx(self) -> contextlib.AbstractContextManager[Any]:
        """Around the wait for a request on a kept connection: leaves it after `keepalive` seconds."""
        raise NotImplementedError

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serves a connection to its end: `client` and `addr` are what `accept` of the listener gave."""
        request = None
        try:
            for request in self._requests(client, addr):
                if not self.handle_request(listener.getsockname(), request, client, addr):
                    break
        except (StopIteration, NoMoreData) as error:
            self.log.debug("Closing connection. %s", error)
        except OSError as error:
            if error.errno not in _GONE:
                self.log.exception("Socket error processing request.")
        except BaseException as error:
            self.handle_error(request, client, addr, error)
        finally:
            util.close(client)

    def _requests(self, client: Any, addr: Any) -> Iterator[Any]:
        parser = RequestParser(self.cfg, client, addr)
        while True:
            request = None
            with self.timeout_ctx() if self.cfg.keepalive else contextlib.nullcontext():
                request = next(parser, None)
            if request is None:
                return
            yield request

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> bool:
        """Serves one request. False, or StopIteration: no other may follow on its connection."""
        started, response = datetime.now(), None
        environ: dict[str, Any] = {}
        try:
            self.cfg.pre_request(self, req)
            response, environ = wsgi.create(req, sock, addr, listener_name, self.cfg)
            environ["wsgi.multithread"] = True
            self._count()
            if not (self.alive and self.cfg.keepalive):
                response.force_close()
            return self._respond(environ, response, req, started)
        except (OSError, StopIteration):
            raise
        except Exception:
            if response is None or not response.headers_sent:
                raise
            # The client sees by the missing end that something is wrong.
            self.log.exception("Error handling request")
            return False
        finally:
            self._after(req, environ, response)

    def _count(self) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def _respond(self, environ: dict[str, Any], response: Any, req: Any, started: datetime) -> bool:
        result = self.wsgi(environ, response.start_response)
        if self.is_already_handled(result):
            return False
        try:
            for block in result:
                response.write(block)
            response.close()
        finally:
            self.log.access(response, req, environ, datetime.now() - started)
            if hasattr(result, "close"):
                result.close()
        return not response.should_close()

    def _after(self, req: Any, environ: dict[str, Any], response: Any) -> None:
        try:
            self.cfg.post_request(self, req, environ, response)
        except Exception:
            self.log.exception("Exception in post_request hook")


AsyncWorker.RUNS = AsyncWorker
