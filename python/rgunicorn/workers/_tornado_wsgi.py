"""WSGI applications on tornado's server: called in the event loop, and no request goes unanswered."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, cast

import tornado
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.log import access_log
from tornado.wsgi import WSGIContainer

if TYPE_CHECKING:
    from rgunicorn.workers.base import Worker

#: What does not end a worker if the application raises it: SystemExit too, unless it is a signal handler's.
_FAILURES = (Exception, KeyboardInterrupt, SystemExit)
#: Seconds after which a response that comes in pieces lets others have the loop between two of them.
TURN = 0.01


class Container(WSGIContainer):
    """tornado's container, for an application that is called in the event loop itself.

    tornado's goes through an executor even so: a task, and for each call two futures and a byte in the pipe
    that wakes the loop, which is half of a short request's instructions. It also leaves the client without an
    answer if the application fails, refuses header values with blanks around them, which Django sends, and
    takes the body of a response to HEAD for a mistake.
    """

    def __init__(self, app: Any, worker: Worker) -> None:
        super().__init__(app)
        self._worker = worker

    def __call__(self, request: HTTPServerRequest) -> None:
        """Serves a request: at once if it takes less than a turn, which needs no task, or else in turns."""
        # Of its own for each request, as in a task.
        context = contextvars.copy_context()
        serving = self.handle_request(request)
        try:
            context.run(serving.send, None)
        except StopIteration:
            return
        except (KeyboardInterrupt, SystemExit) as error:
            # tornado, which has called, would log it and go on.
            asyncio.get_running_loop().call_soon(_raise, error)
        else:
            context.run(asyncio.get_running_loop().create_task, serving)

    async def handle_request(self, request: HTTPServerRequest) -> None:
        """Serves a request to its end."""
        response = _Response()
        try:
            result = self.wsgi_application(self.environ(request), response.start)
            try:
                until = time.monotonic() + TURN
                for chunk in result:
                    response.body.append(chunk)
                    if time.monotonic() >= until:
                        await asyncio.sleep(0)
            finally:
                if hasattr(result, "close"):
                    result.close()
            status = response.send(request)
        except _FAILURES as error:
            if not isinstance(error, Exception) and not self._worker.alive:
                # Of a signal handler.
                raise
            self._worker.log.exception("Error handling request %s", request.uri)
            _refuse(request)
        else:
            if status >= 400 or access_log.isEnabledFor(logging.INFO):
                self._log(status, request)


class _Response:
    """What an application answers, complete before it is sent."""

    __slots__ = ("body", "headers", "status")

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.body: list[bytes] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], Any]:
        """The application's `start_response`."""
        self.status = status
        self.headers = headers
        return self.body.append

    def send(self, request: HTTPServerRequest) -> int:
        """Sends it with the headers that tornado's container adds, and gives its status code."""
        code, reason = self.status.split(" ", 1)
        status = int(code)
        body = b"".join(self.body)
        headers = HTTPHeaders()
        for name, value in self.headers:
            headers.add(name, value.strip(" \t"))
        if status != 304:
            if "Content-Length" not in headers:
                headers["Content-Length"] = str(len(body))
            if "Content-Type" not in headers:
                headers["Content-Type"] = "text/html; charset=UTF-8"
        if "Server" not in headers:
            headers["Server"] = f"TornadoServer/{tornado.version}"
        if request.method == "HEAD":
            body = b""
        connection = cast(HTTP1Connection, request.connection)
        connection.write_headers(ResponseStartLine("HTTP/1.1", status, reason), headers, body)
        connection.finish()
        return status


def _raise(error: BaseException) -> NoReturn:
    raise error


def _refuse(request: HTTPServerRequest) -> None:
    """500, where the response has not begun; the connection ends in any case."""
    connection = cast(HTTP1Connection, request.connection)
    connection._disconnect_on_finish = True
    body = b"" if request.method == "HEAD" else b"<h1>Internal Server Error</h1>\n"
    headers = HTTPHeaders({"Content-Type": "text/html", "Content-Length": str(len(body))})
    try:
        connection.write_headers(ResponseStartLine("HTTP/1.1", 500, "Internal Server Error"), headers, body)
        connection.finish()
    except Exception:
        connection.close()
