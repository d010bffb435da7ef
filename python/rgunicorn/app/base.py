"""Applications: where the configuration comes from, how the WSGI callable is loaded, how serving starts.

`BaseApplication` is for programs that embed the server: it reads no command line, no file and no variable.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from types import CodeType, ModuleType
from typing import Any

from rgunicorn import debug, util
from rgunicorn.arbiter import Arbiter
from rgunicorn.config import CMD_ARGS, CommandLineParser, Config, get_default_config_file
from rgunicorn.config.source import Names, names_of
from rgunicorn.errors import ConfigError, ConfigFileError

_BAD_EXTENSION = """\
!!!
!!! WARNING: configuration file should have a valid Python extension.
!!!
"""


class BaseApplication:
    """An application with its configuration. Subclasses define `load_config` and `load`."""

    cfg: Config

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        self.usage = usage
        self.prog = prog
        self.callable: Callable[..., Any] | None = None
        self.logger: Any = None
        self.do_load_config()

    def do_load_config(self) -> None:
        """Make the configuration, or tell the user why not and exit with status 1."""
        try:
            self._configure()
        except ConfigFileError as error:
            _say(f"{error}\n{_traceback(error.__cause__)}")
            sys.exit(1)
        except Exception as error:
            _say(f"\nError: {error}\n")
            sys.exit(1)

    def _configure(self) -> None:
        self.load_default_config()
        self.load_config()
        self.cfg.validate()

    def load_default_config(self) -> None:
        """Start from the defaults."""
        self.cfg = Config(self.usage, prog=self.prog)

    def init(
        self, parser: CommandLineParser, opts: argparse.Namespace, args: list[str]
    ) -> Mapping[str, Any] | None:
        """Settings that an `Application` brings itself: weaker than the file and the command line."""
        raise NotImplementedError

    def load_config(self) -> None:
        """Set what differs from the defaults in `self.cfg`."""
        raise NotImplementedError

    def load(self) -> Callable[..., Any]:
        """The WSGI callable."""
        raise NotImplementedError

    def reload(self) -> None:
        """Make the configuration again. If that fails the former one stays, and the exception says why."""
        # Not by its name: it may have been removed since.
        former, directory = dict(vars(self)), os.open(".", os.O_RDONLY)
        try:
            self._configure()
        except (Exception, SystemExit) as error:
            vars(self).clear()
            vars(self).update(former)
            os.chdir(directory)
            if isinstance(error, SystemExit):
                raise ConfigError(f"the configuration exits with status {error.code}") from error
            raise
        finally:
            os.close(directory)

    def wsgi(self) -> Callable[..., Any]:
        """The WSGI callable, loaded once for each process."""
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def run(self) -> None:
        """Serve until the server is told to stop; does not return."""
        try:
            Arbiter(self).run()
        except RuntimeError as error:
            _refuse(error)


class Application(BaseApplication):
    """An application that is configured as the command `rgunicorn` is."""

    def load_config(self) -> None:
        """Apply every layer, the weakest first: application, file, GUNICORN_CMD_ARGS, command line."""
        parser = self.cfg.parser()
        options = parser.parse_args()
        self._apply_own(self.init(parser, options, options.args))
        from_environment = parser.parse_args(self.cfg.get_cmd_args_from_env(), origin=CMD_ARGS)
        chosen = options.config or from_environment.config
        # The file is found and executed where the server was started, on a reload too.
        try:
            self.chdir()
        except ConfigError:
            # A deploy may have removed that directory. It is not needed if nothing is looked for there.
            elsewhere = options.chdir or from_environment.chdir
            if not (elsewhere and chosen and os.path.isabs(chosen.removeprefix("file:"))):
                raise
        self._load_chosen_file(chosen)
        self._apply_options(from_environment, f"in {CMD_ARGS}")
        self._apply_options(options, "on the command line")
        self.chdir()

    def init(
        self, parser: CommandLineParser, opts: argparse.Namespace, args: list[str]
    ) -> Mapping[str, Any] | None:
        """None of its own unless a subclass says so."""
        return None

    def chdir(self) -> None:
        """Go to the configured directory, and import from there first."""
        try:
            util.chdir(self.cfg.chdir)
        except OSError as error:
            raise ConfigError(self.cfg.settings["chdir"].blame(f"can't chdir: {error}")) from error

    def load_config_from_file(self, filename: str) -> dict[str, Any]:
        """Apply every global of a file (`PATH`, `file:PATH` or `python:MODULE`) that is a setting's name."""
        return self.load_config_from_module_name_or_filename(filename)

    def load_config_from_module_name_or_filename(self, location: str) -> dict[str, Any]:
        """As `load_config_from_file`; gives the globals."""
        if location.startswith("python:"):
            found = self.get_config_from_module_name(location.removeprefix("python:"))
            path = str(found.get("__file__") or location)
        else:
            path = location.removeprefix("file:")
            found = self.get_config_from_filename(path)
        names = names_of(path)
        for line, name, meant in names.near_misses():
            mistake = f"{name!r} is not a setting and has no effect; did you mean {meant!r}?"
            _say(f"Warning: {path}:{line}: {mistake}\n")
        for name, value in found.items():
            if name in self.cfg.settings:
                self._apply_from_file(name, value, _place(location, names, name))
        return found

    def get_config_from_module_name(self, module_name: str) -> dict[str, Any]:
        """The globals of a module that can be imported."""
        return vars(importlib.import_module(module_name))

    def get_config_from_filename(self, filename: str) -> dict[str, Any]:
        """The globals of a file, which is executed as the module `__config__`."""
        return vars(_config_module(filename))

    def run(self) -> None:
        """Check or print the configuration if that is asked for, else serve."""
        if self.cfg.print_config:
            util.print_out(f"{self.cfg}\n")
        if not (self.cfg.print_config or self.cfg.check_config):
            self._detach()
        for directory in (self.cfg.pythonpath or "").split(","):
            if directory and os.path.abspath(directory) not in sys.path:
                sys.path.insert(0, os.path.abspath(directory))
        if self.cfg.print_config or self.cfg.check_config:
            self._check()
        super().run()

    def _detach(self) -> None:
        """What has to happen before there is a log, a socket or a thread."""
        if self.cfg.spew:
            debug.spew()
        if self.cfg.daemon:
            if os.environ.get("NOTIFY_SOCKET"):
                _say("Warning: daemon is set, but systemd waits for this process (NOTIFY_SOCKET).\n")
            util.daemonize(self.cfg.enable_stdio_inheritance)

    def _check(self) -> None:
        """What a start would need, without starting; exits."""
        try:
            _ = (self.cfg.address, self.cfg.worker_class, self.cfg.logger_class, self.cfg.env)
        except RuntimeError as error:
            _refuse(error)
        try:
            self.load()
        except Exception as error:
            _say(f"\nError while loading the application:\n\n{_traceback(error)}")
            sys.exit(1)
        sys.exit(0)

    def _apply_own(self, settings: Mapping[str, Any] | None) -> None:
        for name, value in (settings or {}).items():
            self._apply(name.lower(), value, "the application")

    def _load_chosen_file(self, chosen: str | None) -> None:
        location = chosen or get_default_config_file()
        if location:
            self.load_config_from_file(location)

    def _apply_from_file(self, name: str, value: object, source: str) -> None:
        try:
            self._apply(name, value, source)
        except Exception:
            _say(f"Invalid value for {name}: {value}\n\n")
            raise

    def _apply(self, name: str, value: object, source: str) -> None:
        """Set one value, or say what is wrong with it and where it comes from."""
        try:
            self.cfg.set(name, value, source=source)
        except Exception as error:
            if name not in self.cfg.settings:
                raise
            raise ConfigError(self.cfg.settings[name].blame(error, source)) from error

    def _apply_options(self, options: argparse.Namespace, where: str) -> None:
        for name, setting in self.cfg.settings.items():
            value = getattr(options, name)
            if value is None:
                continue
            self._apply(name, value, f"{setting.spelling} {where}")


