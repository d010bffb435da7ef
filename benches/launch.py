"""Starts a peer that has no useful command of its own: `launch.py NAME PORT MODULE:APPLICATION`."""

from __future__ import annotations

import importlib
import sys


def main(name: str, port: int, target: str) -> None:
    """Serve `target` on loopback until killed."""
    module, _, attribute = target.partition(":")
    application = getattr(importlib.import_module(module), attribute)
    server = importlib.import_module(name)
    if name == "fastwsgi":
        server.server.backlog = 2048
        server.run(application, "127.0.0.1", port)
    elif name == "bjoern":
        server.run(application, "127.0.0.1", port, listen_backlog=2048)
    else:
        raise SystemExit(f"launch.py: no such server: {name}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
