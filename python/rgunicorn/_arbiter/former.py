"""Workers of the program that this process ran before: what hooks know them by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rgunicorn.workers.base import Worker

if TYPE_CHECKING:
    from rgunicorn import _native
    from rgunicorn._arbiter.program import Program


class FormerWorker(Worker):
    """Stands in `server.WORKERS` for a worker whose object is gone, with what hooks have noted on it."""

    @classmethod
    def of(cls, arbiter: Program, pid: int, attributes: dict[str, Any], slot: _native.Slot) -> FormerWorker:
        """The worker that runs in process `pid`."""
        age, ppid = attributes.get("age", 0), arbiter.pid or 0
        found = cls(age, ppid, [], arbiter.app, arbiter.timeout / 2.0, arbiter.cfg, arbiter.log)
        vars(found).update(attributes)
        found.pid = pid
        found.slot = slot
        found.tmp.attach(slot)
        return found
