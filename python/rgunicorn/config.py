"""The configuration: every setting of the table as an attribute, and what follows from several of them.

What settings there are, what they take and what they default to is known by the native table alone.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from rgunicorn import util
from rgunicorn._native import (
    CommandLineEnd,
    SettingSpec,
    parse_command_line,
    setting_specs,
    settings_markdown,
)
from rgunicorn.errors import ConfigError

DEFAULT_CONFIG_FILE = "gunicorn.conf.py"
CMD_ARGS = "GUNICORN_CMD_ARGS"


class Setting:
    """One setting and its value. `source` says in words who gave the value."""

    def __init__(self, spec: SettingSpec) -> None:
        self._spec = spec
        self.name: str = spec.name
        self.section: str = spec.section
        self.source = spec.default_source(util.START_DIRECTORY) or "the default"
        self.default: Any = self._initial()
        self.value: Any = self.default

    def _initial(self) -> Any:
        if self._spec.is_hook:
            return _DEFAULT_HOOKS.get(self.name, _no_op)
        try:
            return self._spec.default_value(util.START_DIRECTORY)
        except (ValueError, TypeError) as error:
            raise ConfigError(self.blame(error)) from error

    @property
    def desc(self) -> str:
        """What the setting does, in Markdown."""
        return self._spec.description

    @property
    def spelling(self) -> str:
        """Its options on the command line: `-w/--workers`; empty if there are none."""
        return self._spec.spelling

    def get(self) -> Any:
        """The value as it is set."""
        return self.value

    def set(self, val: Any) -> None:
        """Check and set. Raises ValueError or TypeError; the former value then stays."""
        self.value = self._spec.check(val, util.START_DIRECTORY)

    def blame(self, reason: object, source: str | None = None) -> str:
        """One line for the user: what is wrong, with which setting, from where, and what is allowed."""
        return f"{reason} ({self.name} from {source or self.source}; allowed: {self._spec.allowed})"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}={self.value!r}>"


class Config:
    """Every setting as an attribute, changed by `set` alone. Attributes of other names are free."""

    settings: dict[str, Setting]

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        self.settings = make_settings()
        self.usage = usage
        self.prog = prog or os.path.basename(sys.argv[0])
        # raw_env changes os.environ later; a reload starts again from here.
        self.env_orig = os.environ.copy()

    def __getattr__(self, name: str) -> Any:
        # Asked only when nothing else has the name; `settings` is missing while an instance is being copied.
        if name == "settings" or name not in self.settings:
            raise AttributeError(f"No configuration setting for: {name}")
        return self.settings[name].get()

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "settings" and name in self.settings:
            raise AttributeError("Invalid access!")
        super().__setattr__(name, value)

    def __str__(self) -> str:
        width = max(map(len, self.settings))
        return "\n".join(
            f"{name:{width}} = {_shown(setting.value)}" for name, setting in sorted(self.settings.items())
        )

    def set(self, name: str, value: Any, source: str = "the program") -> None:
        """Check and set one setting. Raises AttributeError for an unknown name, ValueError or TypeError."""
        if name not in self.settings:
            raise AttributeError(f"No configuration setting for: {name}")
        self.settings[name].set(value)
        self.settings[name].source = source

    def parser(self) -> CommandLineParser:
        """What reads command lines for these settings."""
        return CommandLineParser(self.prog)

    def get_cmd_args_from_env(self) -> list[str]:
        """The arguments in GUNICORN_CMD_ARGS, as the environment was when this object was made."""
        try:
            return shlex.split(self.env_orig.get(CMD_ARGS, ""))
        except ValueError as error:
            raise ConfigError(f"{error} (in the environment variable {CMD_ARGS})") from error

    @property
    def address(self) -> list[util.Address]:
        """Where to listen. Raises RuntimeError."""
        bind = self.settings["bind"]
        try:
            return [util.parse_address(text) for text in bind.get()]
        except RuntimeError as error:
            raise RuntimeError(f"{error} (bind from {bind.source})") from None

    @property
    def _worker_uri(self) -> str | type:
        uri: str | type = self.settings["worker_class"].get()
        is_sync = isinstance(uri, str) and (uri == "sync" or uri.endswith("SyncWorker"))
        return "gthread" if is_sync and self.settings["threads"].get() > 1 else uri

    @property
    def worker_class_str(self) -> str:
        """How the log names the worker class."""
        uri = self._worker_uri
        return uri if isinstance(uri, str) else uri.__name__

    @property
    def worker_class(self) -> Any:
        """The worker class, set up. Raises RuntimeError if there is none of that name."""
        uri = self._worker_uri
        named = self.settings["worker_class"]
        wanted = named if uri == named.get() else self.settings["threads"]
        try:
            worker_class = util.load_class(uri)
        except RuntimeError as error:
            raise RuntimeError(f"{error} ({wanted.name} from {wanted.source})") from None
        if hasattr(worker_class, "setup"):
            worker_class.setup()
        return worker_class

    @property
    def logger_class(self) -> Any:
        """The class of the logger, installed."""
        uri = self.settings["logger_class"].get()
        if uri in ("gunicorn.glogging.Logger", "simple"):
            uri = "rgunicorn.instrument.statsd.Statsd" if self.statsd_host else "rgunicorn.glogging.Logger"
        logger_class = util.load_class(uri, section="gunicorn.loggers")
        if hasattr(logger_class, "install"):
            logger_class.install()
        return logger_class

    @property
    def statsd_host(self) -> Any:
        """Where StatsD is."""
        address = self.settings["statsd_host"].get()
        if not address:
            return None
        if address.startswith("unix://"):
            return address.removeprefix("unix://")
        host, _, port = address.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def env(self) -> dict[str, str]:
        """The environment variables to set for the application. Raises RuntimeError."""
        raw_env = self.settings["raw_env"]
        pairs = {}
        for entry in raw_env.get():
            name, equals, value = entry.partition("=")
            if not equals:
                raise RuntimeError(f"environment setting {entry!r} invalid (raw_env from {raw_env.source})")
            pairs[name] = value
        return pairs

    @property
    def is_ssl(self) -> bool:
        """Whether connections are encrypted."""
        return False

    @property
    def ssl_options(self) -> dict[str, Any]:
        """The settings of encryption."""
        return {}

    @property
    def sendfile(self) -> bool:
        """Whether files are sent with the system call."""
        value = self.settings["sendfile"].get()
        if value is not None:
            return bool(value)
        variable = os.environ.get("SENDFILE")
        return variable is None or variable.lower() in ("y", "1", "yes", "true")

    @property
    def proc_name(self) -> str:
        """The service's name in the titles of its processes."""
        name = self.settings["proc_name"].get()
        return str(self.settings["default_proc_name"].get() if name is None else name)


