"""The command `rgunicorn`: serves the WSGI application that the command line or `wsgi_app` names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from rgunicorn import util
from rgunicorn.app.base import Application
from rgunicorn.config import CommandLineParser
from rgunicorn.errors import ConfigError


class WSGIApplication(Application):
    """A WSGI application named by text: `MODULE`, `MODULE:NAME` or `MODULE:FACTORY(ARGUMENTS)`."""

    #: The application that the command line names, or a subclass; stronger than the setting `wsgi_app`.
    app_uri: str | None = None

    def init(
        self, parser: CommandLineParser, opts: argparse.Namespace, args: list[str]
    ) -> Mapping[str, Any] | None:
        """Remember which application the command line names."""
        self.app_uri = args[0] if args else None
        return {"default_proc_name": self.app_uri} if self.app_uri else None

    def load_config(self) -> None:
        """As every application, and an application there must be."""
        super().load_config()
        if not self._uri():
            raise ConfigError("No application module specified.")

    def load(self) -> Callable[..., Any]:
        """Import it."""
        return util.import_app(self._uri())

    def _uri(self) -> str:
        # Asked for each time: it goes with the configuration in force, also after a reload that failed.
        return self.app_uri or self.cfg.wsgi_app or ""


def run(prog: str | None = None) -> None:
    """Run the command. `prog` is its name in messages, if that is not the name it was started by."""
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog=prog).run()
