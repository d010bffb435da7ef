"""Answers with what it was called with, as JSON: the environ's strings, and the body.

`/ignore` leaves the body unread. A field `X-Status` chooses the status line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    report = {key: value for key, value in environ.items() if isinstance(value, str)}
    if environ["PATH_INFO"] != "/ignore":
        report["body"] = environ["wsgi.input"].read().decode("latin-1")
    answer = json.dumps(report).encode()
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    start_response(environ.get("HTTP_X_STATUS", "200 OK"), fields)
    return [answer]
