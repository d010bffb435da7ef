"""nginx and HAProxy in front of three instances, with the files in examples/deploy: no request is lost."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from conftest import Serve
from support.balancer import DEPLOY, Balancer, Haproxy, Nginx
from support.processes import wait_for
from support.server import Server
from support.traffic import Lane, Traffic
from support.wire import Connection

pytestmark = pytest.mark.ours("Gunicorn has no ready_path")

NAMES = ("a", "b", "c")

#: What clients do: they have no part in what happens behind the balancer.
LANES = (
    Lane("kept", 6, 60),
    Lane("once", 4, 40),
    Lane("posting", 3, 8),
    Lane("streaming", 2, 4),
    Lane("idling", 4, 4),
)

SOURCE = """
import json, os, steady
loaded = steady.make({version!r})

def app(environ, start_response):
    if environ["PATH_INFO"] != "/seen":
        return loaded(environ, start_response)
    start_response("200 OK", [])
    return [json.dumps({{key: str(environ[key]) for key in sorted(environ)}}).encode()]
"""


@dataclass
class Network:
    """Loopback addresses that nobody else has: the ports are those of the examples."""

    prefix: str = field(default_factory=lambda: f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.")

    @property
    def front(self) -> tuple[str, int]:
        """Where the balancer listens. Port 80 is not everybody's."""
        return f"{self.prefix}1", 8080

    def bind(self, number: int) -> str:
        """Where an instance listens, by its number."""
        return f"{self.prefix}{11 + number}:8000"


class Fleet:
    """Three instances, each replaceable."""

    def __init__(self, serve: Serve, network: Network) -> None:
        self.serve = serve
        self.network = network
        self.instances = [self.start(serve, network, number, "1") for number in range(3)]

    @staticmethod
    def start(serve: Serve, network: Network, number: int, version: str) -> Server:
        """Starts an instance as examples/deploy has it, and waits until it serves."""
        return serve(
            *("app:app", "-w", "2", "--shutdown-delay", "60", "--access-logformat", "%(a)s %(r)s"),
            source=SOURCE.format(version=version),
            config=(DEPLOY / "gunicorn.conf.py").read_text(),
            binds=[network.bind(number)],
        )

    def restart(self, number: int, wait_until_seen: Callable[[], object]) -> None:
        """Ends an instance when the balancer has seen that it will, and starts it anew."""
        old = self.instances[number]
        old.kill(signal.SIGTERM)
        wait_for(lambda: old.get("/ready").status == 503, "a 503")
        wait_until_seen()
        # It need not wait for the rest of the delay.
        old.stop()
        self.instances[number] = self.start(self.serve, self.network, number, "2")

    def reload(self, number: int) -> None:
        """Has an instance replace its workers."""
        server = self.instances[number]
        before = set(server.workers())
        server.kill(signal.SIGHUP)
        wait_for(lambda: not before & set(server.workers()) and len(server.booted()) == 2, "new workers")


@contextlib.contextmanager
def started(
    kind: type[Balancer], network: Network, substitutes: dict[str, str] | None = None
) -> Iterator[Any]:
    """The balancer, in that network."""
    host, port = network.front
    own = {
        Nginx: {"listen 80;": f"listen {host}:{port};"},
        Haproxy: {"bind :80": f"bind {host}:{port}"},
    }[kind]
    balancer = kind(network.front, {**own, **(substitutes or {"10.0.0.": network.prefix})})
    try:
        yield balancer
    finally:
        balancer.stop()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def fleet(serve: Serve, network: Network) -> Iterator[Fleet]:
    found = Fleet(serve, network)
    yield found
    for server in found.instances:
        # Without the delay.
        server.stop(signal.SIGQUIT)


@pytest.fixture
def nginx(fleet: Fleet, network: Network) -> Iterator[Nginx]:
    with started(Nginx, network) as balancer:
        yield balancer


