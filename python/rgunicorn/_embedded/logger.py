"""How a server inside a program logs: with the program's own logging, unless its settings say otherwise."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, cast

from rgunicorn.glogging import Logger

if TYPE_CHECKING:
    from rgunicorn.config import Config

ERROR = "rgunicorn.error"
ACCESS = "rgunicorn.access"


class ProgramLogger(Logger):
    """Gives no logger a level or a handler: the program has that in its hands.

    Errors, and what is told of the server's life, go to the logger `rgunicorn.error`. Requests go to
    `rgunicorn.access` if the program has set its level.
    """

    def __init__(self, cfg: Config) -> None:
        self.error_log = logging.getLogger(ERROR)
        self.access_log = logging.getLogger(ACCESS)
        self.error_handlers = []
        self.access_handlers = []
        self.logfile = None
        self.lock = threading.Lock()
        self.setup(cfg)

    def setup(self, cfg: Config) -> None:
        """Looks whether requests are to be logged."""
        self.cfg = cfg
        self._access_log_enabled = self.access_log.level != logging.NOTSET


def make(cfg: Config, *, is_script: bool) -> Logger:
    """The logger for a configuration. RuntimeError: a file cannot be written, or a class is not there.

    With any of the settings about logs it is the one that the command would have. So it is for a script that
    has no handlers: whoever starts it wants to see where it listens.
    """
    is_told = any(setting.given for setting in cfg.settings.values() if setting.section == "Logging")
    if is_told or (is_script and not logging.getLogger(ERROR).hasHandlers()):
        return cast(Logger, cfg.logger_class(cfg))
    return ProgramLogger(cfg)
