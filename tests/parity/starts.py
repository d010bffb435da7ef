"""Starts that fail, and commands that end at once: what is given, and the rows for what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

APP = """
def application(environ, start_response):
    return []

def factory(one):
    return application

def broken():
    raise TypeError("inside")

def nothing():
    return None

def number():
    return 1

value = 1
"""


@dataclass(frozen=True)
class Start:
    """One command line. `rows`: why a part (`status`, `stdout`, `lines`) differs."""

    name: str
    arguments: list[str]
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)


def app(uri: str, *flags: str, **rows: str) -> Start:
    """A start with this application."""
    return Start(f"the application {uri} {' '.join(flags)}".strip(), [*flags, uri], rows=rows)


def flags(*arguments: str, env: Mapping[str, str] | None = None, **rows: str) -> Start:
    """A start of an application that is there, with these flags."""
    given = " ".join([*(f"{key}={value}" for key, value in (env or {}).items()), *arguments])
    return Start(given, [*arguments, "app"], env=env or {}, rows=rows)


def config(text: str, **rows: str) -> Start:
    """A start with this configuration file."""
    return Start(f"the file {text!r}", ["app"], {"gunicorn.conf.py": text}, rows=rows)


def module(text: str, *arguments: str, **rows: str) -> Start:
    """A start of a module of this text."""
    name = f"the module {text!r} {' '.join(arguments)}".strip()
    return Start(name, [*arguments, "broken"], {"broken.py": text}, rows=rows)


STARTS = [
    # The command line
    Start("nothing", []),
    Start("--version", ["--version"], rows={"stdout": "names"}),
    flags("--nosuch"),
    flags("--timeout"),
    flags("--timeout", "x"),
    flags("--t", "5"),
    flags("--workers=-1"),
    flags("--check-config"),
    Start("a second positional", ["--check-config", "app", "foo"]),
    Start("a positional behind a flag", ["app", "--check-config", "foo"]),
    flags("--check-config", env={"GUNICORN_CMD_ARGS": "--nosuch"}),
    flags("--check-config", env={"GUNICORN_CMD_ARGS": "--workers 'x"}),
    flags("--check-config", env={"GUNICORN_CMD_ARGS": "foo bar"}),
    flags("--check-config", env={"GUNICORN_CMD_ARGS": "--workers -1"}),
    flags("--check-config", env={"WEB_CONCURRENCY": "x"}, lines="web-concurrency"),
    flags("--check-config", env={"WEB_CONCURRENCY": "-3"}),
    flags("--check-config", env={"WEB_CONCURRENCY": ""}, lines="web-concurrency"),
    flags("--check-config", env={"FORWARDED_ALLOW_IPS": "x"}),
    flags("--config", "nosuch.py"),
    flags("--config", "python:nosuch"),
    flags("--config", "file:nosuch.py"),
    flags("--chdir", "nosuch"),
    flags("--user", "nosuchuser"),
    flags("--group", "nosuchgroup"),
    flags("--worker-class", "nosuch", lines="class-traceback"),
    flags("--worker-class", "nosuch.module.Worker", lines="class-traceback"),
    flags("--logger-class", "nosuch.Logger", lines="class-traceback"),
    flags("--env", "NOEQUALS"),
    flags("--proxy-protocol", "app"),
    flags("--reload-extra-file", "nosuch"),
    # The configuration file
    config("workers = -1"),
    config("workers = 'x'"),
    config("post_fork = len"),
    config("post_fork = 'nosuch.hook'"),
    config("header_map = 'x'"),
    config("1/0"),
    config("syntax error"),
    config("import nosuch"),
    config("raise SystemExit(7)"),
    # The application
    app("nosuch"),
    app("nosuch:app"),
    app("app:nosuch"),
    app("app:"),
    app("app:a.b"),
    app("app:a.b()"),
    app("app:1"),
    app("app:value"),
    app("app:factory()"),
    app("app:factory(1, 2)"),
    app("app:factory(open)"),
    app("app:factory(*[1])"),
    app("app:broken()"),
    app("app:nothing()"),
    app("app:number()"),
    app(":application"),
    app("app.py"),
    app("package/app"),
    module("1/0"),
    module("syntax error"),
    module("import nosuch"),
    module("raise ImportError('on purpose')"),
    module("1/0", "--preload"),
    module("raise RuntimeError('on purpose')", "--preload"),
    module("raise SystemExit(9)", "--preload"),
    module("1/0", "--check-config"),
    module("raise SystemExit(9)", "--check-config"),
    app("app:nosuch", "--preload"),
    app("nosuch", "--preload"),
    app("nosuch", "--check-config"),
    # Sockets
    flags("--bind", "127.0.0.1:x"),
    flags("--bind", "127.0.0.1:"),
    flags("--bind", "127.0.0.1:70000", lines="bad-places"),
    flags("--bind", "fd://x"),
    flags("--bind", "fd://99", lines="bad-places"),
    flags("--bind", "unix:app.py", lines="bad-places"),
    flags("--bind", "unix:/nosuch/socket"),
    flags("--bind", "127.0.0.1:0", "--bind", "IN_USE"),
    flags("--check-config", env={"PORT": ""}),
    flags("--certfile", "/nosuch", lines="tls"),
    # Logs and files
    flags("--error-logfile", "/nosuch/log"),
    flags("--access-logfile", "/nosuch/log"),
    flags("--log-config", "/nosuch"),
    flags("--log-syslog", "--log-syslog-facility", "nosuch"),
    flags("--log-syslog", "--log-syslog-to", "nosuch"),
    flags("--statsd-host", "h:x"),
    flags("--pid", "/nosuch/pid"),
    flags("--pid", "RUNNING"),
    # Hooks
    *(
        config(f"def {name}({parameters}):\n    raise RuntimeError('on purpose')", **rows)
        for name, parameters, rows in (
            ("on_starting", "server", {}),
            ("when_ready", "server", {}),
            ("pre_fork", "server, worker", {"lines": "raising-hooks"}),
            ("post_fork", "server, worker", {}),
            ("post_worker_init", "worker", {}),
            ("nworkers_changed", "server, new, old", {}),
        )
    ),
]