@pytest.fixture
def haproxy(fleet: Fleet, network: Network) -> Iterator[Haproxy]:
    with started(Haproxy, network) as balancer:
        wait_for(lambda: set(balancer.states().values()) == {"UP"}, "three healthy instances")
        yield balancer


def served(server: Server) -> list[str]:
    """The requests of clients that an instance has had, each with the client's address."""
    return re.findall(r"^\S+ \w+ /(?:echo|post|stream)/\d+ .*$", server.stdout(), re.MULTILINE)


def wait_until_served(server: Server) -> None:
    """Waits until the balancer has sent the instance some requests."""
    wait_for(lambda: served(server), "requests for the new instance")


def test_nginx_loses_no_request_while_all_instances_restart(fleet: Fleet, nginx: Nginx) -> None:
    with Traffic([nginx.address], LANES) as traffic:
        for number in range(3):
            # It does not ask for health: it finds out by the refused connection.
            fleet.restart(number, lambda: True)
            wait_until_served(fleet.instances[number])
        for number in range(3):
            fleet.reload(number)
    assert_whole(traffic)


def test_haproxy_loses_no_request_while_all_instances_restart(fleet: Fleet, haproxy: Haproxy) -> None:
    def wait_for_state(name: str, state: str) -> None:
        wait_for(lambda: haproxy.states()[name] == state, f"{name} to be {state}")

    with Traffic([haproxy.address], LANES) as traffic:
        for number, name in enumerate(NAMES):
            fleet.restart(number, partial(wait_for_state, name, "DOWN"))
            wait_for_state(name, "UP")
            wait_until_served(fleet.instances[number])
        for number in range(3):
            fleet.reload(number)
    assert_whole(traffic)


def assert_whole(traffic: Traffic) -> None:
    """No request has failed or waited for long, and both the old code and the new have answered."""
    traffic.outcome.assert_nothing_lost(2.0)
    assert {answer.version for answer in traffic.outcome.answers} == {"1", "2"}


@pytest.fixture(params=[Nginx, Haproxy])
def balancer(request: pytest.FixtureRequest, serve: Serve, network: Network) -> Iterator[Balancer]:
    """Each of them, in front of one instance: the others are not there."""
    server = Fleet.start(serve, network, 0, "1")
    with started(request.param, network) as balancer:
        yield balancer
    server.stop(signal.SIGQUIT)


def test_connections_to_the_instances_are_kept(balancer: Balancer) -> None:
    with Connection(balancer.address) as connection:
        request = b"GET /seen HTTP/1.1\r\nHost: shop.example\r\n\r\n"
        ports = {json.loads(connection.request(request).body)["REMOTE_PORT"] for _ in range(20)}
    assert len(ports) <= 2


def test_what_clients_say_of_themselves_is_replaced(balancer: Balancer) -> None:
    forged = ("X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.1")
    seen = json.loads(balancer.get("/seen", *forged).body)
    assert seen["wsgi.url_scheme"] == "http"
    assert seen["HTTP_X_FORWARDED_PROTO"] == "http"
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert seen["HTTP_HOST"] == "shop.example"


def test_clients_do_not_see_the_health_of_an_instance(balancer: Balancer) -> None:
    assert balancer.get("/ready").status == 404


def test_nginx_speaks_to_a_unix_socket(serve: Serve, network: Network) -> None:
    server = serve("app:app", kind="unix", source=SOURCE.format(version="1"))
    text = (DEPLOY / Nginx.FILE).read_text()
    (shown,) = re.findall(r"# On the same machine: (server unix:/run/shop.sock;)", text)
    (others,) = re.findall(r"(?:^ +server \d.*\n)+", text, re.MULTILINE)
    with started(Nginx, network, {others: shown.replace("/run/shop.sock", str(server.address))}) as nginx:
        seen = json.loads(nginx.get("/seen").body)
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert seen["REMOTE_ADDR"] == ""
