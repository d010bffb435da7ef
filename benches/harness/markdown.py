"""Tells the results as Markdown: one table per workload, a summary, the targets."""

from __future__ import annotations

from dataclasses import dataclass

from .results import Results
from .servers import PLAIN, SERVERS
from .targets import Target, targets
from .workloads import WORKLOADS, Workload


@dataclass(frozen=True)
class Column:
    """A figure's column: its unit is in the title; `scale` brings the figure to it."""

    title: str
    figure: str
    scale: float = 1.0
    digits: int = 0


_RATE = Column("req/s", "per_second")
_ALONE = Column("req/s alone", "alone_per_second")
COLUMNS = {
    "throughput": [
        _RATE,
        Column("core %", "cpu_share", 100),
        Column("user us", "user_us", digits=2),
        Column("+-", "user_error_us", digits=2),
        Column("system us", "system_us", digits=2),
        Column("p50 ms", "p50_us", 1e-3, 2),
        Column("p99 ms", "p99_us", 1e-3, 2),
    ],
    "slow": [
        _ALONE,
        _RATE,
        Column("p99 ms alone", "alone_p99_us", 1e-3, 2),
        Column("p99 ms", "p99_us", 1e-3, 2),
        Column("longest ms", "max_us", 1e-3, 1),
        Column("timeouts", "timeouts"),
        Column("slow ones held (58)", "still_open"),
    ],
    "idle": [
        Column("private memory +MiB", "grown_mib", digits=1),
        _ALONE,
        _RATE,
        Column("share kept", "kept_share", digits=3),
        Column("held", "held"),
    ],
    "sleep": [
        _RATE,
        Column("% of the ideal", "share", 100, 1),
        Column("threads alone, per s", "alone_per_second"),
        Column("p50 ms", "p50_us", 1e-3, 2),
        Column("p99 ms", "p99_us", 1e-3, 2),
        Column("p99 / ideal", "p99_ratio", digits=2),
    ],
    "mixed": [
        _RATE,
        Column("p50 ms", "p50_us", 1e-3, 2),
        Column("p99 ms", "p99_us", 1e-3, 2),
        Column("longest ms", "max_us", 1e-3, 1),
        Column("timeouts", "timeouts"),
    ],
}


def document(results: Results, how: str) -> str:
    """The whole result; `how` says how and where it was measured."""
    names = results.workloads()
    measured = [workload for workload in WORKLOADS if workload.name in names]
    parts = [how, _versions(results)]
    plain = [w.name for w in measured if w.kind == "throughput" and w.group == PLAIN]
    if plain:
        parts += ["### req/s", _summary(results, plain)]
    for workload in measured:
        parts += [f"### {workload.title}", _one(results, workload)]
    found = targets(results)
    if found:
        parts += ["### Targets", _targets(found)]
    return "\n\n".join(parts) + "\n"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table: the first column and notes are text, the others are aligned as numbers."""
    align = ["---" if title in (head[0], "note") else "---:" for title in head]
    lines = [head, align, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _versions(results: Results) -> str:
    """The packages of the servers that were asked, each once."""
    packages = {server.name: server.package for server in SERVERS}
    found = [f"{packages[name]} {version}" for name, version in results.versions.items() if version]
    missing = [name for name, version in results.versions.items() if not version]
    text = "Measured: " + ", ".join(dict.fromkeys(found)) + "."
    return text + (f" Missing here: {', '.join(missing)}." if missing else "")


def _summary(results: Results, names: list[str]) -> str:
    servers = [server.name for server in SERVERS if server.group == PLAIN and server.name in results.versions]
    rows = [
        [server, *(_number(results.median(server, name, "per_second")) for name in names)]
        for server in servers
    ]
    return table(["server", *names], rows)


def _one(results: Results, workload: Workload) -> str:
    columns = COLUMNS[workload.kind]
    rows = []
    for server in results.servers(workload.name):
        cells = [_cell(results, server, workload.name, column) for column in columns]
        ratio = _number(results.advantage(server, workload.name), digits=2)
        rows.append([server, *cells, ratio, results.note(server, workload.name)])
    head = ["server", *(column.title for column in columns), f"{workload.reference} is x", "note"]
    return table(head, rows)


def _cell(results: Results, server: str, workload: str, column: Column) -> str:
    value = results.median(server, workload, column.figure)
    return _number(None if value is None else value * column.scale, column.digits)


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _targets(found: list[Target]) -> str:
    rows = [[target.text, target.wanted, target.reached, "yes" if target.met else "no"] for target in found]
    return table(["target", "wanted", "reached", "met"], rows)
