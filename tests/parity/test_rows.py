"""The list of differences itself."""

from __future__ import annotations

from parity.rows import AREAS, parse, rows


def test_every_row_has_a_reason_and_known_comparisons() -> None:
    for row in rows().values():
        assert all(row.cells), f"{row.name} has an empty cell"
        assert row.areas <= AREAS, f"{row.name} names an unknown comparison"


def test_names_are_words() -> None:
    assert [name for name in rows() if not name.replace("-", "").isalnum() or name != name.lower()] == []


def test_tables_of_other_columns_are_not_rows() -> None:
    text = """
| a | b |
| --- | --- |
| 1 | 2 |

| row | what | Gunicorn | rgunicorn | why | parity |
| --- | --- | --- | --- | --- | --- |
| x | a `b` | c | d | e | wire, start |
| y | a | b | c | d | - |

| z | after | the | end | of | - |
"""
    found = list(parse(text))
    assert [(row.name, row.areas) for row in found] == [("x", {"wire", "start"}), ("y", set())]
