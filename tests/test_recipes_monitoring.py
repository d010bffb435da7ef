"""Recipes of monitoring packages, with the real packages: prometheus_client, OpenTelemetry, Sentry."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from conftest import Serve
from support.processes import wait_for
from support.server import Server

# prometheus_client with several processes: each writes its own file, a scrape sums them.

PROMETHEUS_CONFIG = """
workers = 2

def child_exit(server, worker):
    from prometheus_client import multiprocess
    multiprocess.mark_process_dead(worker.pid)
"""

PROMETHEUS_APP = """
import glob, os, time
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, multiprocess

REQUESTS = Counter("views", "Views served.", ["path"])
ALIVE = Gauge("alive", "Workers.", multiprocess_mode="livesum")
ALIVE.set(1)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        body = generate_latest(registry)
    else:
        REQUESTS.labels("/view").inc()
        body = b"counted"
    if environ["PATH_INFO"] == "/meet":
        # Until two workers are here at once.
        open(f"../met-{os.getpid()}", "w").close()
        while len(glob.glob("../met-*")) < 2:
            time.sleep(0.001)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def metric(server: Server, name: str) -> float:
    """The value of a metric, summed over the workers."""
    text = server.get("/metrics").text
    found = re.search(rf"^{re.escape(name)} ([\d.]+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_prometheus_sums_over_workers_and_forgets_the_dead(serve: Serve, tmp_path: Path) -> None:
    server = serve(
        source=PROMETHEUS_APP, config=PROMETHEUS_CONFIG, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    )
    with server.connect() as one, server.connect() as other:
        for connection in (one, other):
            connection.send(b"GET /meet HTTP/1.1\r\nHost: a\r\n\r\n")
        for connection in (one, other):
            assert connection.read_response().body == b"counted"
    for _ in range(3):
        server.get("/view")
    assert metric(server, 'views_total{path="/view"}') == 5
    assert metric(server, "alive") == 2
    victim = server.workers()[0]
    assert list(tmp_path.glob(f"gauge_livesum_{victim}.db"))
    os.kill(victim, signal.SIGTERM)
    wait_for(lambda: not list(tmp_path.glob(f"gauge_livesum_{victim}.db")), "child_exit")
    wait_for(lambda: len(server.booted()) == 2, "its successor")
    assert metric(server, "alive") == 2
    # What the dead worker has counted stays counted.
    assert metric(server, 'views_total{path="/view"}') == 5


# OpenTelemetry: the exporter's thread does not survive a fork, so it is started behind it.

OPENTELEMETRY_CONFIG = """
def post_fork(server, worker):
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    out = open(f"../spans-{worker.age}", "w")
    exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\\n")
    provider = TracerProvider(resource=Resource.create({"service.name": "shop", "worker": worker.pid}))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=10))
    trace.set_tracer_provider(provider)
    worker.tracer_provider = provider

def worker_exit(server, worker):
    worker.tracer_provider.shutdown()
"""

OPENTELEMETRY_APP = """
from opentelemetry import trace

def app(environ, start_response):
    with trace.get_tracer("shop").start_as_current_span("view") as span:
        span.set_attribute("path", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def test_opentelemetry_started_behind_the_fork_exports_spans(serve: Serve) -> None:
    server = serve(source=OPENTELEMETRY_APP, config=OPENTELEMETRY_CONFIG)
    worker = server.worker()
    for number in range(3):
        assert server.get(f"/{number}").body == b"ok"
    spans = server.home / "spans-1"
    # The exporter's thread runs while the worker waits for requests: the interpreter is free then.
    wait_for(lambda: len(spans.read_text().splitlines()) == 3, "the spans")
    assert server.get("/last").body == b"ok"
    server.stop()
    found = [json.loads(line) for line in spans.read_text().splitlines()]
    assert [span["attributes"]["path"] for span in found] == ["/0", "/1", "/2", "/last"]
    assert {span["resource"]["attributes"]["worker"] for span in found} == {worker}


# Sentry: its WSGI middleware sees exceptions; the transport writes to a file in place of the network.

SENTRY_APP = """
import json
import os
import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.transport import Transport

class FileTransport(Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            with open("../events", "a") as file:
                file.write(json.dumps(event, default=str) + "\\n")

sentry_sdk.init(dsn="https://key@sentry.invalid/1", transport=FileTransport, auto_session_tracking=False)

def view(environ, start_response):
    if environ["PATH_INFO"] == "/fails":
        raise LookupError("no such thing")
    if environ["PATH_INFO"] == "/fails-later":
        start_response("200 OK", [])
        return failing()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

def failing():
    yield b"begun"
    raise LookupError("later")

app = SentryWsgiMiddleware(view)
"""


@pytest.fixture
def sentry(serve: Serve) -> Server:
    return serve(source=SENTRY_APP)


def events(server: Server) -> list[dict[str, object]]:
    path = server.home / "events"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_sentry_sees_exceptions_and_their_requests(sentry: Server) -> None:
    assert sentry.get("/fine").body == b"ok"
    assert events(sentry) == []
    assert sentry.get("/fails?a=b", "X-Thing: 1").status == 500
    (event,) = wait_for(lambda: events(sentry), "the event")
    exception = event["exception"]["values"][-1]  # type: ignore[index]
    assert (exception["type"], exception["value"]) == ("LookupError", "no such thing")
    request = event["request"]
    assert request["query_string"] == "a=b"  # type: ignore[index]
    assert request["headers"]["X-Thing"] == "1"  # type: ignore[index]
    assert "no such thing" in sentry.log()


def test_sentry_sees_exceptions_of_the_iteration(sentry: Server) -> None:
    with sentry.connect() as connection:
        connection.send(b"GET /fails-later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.read_to_end().endswith(b"begun\r\n")
    (event,) = wait_for(lambda: events(sentry), "the event")
    assert event["exception"]["values"][-1]["value"] == "later"  # type: ignore[index]
