"""Flask's hello, in a file of its own: only this workload needs Flask."""

from __future__ import annotations

from flask import Flask, Response

app = Flask(__name__)


@app.route("/")
def hello() -> Response:
    """The same 13 bytes as `apps.hello`."""
    return Response("Hello, World!", mimetype="text/plain")
