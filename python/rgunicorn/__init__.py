"""Gunicorn with one word changed: a pre-fork WSGI server on a Rust core."""

from __future__ import annotations

from rgunicorn._native import VERSION

__version__ = VERSION
version_info = tuple(int(part) for part in VERSION.split("."))

SERVER = "rgunicorn"
# Applications look for "gunicorn" and for its version in here.
SERVER_SOFTWARE = f"gunicorn/27.0.1 {SERVER}/{__version__}"
