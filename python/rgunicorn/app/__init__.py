"""Applications as the server loads and runs them. Importing this takes Gunicorn's place."""

from __future__ import annotations

from rgunicorn import _alias

_alias.install()
