"""Measures rgunicorn beside its peers: one worker on core 0, wrk on core 1, alternating rounds.

    python benches/run.py --rounds 5 --seconds 5 --markdown result.md

`benches/setup.sh` installs the load generator and the peers. The answer of each server is asserted
before it is timed. Figures are medians over the rounds; ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from harness.idle import raise_descriptor_limit
from harness.markdown import document
from harness.measure import Plan, Sample, measure
from harness.results import Results
from harness.servers import SERVERS, Server
from harness.workloads import WORKLOADS, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    """Measure what the command line asks for, and print it as Markdown."""
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    plan = Plan(options.seconds, options.warmup, options.server_core, options.load_core)
    os.sched_setaffinity(0, {plan.load_core})
    raise_descriptor_limit()
    workloads = [workload for workload in WORKLOADS if workload.name in options.workloads]
    groups = {workload.group for workload in workloads}
    servers = [each for each in SERVERS if each.name in options.servers and each.group in groups]
    versions = {server.name: server.version() for server in servers}
    present = [server for server in servers if versions[server.name]]
    for name in (name for name, version in versions.items() if not version):
        print(f"missing: {name}", file=sys.stderr)
    samples = list(_samples(present, workloads, plan, options.rounds))
    results = Results(samples, versions)
    text = document(results, _how(plan, options.rounds))
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    if options.json:
        raw = {"versions": versions, "samples": [asdict(sample) for sample in samples]}
        options.json.write_text(json.dumps(raw, indent=1) + "\n")


def _samples(servers: list[Server], workloads: list[Workload], plan: Plan, rounds: int) -> Iterator[Sample]:
    """Every server once per workload and round, each round beginning with another server."""
    unable: set[tuple[str, str]] = set()
    for number in range(rounds):
        for workload in workloads:
            able = [server for server in servers if server.group == workload.group]
            first = number % max(len(able), 1)
            for server in able[first:] + able[:first]:
                if (server.name, workload.name) in unable:
                    continue
                sample = measure(server, workload, plan, number)
                if not sample.ok:
                    unable.add((server.name, workload.name))
                _progress(sample, rounds)
                yield sample


def _progress(sample: Sample, rounds: int) -> None:
    rate = f"{sample.figures['per_second']:10,.0f} req/s" if sample.ok else "         -"
    place = f"{sample.round + 1}/{rounds} {sample.workload:13} {sample.server:18}"
    print(f"{place} {rate}  {sample.note}", file=sys.stderr, flush=True)


def _how(plan: Plan, rounds: int) -> str:
    return (
        f"Medians of {rounds} alternating rounds of {plan.seconds} s on {time.strftime('%Y-%m-%d')}: "
        f"{_cpu_model()}, Linux {platform.release()}, "
        f"one worker on core {plan.server_core}, wrk on core {plan.load_core}. "
        "CPU is that of all the server's processes per answered request; +- is the standard error "
        "of one round's user part."
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure rgunicorn beside its peers.")
    _add_names(parser, "--workloads", [workload.name for workload in WORKLOADS])
    _add_names(parser, "--servers", [server.name for server in SERVERS])
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--seconds", type=int, default=5, help="seconds per run (default 5)")
    parser.add_argument("--warmup", type=int, default=1, help="seconds before it (default 1)")
    parser.add_argument("--server-core", type=int, default=0, help="core of the server (default 0)")
    parser.add_argument("--load-core", type=int, default=1, help="core of wrk (default 1)")
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    options = parser.parse_args()
    if not {options.server_core, options.load_core} <= os.sched_getaffinity(0):
        parser.error("needs both cores; see --server-core and --load-core")
    return options


def _add_names(parser: argparse.ArgumentParser, option: str, names: list[str]) -> None:
    text = f"names, separated by spaces or commas, of: {' '.join(names)} (default: all)"

    class Names(argparse.Action):
        def __call__(
            self, _parser: object, namespace: argparse.Namespace, values: object, _option: object = None
        ) -> None:
            given = [name for value in values for name in value.split(",") if name]  # type: ignore
            unknown = [name for name in given if name not in names]
            if unknown:
                parser.error(f"{option}: no such name: {', '.join(unknown)}")
            setattr(namespace, self.dest, given)

    parser.add_argument(option, nargs="+", default=names, action=Names, help=text, metavar="NAME")


def _leave(signum: int, _frame: object) -> NoReturn:
    """TERM leaves through every `finally`, so that no server outlives this process."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
