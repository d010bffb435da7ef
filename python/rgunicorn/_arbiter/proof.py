"""The proof that configuration and application load, in a process that was started for nothing else."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import rgunicorn
from rgunicorn import _native, _start, util

if TYPE_CHECKING:
    from rgunicorn.app.base import BaseApplication


def prove(app: BaseApplication) -> NoReturn:
    """Loads what a start would load, and ends the process: with `_native.PROVEN`, or after one report with 1.

    It calls no hook of the server, listens nowhere, and makes no file but the logs.
    """
    status = _load(app)
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    util.flush_streams()
    # Threads that the application has started are not waited for.
    os._exit(status)


def _load(app: BaseApplication) -> int:
    cfg = app.cfg
    try:
        log = cfg.logger_class(cfg)
    except BaseException as error:
        print(f"\nError: {error}\n", file=sys.stderr, flush=True)
        return 1
    if _start.LEFT.get("carries") != _native.CARRIES:
        log.error(
            "The installed rgunicorn is another one (%s) than the one that runs: only USR2 or a restart"
            " changes to it.",
            rgunicorn.VERSION,
        )
        return 1
    try:
        _ = (cfg.address, cfg.worker_class)
        os.environ["SERVER_SOFTWARE"] = rgunicorn.SERVER_SOFTWARE
        os.environ.update(cfg.env)
        if cfg.preload_app:
            app.wsgi()
    except BaseException:
        log.exception("Exception while loading the new code")
        return 1
    return _native.PROVEN
