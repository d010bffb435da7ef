"""Lines of the access log as Python makes them, and when Rust may make them instead.

Both ways give the same lines: the tests compare them.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import select
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger

_COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

#: Formats that have a name. Lines of the last two are one atom, made from all others.
FORMATS = {"combined": _COMBINED, "json": "%(json)s", "logfmt": "%(logfmt)s"}

#: The fields of `json` and `logfmt`, each with its atom, in their order.
_FIELDS = {
    "time": "time",
    "remote_addr": "h",
    "user": "u",
    "method": "m",
    "target": "target",
    "protocol": "H",
    "status": "status",
    "bytes": "B",
    "duration": "L",
    "queue_time": "queue_time",
    "app_time": "app_time",
    "send_time": "send_time",
    "reason": "reason",
    "request_id": "request_id",
    "referer": "f",
    "user_agent": "a",
    "pid": "pid",
}
_NUMBERS = {"status", "bytes", "duration", "queue_time", "app_time", "send_time", "pid"}

#: What stands for a status when the client was sent nothing.
NO_STATUS = "000"

#: The methods of `Logger` that decide what a line says, and, once it is defined, what they are. It need
#: not be: a logger of the user's may be something else.
DECIDING = ("access", "atoms", "now", "_get_user")
STOCK: dict[str, Any] = {}

#: The characters that could end a field or a line, as lines show them.
_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}


#: What JSON need not escape, and a terminal may obey.
_DELETES = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


class SafeAtoms(dict[str, Any]):
    """Atoms of which a format may name any: case does not matter in `{name}i`, what is not there is a dash.

    A text cannot end the quotes around it, nor the line.
    """

    def __init__(self, atoms: Mapping[str, Any]) -> None:
        super().__init__(
            (name, value.translate(_ESCAPES) if isinstance(value, str) else value)
            for name, value in atoms.items()
        )
        if "u" in self:
            # The one text of a client that stands without quotes in the usual format.
            self["u"] = self["u"].replace(" ", r"\x20")

    def __getitem__(self, name: str) -> Any:
        return self.get(name.lower() if name.startswith("{") else name, "-")


_GETITEM = SafeAtoms.__getitem__


def atoms(
    log: Logger, resp: Any, req: Any, environ: Mapping[str, Any], request_time: timedelta
) -> dict[str, Any]:
    """See `Logger.atoms`."""
    status = resp.status or NO_STATUS
    if isinstance(status, bytes):
        status = status.decode("latin-1")
    if isinstance(status, str):
        status = status.split(None, 1)[0]
    sent = getattr(resp, "sent", None)
    microseconds = request_time // timedelta(microseconds=1)
    method, protocol = environ.get("REQUEST_METHOD", "-"), environ.get("SERVER_PROTOCOL", "-")
    user = log._get_user(environ)
    found: dict[str, Any] = {
        "h": environ.get("REMOTE_ADDR", "-"),
        "l": "-",
        "u": user or "-",
        "t": log.now(),
        "r": f"{method} {environ['RAW_URI']} {protocol}" if method != "-" else "-",
        "s": status,
        "m": method,
        "U": environ.get("PATH_INFO", "-"),
        "q": environ.get("QUERY_STRING", "-"),
        "H": protocol,
        "b": "-" if sent is None else str(sent),
        "B": sent,
        "f": environ.get("HTTP_REFERER", "-"),
        "a": environ.get("HTTP_USER_AGENT", "-"),
        "T": microseconds // 1_000_000,
        "D": microseconds,
        "M": microseconds // 1000,
        "L": _decimal(microseconds),
        "p": f"<{environ.get('rgunicorn.pid', os.getpid())}>",
        "reason": environ.get("rgunicorn.reason", "-"),
        "request_id": environ.get("rgunicorn.request_id", "-"),
    }
    for name in ("queue_time", "app_time", "send_time"):
        taken = environ.get(f"rgunicorn.{name}")
        found[name] = "-" if taken is None else _decimal(round(taken * 1e6))
    found.update({f"{{{name.lower()}}}i": value for name, value in _pairs(getattr(req, "headers", req))})
    found.update({f"{{{name.lower()}}}o": value for name, value in _pairs(resp.headers)})
    found.update({f"{{{name.lower()}}}e": value for name, value in environ.items()})
    return found


def _decimal(microseconds: int) -> str:
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06}"


def _pairs(headers: Any) -> Iterable[tuple[str, Any]]:
    pairs: Iterable[tuple[str, Any]] = headers.items() if hasattr(headers, "items") else headers
    return pairs


def line_format(cfg: Config, atoms: Mapping[str, Any], wrapped: Any) -> str:
    """`access_log_format`, its names resolved; the atom of a format that is one is added to `wrapped`."""
    wanted: str = cfg.access_log_format or _COMBINED
    if wanted in ("json", "logfmt"):
        fields = _fields(atoms)
        whole = json.dumps(fields, separators=(",", ":")) if wanted == "json" else _logfmt(fields)
        wrapped[wanted] = whole
    return FORMATS.get(wanted, wanted)


def _fields(atoms: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that `json` and `logfmt` tell; what is not known is None."""
    known = {
        **atoms,
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "target": atoms.get("{raw_uri}e"),
        "status": int(atoms["s"]),
        "pid": int(atoms["p"].strip("<>")),
    }
    fields = {name: known.get(atom) for name, atom in _FIELDS.items()}
    for name, value in fields.items():
        if value in ("-", ""):
            fields[name] = None
        elif name in _NUMBERS and isinstance(value, str):
            fields[name] = float(value)
    return fields


