"""The commands in examples/deploy, run as they stand there."""

from __future__ import annotations

import json
import random
import re
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .server import EXAMPLES, Server

DEPLOY = EXAMPLES / "deploy"

#: The application that all of them name.
SHOP = """
import json, os

def app(environ, start_response):
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    body = json.dumps({"pid": os.getpid(), **seen}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


class Deployed(Server):
    """A command, word by word, in the directory of the application. `env` is added to the environment."""

    def __init__(
        self, words: Sequence[str], env: Mapping[str, str] | None = None, descriptors: Sequence[int] = ()
    ) -> None:
        super().__init__("shop:app", env={"WEB_CONCURRENCY": "2", **(env or {})})
        program, *arguments = words
        assert Path(program).name == "rgunicorn"
        self.words = [str(Path(sys.executable).with_name("rgunicorn")), *arguments]
        self.descriptors = list(descriptors)
        (self.directory / "shop.py").write_text(SHOP)
        shutil.copy(DEPLOY / "gunicorn.conf.py", self.directory)
        self.files = self._files()

    def command(self) -> list[str]:
        """The command line."""
        return [*self.prefix, *self.words]

    def wanted_workers(self) -> int:
        """What the platform says."""
        return int(self.env["WEB_CONCURRENCY"])


def setting(name: str) -> int:
    """A number in the configuration that all of them share."""
    (found,) = re.findall(rf"^{name} = (\d+)$", (DEPLOY / "gunicorn.conf.py").read_text(), re.MULTILINE)
    return int(found)


def flag(words: Sequence[str], name: str) -> int:
    """The number behind a flag of a command."""
    return int(words[list(words).index(name) + 1])


def free_port() -> int:
    """A port that nobody has, and that the kernel gives to nobody by itself."""
    while True:
        port = random.randint(20_000, 29_999)
        with socket.socket() as trial:
            try:
                trial.bind(("0.0.0.0", port))
            except OSError:
                continue
        return port


def dockerfile() -> list[tuple[str, str]]:
    """The instructions of the last stage, each with its text."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]
    last = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


def instruction(name: str) -> str:
    """The text of the only instruction of that name."""
    (found,) = [text for each, text in dockerfile() if each == name]
    return found


def entrypoint() -> list[str]:
    """The words of ENTRYPOINT, which must be a list: a text would be run by a shell."""
    words = json.loads(instruction("ENTRYPOINT"))
    assert isinstance(words, list)
    return words
