"""A Flask application that is its own server: `python script.py [HOST:PORT]`, ended by Ctrl-C or SIGTERM."""

from __future__ import annotations

import sys

from flask import Flask

import rgunicorn

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "Hello from a script!\n"


if __name__ == "__main__":
    rgunicorn.serve(app, sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000", threads=4)
    print("The server has ended.")
