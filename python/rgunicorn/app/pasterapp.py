"""Applications of PasteDeploy files, and the server that a file names by `use = egg:rgunicorn#main`."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Mapping
from typing import Any

from paste.deploy import loadapp  # type: ignore[import-untyped]

from rgunicorn.app.wsgiapp import WSGIApplication
from rgunicorn.config import get_default_config_file


def get_wsgi_app(
    config_uri: str, name: str | None = None, defaults: Mapping[str, str] | None = None
) -> Callable[..., Any]:
    """The application that a PasteDeploy file (`PATH`, `PATH#NAME` or `config:PATH`) makes.

    `defaults` are variables that it may use.
    """
    uri = config_uri if ":" in config_uri else f"config:{config_uri}"
    app: Callable[..., Any] = loadapp(uri, name=name, relative_to=os.getcwd(), global_conf=defaults)
    return app


def has_logging_config(config_file: str) -> bool:
    """Whether the file also sets up Python's logging."""
    parser = configparser.ConfigParser()
    parser.read([config_file])
    return parser.has_section("loggers")


def serve(app: Callable[..., Any], global_conf: Mapping[str, str], **local_conf: Any) -> None:
    """Serve `app` with the settings of a section `[server:...]`: an entry point of `paste.server_runner`.

    `host` and `port` together, or `host` alone (several, separated by commas), say where to listen. `config`
    is the configuration file, which is weaker than the section. The command line is not read.
    """
    _PasteServer.app = staticmethod(app)
    _PasteServer.file = global_conf["__file__"]
    _PasteServer.section = local_conf
    _PasteServer(prog="rgunicorn").run()


class _PasteServer(WSGIApplication):
    """An application that the caller has loaded, with settings from a section of its file."""

    app: Callable[..., Any]
    file: str
    section: Mapping[str, Any]

    def load_config(self) -> None:
        """Apply the file's own settings, the weakest first."""
        self.cfg.set("default_proc_name", self.file)
        if has_logging_config(self.file):
            self.cfg.set("logconfig", self.file)
        section = dict(self.section)
        location = section.pop("config", None) or get_default_config_file()
        if location:
            self.load_config_from_file(location)
        for name, value in _with_bind(section).items():
            if value is not None:
                self._apply(name.lower(), value, f"the section of the server in {self.file}")

    def load(self) -> Callable[..., Any]:
        """The application that was given."""
        return self.app


def _with_bind(section: dict[str, Any]) -> dict[str, Any]:
    """The settings of the section, `host` and `port` being one of them."""
    host, port = section.pop("host", ""), section.pop("port", "")
    if host and port:
        section["bind"] = f"{host}:{port}"
    elif host:
        section["bind"] = host.split(",")
    return section
