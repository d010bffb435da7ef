"""The figures of a soak as a Markdown table: `python -m reliability.soaked FILE`; FILE is its LOSS_REPORT."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Print a row for each scenario, in the order in which they were first done."""
    rows: dict[str, list[str]] = {}
    for line in Path(sys.argv[1]).read_text().splitlines():
        found = json.loads(line)
        milliseconds = [f"{1000 * found[name]:,.0f}" for name in ("p99", "p999", "max")]
        counts = [f"{found[name]:,}" for name in ("rounds", "requests", "failed")]
        rows[found["scenario"]] = [*counts, *milliseconds]
    print("| what is done | times | requests | failed | p99, ms | p99.9, ms | slowest, ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for scenario, cells in sorted(rows.items()):
        print(f"| {scenario} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
