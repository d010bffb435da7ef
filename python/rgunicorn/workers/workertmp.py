"""By what a worker shows that it lives: a temporary file of Gunicorn's, here shared memory and no file."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from rgunicorn import _native

if TYPE_CHECKING:
    from rgunicorn.config import Config


class WorkerTmp:
    """A worker's sign of life, for its process and for the arbiter."""

    def __init__(self, cfg: Config) -> None:
        self._slot: _native.Slot | None = None
        self._descriptor = -1

    def attach(self, slot: _native.Slot) -> None:
        """Gives it the worker's place in the shared memory. The arbiter does this before the fork."""
        self._slot = slot

    def notify(self) -> None:
        """Shows that the worker lives; from then on repeat it within the setting `timeout`."""
        if self._slot is not None:
            self._slot.beat()

    def last_update(self) -> float:
        """When the worker has last shown it, in seconds of `time.monotonic()`: now, if it need not.

        It need not while it boots, nor while a native worker waits for requests.
        """
        return time.monotonic() if self._slot is None else self._slot.last_sign()

    def fileno(self) -> int:
        """A descriptor, for worker classes that treat it as they do all others; nothing depends on it."""
        if self._descriptor < 0:
            self._descriptor = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        return self._descriptor

    def close(self) -> None:
        """Closes the descriptor, if there is one."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
