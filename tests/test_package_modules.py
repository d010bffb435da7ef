"""The modules of Gunicorn as it is installed, and their public names: each is here or has a reason."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import re
from pathlib import Path

import pytest

import rgunicorn

OURS = Path(rgunicorn.__file__).parent

#: Modules, and packages with all that is in them, that Gunicorn has and rgunicorn has not.
ABSENT = {
    "asgi": "the ASGI worker does not exist yet",
    "ctl": "the control socket does not exist yet",
    "dirty": "dirty arbiters do not exist yet",
    "http2": "HTTP/2 does not exist yet",
    "uwsgi": "the uwsgi protocol does not exist yet",
    "workers.gasgi": "the ASGI worker does not exist yet",
}

#: Names of modules that both have, and attributes of their classes, that only Gunicorn has.
NATIVE = "what it does is done natively"
INTERNAL = "a constant of its own code"
DIRTY = "dirty arbiters do not exist yet"
TLS = "encryption does not exist yet"
ABSENT_NAMES = {
    "config": {"ALPN_PROTOCOL_MAP": "HTTP/2 does not exist yet", "VALID_HTTP_PROTOCOLS": INTERNAL},
    "http.body": {
        "CHUNK_EXT_RE": NATIVE,
        "DEFAULT_MAX_CHUNK_SIZE_LINE": NATIVE,
        "DEFAULT_MAX_TRAILER_SECTION": NATIVE,
        "MAX_READ_STEP": INTERNAL,
    },
    "http.message": {
        "DEFAULT_MAX_HEADERFIELD_SIZE": NATIVE,
        "HeaderPolicy": NATIVE,
        "MAX_HEADERS": NATIVE,
        "MAX_REQUEST_LINE": NATIVE,
        "METHOD_BADCHAR_RE": NATIVE,
        "PPCommand": "the PROXY protocol does not exist yet",
        "PPFamily": "the PROXY protocol does not exist yet",
        "PPProtocol": "the PROXY protocol does not exist yet",
        "PP_V2_SIGNATURE": "the PROXY protocol does not exist yet",
        "RFC9110_5_3_SINGLETON_FIELDS": NATIVE,
        "RFC9110_5_5_INVALID_AND_DANGEROUS": NATIVE,
        "RFC9110_5_6_2_TOKEN_SPECIALS": NATIVE,
        "RFC9110_6_5_1_FORBIDDEN_TRAILER": NATIVE,
        "RFC9112_TARGET_INVALID": NATIVE,
        "TOKEN_RE": NATIVE,
        "VERSION_RE": NATIVE,
    },
    "http.wsgi": {"BLKSIZE": INTERNAL, "HEADER_VALUE_RE": NATIVE, "STATUS_RE": NATIVE},
    "reloader": {"COMPILED_EXT_RE": INTERNAL, "symlink_target_dir": "a helper of its watcher"},
    "sock": {
        "ssl_context": TLS,
        "ssl_wrap_socket": TLS,
        "get_negotiated_protocol": TLS,
        "is_http2_negotiated": TLS,
        "PLATFORM": "it is sys.platform",
    },
    "util": {
        "GLOB_MAGIC_RE": INTERNAL,
        "REDIRECT_TO": "it is os.devnull",
        "positionals": "a helper of get_arity",
        "reraise": "a helper for Python 2",
        "split_request_uri": NATIVE,
        "warn": "a helper of the command line",
    },
    "workers.gthread": {
        "DEFAULT_WORKER_DATA_TIMEOUT": NATIVE,
        "STOP_KEEPALIVE_LINGER": NATIVE,
        "PollableMethodQueue": NATIVE,
        "TConn": NATIVE,
    },
    "workers.gthread.ThreadWorker": dict.fromkeys(
        (
            *("accept", "enqueue_req", "finish_request", "handle", "handle_request", "is_parent_alive"),
            *("handle_h2c_upgrade", "handle_http2", "handle_http2_request", "murder_keepalived"),
            *("murder_pending", "on_client_socket_readable", "on_pending_socket_readable"),
            *("set_accept_enabled", "wait_for_and_dispatch_events"),
        ),
        "a step of a loop in Python; a class that overrides it is refused",
    ),
    "workers.sync": {"StopWaiting": NATIVE},
    "workers.sync.SyncWorker": dict.fromkeys(
        ("accept", "handle", "handle_request", "is_parent_alive", "run_for_multiple", "run_for_one", "wait"),
        "a step of a loop in Python; a class that overrides it is refused",
    ),
    "workers.base_async.AsyncWorker": dict.fromkeys(
        ("handle_http2", "handle_http2_request"), "HTTP/2 does not exist yet"
    ),
    "workers.gtornado.TornadoWorker": {"watchdog": "the arbiter's end is seen at once; heartbeat() beats"},
    "workers.workertmp": {
        "PLATFORM": "it is sys.platform",
        "IS_CYGWIN": "there is no file whose owner could matter",
    },
    "arbiter.Arbiter": {
        "WAKEUP_REQUEST": NATIVE,
        "signal_chld": NATIVE,
        "wait_for_signals": NATIVE,
        "maybe_promote_master": "starting the program anew does not exist yet",
        "handle_dirty_arbiter_exit": DIRTY,
        "kill_dirty_arbiter": DIRTY,
        "manage_dirty_arbiter": DIRTY,
        "reap_dirty_arbiter": DIRTY,
        "spawn_dirty_arbiter": DIRTY,
    },
}

#: Classes whose public attributes are compared.
CLASSES = [
    "app.base.Application",
    "app.base.BaseApplication",
    "app.wsgiapp.WSGIApplication",
    "arbiter.Arbiter",
    "config.Config",
    "errors.HaltServer",
    "glogging.Logger",
    "instrument.statsd.Statsd",
    "pidfile.Pidfile",
    "reloader.Reloader",
    "sock.BaseSocket",
    "sock.UnixSocket",
    "workers.base.Worker",
    "workers.gthread.ThreadWorker",
    "workers.base_async.AsyncWorker",
    "workers.ggevent.GeventWorker",
    "workers.gtornado.TornadoWorker",
    "workers.sync.SyncWorker",
    "workers.workertmp.WorkerTmp",
]


def theirs() -> Path:
    """Where Gunicorn is. It is read, not imported."""
    files = importlib.metadata.files("gunicorn") or []
    (found,) = [file for file in files if str(file) == "gunicorn/__init__.py"]
    return Path(str(found.locate())).parent


def modules(package: Path) -> set[str]:
    """The modules of a package by their dotted names; the package itself is the empty name."""
    paths = (path.relative_to(package).with_suffix("") for path in package.rglob("*.py"))
    return {".".join(path.parts).removesuffix("__init__").removesuffix(".") for path in paths}


def absent(module: str) -> bool:
    """Whether the table says that it is not here."""
    return any(module == name or module.startswith(f"{name}.") for name in ABSENT)


def defined(body: list[ast.stmt]) -> set[str]:
    """The public names that statements define, imports apart."""
    names: set[str] = set()
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign):
            names |= {target.id for target in statement.targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.If):
            names |= defined(statement.body)
    return {name for name in names if not name.startswith("_")}


def source(module: str) -> list[ast.stmt]:
    """What is in a module of Gunicorn."""
    path = theirs().joinpath(*module.split("."))
    file = path.with_suffix(".py")
    return ast.parse((file if file.exists() else path / "__init__.py").read_text()).body


def test_each_module_is_here_or_has_a_reason() -> None:
    missing = {module for module in modules(theirs()) - modules(OURS) if not absent(module)}
    assert missing == set()


def test_no_module_that_is_here_is_said_to_be_absent() -> None:
    assert {module for module in modules(OURS) if absent(module)} == set()
    assert {name for name in ABSENT if name not in modules(theirs())} == set()


SHARED = sorted(module for module in modules(theirs()) if not absent(module))


@pytest.mark.parametrize("module", SHARED)
def test_each_public_name_is_here_or_has_a_reason(module: str) -> None:
    ours = importlib.import_module(f"rgunicorn.{module}".removesuffix("."))
    missing = {name for name in defined(source(module)) if not hasattr(ours, name)}
    assert missing == set(ABSENT_NAMES.get(module, ()))


@pytest.mark.parametrize("path", CLASSES)
def test_each_public_attribute_is_here_or_has_a_reason(path: str) -> None:
    module, _, name = path.rpartition(".")
    ours = getattr(importlib.import_module(f"rgunicorn.{module}"), name)
    (class_,) = [node for node in source(module) if isinstance(node, ast.ClassDef) and node.name == name]
    # What Gunicorn has in the class may be of each object here.
    made = inspect.getsource(ours.__init__)
    missing = {
        each
        for each in defined(class_.body)
        if not hasattr(ours, each) and not re.search(rf"\bself\.{each}\b", made)
    }
    assert missing == set(ABSENT_NAMES.get(path, ()))


def test_no_reason_is_left_over() -> None:
    assert set(ABSENT_NAMES) <= {*SHARED, *CLASSES}
