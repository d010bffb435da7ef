"""One measurement: a server is started, its answer asserted, then timed, then ended."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from apps import SLEEP

from .answer import WrongAnswer, check
from .idle import COUNT, NotHeld, idle_connections, still_open
from .load import Counts, LoadFailed, run_wrk
from .long import long_requests, threads_alone
from .process import TICK_US, Running, ServerFailed, running
from .servers import Server
from .slow import UNANSWERED, slow_clients
from .workloads import Workload

SETTLE_SECONDS = 0.5
# A figure made of fewer clock ticks than this (1 s of CPU) is too coarse to publish.
FEWEST_TICKS = 100


@dataclass(frozen=True)
class Plan:
    """How long each run of wrk lasts, and which core has what."""

    seconds: int
    warmup: int
    server_core: int = 0
    load_core: int = 1


@dataclass(frozen=True)
class Sample:
    """What one measurement gave: figures by name, or why there are none."""

    server: str
    workload: str
    round: int
    figures: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def ok(self) -> bool:
        """Were there figures?"""
        return bool(self.figures)


def measure(server: Server, workload: Workload, plan: Plan, number: int) -> Sample:
    """Measure once; a server that cannot do the workload gives a sample with a note."""
    if workload.access_log and server.logging is None:
        return Sample(server.name, workload.name, number, note="has no access log")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as name,
            running(server, workload, plan.server_core, Path(name)) as it,
        ):
            figures, note = METHODS[workload.kind](it, workload, plan)
    except (ServerFailed, WrongAnswer, NotHeld, LoadFailed, OSError) as error:
        return Sample(server.name, workload.name, number, note=str(error))
    return Sample(server.name, workload.name, number, figures, note)


def _throughput(it: Running, workload: Workload, plan: Plan) -> tuple[dict[str, float], str]:
    answer = check(it.port, workload.load, workload.body)
    run_wrk(workload.load, it.port, plan.warmup, plan.load_core)
    before = it.cpu()
    counts = run_wrk(workload.load, it.port, plan.seconds, plan.load_core)
    used = it.cpu().since(before)
    _assert_counts(counts, workload)
    if workload.access_log:
        _assert_logged(it, counts)
    figures = {
        **asdict(counts),
        "per_second": counts.per_second,
        "errors": counts.errors,
        "user_us": used.user / counts.requests,
        "system_us": used.system / counts.requests,
        "user_error_us": _sampling_error(used.user, used.system) / counts.requests,
        "cpu_share": (used.user + used.system) / counts.duration_us,
    }
    notes = [] if answer.keep_alive or workload.load.close else ["closes after each answer"]
    if answer.framing == "close":
        notes.append("body ends with the connection")
    if (used.user + used.system) / TICK_US < FEWEST_TICKS:
        notes.append("CPU too coarse: run longer")
    if counts.errors - counts.read > 0:
        notes.append(f"{counts.errors - counts.read} errors")
    return figures, "; ".join(notes)


def _slow(it: Running, workload: Workload, plan: Plan) -> tuple[dict[str, float], str]:
    check(it.port, workload.load, workload.body)
    run_wrk(workload.load, it.port, plan.warmup, plan.load_core)
    alone = run_wrk(workload.load, it.port, plan.seconds, plan.load_core)
    with slow_clients(it.port) as clients:
        time.sleep(SETTLE_SECONDS)
        beside = run_wrk(workload.load, it.port, plan.seconds, plan.load_core)
        left = still_open(clients[:UNANSWERED])
    figures = {
        "alone_per_second": alone.per_second,
        "alone_p99_us": alone.p99_us,
        "per_second": beside.per_second,
        "timeouts": beside.timeout,
        "still_open": left,
    }
    if not beside.requests:
        return figures, "no fast client was answered"
    return {**figures, "p99_us": beside.p99_us, "max_us": beside.max_us}, ""


def _idle(it: Running, workload: Workload, plan: Plan) -> tuple[dict[str, float], str]:
    if not check(it.port, workload.load, workload.body).keep_alive:
        raise NotHeld("closes after each answer")
    run_wrk(workload.load, it.port, plan.warmup, plan.load_core)
    without = run_wrk(workload.load, it.port, plan.seconds, plan.load_core)
    memory = it.private_kib()
    with idle_connections(it.port, workload.body) as connections:
        time.sleep(SETTLE_SECONDS)
        grown = it.private_kib() - memory
        beside = run_wrk(workload.load, it.port, plan.seconds, plan.load_core)
        held = still_open(connections)
    after = run_wrk(workload.load, it.port, plan.seconds, plan.load_core)
    alone = (without.per_second + after.per_second) / 2
    figures = {
        "grown_mib": grown / 1024,
        "alone_per_second": alone,
        "per_second": beside.per_second,
        "kept_share": beside.per_second / alone if alone else math.nan,
        "held": held,
    }
    return figures, "" if held == COUNT else f"only {held} of {COUNT} held"


def _sleep(it: Running, workload: Workload, plan: Plan) -> tuple[dict[str, float], str]:
    """Beside what so many threads can reach, and beside what they reach here without any server."""
    check(it.port, workload.load, workload.body)
    run_wrk(workload.load, it.port, plan.warmup, plan.load_core)
    most = threads_alone(workload.threads, plan.warmup, plan.server_core)
    counts = run_wrk(workload.load, it.port, plan.seconds, plan.load_core)
    _assert_counts(counts, workload)
    ideal = workload.threads / SLEEP
    figures = {
        "per_second": counts.per_second,
        "share": counts.per_second / ideal,
        "alone_per_second": most,
        "p50_us": counts.p50_us,
        "p99_us": counts.p99_us,
        "p99_ratio": counts.p99_us / 1e6 / (workload.load.connections / ideal),
    }
    return figures, f"{counts.errors} errors" if counts.errors else ""


def _mixed(it: Running, workload: Workload, plan: Plan) -> tuple[dict[str, float], str]:
    check(it.port, workload.load, workload.body)
    with long_requests(it.port) as long:
        time.sleep(SETTLE_SECONDS)
        counts = run_wrk(workload.load, it.port, plan.seconds, plan.load_core)
        failed = long.failed
    figures = {"per_second": counts.per_second, "timeouts": counts.timeout}
    if not counts.requests:
        return figures, "no short request was answered"
    _assert_counts(counts, workload)
    figures |= {"p50_us": counts.p50_us, "p99_us": counts.p99_us, "max_us": counts.max_us}
    return figures, f"{failed} long requests failed" if failed else ""


METHODS = {"throughput": _throughput, "slow": _slow, "idle": _idle, "sleep": _sleep, "mixed": _mixed}


def _assert_counts(counts: Counts, workload: Workload) -> None:
    if not counts.requests:
        raise LoadFailed(f"no request was answered ({counts.errors} errors)")
    if counts.status:
        raise LoadFailed(f"{counts.status} answers with a wrong status")
    if counts.bytes < counts.requests * len(workload.body):
        raise LoadFailed("answers are shorter than they must be")


def _assert_logged(it: Running, counts: Counts) -> None:
    """A log that is not written costs nothing. wrk does not count what it drops at its end."""
    files = [path for path in (it.access_log, it.output) if path is not None and path.exists()]
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    if lines < counts.requests:
        raise WrongAnswer(f"{lines} log lines for {counts.requests} requests")


def _sampling_error(user_us: float, system_us: float) -> float:
    """The standard error of `user_us`: the kernel splits exact CPU time by what its tick met."""
    total = user_us + system_us
    if not total:
        return math.nan
    share, ticks = user_us / total, total / TICK_US
    return total * math.sqrt(share * (1 - share) / ticks)
