"""What /proc says about the processes of a server. Reads only."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

PROC = Path("/proc")


def wait_for(condition: Callable[[], Value | None], what: str, seconds: float = 20.0) -> Value:
    """Asks `condition` until it gives something true, which is returned. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {seconds} s still waiting for {what}"
        time.sleep(0.005)


def stays(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Fails as soon as `condition` is false, within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"no longer: {what}"
        time.sleep(0.01)


def stat(pid: int) -> list[str]:
    """/proc/PID/stat from its third field on (state, parent, group, session ...); empty if it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits for its parent does not."""
    fields = stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def pids() -> list[int]:
    """Every process of the machine."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def children(pid: int) -> list[int]:
    """The running children of a process, oldest first."""
    found = [
        (int(fields[19]), child)
        for child in pids()
        if (fields := stat(child)) and fields[1] == str(pid) and fields[0] not in "ZX"
    ]
    return [child for _, child in sorted(found)]


def session(leader: int) -> list[int]:
    """The running processes of a session."""
    return [
        pid for pid in pids() if (fields := stat(pid)) and fields[3] == str(leader) and fields[0] not in "ZX"
    ]


def private_memory(pid: int) -> int:
    """Bytes that would come free if this process alone ended."""
    total = 0
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1]) * 1024
    return total


def descriptors(pid: int) -> list[str]:
    """What each open descriptor of a process points to."""
    found = []
    for entry in (PROC / str(pid) / "fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return found


def sockets(pid: int) -> set[int]:
    """The inodes of a process's sockets."""
    return {int(name[8:-1]) for name in descriptors(pid) if name.startswith("socket:[")}


def polled(pid: int) -> set[int]:
    """The inodes of what a process watches with epoll(7); nothing if it is gone."""
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for entry in (PROC / str(pid) / "fdinfo").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found |= {
                    int(inode, 16)
                    for inode in re.findall(r"^tfd:.* ino:(\w+)", entry.read_text(), re.MULTILINE)
                }
    return found


def age(pid: int) -> float:
    """Seconds since a process was made; none if it is gone."""
    fields = stat(pid)
    up = float((PROC / "uptime").read_text().split()[0])
    return up - int(fields[19]) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def processor_time(pid: int) -> float:
    """Seconds of user and system time that a process has used."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
