"""The workloads as data: what is asked of which application, and the answer that is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import apps

from .load import Load


@dataclass(frozen=True)
class Workload:
    """One workload. `throughput`: wrk alone; `slow` and `idle` bring clients of their own."""

    name: str
    title: str
    app: str = "apps:hello"
    body: bytes = apps.HELLO
    load: Load = field(default_factory=Load)
    access_log: bool = False
    kind: Literal["throughput", "slow", "idle"] = "throughput"


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
]
