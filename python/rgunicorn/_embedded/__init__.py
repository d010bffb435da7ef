"""A server inside a program: what `rgunicorn.serve` and `rgunicorn.Server` are made of."""

from __future__ import annotations

from rgunicorn._embedded.server import Server as Server
from rgunicorn._embedded.server import serve as serve
