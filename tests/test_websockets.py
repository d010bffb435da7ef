"""Websocket libraries of Python's WSGI world, with real clients, in the worker classes that run greenlets.

They take the client's socket out of the environ and go on with it: it must be one that waits in the hub.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import websocket

from conftest import Serve
from support.processes import descriptors, wait_for
from support.server import Server

LEFT = pytest.mark.ours("eventlet left Gunicorn in 26")

FLASK_SOCK = """
from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)

@app.get("/")
def page():
    return "page"

@sock.route("/ws")
def talk(ws):
    while True:
        text = ws.receive()
        if text == "close":
            return
        ws.send(text.upper() if isinstance(text, str) else text[::-1])
"""

WSPROTO = """
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Request, TextMessage

def app(environ, start_response):
    if environ["PATH_INFO"] != "/ws":
        start_response("200 OK", [("Content-Length", "4")])
        return [b"page"]
    sock = environ["gunicorn.socket"]
    connection = WSConnection(ConnectionType.SERVER)
    lines = [b"GET %s HTTP/1.1" % environ["RAW_URI"].encode()]
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            lines.append(name[5:].replace("_", "-").encode() + b": " + value.encode())
    connection.receive_data(b"\\r\\n".join(lines) + b"\\r\\n\\r\\n")
    message = []
    while True:
        for event in connection.events():
            if isinstance(event, Request):
                sock.sendall(connection.send(AcceptConnection()))
            elif isinstance(event, (TextMessage, BytesMessage)):
                message.append(event.data)
                if event.message_finished:
                    whole, message = type(event.data)().join(message), []
                    if whole == "close":
                        sock.sendall(connection.send(CloseConnection(1000)))
                        raise StopIteration
                    reply = whole.upper() if isinstance(whole, str) else whole[::-1]
                    sock.sendall(connection.send(type(event)(reply)))
            elif isinstance(event, CloseConnection):
                if data:
                    sock.sendall(connection.send(event.response()))
                raise StopIteration
        data = sock.recv(65536)
        connection.receive_data(data or None)
