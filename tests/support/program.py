"""A program that has the server inside itself: `python script.py`, in one process."""

from __future__ import annotations

from .script import Script

#: Runs `APP` by `serve()`.
SERVE = """
import importlib, os, rgunicorn
app = importlib.import_module(os.environ["APP"]).app
rgunicorn.serve(app, os.environ["BIND"], **eval(os.environ["SETTINGS"]))
print("returned", flush=True)
"""

#: Runs it in a thread, by `serve_forever()`.
THREAD = """
import importlib, logging, os, rgunicorn, signal, threading
app = importlib.import_module(os.environ["APP"]).app
logging.basicConfig(level=logging.INFO)
server = rgunicorn.Server(app, os.environ["BIND"], **eval(os.environ["SETTINGS"]))
# No thread is to be interrupted: the main one takes them when it waits for them.
signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
thread = threading.Thread(target=server.serve_forever)
thread.start()
signal.sigwait(signals)
server.close()
thread.join()
print("returned", flush=True)
"""

#: Runs it in asyncio's loop, by `turn()`.
LOOP = """
import asyncio, importlib, logging, os, rgunicorn, signal
app = importlib.import_module(os.environ["APP"]).app
logging.basicConfig(level=logging.INFO)

async def main():
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    with rgunicorn.Server(app, os.environ["BIND"], **eval(os.environ["SETTINGS"])) as server:
        loop.add_reader(server.fileno(), server.turn)
        await end.wait()
        server.drain()
        while not server.is_done:
            await asyncio.sleep(0.01)
        loop.remove_reader(server.fileno())
    print("returned", flush=True)

asyncio.run(main())
"""

#: What a program may do, each with a number of threads.
MODES = {
    "serve": (SERVE, 1),
    "serve with threads": (SERVE, 3),
    "in a thread": (THREAD, 1),
    "threads of a thread": (THREAD, 3),
    "asyncio": (LOOP, 1),
    "asyncio and threads": (LOOP, 3),
}


class Program(Script):
    """One that listens as soon as it says where."""

    def wait_until_listening(self) -> None:
        """Waits for the `Listening at` line."""
        self.wait_until_bound()


def in_mode(mode: str, app: str = "views", *, kind: str = "tcp", **settings: object) -> Program:
    """A program with the application of that module; not started."""
    source, threads = MODES[mode]
    given = {"threads": threads, **settings}
    return Program(source, kind=kind, env={"APP": app, "SETTINGS": repr(given)})
