"""Gunicorn with one word changed: a pre-fork WSGI server on a Rust core."""

from __future__ import annotations

from rgunicorn._native import VERSION as VERSION

# The Gunicorn whose place this takes: programs compare `gunicorn.__version__`, and `gunicorn` is this module.
# Our own is VERSION.
version_info = (27, 0, 1)
__version__ = ".".join(map(str, version_info))

SERVER = "rgunicorn"
# Applications look for "gunicorn" and for its version in here.
SERVER_SOFTWARE = f"gunicorn/{__version__} {SERVER}/{VERSION}"
