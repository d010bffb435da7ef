"""The allowed differences, as docs/compat.md lists them, and the comparison that asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "compat.md"
COLUMNS = ["row", "what", "Gunicorn", "rgunicorn", "why", "parity"]

#: The comparisons that a row can be the reason for a difference in; each is a test file here.
AREAS = {"settings", "environ", "wire", "access", "hooks", "start"}


@dataclass(frozen=True)
class Row:
    """One allowed difference."""

    name: str
    cells: tuple[str, ...]
    areas: frozenset[str]


@cache
def rows() -> dict[str, Row]:
    """Every row of the document by its name."""
    found: dict[str, Row] = {}
    for row in parse(DOCUMENT.read_text()):
        assert row.name not in found, f"two rows are named {row.name}"
        found[row.name] = row
    return found


def parse(text: str) -> Iterator[Row]:
    """The rows of every table whose columns are `COLUMNS`."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells == COLUMNS:
            inside = True
        elif not cells:
            inside = False
        elif inside and set(line) - set("| -"):
            assert len(cells) == len(COLUMNS), f"not a row of {len(COLUMNS)} cells: {line}"
            areas = frozenset(word.strip() for word in cells[-1].split(",") if word.strip() != "-")
            yield Row(cells[0], tuple(cells[1:-1]), areas)


def needed(area: str) -> set[str]:
    """The rows that the document says are needed in `area`."""
    return {row.name for row in rows().values() if area in row.areas}


def differences(
    theirs: Mapping[str, object], ours: Mapping[str, object], allowed: Mapping[str, str] | None = None
) -> list[str]:
    """Where the two differ without a row, and where a row in `allowed` (key to row) is needed no more."""
    allowed = allowed or {}
    missing = object()
    wrong = []
    for key in sorted({*theirs, *ours}):
        left, right = theirs.get(key, missing), ours.get(key, missing)
        if left != right and key not in allowed:
            shown = ["nothing" if side is missing else repr(side) for side in (left, right)]
            wrong.append(f"{key}: Gunicorn {shown[0]}, rgunicorn {shown[1]}")
        if left == right and key in allowed:
            wrong.append(f"{key}: equal, so the row {allowed[key]!r} is not needed here")
    return wrong
