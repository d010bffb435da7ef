"""`logconfig`, `logconfig_json`, `logconfig_dict`: logging as its user wants it, as it was if that fails."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from logging.config import dictConfig, fileConfig
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rgunicorn.config import Config
    from rgunicorn.glogging import Logger

_CONSOLE = {"class": "logging.StreamHandler", "formatter": "generic"}

#: What a dictionary or a JSON file is laid over, key by key.
CONFIG_DEFAULTS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        name: {"level": "INFO", "handlers": [handler], "propagate": True, "qualname": name}
        for name, handler in (("gunicorn.error", "error_console"), ("gunicorn.access", "console"))
    },
    "handlers": {
        "console": {**_CONSOLE, "stream": "ext://sys.stdout"},
        "error_console": {**_CONSOLE, "stream": "ext://sys.stderr"},
    },
    "formatters": {
        "generic": {
            "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
            "datefmt": "[%Y-%m-%d %H:%M:%S %z]",
            "class": "logging.Formatter",
        }
    },
}


def loggers() -> list[logging.Logger]:
    """Every logger of the process, the root logger first."""
    names = list(logging.root.manager.loggerDict)
    return [logging.root, *map(logging.getLogger, names)]


def apply(cfg: Config) -> None:
    """Configures logging as the settings say: the dictionary before the JSON file before the INI file.

    RuntimeError: it is bad; says why in one line.
    """
    if cfg.logconfig_dict:
        _apply_dict(cfg.logconfig_dict, "logconfig_dict")
    elif cfg.logconfig_json:
        # A file that is not there is no configuration, as for Gunicorn.
        if os.path.exists(cfg.logconfig_json):
            _apply_dict(_read_json(cfg.logconfig_json), cfg.logconfig_json)
    elif cfg.logconfig:
        _apply_file(cfg.logconfig)


def _apply_dict(given: Mapping[str, Any], source: str) -> None:
    try:
        dictConfig({**CONFIG_DEFAULTS, **given})
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError) as error:
        raise RuntimeError(f"{_reasons(error)} ({source})") from error


def _read_json(path: str) -> Mapping[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            given = json.load(file)
    except (OSError, ValueError) as error:
        raise RuntimeError(f"{error} ({path})") from error
    if not isinstance(given, dict):
        raise RuntimeError(f"it holds no object ({path})")
    return given


def _apply_file(path: str) -> None:
    if not os.path.exists(path):
        raise RuntimeError(f"Error: log config '{path}' not found")
    defaults = {**CONFIG_DEFAULTS, "__file__": path, "here": os.path.dirname(path)}
    try:
        fileConfig(path, defaults=defaults, disable_existing_loggers=False)
    except Exception as error:
        # `fileConfig` evaluates what the file says: anything may come out.
        raise RuntimeError(f"{_reasons(error)} ({path})") from error


def _reasons(error: BaseException) -> str:
    """What went wrong, and below it why: `dictConfig` says only which handler it was."""
    texts = [str(error) or type(error).__name__]
    while error.__cause__ is not None:
        error = error.__cause__
        texts.append(str(error) or type(error).__name__)
    return ": ".join(texts)


def reload(log: Logger, cfg: Config) -> bool:
    """Sets a logger up anew. If that fails all loggers are as before, and the user is told; then False."""
    former = _Snapshot.of_all(), getattr(log, "cfg", cfg)
    try:
        log.setup(cfg)
    except Exception:
        # On standard error too: who reads the log may be the one that the bad configuration was to change.
        if sys.stderr is not None:
            print(
                "\nError: reloading the logger configuration failed, keeping the previous one",
                file=sys.stderr,
            )
            traceback.print_exc()
            sys.stderr.flush()
        for snapshot in former[0]:
            snapshot.restore()
        log.cfg = former[1]
        # Recomputed from `cfg` when it is missing.
        vars(log).pop("_access_log_enabled", None)
        log.error("reloading the logger configuration failed, keeping the previous one")
        return False
    return True


@dataclass
class _Snapshot:
    """What a configuration changes in one logger.

    Handlers that were closed meanwhile open their file or socket again with their next record.
    """

    logger: logging.Logger
    state: dict[str, Any]
    handlers: list[tuple[logging.Handler, int, logging.Formatter | None]]

    @classmethod
    def of_all(cls) -> list[_Snapshot]:
        return [cls.of(logger) for logger in loggers()]

    @classmethod
    def of(cls, logger: logging.Logger) -> _Snapshot:
        state = {
            "propagate": logger.propagate,
            "disabled": logger.disabled,
            "filters": list(logger.filters),
            "handlers": list(logger.handlers),
        }
        handlers = [(handler, handler.level, handler.formatter) for handler in logger.handlers]
        return cls(logger, {**state, "level": logger.level}, handlers)

    def restore(self) -> None:
        """Makes the logger what it was."""
        state = dict(self.state)
        self.logger.setLevel(state.pop("level"))
        vars(self.logger).update(state)
        for handler, level, formatter in self.handlers:
            handler.setLevel(level)
            handler.setFormatter(formatter)
