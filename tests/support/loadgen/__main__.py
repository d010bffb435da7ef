"""The command: `python -m support.loadgen CONFIG`, where CONFIG is JSON:

    {"addresses": [["127.0.0.1", 5000], "/run/socket"], "patience": 20,
     "lanes": [{"style": "kept", "clients": 8, "rate": 60}]}

`rate` is that of all clients of the lane together, per second (of threes, for `pipelined`). It writes
`steady` when every client has had answers, goes on until its standard input ends, waits for what is out then,
and writes one line of JSON.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import sys
import time
from typing import Any

from .clients import Client
from .errand import STYLES, offsets
from .ledger import Ledger
from .link import Loop

#: Answers that every client must have had before the load counts as steady.
SETTLED = 2
#: Seconds between two looks at that.
LOOK = 0.05


class Run:
    """A run of the generator."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.loop = Loop()
        self.ledger = Ledger()
        self.patience = float(config.get("patience", 20.0))
        addresses = [each if isinstance(each, str) else (each[0], each[1]) for each in config["addresses"]]
        self.clients: list[Client] = []
        for lane in config["lanes"]:
            interval = lane["clients"] / lane["rate"]
            for offset in offsets(lane["clients"], interval):
                address = addresses[len(self.clients) % len(addresses)]
                style, first = STYLES[lane["style"]], self.ledger.began + 0.05 + offset
                self.clients.append(
                    Client(self.loop, self.ledger, style, address, first, interval, self.patience)
                )
        self.steady = False
        self.going = True
        self._look()
        self.loop.selector.register(sys.stdin, selectors.EVENT_READ, self._told)

    def _look(self) -> None:
        """Says that the load is steady, once it is."""
        if all(client.answers >= SETTLED for client in self.clients):
            print("steady", flush=True)
        else:
            self.loop.clock.at(time.monotonic() + LOOK, self._look)

    def _told(self) -> None:
        """Standard input has something: only its end counts."""
        if not os.read(0, 4096):
            self.loop.selector.unregister(sys.stdin)
            self.going = False

    def run(self) -> None:
        """Until the end of standard input, and of all that is out then."""
        while self.going:
            self.loop.turn()
        for client in self.clients:
            client.stop()
        while not all(client.is_done for client in self.clients):
            self.loop.turn(0.05)
        for client in self.clients:
            client.close()


def main() -> None:
    """Run what the argument says, and write what has happened."""
    config = json.loads(sys.argv[1])
    # Where it may: other processes are not to make it late.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    run = Run(config)
    gc.disable()
    run.run()
    json.dump(run.ledger.as_json(), sys.stdout)
    print(flush=True)


if __name__ == "__main__":
    main()
