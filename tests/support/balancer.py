"""nginx and HAProxy, run with the files that are shipped in examples/deploy."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from .processes import wait_for
from .server import LIBC, PR_SET_PDEATHSIG
from .wire import Address, Connection, Response

DEPLOY = Path(__file__).parents[2] / "examples" / "deploy"

#: What a file of nginx's conf.d is included in.
NGINX = """
{user}
daemon off;
pid nginx.pid;
worker_processes 2;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path client;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include shop.conf;
}}
"""


class Balancer:
    """A balancer in the foreground, in a directory of its own. `substitutes` go into the shipped file."""

    PROGRAM = ""
    FILE = ""
    #: How it is told to end.
    END = signal.SIGTERM

    def __init__(self, address: Address, substitutes: dict[str, str]) -> None:
        if self.program is None:
            pytest.skip(f"{self.PROGRAM} is not installed")
        self.address = address
        self.home = Path(tempfile.mkdtemp(prefix="rg-balancer-"))
        text = (DEPLOY / self.FILE).read_text()
        for old, new in substitutes.items():
            assert old in text, f"{self.FILE} has no {old!r}"
            text = text.replace(old, new)
        self.prepare(text)
        self.log = self.home / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
            )
        wait_for(self.listens, f"{self.PROGRAM} to listen")

    @property
    def program(self) -> str | None:
        """The command's path."""
        # Debian has both where only root looks.
        return shutil.which(self.PROGRAM, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")

    def prepare(self, text: str) -> None:
        """Writes the files that `command` needs."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The command line."""
        raise NotImplementedError

    def listens(self) -> bool:
        """Whether it has begun."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            Connection(self.address).close()
        except ConnectionRefusedError:
            return False
        return True

    def stop(self) -> None:
        """Ends it, and removes its directory."""
        self.process.send_signal(self.END)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            shutil.rmtree(self.home, ignore_errors=True)

    def get(self, target: str, *headers: str) -> Response:
        """One request on a connection of its own."""
        lines = [f"GET {target} HTTP/1.1", "Host: shop.example", "Connection: close", *headers]
        with Connection(self.address) as connection:
            return connection.request("".join(f"{line}\r\n" for line in [*lines, ""]).encode())


class Nginx(Balancer):
    """nginx with the file as one of its conf.d."""

    PROGRAM = "nginx"
    FILE = "nginx.conf"

    def prepare(self, text: str) -> None:
        """Writes the file, and one that includes it."""
        (self.home / "shop.conf").write_text(text)
        # Its processes are to reach the sockets of the tests.
        user = "user root;" if os.getuid() == 0 else ""
        (self.home / "nginx.conf").write_text(NGINX.format(user=user))

    def command(self) -> list[str]:
        """The command line."""
        return [str(self.program), "-p", str(self.home), "-c", str(self.home / "nginx.conf")]


class Haproxy(Balancer):
    """HAProxy with the file as its own."""

    PROGRAM = "haproxy"
    FILE = "haproxy.cfg"

    def prepare(self, text: str) -> None:
        """Writes the file, with a path of its own for the socket of its operators."""
        assert "/run/haproxy/" in text
        text = text.replace("/run/haproxy/", f"{self.home}/")
        if os.getuid() != 0:
            text = re.sub(r"^    (user|group) .*\n", "", text, flags=re.MULTILINE)
        (self.home / self.FILE).write_text(text)

    def command(self) -> list[str]:
        """The command line: without `-db` it might go to the background."""
        return [str(self.program), "-db", "-f", str(self.home / self.FILE)]

    def listens(self) -> bool:
        """Whether it has begun, for its operators too."""
        return super().listens() and (self.home / "admin.sock").exists()

    def states(self) -> dict[str, str]:
        """How HAProxy sees each instance, by name: UP, DOWN, or on the way."""
        with socket.socket(socket.AF_UNIX) as operator:
            operator.connect(str(self.home / "admin.sock"))
            operator.sendall(b"show stat\n")
            text = b""
            while data := operator.recv(1 << 16):
                text += data
        rows = csv.DictReader(text.decode().removeprefix("# ").strip().splitlines())
        return {row["svname"]: row["status"] for row in rows if row["svname"] not in ("FRONTEND", "BACKEND")}
