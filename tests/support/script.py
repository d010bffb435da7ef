"""A program of the user's own that runs the server: `python script.py`, or `python -m MODULE`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from .server import Server


class Script(Server):
    """Runs `source` as script.py, or `module` beside it. The address to listen on is in the variable BIND."""

    def __init__(
        self,
        source: str,
        *arguments: str,
        module: str | None = None,
        kind: str = "tcp",
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("", kind=kind)
        (self.directory / "script.py").write_text(source)
        self.files = self._files()
        self.arguments = ["script.py", *arguments] if module is None else ["-m", module, *arguments]
        self.env = {**self.env, "BIND": self.binds[0], **(env or {})}

    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, *self.arguments]

    def wanted_workers(self) -> int:
        """The number that the variable WORKERS says, else one."""
        return int(self.env.get("WORKERS", 1))
