"""Worker classes."""

from __future__ import annotations

#: Those that have a short name, with where they are.
SUPPORTED_WORKERS = {
    "sync": "rgunicorn.workers.sync.SyncWorker",
    "gthread": "rgunicorn.workers.gthread.ThreadWorker",
    "gevent": "rgunicorn.workers.ggevent.GeventWorker",
    "gevent_wsgi": "rgunicorn.workers.ggevent.GeventPyWSGIWorker",
    "gevent_pywsgi": "rgunicorn.workers.ggevent.GeventPyWSGIWorker",
    "eventlet": "rgunicorn.workers.geventlet.EventletWorker",
    "tornado": "rgunicorn.workers.gtornado.TornadoWorker",
}
