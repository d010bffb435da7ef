"""A WSGI application and coroutines in one asyncio loop: `python asyncio_loop.py [HOST:PORT]`.

The loop watches one descriptor of the server's. With `threads` the application runs in these; with one thread
it would run in the loop, which is right for one that never waits.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time

from flask import Flask, jsonify

import rgunicorn

app = Flask(__name__)
ticks = 0


@app.get("/")
def index() -> object:
    return jsonify(ticks=ticks)


@app.get("/slow")
def slow() -> object:
    before = ticks
    time.sleep(0.5)
    return jsonify(ticks=ticks - before)


async def tick() -> None:
    """What else the loop is there for."""
    global ticks
    while True:
        await asyncio.sleep(0.01)
        ticks += 1


async def main(bind: str) -> None:
    logging.basicConfig(level=logging.INFO)
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    ticking = asyncio.create_task(tick())
    with rgunicorn.Server(app, bind, threads=4) as server:
        loop.add_reader(server.fileno(), server.turn)
        await end.wait()
        # Requests that are running are finished, for `graceful_timeout` seconds at most.
        server.drain()
        while not server.is_done:
            await asyncio.sleep(0.01)
        loop.remove_reader(server.fileno())
    ticking.cancel()
    print("The loop has ended.")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000"))
