"""`ready_path`: what a worker answers before the application, for those who send the service its requests.

The application is called through a wrapper, because worker classes of others take it from `worker.wsgi`.
Without the setting there is none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from rgunicorn import _native

#: A worker without a slot has no service that could end.
_Slot = _native.Slot | None


def answering(path: str, slot: _Slot, app: Callable[..., Any]) -> Callable[..., Any] | None:
    """`app` with the answers in front; None if it is neither of WSGI nor of ASGI."""
    if _takes(app, 3) and _is_async(app):
        return AsgiReadiness(path, slot, app)
    return WsgiReadiness(path, slot, app) if _takes(app, 2) else None


def _is_async(app: Callable[..., Any]) -> bool:
    # Not whether there is one, but which.
    call = getattr(app, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call)


def _takes(app: Callable[..., Any], number: int) -> bool:
    """Whether it can be called with so many arguments. What is not written in Python often does not tell."""
    try:
        inspect.signature(app).bind(*[None] * number)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


class Answer:
    """What is true now, as a WSGI application. Every method is answered: some checks ask with OPTIONS."""

    def __init__(self, slot: _Slot) -> None:
        self._slot = slot

    def parts(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status line, headers and body."""
        if self._slot is not None and self._slot.is_service_ending():
            status, body = "503 Service Unavailable", b"ending\n"
        else:
            status, body = "200 OK", b"ready\n"
        headers = [
            ("Content-Type", "text/plain"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        return status, headers, body

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serves one request."""
        status, headers, body = self.parts()
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class _Readiness:
    """Whatever else is asked of it the application answers: hooks look at the attributes of `worker.wsgi`."""

    def __init__(self, path: str, slot: _Slot, app: Callable[..., Any]) -> None:
        self._path = path
        self._answer = Answer(slot)
        self.__wrapped__ = app

    def __getattr__(self, name: str) -> Any:
        # Missing while an instance is being copied.
        if name == "__wrapped__":
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)


class WsgiReadiness(_Readiness):
    """In front of a WSGI application."""

    def __init__(self, path: str, slot: _Slot, app: Callable[..., Any]) -> None:
        # As it stands in an environ (PEP 3333: bytes as Latin-1).
        super().__init__(path.encode().decode("latin-1"), slot, app)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serves one request."""
        # A prefix that the application does not see (SCRIPT_NAME) is part of the path that was asked for.
        is_asked = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") == self._path
        result: Iterable[bytes] = (self._answer if is_asked else self.__wrapped__)(environ, start_response)
        return result


class AsgiReadiness(_Readiness):
    """In front of an ASGI application, for the worker classes of others that run one."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serves one scope."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self.__wrapped__(scope, receive, send)
            return
        status, headers, body = self._answer.parts()
        fields = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": int(status[:3]), "headers": fields})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
