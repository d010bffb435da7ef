"""What users write as text becomes what it names: applications, classes, addresses, directories."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.metadata
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

from rgunicorn.errors import AppImportError

# A TCP host and port, or the path of a Unix socket.
Address = tuple[str, int] | str

# The worker classes that have a short name.
WORKER_CLASSES = {"sync": "rgunicorn.workers.sync.SyncWorker"}
# Short names that Gunicorn has or had, of classes that do not exist here yet.
MISSING_WORKER_CLASSES = (
    "asgi",
    "eventlet",
    "gevent",
    "gevent_pywsgi",
    "gevent_wsgi",
    "gthread",
    "tornado",
)

DEFAULT_PORT = "8000"


def getcwd() -> str:
    """The current directory by the name the shell has for it: `$PWD`, with its links, if it is the same."""
    directory = os.getcwd()
    shell = os.environ.get("PWD")
    try:
        if shell and os.path.samefile(shell, directory):
            return shell
    except OSError:
        pass
    return directory


# Where the server was started. Relative paths in settings start here, whatever `chdir` has done since.
START_DIRECTORY = getcwd()


def chdir(directory: str) -> None:
    """Go there, and let modules be imported from there first."""
    os.chdir(directory)
    if directory not in sys.path:
        sys.path.insert(0, directory)


def parse_address(netloc: str, default_port: str = DEFAULT_PORT) -> Address:
    """What one entry of the setting `bind` names. Raises RuntimeError."""
    unix = re.match(r"unix:(//)?", netloc)
    if unix:
        path = netloc[unix.end() :]
        if not path:
            # The kernel would choose a name that nobody knows.
            raise RuntimeError(f"{netloc!r} names no path.")
        return path
    if netloc.startswith("fd://"):
        raise RuntimeError(f"{netloc!r}: inherited sockets are not part of this version of rgunicorn")
    host, port = _host_and_port(netloc.removeprefix("tcp://"), default_port)
    try:
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise RuntimeError(f"{port!r} is not a valid port number.")
    return host.lower(), number


def _host_and_port(netloc: str, default_port: str) -> tuple[str, str]:
    if netloc.startswith("[") and "]" in netloc:
        host, _, rest = netloc[1:].partition("]")
        return host, rest[1:] if rest.startswith(":") else default_port
    if ":" in netloc:
        # An IPv6 address without brackets has no port that could be told apart: it fails as a bad port.
        host, port = netloc.split(":")[:2]
        return host, port
    return netloc or "0.0.0.0", default_port


def load_class(uri: str | type, section: str = "gunicorn.workers") -> Any:
    """The class that a setting names. `section` is the entry point group to ask. Raises RuntimeError."""
    if isinstance(uri, type):
        return uri
    if uri in MISSING_WORKER_CLASSES:
        available = ", ".join(WORKER_CLASSES)
        missing = f"worker class {uri!r} is not part of this version of rgunicorn"
        raise RuntimeError(f"{missing}; available: {available}")
    try:
        return _named_class(uri, section)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise RuntimeError(f"class uri {uri!r} invalid or not found: {reason}") from error


def _named_class(uri: str, section: str) -> Any:
    if uri.startswith("egg:"):
        distribution, _, name = uri[len("egg:") :].partition("#")
        return _entry_point(distribution, section, name or "sync")
    path = WORKER_CLASSES.get(uri.removeprefix("#"), uri)
    module, dot, name = path.rpartition(".")
    if not dot:
        return _entry_point("gunicorn", section, path.removeprefix("#"))
    return getattr(importlib.import_module(module), name)


def _entry_point(distribution: str, section: str, name: str) -> Any:
    for entry in importlib.metadata.distribution(distribution).entry_points:
        if entry.group == section and entry.name == name:
            return entry.load()
    raise ImportError(f"Entry point {(section, name)!r} not found")


def import_app(uri: str) -> Callable[..., Any]:
    """The application that `MODULE`, `MODULE:NAME` or `MODULE:FACTORY(ARGUMENTS)` names.

    Raises AppImportError if MODULE does not hold it; what the module or the factory raises goes through.
    """
    module_name, colon, expression = uri.partition(":")
    if not colon:
        expression = "application"
    module = _app_module(module_name, expression)
    name, arguments = _app_expression(expression)
    try:
        found = getattr(module, name)
    except AttributeError:
        if logging.root.level == logging.DEBUG:
            traceback.print_exc()
        raise AppImportError(f"Failed to find attribute {name!r} in {module_name!r}.") from None
    app = found if arguments is None else _made(found, *arguments)
    if app is None:
        raise AppImportError(f"Failed to find application object: {expression!r}")
    if not callable(app):
        raise AppImportError("Application object must be callable.")
    return app  # type: ignore[no-any-return]


def _app_module(name: str, expression: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        stem, extension = os.path.splitext(name)
        if extension == ".py" and os.path.exists(name):
            hint = f"{stem}:{expression}"
            raise ImportError(f"Failed to find application, did you mean {hint!r}?") from None
        raise


_Arguments = tuple[list[Any], dict[str, Any]]


def _app_expression(text: str) -> tuple[str, _Arguments | None]:
    """The attribute's name, and the arguments if it is to be called."""
    try:
        expression = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise _unparsable(text) from None
    if isinstance(expression, ast.Name):
        return expression.id, None
    if not isinstance(expression, ast.Call):
        raise _unparsable(text)
    if not isinstance(expression.func, ast.Name):
        raise AppImportError(f"Function reference must be a simple name: {text!r}")
    return expression.func.id, _literal_arguments(expression, text)


