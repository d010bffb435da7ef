"""From the keyword arguments of a program to a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rgunicorn._native import setting_meant
from rgunicorn.config import Config
from rgunicorn.errors import ConfigError

#: Sections of settings about what a server inside a program has not: an arbiter, processes, a file.
_OTHER_SECTIONS = ("Config File", "Control", "Debugging", "Dirty Arbiters", "Dirty Arbiter Hooks")
#: Hooks and settings like that, of other sections.
_OTHER_SETTINGS = frozenset(
    (
        *("asgi_disconnect_grace_period", "asgi_lifespan", "asgi_loop", "websocket_max_message_size"),
        *("max_requests", "max_requests_jitter", "timeout", "worker_class", "workers"),
        *("max_worker_lifetime", "max_worker_lifetime_jitter", "max_worker_memory"),
        *("ready_path", "reload_surge", "shutdown_delay", "touch_reload"),
        *("chdir", "daemon", "group", "initgroups", "paste", "pidfile", "preload_app", "pythonpath"),
        *("raw_env", "raw_paste_global_conf", "root_path", "user", "worker_tmp_dir"),
        *("capture_output", "enable_backlog_metric", "enable_stdio_inheritance"),
        "default_proc_name",
    )
)
_HOOKS = ("pre_request", "post_request", "ssl_context")


def configuration(given: Mapping[str, Any]) -> Config:
    """The configuration of a server with these settings, by name.

    TypeError: there is no setting of that name, or it is about processes. ValueError: a value is bad.
    """
    try:
        cfg = Config(prog="rgunicorn")
        _apply(cfg, given)
        cfg.validate()
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return cfg


def _apply(cfg: Config, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in cfg.settings:
            meant = setting_meant(name)
            hint = f"; did you mean {meant!r}?" if meant else ""
            raise TypeError(f"rgunicorn has no setting {name!r}{hint}")
        if not applies(cfg, name):
            raise TypeError(f"{name!r} is for the command rgunicorn: this server is a part of its program")
        try:
            cfg.set(name, value, "the program")
        except (ValueError, TypeError, ConfigError) as error:
            raise ValueError(cfg.settings[name].blame(error, "the program")) from None
    if cfg.threads < 1:
        raise ValueError(f"threads is to be 1 or more, not {cfg.threads}")


def applies(cfg: Config, name: str) -> bool:
    """Whether a setting means something to a server inside a program."""
    setting = cfg.settings[name]
    if setting.spec.is_hook:
        return name in _HOOKS
    return setting.section not in _OTHER_SECTIONS and name not in _OTHER_SETTINGS
