"""What an application sees of the worker and of the listener, which `select_worker` puts into the environ."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any


def app(environ: dict[str, Any], start_response: object) -> list[bytes]:
    """Facts as JSON; `/block` blocks, `/raise` raises."""
    path = environ["PATH_INFO"]
    if path == "/block":
        time.sleep(60)
    if path == "/raise":
        raise KeyError("x")
    return [json.dumps({**of_worker(environ["worker"]), **of_listener(environ["listener"])}).encode()]


def of_worker(worker: Any) -> dict[str, object]:
    """The attributes that hooks and applications read."""
    return {
        "pid": worker.pid,
        "text": str(worker),
        "age": worker.age,
        "parent": worker.ppid == os.getppid(),
        "alive": worker.alive,
        "booted": worker.booted,
        "aborted": worker.aborted,
        "nr": worker.nr,
        "max_requests": worker.max_requests,
        "timeout": worker.timeout,
        "set_up": type(worker).was_set_up == worker.ppid,
        "since_beat": time.monotonic() - worker.tmp.last_update(),
        "waits_for": [each if isinstance(each, int) else each.fileno() for each in worker.wait_fds],
        "pipe": worker.PIPE[0],
    }


def of_listener(listener: Any) -> dict[str, object]:
    """The attributes that worker classes and hooks read."""
    return {
        "real": isinstance(listener.sock, socket.socket),
        "fileno": listener.fileno(),
        "inner fileno": listener.sock.fileno(),
        "name": listener.getsockname(),
        "configured": listener.cfg_addr,
        "family": [listener.FAMILY.name, listener.family.name],
        "type": listener.type.name,
        "blocking": listener.getblocking(),
        "ssl": bool(listener.conf.is_ssl),
        "waiting": listener.get_backlog(),
        "listener": str(listener),
        "defers": _defers(listener),
    }


def _defers(listener: Any) -> int:
    if listener.FAMILY == socket.AF_UNIX:
        return 0
    return int(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT))
