"""Tells its environ as JSON: texts as they are, other values by what can be seen of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    report = {key: told(key, value) for key, value in environ.items()}
    report["class of wsgi.input"] = type(environ["wsgi.input"]).__name__
    report["module of wsgi.file_wrapper"] = environ["wsgi.file_wrapper"].__module__.partition(".")[2]
    report["process SERVER_SOFTWARE"] = os.environ.get("SERVER_SOFTWARE")
    report["type of environ"] = type(environ).__name__
    body = json.dumps(report).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    write = start_response("200 OK", headers)
    assert callable(write)
    return [body]


def told(key: str, value: Any) -> Any:
    """What is told of one value."""
    if key in TELLERS:
        return TELLERS[key](value)
    return value if isinstance(value, str | int | bool | tuple) else type(value).__name__


def public(value: Any, *names: str) -> list[str]:
    return [name for name in names if hasattr(value, name)]


def tell_input(value: Any) -> Any:
    names = ("read", "readline", "readlines", "__iter__", "close", "seek", "tell", "fileno", "closed")
    return {"has": public(value, *names), "body": value.read().decode("latin-1")}


def tell_errors(value: Any) -> Any:
    return public(value, "write", "writelines", "flush", "close", "fileno", "isatty", "encoding")


def tell_file_wrapper(value: Any) -> Any:
    return {"type": type(value).__name__, "name": value.__name__}


def tell_socket(value: Any) -> Any:
    host = value.getpeername()
    names = ("recv", "send", "sendall", "fileno", "setsockopt", "getsockname", "makefile", "detach")
    return {"peer": host[0] if isinstance(host, tuple) else host, "has": public(value, *names)}


TELLERS = {
    "wsgi.input": tell_input,
    "wsgi.errors": tell_errors,
    "wsgi.file_wrapper": tell_file_wrapper,
    "wsgi.early_hints": callable,
    "gunicorn.socket": tell_socket,
}
