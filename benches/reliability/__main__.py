"""Runs the scenarios and prints the table: `python -m reliability`; `benches` and `tests` are on its path."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support.traffic import Outcome

from .contenders import CONTENDERS, Contender
from .scenarios import SCENARIOS, Scenario, reload, run


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default="", help="parts of their names, with commas")
    parser.add_argument("--scenarios", default="", help="their names, with commas")
    parser.add_argument("--rounds", type=int, default=1, help="of each scenario")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    contenders = [
        each for each in CONTENDERS if any(part in each.name for part in options.servers.split(","))
    ]
    names = options.scenarios.split(",") if options.scenarios else [each.name for each in SCENARIOS]
    scenarios = [each for each in SCENARIOS if each.name in names]
    cells: dict[tuple[str, str], str] = {}
    figures: list[dict[str, Any]] = []
    for scenario in scenarios:
        for contender in contenders:
            cell, found = tried(contender, scenario, options.rounds)
            cells[contender.name, scenario.name] = cell
            figures.append({"server": contender.name, "scenario": scenario.name, "cell": cell, **found})
            print(f"{contender.name}: {scenario.title}: {cell} {found or ''}", file=sys.stderr, flush=True)
    print(table(contenders, scenarios, cells))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def tried(contender: Contender, scenario: Scenario, rounds: int) -> tuple[str, dict[str, Any]]:
    """A cell of the table, and the figures behind it."""
    if scenario.name in contender.unable:
        return contender.unable[scenario.name], {}
    if not Path(contender.words[0]).exists():
        return "not installed", {}
    try:
        outcome = run(contender, scenario, rounds)
    except AssertionError as error:
        print(error, file=sys.stderr)
        return "did not come to an end", {}
    return cell_of(outcome, scenario), outcome.summary


def cell_of(outcome: Outcome, scenario: Scenario) -> str:
    """Failures, requests, the slowest response, and whether new code was not served where it was to be."""
    found = outcome.summary
    cell = f"**{found['failed']}** of {found['requests']:,}, {1000 * found['max']:,.0f} ms"
    stale = scenario.act is reload and {answer.version for answer in outcome.answers} == {"1"}
    return f"{cell}, old code" if stale else cell


def table(contenders: list[Contender], scenarios: list[Scenario], cells: dict[tuple[str, str], str]) -> str:
    """The table in Markdown, and what it was measured with."""
    names = [contender.name for contender in contenders]
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}: Linux {platform.release()}, {versions(contenders)}.",
        "",
        f"| what is done | {' | '.join(names)} |",
        f"| --- |{' ---: |' * len(names)}",
    ]
    for scenario in scenarios:
        row = [cells[name, scenario.name] for name in names]
        lines.append(f"| {scenario.title} | {' | '.join(row)} |")
    return "\n".join(lines)


def versions(contenders: list[Contender]) -> str:
    """What each program says that it is."""
    programs = dict.fromkeys(contender.words[0] for contender in contenders)
    found = []
    for program in programs:
        if Path(program).exists():
            done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
            name, version = Path(program).name, done.stdout.split()[-1].strip("()")
            found.append(f"{name} {version}")
    return ", ".join([f"CPython {platform.python_version()}", *found])


if __name__ == "__main__":
    main()
