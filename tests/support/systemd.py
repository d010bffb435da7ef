"""The other end of NOTIFY_SOCKET: what systemd is told."""

from __future__ import annotations

import contextlib
import socket
import time


class Systemd:
    """Receives the messages of a service at `address`, a path or `@` and an abstract name."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def next(self, seconds: float = 20.0) -> dict[str, str]:
        """The next message, by name."""
        self.socket.settimeout(seconds)
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def wait_for(self, name: str, value: str | None = None, seconds: float = 20.0) -> list[dict[str, str]]:
        """Every message up to the first with `name`, and with `value` if that is given."""
        deadline = time.monotonic() + seconds
        found: list[dict[str, str]] = []
        while not found or name not in found[-1] or value not in (None, found[-1][name]):
            left = deadline - time.monotonic()
            assert left > 0, f"no {name}={value} in {found}"
            try:
                found.append(self.next(left))
            except TimeoutError:
                raise AssertionError(f"no {name}={value} in {found}") from None
        return found

    def drain(self) -> list[dict[str, str]]:
        """Every message that has come."""
        found = []
        with contextlib.suppress(TimeoutError):
            while True:
                found.append(self.next(0.001))
        return found

    def is_silent(self, seconds: float) -> bool:
        """Whether no message comes for so long."""
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        return False

    def fill(self) -> None:
        """Leaves no room for a message."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(BlockingIOError):
            sender.setblocking(False)
            sender.connect(self.socket.getsockname())
            while True:
                sender.send(b"x")

    def close(self) -> None:
        """Goes away."""
        self.socket.close()
