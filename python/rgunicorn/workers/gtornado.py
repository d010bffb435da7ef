"""The tornado worker: tornado's HTTP server on tornado's event loop, for its applications and for WSGI ones.

What reads requests and answers them is tornado: environ, headers, limits and the three loggers are its own.
What is here is the life around it: signals, the arbiter, `max_requests`, and an end that cuts nobody short.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import time
from collections.abc import Awaitable
from typing import Any, cast

from rgunicorn import _native
from rgunicorn._arbiter import listening
from rgunicorn.http.wsgi import overwritten
from rgunicorn.workers import _readiness
from rgunicorn.workers.base import Worker

try:
    import tornado
    from tornado.http1connection import HTTP1Connection, HTTP1ServerConnection
    from tornado.httpserver import HTTPServer
    from tornado.httputil import (
        HTTPHeaders,
        HTTPMessageDelegate,
        HTTPServerConnectionDelegate,
        RequestStartLine,
        ResponseStartLine,
    )
    from tornado.ioloop import IOLoop, PeriodicCallback
    from tornado.platform.asyncio import BaseAsyncIOLoop
    from tornado.routing import AnyMatches, PathMatches, Rule, RuleRouter
    from tornado.web import RequestHandler
    from tornado.websocket import WebSocketHandler
    from tornado.wsgi import WSGIContainer

    from rgunicorn.workers._tornado_wsgi import Container
except ImportError as error:
    raise RuntimeError("You need tornado installed to use this worker.") from error

#: Milliseconds between two signs of life.
HEARTBEAT = 1000
#: Seconds that a leaving worker still waits for a connection without a request: one may be on its way, and a
#: connection that is closed under it is an error at the client's.
LINGER = 2.0
#: Seconds between two looks at what still runs, while the worker leaves.
LOOK = 0.02
#: Seconds between two looks at connections that have waited for too long, at the least.
EXPIRE = 0.1
#: Seconds that cancelled tasks may take for their `finally`.
LAST_STEPS = 0.3
#: The code of a websocket that ends because its server does (RFC 6455, section 7.4.1).
GOING_AWAY = 1001

#: Applications that tornado's server takes as they are.
_TORNADOS = (WSGIContainer, HTTPServerConnectionDelegate)
_STOCK_CLEAR = RequestHandler.clear
_STOCK_SERVER = f"TornadoServer/{tornado.version}"
#: By which the coroutine of a request is known among the tasks: it goes on when its response is out.
_EXECUTE = getattr(getattr(RequestHandler, "_execute", None), "__code__", None)


class TornadoWorker(Worker):
    """Serves a `tornado.web.Application`, a `tornado.wsgi.WSGIContainer`, or any WSGI application.

    A WSGI application runs in the event loop, one request at a time, unless it comes in a container that has
    an `executor`.
    """

    server: Server
    ioloop: IOLoop
    _leaving = False

    counts_requests = True

    @classmethod
    def setup(cls) -> None:
        """Called in the arbiter once the class is chosen: tornado's `Server` header names rgunicorn too."""
        shown = f"{_STOCK_SERVER} ({overwritten('SERVER')})"

        def clear(self: RequestHandler) -> None:
            _STOCK_CLEAR(self)
            headers = self._headers
            # An application that has set one of its own, or none, has its reasons.
            if "Server" in headers and headers["Server"] == _STOCK_SERVER:
                headers["Server"] = shown

        RequestHandler.clear = clear  # type: ignore[method-assign]

    def init_process(self) -> None:
        """As every worker. A loop that the arbiter has, by `preload_app`, is not for two processes."""
        asyncio.set_event_loop(asyncio.new_event_loop())
        super().init_process()

    def run(self) -> None:
        """Serves until `alive` is false."""
        self.ioloop = IOLoop.current()
        self.server = self._make_server()
        for listener in self.sockets:
            self.server.add_socket(listener.sock)
        self.ioloop.add_handler(self.PIPE[0], self._on_signal, IOLoop.READ)
        if self.lifeline >= 0:
            self.ioloop.add_handler(self.lifeline, self._on_orphaned, IOLoop.READ)
        self.ioloop.add_callback(self.heartbeat)
        PeriodicCallback(self.heartbeat, HEARTBEAT).start()
        self.server.expire()
        self.ioloop.start()
        self._cancel_tasks()

    def heartbeat(self) -> None:
        """Shows that the loop turns, and sees whether it still should."""
        self.notify()
        self._look()

    def handle_request(self) -> None:
        """Counts a request. At `max_requests` the worker asks for a replacement, and serves on until then."""
        self.nr += 1
        if self.nr == self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            if self.slot is None:
                self.alive = False
            else:
                self.slot.retire()

    def answer_ready_path(self, path: str) -> None:
        """Puts the answers to `ready_path` in front of a WSGI application; tornado's own get a router."""
        if not isinstance(self.wsgi, _TORNADOS):
            super().answer_ready_path(path)

    def _make_server(self) -> Server:
        app = self.wsgi
        if not isinstance(app, _TORNADOS):
            app = Container(app, self)
        elif self.cfg.ready_path is not None:
            answer = Container(_readiness.Answer(self.slot), self)
            path = PathMatches(re.escape(self.cfg.ready_path))
            app = RuleRouter([Rule(path, answer), Rule(AnyMatches(), app)])
        server = Server(
            app,
            no_keep_alive=self.cfg.keepalive <= 0,
            idle_connection_timeout=self.cfg.keepalive or self.cfg.header_timeout or None,
            max_body_size=self.cfg.limit_request_body or None,
        )
        server.worker = self
        return server

    def _on_signal(self, fd: Any, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.PIPE[0], 4096)
        self._look()

    def _on_orphaned(self, fd: Any, events: int) -> None:
        self.ioloop.remove_handler(self.lifeline)
        self.log.info("Parent changed, shutting down: %s", self)
        self.alive = False
        self._look()

    def _look(self) -> None:
        if not self.alive and not self._leaving:
            self._leaving = True
            self.ioloop.add_callback(self._leave)

    async def _leave(self) -> None:
        """Stops listening, then ends the loop when nothing runs any more, or `graceful_timeout` is over."""
        try:
            listening.stop_listening(self.own_sockets)
            self.server.stop()
            self.server.wind_up()
            until = time.monotonic() + self._patience()
            while self._is_serving():
                if time.monotonic() >= until:
                    self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
                    for name in self.server.running():
                        self.log.warning("Cut short by graceful_timeout: %s", name)
                    break
                self.server.close_idle(LINGER)
                await asyncio.sleep(LOOK)
        finally:
            self.ioloop.stop()

    def _patience(self) -> float:
        """A little less than `graceful_timeout`, at whose end the arbiter kills the worker, in seconds."""
        whole = float(self.cfg.graceful_timeout)
        return whole - min(0.5, whole / 4)

    def _is_serving(self) -> bool:
        handlers = _handlers(self._tasks())
        for handler in handlers:
            if isinstance(handler, WebSocketHandler):
                # The client answers, or tornado closes the connection some seconds later.
                handler.close(GOING_AWAY, "the server is leaving")
        return bool(self.server.exchanges or handlers)

    def _tasks(self) -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks(cast(BaseAsyncIOLoop, self.ioloop).asyncio_loop)

    def _cancel_tasks(self) -> None:
        """What is left is told, and may clean up after itself."""
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        if tasks:
            loop = cast(BaseAsyncIOLoop, self.ioloop).asyncio_loop
            loop.run_until_complete(asyncio.wait(tasks, timeout=LAST_STEPS))


