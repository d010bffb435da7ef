"""Worker classes."""

from __future__ import annotations

#: Those that have a short name, with where they are.
SUPPORTED_WORKERS = {
    "sync": "rgunicorn.workers.sync.SyncWorker",
    "gthread": "rgunicorn.workers.gthread.ThreadWorker",
    "tornado": "rgunicorn.workers.gtornado.TornadoWorker",
}
