"""The servers as data: how each is started with one worker. A new one is one literal in `SERVERS`.

Placeholders: `{bin}` the server's `bin` directory, `{benches}` this directory's parent, `{port}`,
`{app}` (`module:attribute`), `{log}` the access log's path, `{threads}` how many run the application.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

BENCHES = Path(__file__).resolve().parent.parent
PEERS_BIN = BENCHES / ".venv" / "bin"
# What the servers of most workloads have in common: each serves one request at a time.
PLAIN = "plain"
# The rgunicorn to measure; `RGUNICORN_BIN` names another environment's `bin` directory.
OWN_BIN = Path(os.environ.get("RGUNICORN_BIN", BENCHES.parent / ".venv" / "bin"))


@dataclass(frozen=True)
class Server:
    """One server. `quiet` and `logging` are added without and with an access log (`None`: it has
    none); `many` when thousands of connections are to be held. `group`: whom it is measured beside."""

    name: str
    package: str
    command: str
    quiet: str = ""
    logging: str | None = None
    many: str = ""
    bin: Path = PEERS_BIN
    group: str = PLAIN

    def argv(self, port: int, app: str, log: Path | None, many: bool = False, threads: int = 1) -> list[str]:
        """The command line that serves `app` on 127.0.0.1:`port`."""
        told = self.quiet if log is None else self.logging or ""
        parts = [self.command, self.many if many else "", told]
        values = {"bin": self.bin, "benches": BENCHES, "port": port, "app": app, "log": log}
        values["threads"] = threads
        return [word.format(**values) for part in parts for word in shlex.split(part)]

    def version(self) -> str | None:
        """The installed version, `None` if the server is not installed here."""
        code = (
            "import importlib.metadata as m, importlib, sys\n"
            "print(m.version(sys.argv[1]))\n"
            "if sys.argv[1] in ('bjoern', 'fastwsgi'): importlib.import_module(sys.argv[1])"
        )
        python = self.bin / "python"
        if not python.exists():
            return None
        command = [str(python), "-c", code, self.package]
        found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        executable = Path(self.argv(0, "", None)[0])
        return found.stdout.strip() if found.returncode == 0 and executable.exists() else None


_GUNICORN_COMMAND = " -w 1 -b 127.0.0.1:{port} {app}"
_GRANIAN_COMMAND = (
    "{bin}/granian --interface wsgi --workers 1 --blocking-threads {threads} --runtime-threads 1"
    " --http 1 --no-ws --host 127.0.0.1 --port {port} {app}"
)
_UWSGI = (
    "{bin}/uwsgi --virtualenv {bin}/.. --processes 1 --need-app --single-interpreter"
    " --listen 2048 --die-on-term --wsgi {app} "
)


def _of_class(worker: str, group: str, *, has_peer: bool = True) -> list[Server]:
    """rgunicorn with a worker class, and Gunicorn with its class of that name."""
    command = f" -k {worker}" + (" --threads {threads}" if worker == "gthread" else "") + _GUNICORN_COMMAND
    own = Server(f"rgunicorn-{worker}", "rgunicorn", "{bin}/rgunicorn" + command, bin=OWN_BIN, group=group)
    # Gunicorn keeps a connection for two seconds, and so loses those that wait for longer.
    peer = Server(f"gunicorn-{worker}", "gunicorn", "{bin}/gunicorn --keep-alive 75" + command, group=group)
    return [own, peer] if has_peer else [own]


SERVERS = [
    Server(
        "rgunicorn",
        "rgunicorn",
        "{bin}/rgunicorn" + _GUNICORN_COMMAND,
        logging="--access-logfile {log}",
        many="--worker-connections 11000",
        bin=OWN_BIN,
    ),
    Server(
        "gunicorn",
        "gunicorn",
        "{bin}/gunicorn -k sync" + _GUNICORN_COMMAND,
        logging="--access-logfile {log}",
        many="--worker-connections 11000",
    ),
    Server(
        "granian",
        "granian",
        _GRANIAN_COMMAND,
        quiet="--log-level warning",
        # Its access log goes to standard output, which is a file here (see `process.py`).
        logging="--access-log",
        many="--backlog 16384 --backpressure 16384",
    ),
    Server("bjoern", "bjoern", "{bin}/python {benches}/launch.py bjoern {port} {app}"),
    Server("fastwsgi", "fastwsgi", "{bin}/python {benches}/launch.py fastwsgi {port} {app}"),
    Server(
        "uwsgi",
        "uwsgi",
        # It closes after each answer; said in a header, or clients send into a closed connection.
        _UWSGI + "--http-socket 127.0.0.1:{port} --add-header 'Connection: close'",
        quiet="--disable-logging",
        logging="--logto {log}",
    ),
    Server(
        "uwsgi-http11",  # keep-alive without a router
        "uwsgi",
        _UWSGI + "--http11-socket 127.0.0.1:{port}",
        quiet="--disable-logging",
        logging="--logto {log}",
    ),
    Server(
        "uwsgi-router",  # keep-alive by uWSGI's own proxy, a second process on the same core
        "uwsgi",
        _UWSGI + "--http 127.0.0.1:{port} --http-keepalive --http-auto-chunked",
        quiet="--disable-logging",
        logging="--logto {log}",
    ),
    Server(
        "waitress",
        "waitress",
        "{bin}/waitress-serve --threads=1 --listen=127.0.0.1:{port} --backlog=2048",
        quiet="{app}",  # the application comes last, behind `many`
        many="--connection-limit=12000 --asyncore-use-poll",
    ),
    *_of_class("gthread", "threads"),
    Server("granian-threads", "granian", _GRANIAN_COMMAND, quiet="--log-level warning", group="threads"),
    *_of_class("gevent", "gevent"),
    # Gunicorn has had none since its version 26.
    *_of_class("eventlet", "eventlet", has_peer=False),
    *_of_class("tornado", "tornado"),
]


def members(group: str) -> list[str]:
    """The servers that are measured beside each other; the first is the one that is compared."""
    return [server.name for server in SERVERS if server.group == group]
