"""The service `shop`, wherever it runs: rgunicorn reads this file in the directory in which it is started.

What depends on the place comes from the command line and from the environment: PORT, WEB_CONCURRENCY,
FORWARDED_ALLOW_IPS, GUNICORN_CMD_ARGS.
"""

import os

# Processors, or the container's share of them, as memory allows. A platform that knows better says so.
if "WEB_CONCURRENCY" not in os.environ:
    workers = "auto"
threads = 4

# Asked by whoever sends requests here: 200, and 503 from the moment on that the service was told to end.
ready_path = "/ready"

# Routers of platforms give up after 30 s (Heroku: H12). The request should have ended by then.
request_timeout = 25
# Most platforms kill 30 s after TERM. `shutdown_delay`, where it is set, comes on top.
graceful_timeout = 25

# A worker that has grown is replaced: the new one is there before the old one leaves. It is the part that
# each worker may have: 40% is for two of them; with more take less.
max_worker_memory = "40%"

# To standard output, which the platform collects; errors go to standard error anyhow.
accesslog = "-"