class CommandLineParser:
    """Reads command lines into namespaces with one attribute for each setting, None where not given."""

    def __init__(self, prog: str) -> None:
        self.prog = prog

    def parse_args(self, args: Sequence[str] | None = None, origin: str | None = None) -> argparse.Namespace:
        """Read `args`, or the program's own. A mistake ends the program and is said to be in `origin`."""
        try:
            line = parse_command_line(self.prog, list(sys.argv[1:] if args is None else args))
        except CommandLineEnd as end:
            status, text = end.args
            self._exit(status, text, origin)
        options = argparse.Namespace(**dict.fromkeys((spec.name for spec in setting_specs()), None))
        for name, value in line.given:
            setattr(options, name, value)
        options.args = line.positionals
        return options

    def _exit(self, status: int, text: str, origin: str | None) -> NoReturn:
        if status and origin:
            text = text.replace(": error: ", f": error: in {origin}: ", 1)
        print(text, end="", file=sys.stderr if status else sys.stdout, flush=True)
        sys.exit(status)


def make_settings() -> dict[str, Setting]:
    """Every setting with its default, by name, in the order of the table."""
    return {spec.name: Setting(spec) for spec in setting_specs()}


def get_default_config_file() -> str | None:
    """The configuration file that is read when none is named, if it is there."""
    path = os.path.join(os.path.abspath(os.getcwd()), DEFAULT_CONFIG_FILE)
    return path if os.path.exists(path) else None


def _no_op(*_arguments: object) -> None:
    """What an unset hook does."""


def _log_request(worker: Any, req: Any) -> None:
    worker.log.debug("%s %s", req.method, req.path)


def _default_ssl_context(_config: Config, default_ssl_context_factory: Any) -> Any:
    return default_ssl_context_factory()


_DEFAULT_HOOKS = {"pre_request": _log_request, "ssl_context": _default_ssl_context}


def _shown(value: object) -> object:
    """A value in the print of the configuration: callables by their name."""
    return f"<{getattr(value, '__qualname__', value)}()>" if callable(value) else value


if __name__ == "__main__":
    if sys.argv[1:] != ["--markdown"]:
        sys.exit("usage: python -m rgunicorn.config --markdown > docs/settings.md")
    print(settings_markdown(), end="")
