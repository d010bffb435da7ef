"""A program that does something else, and tells how it is going: `python thread.py [HOST:PORT]`.

The server runs in a thread beside it and is closed when the program is done, here by Ctrl-C.
"""

from __future__ import annotations

import logging
import sys
import threading
import time

from flask import Flask, jsonify

import rgunicorn

app = Flask(__name__)
done = 0


@app.get("/")
def index() -> object:
    return jsonify(done=done)


def work() -> None:
    """What the program is there for."""
    global done
    while True:
        time.sleep(0.01)
        done += 1


def main(bind: str) -> None:
    logging.basicConfig(level=logging.INFO)
    with rgunicorn.Server(app, bind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            work()
        except KeyboardInterrupt:
            print(f"Done: {done}.")
    # Requests that were running are finished.
    thread.join()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000")
