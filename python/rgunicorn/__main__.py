"""`python -m rgunicorn`: the same as the command `rgunicorn`."""

from __future__ import annotations

from rgunicorn.app.wsgiapp import run

if __name__ == "__main__":
    # sys.argv[0] is this file; usage and messages shall name the command.
    run(prog="rgunicorn")