class Server(HTTPServer):
    """tornado's server, and what is going on in it."""

    worker: TornadoWorker

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """As tornado's."""
        super().initialize(*args, **kwargs)
        # tornado's way is a timer, a future and their callbacks for each request: `expire` looks after all.
        self._idle = float(self.conn_params.header_timeout or 0)
        self.conn_params.header_timeout = None
        #: By tornado's object for each connection, which has always one: with a request, or in wait of one.
        self.exchanges: dict[object, _Exchange] = {}
        #: Those that no request has now, and how many were opened.
        self._lanes: list[_native.Lane] = []
        self._opened = 0

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        """The connection waits for its first or next request."""
        exchanges = self.exchanges
        if server_conn in exchanges:
            self._end(exchanges[server_conn])
        inner = super().start_request(server_conn, request_conn)
        exchanges[server_conn] = exchange = _Exchange(self, request_conn, inner)
        return exchange

    def on_close(self, server_conn: object) -> None:
        """The connection is closed, or it is a websocket from now on."""
        if server_conn in self.exchanges:
            self._end(self.exchanges.pop(server_conn))
        super().on_close(server_conn)

    def begin(self, exchange: _Exchange, line: RequestStartLine) -> None:
        """The head of a request has come."""
        exchange.request = line
        exchange.lane = lane = self._lanes.pop() if self._lanes else self._open_lane()
        if lane is not None:
            lane.begin(line.method.encode("latin-1"), line.path.encode("latin-1"))
        self.worker.handle_request()

    def _end(self, exchange: _Exchange) -> None:
        lane = exchange.lane
        if lane is not None:
            lane.end()
            self._lanes.append(lane)

    def _open_lane(self) -> _native.Lane | None:
        slot, self._opened = self.worker.slot, self._opened + 1
        return None if slot is None else slot.lane(self._opened - 1)

    def wind_up(self) -> None:
        """From now on each response is the last on its connection, and says so."""
        self.conn_params.no_keep_alive = True
        for exchange in self.exchanges.values():
            if exchange.request is not None:
                exchange.http._disconnect_on_finish = True

    def expire(self) -> None:
        """Closes connections that have waited for too long, now and whenever the next of them is due."""
        self.close_idle(self._idle)
        now = time.monotonic()
        waiting = [exchange.since for exchange in self.exchanges.values() if exchange.request is None]
        due = min(waiting, default=now) + self._idle
        IOLoop.current().call_later(max(EXPIRE, due - now), self.expire)

    def close_idle(self, linger: float) -> None:
        """Closes connections that have had no request for so many seconds."""
        latest = time.monotonic() - linger
        for server_conn, exchange in list(self.exchanges.items()):
            if exchange.request is None and exchange.since <= latest:
                cast(HTTP1ServerConnection, server_conn).stream.close()

    def running(self) -> list[str]:
        """The requests on the connections, for logs."""
        lines = [exchange.request for exchange in self.exchanges.values()]
        return [ascii(f"{line.method} {line.path}") for line in lines if line is not None]


class _Exchange(HTTPMessageDelegate):
    """A connection's wait for a request, and that request: says to the server when it is there."""

    #: None while the connection waits.
    request: RequestStartLine | None = None
    #: Where the arbiter sees that request.
    lane: _native.Lane | None = None

    def __init__(self, server: Server, http: HTTP1Connection, inner: HTTPMessageDelegate) -> None:
        self.server = server
        self.http = http
        self.inner = inner
        #: When it began to wait, in seconds of `time.monotonic()`.
        self.since = time.monotonic()
        # Without a call in between.
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.finish = inner.finish  # type: ignore[method-assign]
        self.on_connection_close = inner.on_connection_close  # type: ignore[method-assign]

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self.server.begin(self, cast(RequestStartLine, start_line))
        return self.inner.headers_received(start_line, headers)


def _handlers(tasks: set[asyncio.Task[Any]]) -> list[RequestHandler]:
    """Whose coroutines run: also those that work on when their response is out or their client is gone."""
    coroutines = [each for task in tasks if inspect.iscoroutine(each := task.get_coro())]
    frames = [each.cr_frame for each in coroutines if each.cr_code is _EXECUTE]
    return [frame.f_locals["self"] for frame in frames if frame is not None]
