"""Requests that take seconds, beside those that are timed; and what sleeping threads reach by themselves."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from apps import HELLO, LONG, SLEEP

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 2
# How long one of them may take.
SECONDS = LONG + 5

# As many threads as given sleep as the application does, for so many seconds: how often a second?
ALONE = """
import sys, threading, time
threads, seconds, pause = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
done = [0] * threads
def run(index):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(pause)
        done[index] += 1
began = time.monotonic()
running = [threading.Thread(target=run, args=[index]) for index in range(threads)]
for thread in running:
    thread.start()
for thread in running:
    thread.join()
print(sum(done) / (time.monotonic() - began))
"""


class LongRequests:
    """Threads that ask for a long request again and again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.failed = 0
        self.ending = False
        for _ in range(COUNT):
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self.ending:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
            with contextlib.closing(connection):
                try:
                    connection.request("GET", "/long")
                    is_right = connection.getresponse().read() == HELLO
                except (OSError, http.client.HTTPException):
                    is_right = False
            # What ends with the server at the end of a run is no failure.
            if not is_right and not self.ending:
                self.failed += 1
                return


@contextlib.contextmanager
def long_requests(port: int) -> Iterator[LongRequests]:
    """`COUNT` of them at any time; they are left to the end of the server."""
    requests = LongRequests(port)
    try:
        yield requests
    finally:
        requests.ending = True


def threads_alone(threads: int, seconds: int, core: int) -> float:
    """How often a second so many threads of Python sleep, on that core and without a server."""
    argv = ["taskset", "-c", str(core), sys.executable, "-c", ALONE, str(threads), str(seconds), str(SLEEP)]
    return float(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout)
