"""Lines of the error log without what differs from run to run."""

from __future__ import annotations

import re

#: The row `end-line` of the differences: rgunicorn's last words, wherever a service ends.
SUMS = re.compile(r"\] Requests served: \d+, connections handed over: \d+, requests cut: \d+\.$")


def lines(text: str) -> list[str]:
    """The lines of standard error without what differs from run to run; a traceback is its last line."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("Traceback (most recent call last)"):
            inside = True
        elif line.startswith(("The above exception", "During handling of")):
            # Only the last of a chain counts.
            found.pop()
        elif inside and (line.startswith("  ") or not line):
            continue
        elif SUMS.search(line):
            inside = False
        elif line:
            inside = False
            found.append(plain(line))
    return found


def plain(line: str) -> str:
    """A line without times, pids, ports and versions."""
    line = re.sub(r"^\[\d{4}-\d\d-\d\d [\d:]{8} [+-]\d{4}\] \[\d+\] ", "", line)
    line = re.sub(r"\((pid:? ?)?\d+\)", r"(\1PID)", line)
    line = re.sub(r"(http://[\d.]+):\d+", r"\1:PORT", line)
    line = re.sub(r"\bpid: \d+", "pid: PID", line)
    line = re.sub(r"on PID \d+", "on PID", line)
    return re.sub(r"\br?gunicorn( \d[\d.]*|(?=[:. ]))", "SERVER", line).rstrip()
