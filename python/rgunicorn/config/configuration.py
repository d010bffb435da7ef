"""The configuration: every setting as an attribute, and what follows from several of them."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import sys
from typing import Any

from rgunicorn import util
from rgunicorn._native import auto_workers, part_of_memory
from rgunicorn.config.command_line import CommandLineParser
from rgunicorn.config.setting import Setting, make_settings
from rgunicorn.errors import AddressError, ConfigError

DEFAULT_CONFIG_FILE = "gunicorn.conf.py"
CMD_ARGS = "GUNICORN_CMD_ARGS"

LOGGER = "rgunicorn.glogging.Logger"
STATSD_LOGGER = "rgunicorn.instrument.statsd.Statsd"
#: Texts that mean the server's own logger.
STOCK_LOGGERS = (None, "simple", "gunicorn.glogging.Logger", LOGGER)

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Config:
    """Every setting as an attribute, changed by `set` alone. Attributes of other names are free."""

    settings: dict[str, Setting]

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        self.settings = make_settings()
        self.usage = usage
        self.prog = prog or os.path.basename(sys.argv[0])
        # raw_env changes os.environ later; a reload starts again from here.
        self.env_orig = os.environ.copy()
        #: How the number of workers was found, if that was left to the server.
        self.workers_sum: str | None = None
        #: Bytes that a worker may have, 0 for any number.
        self.worker_memory = 0
        #: How they were found, if that was left to the server.
        self.worker_memory_sum: str | None = None
        self._networks: dict[str, list[_Network]] = {}

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
        """Check and set one setting.

        Raises AttributeError for an unknown name; ValueError, TypeError or ConfigError for a bad value.
        """
        if name not in self.settings:
            raise AttributeError(f"No configuration setting for: {name}")
        setting = self.settings[name]
        setting.set(value)
        setting.source = source
        setting.given = True
        self._networks.pop(name, None)

    def validate(self) -> None:
        """Look at the whole when every value is known. Raises ConfigError if it cannot be served."""
        for setting in self.settings.values():
            part = setting.missing_part(self.settings)
            if part:
                missing = f"{part} is not part of this version of rgunicorn"
                raise ConfigError(f"{missing} ({setting.name} from {setting.source})")
        self._count_workers()
        self._measure_memory()

    def _count_workers(self) -> None:
        workers = self.settings["workers"]
        if workers.value == "auto":
            several = not self._is_one_at_a_time(self._worker_uri)
            workers.value, calculation = auto_workers("/", _processors(), several)
            self.workers_sum = f"workers: auto = {calculation}"

    def _measure_memory(self) -> None:
        setting = self.settings["max_worker_memory"]
        self.worker_memory, self.worker_memory_sum = 0, None
        if not isinstance(setting.value, str):
            self.worker_memory = setting.value or 0
            return
        found = part_of_memory("/", setting.value)
        if found is None:
            unknown = f"max_worker_memory = {setting.value} (from {setting.source})"
            raise ConfigError(f"{unknown}: this system does not tell how much memory there is")
        self.worker_memory = found[0]
        part, whole = (f"{size / 2**20:.1f} MiB" for size in found)
        self.worker_memory_sum = f"max_worker_memory: {setting.value} = {part} of {whole}"

    def parser(self) -> CommandLineParser:
        """What reads command lines for these settings."""
        return CommandLineParser(self.prog, self.settings, self.usage)

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
            raise AddressError(f"{error} (bind from {bind.source})") from None

    @staticmethod
    def _is_one_at_a_time(uri: str | type) -> bool:
        name = uri if isinstance(uri, str) else uri.__name__
        return name == "sync" or name.endswith("SyncWorker")

    @property
    def _worker_uri(self) -> str | type:
        uri: str | type = self.settings["worker_class"].get()
        is_sync = isinstance(uri, str) and self._is_one_at_a_time(uri)
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
        worker_class = _loaded(uri, "gunicorn.workers", wanted)
        if hasattr(worker_class, "setup"):
            worker_class.setup()
        return worker_class

    @property
    def logger_class(self) -> Any:
        """The class of the logger, installed. Raises RuntimeError if there is none of that name."""
        named = self.settings["logger_class"]
        uri = named.get()
        if isinstance(uri, str | None) and uri in STOCK_LOGGERS:
            uri = LOGGER if self.settings["statsd_host"].get() is None else STATSD_LOGGER
        logger_class = _loaded(uri, "gunicorn.loggers", named)
        if hasattr(logger_class, "install"):
            logger_class.install()
        return logger_class

    @property
    def uid(self) -> int:
        """The user that workers run as."""
        return int(self.settings["user"].get())

    @property
    def gid(self) -> int:
        """The group that workers run as."""
        return int(self.settings["group"].get())

    @property
    def is_ssl(self) -> bool:
        """Whether connections are encrypted."""
        return bool(self.settings["certfile"].get() or self.settings["keyfile"].get())

    @property
    def ssl_options(self) -> dict[str, Any]:
        """The settings of the section SSL."""
        return {name: setting.get() for name, setting in self.settings.items() if setting.section == "SSL"}

    @property
    def reuse_port(self) -> bool:
        """Whether each worker opens listeners of its own."""
        return bool(self.settings["reuse_port"].get())

    @property
    def paste_global_conf(self) -> dict[str, str]:
        """The variables of the PasteDeploy file. Raises RuntimeError."""
        pairs = self._pairs("raw_paste_global_conf", r"(?<!\\)=")
        return {name.replace("\\=", "="): value.replace("\\=", "=") for name, value in pairs.items()}

    def forwarded_allow_networks(self) -> list[_Network]:
        """The networks of `forwarded_allow_ips`; `*` is none of them."""
        return self._allowed("forwarded_allow_ips")

    def proxy_allow_networks(self) -> list[_Network]:
        """The networks of `proxy_allow_ips`; `*` is none of them."""
        return self._allowed("proxy_allow_ips")

    def _allowed(self, name: str) -> list[_Network]:
        if name not in self._networks:
            entries = (entry for entry in self.settings[name].get() if entry != "*")
            self._networks[name] = [ipaddress.ip_network(entry) for entry in entries]
        return self._networks[name]

    def _pairs(self, name: str, separator: str) -> dict[str, str]:
        """The entries `NAME=VALUE` of a setting."""
        pairs = {}
        for entry in self.settings[name].get():
            parts = re.split(separator, entry, maxsplit=1)
            if len(parts) != 2:
                source = self.settings[name].source
                raise RuntimeError(f"environment setting {entry!r} invalid ({name} from {source})")
            pairs[parts[0]] = parts[1]
        return pairs

    @property
    def env(self) -> dict[str, str]:
        """The environment variables to set for the application. Raises RuntimeError."""
        return self._pairs("raw_env", "=")

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


def _loaded(uri: str | type, group: str, setting: Setting) -> Any:
    try:
        return util.load_class(uri, section=group)
    except RuntimeError as error:
        raise RuntimeError(f"{error} ({setting.name} from {setting.source})") from None


def _processors() -> int:
    """The processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def get_default_config_file() -> str | None:
    """The configuration file that is read when none is named, if it is there."""
    path = os.path.join(os.path.abspath(os.getcwd()), DEFAULT_CONFIG_FILE)
    return path if os.path.exists(path) else None


def _shown(value: object) -> object:
    """A value in the print of the configuration: callables by their name."""
    return f"<{getattr(value, '__qualname__', value)}()>" if callable(value) else value
