"""The default worker class: one request at a time, in the main thread."""

from __future__ import annotations

from rgunicorn import _native
from rgunicorn.workers._reactor import ReactorWorker


class SyncWorker(ReactorWorker):
    """The application runs between two turns of the native event loop."""

    KIND = "sync"
    STEPS = (
        "accept",
        "wait",
        "is_parent_alive",
        "run_for_one",
        "run_for_multiple",
        "handle",
        "handle_request",
        "handle_error",
    )

    def run(self) -> None:
        """Serves until `alive` is false."""
        self.enter_native_loop()
        _native.run_sync(self)


SyncWorker.RUNS = SyncWorker
