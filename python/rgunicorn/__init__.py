"""Gunicorn with one word changed: a pre-fork WSGI server on a Rust core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rgunicorn._native import VERSION as VERSION

if TYPE_CHECKING:
    from rgunicorn._embedded import Server as Server
    from rgunicorn._embedded import serve as serve

# The Gunicorn whose place this takes: programs compare `gunicorn.__version__`, and `gunicorn` is this module.
# Our own is VERSION.
version_info = (27, 0, 1)
__version__ = ".".join(map(str, version_info))

SERVER = "rgunicorn"
# Applications look for "gunicorn" and for its version in here.
SERVER_SOFTWARE = f"gunicorn/{__version__} {SERVER}/{VERSION}"


def __getattr__(name: str) -> Any:
    # Few programs that import the package want a server inside themselves.
    if name in ("Server", "serve"):
        from rgunicorn import _embedded

        return getattr(_embedded, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
