"""The command `rgunicorn`: serves the WSGI application that the command line, `wsgi_app` or `paste` names."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from typing import Any

from rgunicorn import util
from rgunicorn.app.base import Application
from rgunicorn.config import CommandLineParser
from rgunicorn.errors import ConfigError


class WSGIApplication(Application):
    """A WSGI application: `MODULE`, `MODULE:NAME`, `MODULE:FACTORY(ARGUMENTS)` or a PasteDeploy file."""

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
        if self.cfg.paste is not None:
            self._use_paste_file()
        elif not self._uri():
            raise ConfigError("No application module specified.")

    def load(self) -> Callable[..., Any]:
        """Import it."""
        return self.load_wsgiapp() if self.cfg.paste is None else self.load_pasteapp()

    def load_wsgiapp(self) -> Callable[..., Any]:
        """The application that a text names."""
        return util.import_app(self._uri())

    def load_pasteapp(self) -> Callable[..., Any]:
        """The application of the PasteDeploy file."""
        from rgunicorn.app.pasterapp import get_wsgi_app

        return get_wsgi_app(self._paste_uri(), defaults=self.cfg.paste_global_conf)

    def _uri(self) -> str:
        # Asked for each time: it goes with the configuration in force, also after a reload that failed.
        return self.app_uri or self.cfg.wsgi_app or ""

    def _paste_uri(self) -> str:
        """The absolute path of the PasteDeploy file, with `#NAME` where one of its applications is named."""
        return os.path.normpath(os.path.join(util.START_DIRECTORY, self.cfg.paste))

    def _use_paste_file(self) -> None:
        """What the file says of the server itself: weaker than every other source but the defaults."""
        from rgunicorn.app.pasterapp import has_logging_config

        path = self._paste_uri().partition("#")[0]
        if not os.path.exists(path):
            raise ConfigError(f"{path!r} not found")
        own = {"default_proc_name": path}
        if has_logging_config(path):
            own["logconfig"] = path
        for name, value in own.items():
            if self.app_uri or not self.cfg.settings[name].given:
                self.cfg.set(name, value, source=f"the PasteDeploy file {path}")


def run(prog: str | None = None) -> None:
    """Run the command. `prog` is its name in messages, if that is not the name it was started by."""
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog=prog).run()


if __name__ == "__main__":
    # `python -m rgunicorn.app.wsgiapp`, as some start it.
    run(prog="rgunicorn")
