"""The command run to its end in a directory of its own: for what ends before anything is served."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Project:
    """A directory with files, and the environment of the commands that run in it."""

    directory: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """Makes a file, and the directories that it needs."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "rgunicorn"),
    ) -> subprocess.CompletedProcess[str]:
        """Runs `rgunicorn ARGUMENTS`, or another program of Python's, and waits for its end."""
        base = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.directory,
            env={**base, **self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def settings(self, *arguments: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Every setting as the command prints it."""
        done = self.run("--print-config", *arguments, env=env)
        assert done.returncode == 0, done.stderr
        lines = (line.partition(" = ") for line in done.stdout.splitlines())
        return {name.strip(): value for name, _, value in lines}

    def refusal(self, *arguments: str, status: int = 1, env: Mapping[str, str] | None = None) -> str:
        """What a start that must fail says on standard error."""
        done = self.run(*arguments, env=env)
        assert done.returncode == status, done.stderr
        assert done.stdout == ""
        return done.stderr
