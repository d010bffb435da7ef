"""A configuration with every hook: each writes its name, its process and what it sees to a file.

Executed by both servers, so it imports neither.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

workers = 1
worker_class = "sync"

#: What is told of an argument, by the end of its class's name. `!` before a name: only the type of the value.
ATTRIBUTES = {
    "Arbiter": [
        *(
            "!log",
            "!cfg",
            "!app",
            "num_workers",
            "worker_age",
            "timeout",
            "proc_name",
            "pidfile",
            "master_pid",
        ),
        *("reexec_pid", "master_name", "systemd", "WORKER_BOOT_ERROR", "APP_LOAD_ERROR"),
    ],
    "Worker": [
        *(
            "age",
            "nr",
            "max_requests",
            "alive",
            "booted",
            "aborted",
            "!cfg",
            "!log",
            "!app",
            "timeout",
            "reloader",
        ),
    ],
    "Request": [
        *(
            "method",
            "uri",
            "path",
            "query",
            "fragment",
            "version",
            "headers",
            "trailers",
            "scheme",
            "req_number",
        ),
        *("proxy_protocol_info", "must_close", "!cfg", "!unreader"),
    ],
    "Response": [
        *(
            "status",
            "status_code",
            "headers",
            "sent",
            "response_length",
            "headers_sent",
            "chunked",
            "upgrade",
        ),
        *("must_close", "version", "!req", "!cfg"),
    ],
}

METHODS = {
    "Arbiter": [
        *("kill_worker", "kill_workers", "spawn_worker", "spawn_workers", "manage_workers", "reap_workers"),
        *(
            "murder_workers",
            "reload",
            "reexec",
            "stop",
            "halt",
            "wakeup",
            "handle_hup",
            "handle_term",
            "handle_ttin",
        ),
        *("setup", "start", "run", "signal", "init_signals"),
    ],
    "Worker": [
        *(
            "notify",
            "run",
            "init_process",
            "load_wsgi",
            "init_signals",
            "handle_exit",
            "handle_quit",
            "handle_usr1",
        ),
        *("handle_abort", "handle_error", "handle_winch"),
    ],
    "Request": ["force_close", "should_close"],
    "Response": ["force_close", "should_close", "start_response", "write", "close", "is_chunked"],
}


def kind(value: Any) -> str:
    """The class of a value, without the package's name."""
    cls = type(value)
    module = cls.__module__.removeprefix("r").removeprefix("gunicorn.")
    # One module there, a package here.
    return f"{'config' if module.startswith('config.') else module}.{cls.__qualname__}"


def shown(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else repr(value)


def describe(value: Any) -> Any:
    """One argument of a hook."""
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, dict):
        return {"dict": sorted(key for key in value if not key.startswith("HTTP_"))}
    name = next((name for name in ATTRIBUTES if type(value).__name__.endswith(name)), None)
    told: dict[str, Any] = {"type": kind(value)}
    for attribute in ATTRIBUTES.get(name or "", []):
        plain = attribute.removeprefix("!")
        if not hasattr(value, plain):
            told[plain] = "nothing"
        elif plain == attribute:
            told[plain] = shown(getattr(value, plain))
        else:
            told[plain] = kind(getattr(value, plain))
    missing = [method for method in METHODS.get(name or "", []) if not callable(getattr(value, method, None))]
    told["missing methods"] = missing
    told |= OTHERS.get(name or "", lambda value: {})(value)
    return told


def of_arbiter(server: Any) -> dict[str, Any]:
    """What is special about an arbiter's attributes."""
    return {
        "pid": server.pid == os.getpid() or server.pid is not None,
        "WORKERS": sorted(worker.age for worker in server.WORKERS.values()),
        "LISTENERS": [str(listener).rpartition(":")[0] for listener in server.LISTENERS],
        "address": [host for host, _ in server.address],
        "worker_class": server.worker_class.__name__,
        "SIG_NAMES": {str(int(number)): name for number, name in server.SIG_NAMES.items()}.get("15"),
        "START_CTX": sorted(str(key) for key in server.START_CTX),
    }


def of_worker(worker: Any) -> dict[str, Any]:
    """What is special about a worker's attributes."""
    return {
        "pid": "own" if worker.pid == os.getpid() else "[booting]" if worker.pid == "[booting]" else "other",
        "ppid": "parent" if worker.ppid == os.getppid() else "own" if worker.ppid == os.getpid() else "other",
        "text": str(worker).replace(str(worker.pid), "PID"),
        "sockets": len(worker.sockets),
        "wsgi": callable(getattr(worker, "wsgi", None)),
        "tmp": [name for name in ("notify", "last_update", "fileno", "close") if hasattr(worker.tmp, name)],
        "PIPE": len(worker.PIPE) if getattr(worker, "PIPE", None) else 0,
        "wait_fds": len(getattr(worker, "wait_fds", [])),
    }


def of_request(request: Any) -> dict[str, Any]:
    """What is special about a request's attributes."""
    return {"peer": request.peer_addr[0], "remote": request.remote_addr[0], "close": request.should_close()}


OTHERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "Arbiter": of_arbiter,
    "Worker": of_worker,
    "Request": of_request,
}


def trace(hook: str, *arguments: Any) -> None:
    """Adds one line to the file."""
    line = {"hook": hook, "pid": os.getpid(), "arguments": [describe(argument) for argument in arguments]}
    with open(os.path.join(os.environ["HOME"], "..", "trace"), "a") as file:
        file.write(json.dumps(line) + "\n")


def on_starting(server: Any) -> None:
    trace("on_starting", server)


def on_reload(server: Any) -> None:
    trace("on_reload", server)


def when_ready(server: Any) -> None:
    trace("when_ready", server)


def pre_fork(server: Any, worker: Any) -> None:
    trace("pre_fork", server, worker)


def post_fork(server: Any, worker: Any) -> None:
    trace("post_fork", server, worker)


def post_worker_init(worker: Any) -> None:
    trace("post_worker_init", worker)


def worker_int(worker: Any) -> None:
    trace("worker_int", worker)


def worker_abort(worker: Any) -> None:
    trace("worker_abort", worker)


def pre_exec(server: Any) -> None:
    trace("pre_exec", server)


def pre_request(worker: Any, req: Any) -> None:
    req.seen_by_hook = True
    trace("pre_request", worker, req)


def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> None:
    assert req.seen_by_hook
    trace("post_request", worker, req, environ, resp)


def child_exit(server: Any, worker: Any) -> None:
    trace("child_exit", server, worker)


def worker_exit(server: Any, worker: Any) -> None:
    trace("worker_exit", server, worker)


def nworkers_changed(server: Any, new_value: Any, old_value: Any) -> None:
    # The first call comes before the arbiter is complete.
    trace("nworkers_changed", server if old_value is not None else None, new_value, old_value)


def on_exit(server: Any) -> None:
    trace("on_exit", server)
    sys.stdout.flush()