"""

GEVENT_WEBSOCKET = """
def app(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is None:
        start_response("200 OK", [("Content-Length", "4")])
        return [b"page"]
    while True:
        text = ws.receive()
        if text in (None, "close"):
            return []
        ws.send(text.upper() if isinstance(text, str) else bytes(text)[::-1])
"""

EVENTLET_WEBSOCKET = """
from eventlet.websocket import WebSocketWSGI

@WebSocketWSGI
def talk(ws):
    while True:
        text = ws.wait()
        if text in (None, "close"):
            return
        ws.send(text.upper() if isinstance(text, str) else text[::-1])

def app(environ, start_response):
    if environ["PATH_INFO"] == "/ws":
        return talk(environ, start_response)
    start_response("200 OK", [("Content-Length", "4")])
    return [b"page"]
"""

GEVENT_HANDLER = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"

LIBRARIES = [
    pytest.param(("gevent", FLASK_SOCK), id="flask-sock gevent"),
    pytest.param(("eventlet", FLASK_SOCK), id="flask-sock eventlet", marks=LEFT),
    pytest.param(("gevent", WSPROTO), id="wsproto gevent"),
    pytest.param(("eventlet", WSPROTO), id="wsproto eventlet", marks=LEFT),
    pytest.param((GEVENT_HANDLER, GEVENT_WEBSOCKET), id="gevent-websocket"),
    pytest.param(("eventlet", EVENTLET_WEBSOCKET), id="eventlet.websocket", marks=LEFT),
]


@pytest.fixture(scope="module", params=LIBRARIES)
def talker(request: pytest.FixtureRequest, serve_module: Serve) -> Server:
    """A server that says what it hears, louder: text in capitals, bytes reversed; `close` ends it."""
    worker, source = request.param
    return serve_module("app:app", "-k", worker, "--graceful-timeout", "3", source=source)


@contextlib.contextmanager
def connected(server: Server, count: int = 1, path: str = "/ws") -> Iterator[list[websocket.WebSocket]]:
    """Clients that have shaken hands."""
    host, port = server.address
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = websocket.create_connection(f"ws://{host}:{port}{path}", timeout=20)
            stack.callback(client.shutdown)
            clients.append(client)
        yield clients


def test_messages_go_both_ways(talker: Server) -> None:
    with connected(talker) as (client,):
        for text in ("hello", "é" * 1000, "x" * 200_000):
            client.send(text)
            assert client.recv() == text.upper()
        client.send_binary(b"\x00\x01\xff")
        assert client.recv() == b"\xff\x01\x00"


def test_what_waits_for_a_message_holds_nobody(talker: Server) -> None:
    with connected(talker, 50) as clients:
        began = time.monotonic()
        assert talker.get("/").text == "page"
        assert time.monotonic() - began < 0.5
        for number, client in enumerate(clients):
            client.send(f"number {number}")
        for number, client in enumerate(clients):
            assert client.recv() == f"NUMBER {number}"


def test_messages_that_come_together_are_all_heard(talker: Server) -> None:
    with connected(talker) as (client,):
        for number in range(100):
            client.send(f"m{number}")
        assert [client.recv() for _ in range(100)] == [f"M{number}" for number in range(100)]


def test_it_ends_when_the_application_closes(talker: Server) -> None:
    with connected(talker) as (client,):
        client.send("close")
        # A reset where the answer to the closing frame came too late to be read.
        with contextlib.suppress(websocket.WebSocketConnectionClosedException, ConnectionResetError):
            while client.recv():
                pass
            assert client.sock is None or client.sock.recv(100) == b""


def test_it_ends_when_the_client_leaves(talker: Server) -> None:
    talker.get("/")
    before = len(descriptors(talker.worker()))
    with connected(talker, 5):
        wait_for(lambda: len(descriptors(talker.worker())) > before, "the connections")
    wait_for(lambda: len(descriptors(talker.worker())) <= before, "their end")
    assert not [line for line in talker.log().splitlines() if "[ERROR]" in line]


@pytest.mark.parametrize("library", LIBRARIES)
def test_open_ones_end_with_the_server(library: tuple[str, str], serve: Serve) -> None:
    worker, source = library
    server = serve("app:app", "-k", worker, "--graceful-timeout", "1", source=source)
    with connected(server, 3) as clients:
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
        for client in clients:
            with contextlib.suppress(websocket.WebSocketException, OSError):
                assert client.recv() in ("", b"")


# Flask-SocketIO

SOCKETIO = """
import sys
{before}
from flask import Flask
from flask_socketio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app, async_mode={mode!r})

@app.get("/")
def page():
    return "page"

@socketio.on("say")
def said(text):
    emit("heard", text.upper())
    return "thanks"

@socketio.on("tell all")
def told(text):
    emit("all", text, broadcast=True)
"""

#: Without gevent-websocket the library uses simple-websocket, and needs no worker class of its own.
WITHOUT = "sys.modules['geventwebsocket'] = None"


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize(
    ("worker", "mode", "before"),
    [
        pytest.param("gevent", "gevent", WITHOUT, id="gevent"),
        pytest.param(GEVENT_HANDLER, "gevent", "", id="gevent-websocket"),
        pytest.param("eventlet", "eventlet", "", id="eventlet", marks=LEFT),
    ],
)
def test_flask_socketio(worker: str, mode: str, before: str, transport: str, serve: Serve) -> None:
    import socketio

    server = serve("app:app", "-k", worker, source=SOCKETIO.format(mode=mode, before=before))
    host, port = server.address
    heard: list[Any] = []
    clients = []
    try:
        for number in range(3):
            client = socketio.Client(reconnection=False)
            client.on("heard", lambda text, number=number: heard.append((number, text)))
            client.on("all", lambda text, number=number: heard.append((number, text)))
            client.connect(f"http://{host}:{port}", transports=[transport])
            clients.append(client)
        assert clients[0].transport() == transport
        assert clients[0].call("say", "hello") == "thanks"
        wait_for(lambda: heard == [(0, "HELLO")], "the answer")
        assert server.get("/").text == "page"
        clients[1].emit("tell all", "news")
        wait_for(lambda: sorted(heard[1:]) == [(0, "news"), (1, "news"), (2, "news")], "the news")
    finally:
        for client in clients:
            client.disconnect()
