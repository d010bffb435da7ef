"""WSGI applications on tornado's server: its container, and what it gets wrong or leaves undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.wsgi import WSGIContainer

if TYPE_CHECKING:
    from rgunicorn.workers.base import Worker

#: What does not end a worker if the application raises it: SystemExit too, unless it is a signal handler's.
_FAILURES = (Exception, KeyboardInterrupt, SystemExit)


class Container(WSGIContainer):
    """Answers for an application that fails: tornado's would leave the client without an answer."""

    def __init__(self, app: Any, worker: Worker) -> None:
        super().__init__(_Fitted(app))
        self._worker = worker

    async def handle_request(self, request: HTTPServerRequest) -> None:
        """Serves a request to its end."""
        try:
            await super().handle_request(request)
        except _FAILURES as error:
            if not isinstance(error, Exception) and not self._worker.alive:
                # Of a signal handler.
                raise
            self._worker.log.exception("Error handling request %s", request.uri)
            _refuse(request)


class _Fitted:
    """An application whose responses the container takes as they are meant.

    By itself it refuses header values with blanks around them, which Django sends, and takes the body of
    a response to HEAD for a mistake.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        # The container looks at this list when the response is complete.
        kept: list[tuple[str, str]] = []
        written: list[bytes] = []

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], Any]:
            kept[:] = [(name, value.strip(" \t")) for name, value in headers]
            write: Callable[[bytes], Any] = start_response(status, kept, exc_info)
            return written.append if is_head else write

        result: Iterable[bytes] = self._app(environ, start)
        if not is_head:
            return result
        try:
            length = sum(map(len, result)) + sum(map(len, written))
        finally:
            if hasattr(result, "close"):
                result.close()
        if not any(name.lower() == "content-length" for name, _ in kept):
            kept.append(("Content-Length", str(length)))
        return []


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
