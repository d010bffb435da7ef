"""The exceptions by which the server's parts tell each other that something cannot go on."""

from __future__ import annotations


class HaltServer(BaseException):
    """The arbiter shall stop everything and exit with `exit_status`.

    Not an `Exception`, so that no handler for ordinary failures swallows it.
    """

    def __init__(self, reason: str | None, exit_status: int = 1) -> None:
        super().__init__(reason, exit_status)
        self.reason = reason
        self.exit_status = exit_status

    def __str__(self) -> str:
        return f"<HaltServer {self.reason!r} {self.exit_status}>"


class ConfigError(Exception):
    """The configuration cannot be used; the text is the line that the user is shown."""


class ConfigFileError(ConfigError):
    """The configuration file raised an exception when it was executed: the `__cause__`."""


class AddressError(RuntimeError):
    """Nobody can listen where the configuration says; the text is the line that the user is shown."""


class AppImportError(Exception):
    """The application cannot be found where the user says it is."""


class RequestTimeout(BaseException):
    """The request has taken longer than `request_timeout`; its client has been answered already.

    Raised in the middle of the application, and by whatever of the request it uses later. Not an `Exception`:
    a handler for ordinary failures would answer in vain, or try the same thing again, and go on holding the
    thread.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or ("the request has taken longer than request_timeout",)))
