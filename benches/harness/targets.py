"""What rgunicorn is to reach, checked against the medians of one run."""

from __future__ import annotations

from dataclasses import dataclass

from .results import Results
from .servers import REFERENCE
from .workloads import WORKLOADS

FASTEST_RATIO = 1.1
GUNICORN_RATIO = 12.0
HELLO_USER_US = 1.5
SLOW_P99_MS = 50.0
IDLE_MIB = 10.0
LOGGED_SHARE = 0.85
# Within the noise of a run of a few seconds.
IDLE_SHARE = 0.97


@dataclass(frozen=True)
class Target:
    """One target and what was reached."""

    text: str
    wanted: str
    reached: str
    met: bool


def targets(results: Results) -> list[Target]:
    """Every target that this run has figures for."""
    found = [_fastest(results), _gunicorn(results)]
    found += [_not_behind(results, name) for name in _throughput_names(results)]
    found += [
        _logged(results),
        _at_most(results, "user CPU per hello, us", "hello", "user_us", HELLO_USER_US),
        _at_most(results, "p99 beside slow clients, ms", "slow-clients", "p99_us", SLOW_P99_MS, 1e-3),
        _at_most(results, "10,000 idle connections, MiB", "idle-10k", "grown_mib", IDLE_MIB),
        _kept(results),
    ]
    return [target for target in found if target is not None]


def _closest_peer(results: Results, workload: str) -> tuple[str, float] | None:
    """The peer that does best beside rgunicorn, and rgunicorn's ratio to it."""
    peers = [name for name in results.servers(workload) if name != REFERENCE]
    ratios = [(name, results.advantage(name, workload)) for name in peers]
    known = [(name, ratio) for name, ratio in ratios if ratio is not None]
    return min(known, key=lambda pair: pair[1]) if known else None


def _fastest(results: Results) -> Target | None:
    closest = _closest_peer(results, "hello")
    if closest is None:
        return None
    name, ratio = closest
    text = f"hello beside the fastest peer ({name})"
    return Target(text, f">= {FASTEST_RATIO}", f"{ratio:.2f}", ratio >= FASTEST_RATIO)


def _gunicorn(results: Results) -> Target | None:
    ratio = results.advantage("gunicorn", "hello")
    if ratio is None:
        return None
    text = "hello beside Gunicorn sync"
    return Target(text, f">= {GUNICORN_RATIO:.0f}", f"{ratio:.1f}", ratio >= GUNICORN_RATIO)


def _not_behind(results: Results, workload: str) -> Target | None:
    closest = _closest_peer(results, workload)
    if closest is None:
        return None
    name, ratio = closest
    return Target(f"{workload}: no peer is ahead ({name})", ">= 1", f"{ratio:.2f}", ratio >= 1)


def _at_most(
    results: Results, text: str, workload: str, figure: str, most: float, scale: float = 1.0
) -> Target | None:
    value = results.median(REFERENCE, workload, figure)
    if value is None:
        return None
    return Target(text, f"<= {most:g}", f"{value * scale:.2f}", value * scale <= most)


def _logged(results: Results) -> Target | None:
    share = results.share(REFERENCE, "access-log", base="hello")
    if share is None:
        return None
    text = "hello with an access log beside hello without"
    return Target(text, f">= {LOGGED_SHARE:g}", f"{share:.2f}", share >= LOGGED_SHARE)


def _kept(results: Results) -> Target | None:
    share = results.median(REFERENCE, "idle-10k", "kept_share")
    if share is None:
        return None
    text = "throughput beside 10,000 idle connections"
    return Target(text, f">= {IDLE_SHARE:g}", f"{share:.3f}", share >= IDLE_SHARE)


def _throughput_names(results: Results) -> list[str]:
    throughput = {workload.name for workload in WORKLOADS if workload.kind == "throughput"}
    return [name for name in results.workloads() if name in throughput]
