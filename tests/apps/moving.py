"""Tells which process answers, and what it knows of the connection.

`/wait?FILE` does so when that file is there; `/fork?FILE` leaves a process behind until then.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PID = os.getpid()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    if environ["PATH_INFO"] == "/wait":
        name = environ["QUERY_STRING"]
        Path(name + ".begun").touch()
        while not Path(name).exists():
            time.sleep(0.01)
    if environ["PATH_INFO"] == "/fork" and not os.fork():
        name = environ["QUERY_STRING"]
        while not Path(name).exists():
            time.sleep(0.01)
        os._exit(0)
    body = json.dumps(facts(environ)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def facts(environ: WSGIEnvironment) -> dict[str, Any]:
    """What tests compare."""
    return {
        "pid": os.getpid(),
        "target": environ["RAW_URI"],
        "port": environ["SERVER_PORT"],
        "peer": [environ["REMOTE_ADDR"], environ.get("REMOTE_PORT")],
        "body": environ["wsgi.input"].read().decode("latin-1"),
    }
