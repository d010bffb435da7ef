"""What rgunicorn is to reach, checked against the medians of one run."""

from __future__ import annotations

from dataclasses import dataclass

from .results import Results
from .servers import PLAIN
from .workloads import WORKLOADS, named

FASTEST_RATIO = 1.1
GUNICORN_RATIO = 12.0
HELLO_USER_US = 1.5
SLOW_P99_MS = 50.0
IDLE_MIB = 10.0
LOGGED_SHARE = 0.85
# Within the noise of a run of a few seconds.
IDLE_SHARE = 0.97
THREADS_GRANIAN_RATIO = 1.8
SLEEP_SHARE = 0.99
SLEEP_P99_RATIO = 2.0
MIXED_P99_MS = 50.0
GEVENT_RATIO = 3.0
# No slower, within that noise.
TORNADO_RATIO = 0.97


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
        *_of_classes(results),
    ]
    return [target for target in found if target is not None]


def _of_classes(results: Results) -> list[Target | None]:
    """What the worker classes besides `sync` are to reach."""
    return [
        _ahead(results, "hello from 4 threads beside Granian", "gthread", "granian", THREADS_GRANIAN_RATIO),
        _ahead(results, "hello from 4 threads beside Gunicorn", "gthread", "gunicorn", GUNICORN_RATIO),
        _at_most(results, "user CPU per hello from 4 threads, us", "gthread", "user_us", HELLO_USER_US),
        _at_least(results, "10 ms of sleep on 4 threads, of 400 a second", "sleep", "share", SLEEP_SHARE),
        _at_most(results, "its p99, of the ideal time", "sleep", "p99_ratio", SLEEP_P99_RATIO),
        _at_most(results, "p99 beside two long requests, ms", "mixed", "p99_us", MIXED_P99_MS, 1e-3),
        _ahead(results, "hello from gevent beside Gunicorn", "gevent", "gunicorn", GEVENT_RATIO),
        _ahead(results, "hello from tornado beside Gunicorn", "tornado", "gunicorn", TORNADO_RATIO),
    ]


def _ahead(results: Results, text: str, workload: str, peer: str, least: float) -> Target | None:
    """`peer`: the server of the workload whose name begins so."""
    names = [name for name in results.servers(workload) if name.startswith(peer)]
    ratio = results.advantage(names[0], workload) if names else None
    return None if ratio is None else Target(text, f">= {least:g}", f"{ratio:.2f}", ratio >= least)


def _at_least(results: Results, text: str, workload: str, figure: str, least: float) -> Target | None:
    value = results.median(named(workload).reference, workload, figure)
    return None if value is None else Target(text, f">= {least:g}", f"{value:.3f}", value >= least)


def _closest_peer(results: Results, workload: str) -> tuple[str, float] | None:
    """The peer that does best beside rgunicorn, and rgunicorn's ratio to it."""
    peers = [name for name in results.servers(workload) if name != named(workload).reference]
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
    value = results.median(named(workload).reference, workload, figure)
    if value is None:
        return None
    return Target(text, f"<= {most:g}", f"{value * scale:.2f}", value * scale <= most)


def _logged(results: Results) -> Target | None:
    share = results.share(named("hello").reference, "access-log", base="hello")
    if share is None:
        return None
    text = "hello with an access log beside hello without"
    return Target(text, f">= {LOGGED_SHARE:g}", f"{share:.2f}", share >= LOGGED_SHARE)


def _kept(results: Results) -> Target | None:
    text = "throughput beside 10,000 idle connections"
    return _at_least(results, text, "idle-10k", "kept_share", IDLE_SHARE)


def _throughput_names(results: Results) -> list[str]:
    plain = {each.name for each in WORKLOADS if each.kind == "throughput" and each.group == PLAIN}
    return [name for name in results.workloads() if name in plain]
