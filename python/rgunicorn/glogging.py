"""The error log and the access log: the standard library's loggers `gunicorn.error` and `gunicorn.access`.

Lines of the access log are formatted in Rust, and written straight into the files, as long as nobody could
tell the difference: see `rgunicorn._logs.access`.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import stat
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any, ClassVar, TextIO

from rgunicorn import util
from rgunicorn._logs import access, config, syslog
from rgunicorn._logs.access import SafeAtoms as SafeAtoms
from rgunicorn._logs.config import CONFIG_DEFAULTS as CONFIG_DEFAULTS
from rgunicorn._logs.config import loggers as loggers
from rgunicorn._logs.syslog import SYSLOG_FACILITIES as SYSLOG_FACILITIES
from rgunicorn._logs.syslog import parse_syslog_address as parse_syslog_address

if TYPE_CHECKING:
    from rgunicorn.config import Config


class Logger:
    """What the server logs with. Constructed once in the arbiter; `setup` is called again on a reload."""

    LOG_LEVELS: ClassVar[dict[str, int]] = {
        "critical": logging.CRITICAL,
        "error": logging.ERROR,
        "warning": logging.WARNING,
        "info": logging.INFO,
        "debug": logging.DEBUG,
    }
    _was_set_up = False
    loglevel = logging.INFO

    error_fmt = r"%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = r"[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"

    #: Makes of `atoms` what a line is formatted with.
    atoms_wrapper_class: type = SafeAtoms

    def __init__(self, cfg: Config) -> None:
        self.error_log = logging.getLogger("gunicorn.error")
        self.error_log.propagate = False
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.propagate = False
        self.error_handlers: list[logging.Handler] = []
        self.access_handlers: list[logging.Handler] = []
        self.logfile: IO[str] | None = None
        self.lock = threading.Lock()
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg: Config) -> None:
        """Sets levels and handlers from the configuration.

        RuntimeError: a file cannot be written, or the configuration of logging is bad.
        """
        self.cfg = cfg
        self._access_log_enabled = self._wants_access_log()
        self.loglevel = self.LOG_LEVELS.get((cfg.loglevel or "info").lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        replaced = self._remove_own_handlers()
        if cfg.capture_output and cfg.errorlog not in (None, "-"):
            self._capture_output(cfg.errorlog)
        self._set_handler(self.error_log, cfg.errorlog, logging.Formatter(self.error_fmt, self.datefmt))
        if cfg.accesslog is not None:
            formatter = logging.Formatter(self.access_fmt)
            self._set_handler(self.access_log, cfg.accesslog, fmt=formatter, stream=sys.stdout)
        if cfg.syslog:
            self._set_syslog_handler(self.error_log, cfg, self.syslog_fmt, "error")
            if not cfg.disable_redirect_access_to_syslog:
                self._set_syslog_handler(self.access_log, cfg, self.syslog_fmt, "access")
        config.apply(cfg)
        for handler in replaced:
            handler.close()
        self._was_set_up = True

    def _remove_own_handlers(self) -> list[logging.Handler]:
        """Takes away what an earlier `setup` gave to the loggers, and gives it."""
        removed = []
        for log in (self.error_log, self.access_log):
            for handler in [own for own in log.handlers if getattr(own, "_gunicorn", False)]:
                log.removeHandler(handler)
                removed.append(handler)
        return removed

    @property
    def access_log_enabled(self) -> bool:
        """Whether requests are logged."""
        try:
            return self._access_log_enabled
        except AttributeError:
            # A subclass with a `setup` of its own.
            return self._wants_access_log()

    def _wants_access_log(self) -> bool:
        cfg = self.cfg
        to_syslog = cfg.syslog and not cfg.disable_redirect_access_to_syslog
        return bool(cfg.accesslog or cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json or to_syslog)

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at CRITICAL."""
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at ERROR."""
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at WARNING."""
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at INFO."""
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at DEBUG."""
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at ERROR, with the traceback of the exception that is being handled."""
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl: int | str, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at a level given as a number or a name."""
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), logging.INFO)
        self.error_log.log(lvl, msg, *args, **kwargs)

    # The access log.

    def atoms(
        self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: timedelta
    ) -> dict[str, Any]:
        """What the lines of the access log can tell of a request, by the names that formats use.

        `resp` has `status`, `headers` and `sent`; `req` has `headers`, or is their list.
        """
        return access.atoms(self, resp, req, environ, request_time)

    def access(self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: timedelta) -> None:
        """Logs a request. The record's message is the format, its arguments are the atoms: a dict."""
        if not self.access_log_enabled:
            return
        try:
            atoms = self.atoms(resp, req, environ, request_time)
            wrapped = self.atoms_wrapper_class(atoms)
            self.access_log.info(access.line_format(self.cfg, atoms, wrapped), wrapped)
        except Exception:
            self.error(traceback.format_exc())

    def now(self) -> str:
        """The time as the access log shows it."""
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def _get_user(self, environ: Mapping[str, Any]) -> str | None:
        """The user name that a request brings with HTTP Basic authentication (RFC 7617)."""
        scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if not credentials or not scheme.lower().startswith("basic"):
            return None
        try:
            return base64.b64decode(credentials.strip().encode()).partition(b":")[0].decode()
        except ValueError as error:
            self.debug("Couldn't get username: %s", error)
            return None

    # Files.

    def reopen_files(self) -> None:
        """Opens again every log file of this process, which a log rotation may have renamed.

        One that cannot be opened stays as it is: a service does not end because of its log.
        """
        handlers = _file_handlers()
        # Where the rotation made the file its owner is the one that was wanted.
        ours_to_make = [handler for handler in handlers if not os.path.exists(handler.baseFilename)]
        try:
            if self.cfg.capture_output and self.cfg.errorlog not in (None, "-"):
                with self.lock:
                    self._capture_output(self.cfg.errorlog)
        except OSError as error:
            self.error("Cannot reopen the log file: %s", error)
        for handler in handlers:
            try:
                _reopen(handler)
            except OSError as error:
                self.error("Cannot reopen the log file: %s", error)
        for handler in ours_to_make:
            self._let_workers_reopen(handler)

    def close_on_exec(self) -> None:
        """Keeps the log files from programs that the application runs."""
        for handler in _file_handlers():
            handler.acquire()
            try:
                if handler.stream is not None:
                    util.close_on_exec(handler.stream)
            finally:
                handler.release()

    def _get_gunicorn_handler(self, log: logging.Logger) -> logging.Handler | None:
        """The handler that `setup` gave to a logger."""
        return next((handler for handler in log.handlers if getattr(handler, "_gunicorn", False)), None)

    def _set_handler(
        self, log: logging.Logger, output: str | None, fmt: logging.Formatter, stream: TextIO | None = None
    ) -> None:
        """Replaces a logger's handler. `output` is a path, `-` for the stream, None for no handler."""
        old = self._get_gunicorn_handler(log)
        if old is not None:
            log.removeHandler(old)
        handler = self._make_handler(output, stream)
        if handler is not None:
            _give(log, handler, fmt)

    def _make_handler(self, output: str | None, stream: TextIO | None) -> logging.Handler | None:
        if output is None:
            return None
        if output == "-":
            return logging.StreamHandler(stream)
        try:
            # A start may wait for the reader of a named pipe, a service that runs must not.
            if self._was_set_up:
                _check_reader(output)
            handler = logging.FileHandler(output)
        except OSError as error:
            raise RuntimeError(f"Error: '{output}' isn't writable [{error!r}]") from error
        self._let_workers_reopen(handler)
        return handler

    def _let_workers_reopen(self, handler: logging.FileHandler) -> None:
        """A file made by root goes to the user as whom the workers run."""
        uid, gid = getattr(self.cfg, "uid", os.geteuid()), getattr(self.cfg, "gid", os.getegid())
        if handler.stream is None:
            # One of the application's that is opened with its first line.
            return
        fd = handler.stream.fileno()
        # Not a device such as /dev/null, which belongs to everybody.
        if (uid, gid) != (os.geteuid(), os.getegid()) and stat.S_ISREG(os.fstat(fd).st_mode):
            with contextlib.suppress(OSError):
                os.fchown(fd, uid, gid)

    def _set_syslog_handler(self, log: logging.Logger, cfg: Config, fmt: str, name: str) -> None:
        """Sends a logger's records to syslog, besides wherever they go already."""
        prefix = cfg.syslog_prefix or cfg.proc_name.replace(":", ".")
        _give(log, syslog.make_handler(cfg), logging.Formatter(f"gunicorn.{prefix}.{name}: {fmt}"))

    def _capture_output(self, path: str) -> None:
        """Makes the error log's file standard output and standard error."""
        for stream in (sys.stdout, sys.stderr):
            # None where the program was started without it.
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
        try:
            opened = open(path, "a+")
        except OSError as error:
            if self.logfile is None:
                raise RuntimeError(f"Error: '{path}' isn't writable [{error!r}]") from error
            raise
        old, self.logfile = self.logfile, opened
        os.dup2(opened.fileno(), 1)
        os.dup2(opened.fileno(), 2)
        if old is not None:
            old.close()


def _check_reader(path: str) -> None:
    """Raises OSError for a named pipe that nobody reads: opening it would wait for a reader."""
    if os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def _give(log: logging.Logger, handler: logging.Handler, formatter: logging.Formatter) -> None:
    handler.setFormatter(formatter)
    # How a later `setup` knows what it may take away.
    handler._gunicorn = True  # type: ignore[attr-defined]
    log.addHandler(handler)


def _reopen(handler: logging.FileHandler) -> None:
    if os.path.exists(handler.baseFilename) and not os.path.isfile(handler.baseFilename):
        # A pipe or a device is never renamed, and opening a pipe waits for a reader.
        return
    handler.acquire()
    try:
        if handler.stream is not None:
            old, handler.stream = handler.stream, handler._open()
            with contextlib.suppress(OSError):
                # A full disk: what did not fit is lost.
                old.close()
    finally:
        handler.release()


def _file_handlers() -> list[logging.FileHandler]:
    found = {id(handler): handler for log in loggers() for handler in log.handlers}
    return [handler for handler in found.values() if isinstance(handler, logging.FileHandler)]


#: The methods that decide what an access line says, as they are before anybody patches them.
access.STOCK.update({name: vars(Logger)[name] for name in access.DECIDING})
