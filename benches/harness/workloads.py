"""The workloads as data: what is asked of which application, and the answer that is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import apps

from .load import Load
from .servers import PLAIN, members

Kind = Literal["throughput", "slow", "idle", "sleep", "mixed"]


# Twice as many as threads, so that none of these waits for a client.
SLEEP_CONNECTIONS = 8


@dataclass(frozen=True)
class Workload:
    """One workload. `throughput`: wrk alone; the other kinds are told apart in `measure.py`.

    `group` names the servers that do it, `threads` how many of theirs run the application.
    """

    name: str
    title: str
    app: str = "apps:hello"
    body: bytes = apps.HELLO
    load: Load = field(default_factory=Load)
    access_log: bool = False
    kind: Kind = "throughput"
    group: str = PLAIN
    threads: int = 1

    @property
    def reference(self) -> str:
        """The server that the others of its group are compared with."""
        return members(self.group)[0]


WORKLOADS = [
    Workload("hello", "hello, 13 bytes, keep-alive, 32 connections"),
    Workload("access-log", "hello with access log to a file", access_log=True),
    Workload("close", "one connection per request", load=Load(close=True)),
    Workload("big", "1 MiB response, 8 connections", "apps:big", apps.BIG, Load(connections=8)),
    Workload(
        "upload",
        "64 KiB upload, 8 connections",
        "apps:upload",
        b"65536",
        Load(connections=8, body=65536),
    ),
    Workload(
        "stream",
        "100 chunks of 1 KiB from a generator",
        "apps:stream",
        apps.CHUNK * apps.CHUNKS,
    ),
    Workload("flask", "Flask hello", "flask_app:app"),
    Workload(
        "slow-clients",
        "66 slow clients on one worker, then 8 fast ones",
        "apps:mixed",
        load=Load(connections=8),
        kind="slow",
    ),
    Workload("idle-10k", "hello beside 10,000 idle kept-alive connections", kind="idle"),
    Workload("gthread", "hello from 4 threads", group="threads", threads=4),
    Workload(
        "sleep",
        "an application that sleeps for 10 ms, on 4 threads, 8 connections",
        "apps:sleep",
        load=Load(connections=SLEEP_CONNECTIONS),
        kind="sleep",
        group="threads",
        threads=4,
    ),
    Workload(
        "mixed",
        "4 connections that ask for 5 ms beside two requests of 5 s, on 3 threads",
        "apps:long_or_short",
        load=Load(connections=4, path="/short"),
        kind="mixed",
        group="threads",
        threads=3,
    ),
    Workload("gevent", "hello from greenlets of gevent", group="gevent"),
    Workload("eventlet", "hello from greenlets of eventlet", group="eventlet"),
    Workload("tornado", "hello from tornado", group="tornado"),
]


def named(name: str) -> Workload:
    """The workload of that name."""
    return next(workload for workload in WORKLOADS if workload.name == name)