def _logfmt(fields: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_logfmt_value(value)}" for name, value in fields.items())


def _logfmt_value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    text = "-" if value is None else str(value)
    bare = text.isascii() and text.isprintable() and not any(character in text for character in ' ="\\')
    return text if bare else json.dumps(text, ensure_ascii=False).translate(_DELETES)


def native_files(log: Logger) -> list[int] | None:
    """The descriptors of the files that lines of the access log go to; None if only Python can write them.

    It can be done natively as long as everything that could change a line, or wants to see its record, is as
    the stock logger makes it.
    """
    if not _is_stock(log):
        return None
    found = []
    for handler in log.access_log.handlers:
        if not _is_plain(handler):
            return None
        try:
            found.append(_descriptor(handler))
        except (OSError, ValueError, AttributeError):
            # Standard output may have been closed from the start: nobody reads these lines.
            stream = getattr(handler, "stream", None)
            if getattr(stream, "closed", stream is None):
                continue
            return None
    return found


def _is_stock(log: Logger) -> bool:
    names = {*DECIDING, "atoms_wrapper_class"}
    if names & vars(log).keys() or SafeAtoms.__getitem__ is not _GETITEM:
        return False
    if any(inspect.getattr_static(type(log), name, None) is not STOCK.get(name) for name in DECIDING):
        return False
    access = log.access_log
    return bool(
        log.atoms_wrapper_class is SafeAtoms
        and type(access) is logging.Logger
        and not access.filters
        and not (access.propagate and _parents_handle(access))
        and access.isEnabledFor(logging.INFO)
        and logging.getLogRecordFactory() is logging.LogRecord
    )


def _parents_handle(log: logging.Logger) -> bool:
    return log.parent is not None and log.parent.hasHandlers()


def _is_plain(handler: logging.Handler) -> bool:
    """It writes the message as it is, into a file."""
    formatter = handler.formatter
    return (
        type(handler) in (logging.StreamHandler, logging.FileHandler)
        and type(formatter) is logging.Formatter
        and formatter._fmt == "%(message)s"
        and not handler.filters
        and handler.level <= logging.INFO
        and not vars(handler).keys() & {"emit", "format", "handle"}
    )


def _descriptor(handler: Any) -> int:
    if handler.stream is None and isinstance(handler, logging.FileHandler):
        # Closed by a configuration of logging that came after it: the next record would open it.
        handler.stream = handler._open()
    handler.flush()
    return int(handler.stream.fileno())


def is_wanted(log: Logger) -> bool:
    """Whether `access` is to be called for each request: for the log, or for what its class does with it."""
    overridden = inspect.getattr_static(type(log), "access", None) is not STOCK.get("access")
    return bool(overridden or "access" in vars(log) or getattr(log, "access_log_enabled", True))


class _Unserved:
    """What stands for `resp`, and for a missing `req`, of a request that no application answered."""

    sent = 0
    method = uri = path = query = "-"

    def __init__(self, status: str) -> None:
        self.status = status
        self.status_code = int(status)
        self.headers: list[tuple[str, str]] = []


#: What every environ has and loggers read without a second thought, of a request that nobody could read.
_UNREAD = dict.fromkeys(("REQUEST_METHOD", "QUERY_STRING", "SERVER_PROTOCOL"), "-")


def log_unserved(log: Logger, code: int, request: Any, environ: dict[str, Any]) -> None:
    """Logs a request that no application has seen, of which `environ` says what is known."""
    response = _Unserved(f"{code:03}")
    unread = {name: "-" for name in ("RAW_URI", "PATH_INFO") if not environ.get(name)}
    _log(log, response, request or response, {**_UNREAD, **environ, **unread}, timedelta(0))


def has_room(fd: int) -> bool:
    """Whether some lines can be written without a wait for whoever reads them."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


def log_cut(log: Logger, environ: dict[str, Any], seconds: float) -> None:
    """Logs the request that a worker was serving when it ended, in the arbiter."""
    if not is_wanted(log) or not all(map(has_room, native_files(log) or [])):
        return
    target = environ["RAW_URI"]
    path, _, query = target.partition("?")
    environ = {
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        **environ,
    }
    request = _Unserved(NO_STATUS)
    request.method, request.uri, request.path, request.query = environ["REQUEST_METHOD"], target, path, query
    _log(log, request, request, environ, timedelta(seconds=seconds))


def _log(log: Logger, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
    try:
        log.access(resp, req, environ, request_time)
    except Exception:
        # A logger of the user's that wants to know more than there is.
        log.debug("Cannot log a request that no application has answered", exc_info=True)