def _unparsable(text: str) -> AppImportError:
    return AppImportError(f"Failed to parse {text!r} as an attribute name or function call.")


def _literal_arguments(call: ast.Call, text: str) -> _Arguments:
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (ValueError, TypeError):
        named = {None: None}
    if None in named:
        # Not a literal, or `**mapping`, which has no name.
        raise AppImportError(f"Failed to parse arguments as literal values: {text!r}")
    return positional, {name: value for name, value in named.items() if name is not None}


def _made(factory: Callable[..., Any], positional: list[Any], named: dict[str, Any]) -> Any:
    try:
        return factory(*positional, **named)
    except TypeError as error:
        # Only a failure to enter the factory is the caller's: one raised inside it has a deeper frame.
        if _entered(error.__traceback__):
            raise
        text = "".join(traceback.format_exception_only(error)).strip()
        raise AppImportError(text) from None


def _entered(trace: TracebackType | None) -> bool:
    return trace is not None and trace.tb_next is not None


def set_process_title(title: str) -> None:
    """Shows `title` in the list of processes, where the package setproctitle is installed."""
    try:
        setproctitle = importlib.import_module("setproctitle")
    except ImportError:
        return
    setproctitle.setproctitle(f"gunicorn: {title}")


def flush_streams() -> None:
    """To be called before a fork: else each side would write what waits in standard output and error."""
    for stream in (sys.stdout, sys.stderr):
        # None where the program was started without it. It may be closed, or its disk full.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()


def daemonize(enable_stdio_inheritance: bool = False) -> None:
    """Goes into the background: a session of its own, no terminal, umask 022. Started again by a server that
    it replaces (GUNICORN_FD), the process is there already.

    Standard input, output and error become /dev/null. With `enable_stdio_inheritance` output and error stay,
    unless they are a terminal.
    """
    if "GUNICORN_FD" in os.environ:
        return
    flush_streams()
    if os.fork():
        os._exit(0)
    os.setsid()
    # No longer the leader of the session, it cannot be given a terminal by opening one.
    if os.fork():
        os._exit(0)
    os.umask(0o022)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        if fd == 0 or not enable_stdio_inheritance or os.isatty(fd):
            os.dup2(null, fd)
    if null > 2:
        os.close(null)