def _place(location: str, names: Names, name: str) -> str:
    """Where a setting gets its value, in words."""
    line = names.lines.get(name)
    return f"the configuration file {location}" + (f", line {line}" if line else "")


class _ConfigLoader(importlib.machinery.SourceFileLoader):
    """Compiles the file each time: a cached form might be older than a change made within the same second,
    and nothing shall be written beside the user's file."""

    def get_code(self, fullname: str) -> CodeType:
        code = self.source_to_code(self.get_data(self.path), self.path)
        assert isinstance(code, CodeType)
        return code


def _config_module(path: str) -> ModuleType:
    """Execute a configuration file as the module `__config__`."""
    if not os.path.exists(path):
        raise ConfigError(f"{path!r} doesn't exist")
    loader: importlib.machinery.SourceFileLoader | importlib.machinery.SourcelessFileLoader
    extension = os.path.splitext(path)[1]
    if extension == ".pyc":
        loader = importlib.machinery.SourcelessFileLoader("__config__", path)
    else:
        loader = _ConfigLoader("__config__", path)
    if extension not in (".py", ".pyc"):
        print(_BAD_EXTENSION, file=sys.stderr)
    spec = importlib.util.spec_from_file_location("__config__", path, loader=loader)
    assert spec is not None  # because a loader is given
    module = importlib.util.module_from_spec(spec)
    # Pickling and dataclasses in the file look their module up by name.
    sys.modules["__config__"] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        raise ConfigFileError(f"Failed to read config file: {path}") from error
    return module


def _refuse(error: RuntimeError) -> None:
    _say(f"\nError: {error}\n\n")
    sys.exit(1)


def _traceback(error: BaseException | None) -> str:
    return "".join(traceback.format_exception(error)) if error else ""


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)
