"""Command lines become namespaces; what the arguments mean is read natively."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from rgunicorn import util
from rgunicorn._native import CommandLineEnd, parse_command_line
from rgunicorn.config.setting import Setting
from rgunicorn.errors import ConfigError


class CommandLineParser:
    """Reads command lines into namespaces with one attribute for each setting, None where not given."""

    def __init__(self, prog: str, settings: Mapping[str, Setting], usage: str | None = None) -> None:
        self.prog = prog
        #: As argparse has it, `%(prog)s` stands for the name.
        self.usage = (usage or "%(prog)s [OPTIONS] [APP_MODULE]") % {"prog": prog}
        self.settings = settings
        self._refuse_conflicts()

    def parse_args(self, args: Sequence[str] | None = None, origin: str | None = None) -> argparse.Namespace:
        """Read `args`, or the program's own. A mistake ends the program and is said to be in `origin`."""
        words = list(sys.argv[1:] if args is None else args)
        specs = [setting.spec for setting in self.settings.values()]
        try:
            line = parse_command_line(self.prog, self.usage, words, specs)
        except CommandLineEnd as end:
            status, text = end.args
            self._exit(status, text, origin)
        options = argparse.Namespace(**dict.fromkeys(self.settings, None))
        for name, given in line.given:
            setattr(options, name, self._value(self.settings[name], given, origin))
        options.args = line.positionals
        return options

    def error(self, message: str, origin: str | None = None) -> NoReturn:
        """End the program because of a mistake on its command line."""
        self._exit(2, f"usage: {self.usage}\n{self.prog}: error: {message}\n", origin)

    def _refuse_conflicts(self) -> None:
        """A program may add settings, but none with the options of another."""
        owners = dict.fromkeys(("-h", "--help", "-v", "--version"), "the command itself")
        for name, setting in self.settings.items():
            for option in setting.cli or ():
                owner = owners.setdefault(option, name)
                if owner != name:
                    raise ConfigError(f"the option {option} of the setting {name} is that of {owner}")

    def _value(self, setting: Setting, given: object, origin: str | None) -> object:
        try:
            return setting.from_command_line(given)
        except (TypeError, ValueError, argparse.ArgumentTypeError):
            kind = getattr(setting.type, "__name__", "") or "text"
            self.error(f"argument {setting.spelling}: invalid {kind} value: {given!r}", origin)

    def _exit(self, status: int, text: str, origin: str | None) -> NoReturn:
        if status and origin:
            text = text.replace(": error: ", f": error: in {origin}: ", 1)
        if status:
            print(text, end="", file=sys.stderr, flush=True)
        else:
            util.print_out(text)
        sys.exit(status)
