"""The units of systemd and the Procfile in examples/deploy: their commands, as they are started there."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.deployed import DEPLOY, Deployed, flag, free_port, setting
from support.processes import children, wait_for

pytestmark = pytest.mark.ours("Gunicorn has no ready_path")

UNITS = ("shop.service", "shop.socket")

#: Becomes the command, with descriptor 3 and the variables that systemd sets.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.execve(sys.argv[2], sys.argv[2:], {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
"""


def section(unit: str, name: str) -> dict[str, str]:
    """The options of a section of a unit."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / "systemd" / unit)
    return dict(parser[name])


SERVICE = section("shop.service", "Service")
COMMAND = shlex.split(SERVICE["ExecStart"])


class Systemd:
    """What systemd has: the listening socket, and the one on which the service reports."""

    def __init__(self, directory: Path) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.reports = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.reports.bind(str(directory / "notify"))
        self.reports.settimeout(20)

    def service(self) -> Deployed:
        """The service, not started."""
        notify = str(self.reports.getsockname())
        environment = {"NOTIFY_SOCKET": notify, "WATCHDOG_USEC": "1000000"}
        server = Deployed(COMMAND, environment, [self.listener.fileno()])
        server.prefix = [sys.executable, "-c", ACTIVATE, str(self.listener.fileno())]
        return server

    def wait_for_report(self, wanted: str) -> None:
        """Waits until the service has said so."""
        while wanted not in self.reports.recv(4096).decode().splitlines():
            pass


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    found = Systemd(tmp_path)
    yield found
    found.listener.close()
    found.reports.close()


def test_systemd_finds_no_mistake_in_the_units(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    here = str(Path(sys.executable).with_name("rgunicorn"))
    for unit in UNITS:
        text = (DEPLOY / "systemd" / unit).read_text()
        (tmp_path / unit).write_text(text.replace("/srv/shop/venv/bin/rgunicorn", here))
    units = [str(tmp_path / unit) for unit in UNITS]
    done = subprocess.run([program, "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_gets_the_time_that_it_needs_to_end() -> None:
    needed = flag(COMMAND, "--shutdown-delay") + setting("graceful_timeout")
    assert int(SERVICE["TimeoutStopSec"]) > needed
    assert (
        f"{flag(COMMAND, '--shutdown-delay')} + {setting('graceful_timeout')}"
        in (DEPLOY / "systemd" / "shop.service").read_text()
    )


def test_the_service_takes_the_socket_reports_and_reloads(systemd: Systemd) -> None:
    with systemd.service() as server:
        assert server.address == systemd.listener.getsockname()
        systemd.wait_for_report("READY=1")
        assert server.get("/ready").text == "ready\n"
        before = set(server.workers())
        reload = SERVICE["ExecReload"].replace("$MAINPID", str(server.pid))
        subprocess.run(shlex.split(reload), check=True)
        systemd.wait_for_report("RELOADING=1")
        systemd.wait_for_report("READY=1")
        wait_for(lambda: not before & set(server.workers()), "new workers")
        systemd.wait_for_report("WATCHDOG=1")
        server.kill(signal.SIGTERM)
        systemd.wait_for_report("STOPPING=1")
        server.stop()


def permitted() -> set[str]:
    """The system calls that SystemCallFilter leaves, as systemd resolves its groups."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    found: set[str] = set()
    groups = SERVICE["SystemCallFilter"].split()
    while groups:
        done = subprocess.run([program, "syscall-filter", groups.pop()], capture_output=True, check=True)
        words = re.findall(r"^ +([@\w-]+)$", done.stdout.decode(), re.MULTILINE)
        groups += [word for word in words if word.startswith("@")]
        found |= set(words)
    return found


def test_the_service_makes_no_system_call_that_its_unit_forbids(systemd: Systemd, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    server = systemd.service()
    server.prefix = ["strace", "-f", "-qq", "-o", str(trace), *server.prefix]
    try:
        server.launch().wait_until_bound()
        (arbiter,) = children(server.pid)
        before = set(wait_for(lambda: children(arbiter), "workers"))
        assert server.get("/").status == 200
        os.kill(arbiter, signal.SIGHUP)
        wait_for(lambda: len(children(arbiter)) == 2 and not before & set(children(arbiter)), "new workers")
        assert server.get("/").status == 200
        os.kill(arbiter, signal.SIGTERM)
        wait_for(lambda: server.get("/ready").status == 503, "a 503")
        os.kill(arbiter, signal.SIGTERM)
        server.wait_for_exit(0)
    finally:
        server.destroy()
    made = set(re.findall(r"^\d+ +([a-z]\w*)\(", trace.read_text("utf-8", "replace"), re.MULTILINE))
    assert {"execve", "epoll_wait", "sendmsg"} & made
    assert made - permitted() == set()


def test_connections_wait_while_the_service_restarts(systemd: Systemd) -> None:
    answers: list[int] = []
    with systemd.service() as server:
        server.kill(signal.SIGTERM)
        wait_for(lambda: server.get("/ready").status == 503, "a 503")
        server.stop()
        # Nobody is there, and nobody is refused.
        client = threading.Thread(target=lambda: answers.append(server.get("/").status))
        client.start()
        with systemd.service() as successor:
            client.join(20)
            successor.stop(signal.SIGQUIT)
    assert answers == [200]


def test_the_procfile_starts_at_the_port_of_the_platform() -> None:
    (name, _, command), *others = [
        line.partition(": ") for line in (DEPLOY / "Procfile").read_text().splitlines()
    ]
    assert (name, others) == ("web", [])
    port = str(free_port())
    with Deployed(shlex.split(command), {"PORT": port, "FORWARDED_ALLOW_IPS": "*"}) as server:
        server.wait_for_log(rf"Listening at: http://0\.0\.0\.0:{port} ")
        assert len(server.workers()) == 2
        assert '"wsgi.url_scheme": "https"' in server.get("/", "X-Forwarded-Proto: https").text
        # Heroku tells every process.
        for pid in (server.pid, *server.workers()):
            os.kill(pid, signal.SIGTERM)
        server.wait_for_exit(0)
    assert not re.search("ERROR|Traceback", server.log())
