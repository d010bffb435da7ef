"""The error log and the access log: the standard library's loggers `gunicorn.error` and `gunicorn.access`.

Lines of the access log are formatted in Rust while this class is in use, and written through its handlers.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import threading
import time
from typing import IO, Any, ClassVar, TextIO


class Logger:
    """What the server logs with. Constructed once in the arbiter; `setup` is called again on a reload."""

    LOG_LEVELS: ClassVar[dict[str, int]] = {
        "critical": logging.CRITICAL,
        "error": logging.ERROR,
        "warning": logging.WARNING,
        "info": logging.INFO,
        "debug": logging.DEBUG,
    }
    loglevel = logging.INFO

    error_fmt = r"%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = r"[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"

    def __init__(self, cfg: Any) -> None:
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

    def setup(self, cfg: Any) -> None:
        """Sets levels and handlers from the configuration. RuntimeError: a file cannot be written."""
        self.loglevel = self.LOG_LEVELS.get((cfg.loglevel or "info").lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        self._set_handler(self.error_log, cfg.errorlog, logging.Formatter(self.error_fmt, self.datefmt))
        if cfg.accesslog is not None or self._get_gunicorn_handler(self.access_log):
            formatter = logging.Formatter(self.access_fmt, self.datefmt)
            self._set_handler(self.access_log, cfg.accesslog, formatter, stream=sys.stdout)
        if cfg.capture_output and cfg.errorlog not in (None, "-"):
            self._capture_output(cfg.errorlog)
        self.cfg = cfg

    @property
    def access_log_enabled(self) -> bool:
        """Whether requests are logged."""
        return bool(self.cfg.accesslog)

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

    def now(self) -> str:
        """The time as the access log shows it."""
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def reopen_files(self) -> None:
        """Opens again every log file of this process, which a log rotation may have renamed.

        One that cannot be opened stays as it is: a service does not end because of its log.
        """
        try:
            if self.logfile is not None:
                self._capture_output(self.cfg.errorlog)
        except OSError as error:
            self.error("Cannot reopen the log file: %s", error)
        for handler in _file_handlers():
            try:
                _reopen(handler)
            except OSError as error:
                self.error("Cannot reopen the log file: %s", error)

    def close_on_exec(self) -> None:
        """Keeps the log files from programs that the application runs."""
        for handler in _file_handlers():
            if handler.stream is not None:
                fd = handler.stream.fileno()
                fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.fcntl(fd, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)

    def _get_gunicorn_handler(self, log: logging.Logger) -> logging.Handler | None:
        """The handler that `_set_handler` gave to a logger."""
        return next((handler for handler in log.handlers if getattr(handler, "_gunicorn", False)), None)

    def _set_handler(
        self, log: logging.Logger, output: str | None, fmt: logging.Formatter, stream: TextIO | None = None
    ) -> None:
        """Replaces a logger's handler. `output` is a path, `-` for the stream, None for no handler."""
        handler = _make_handler(output, stream)
        old = self._get_gunicorn_handler(log)
        if old is not None:
            log.removeHandler(old)
            old.close()
        if handler is not None:
            handler.setFormatter(fmt)
            handler._gunicorn = True  # type: ignore[attr-defined]
            log.addHandler(handler)

    def _capture_output(self, path: str) -> None:
        """Makes the error log's file standard output and standard error."""
        for stream in (sys.stdout, sys.stderr):
            # None where the program was started without it.
            if stream is not None:
                stream.flush()
        old, self.logfile = self.logfile, open(path, "a+")
        os.dup2(self.logfile.fileno(), 1)
        os.dup2(self.logfile.fileno(), 2)
        if old is not None:
            old.close()


def _make_handler(output: str | None, stream: TextIO | None) -> logging.Handler | None:
    if output is None:
        return None
    if output == "-":
        return logging.StreamHandler(stream)
    try:
        return logging.FileHandler(output)
    except OSError as error:
        raise RuntimeError(f"Error: '{output}' isn't writable [{error!r}]") from error


def _reopen(handler: logging.FileHandler) -> None:
    handler.acquire()
    try:
        if handler.stream is not None:
            old, handler.stream = handler.stream, handler._open()
            old.close()
    finally:
        handler.release()


def loggers() -> list[logging.Logger]:
    """Every logger of the process, the root logger first."""
    names = list(logging.root.manager.loggerDict)
    return [logging.root, *(logging.getLogger(name) for name in names)]


def _file_handlers() -> list[logging.FileHandler]:
    found = {id(handler): handler for log in loggers() for handler in log.handlers}
    return [handler for handler in found.values() if isinstance(handler, logging.FileHandler)]
