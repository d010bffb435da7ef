"""`sock`: listeners for programs that make them themselves, and for the arbiter."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import Serve
from rgunicorn import sock
from rgunicorn.config import Config
from support.server import Server
from support.wire import Connection

LOG = logging.getLogger("test")


def conf(*addresses: object, **settings: Any) -> Any:
    """A configuration as far as listeners need one."""
    ids = {"uid": os.geteuid(), "gid": os.getegid()}
    given = {
        "backlog": 16,
        "umask": 0,
        "reuse_port": False,
        "is_ssl": False,
        "settings": Config().settings,
        **ids,
    }
    return SimpleNamespace(address=list(addresses), **(given | settings))


@pytest.fixture
def keep() -> Iterator[Any]:
    """Closes what a test has opened."""
    kept: list[sock.BaseSocket] = []
    yield kept.append
    sock.close_sockets(kept)


@pytest.mark.parametrize(
    ("address", "kind", "text"),
    [
        (("127.0.0.1", 0), sock.TCPSocket, "http://127.0.0.1:{}"),
        (("localhost", 0), sock.TCPSocket, "http://127.0.0.1:{}"),
        (("", 0), sock.TCPSocket, "http://0.0.0.0:{}"),
        (("::1", 0), sock.TCP6Socket, "http://[::1]:{}"),
    ],
)
def test_an_address_has_a_class(address: object, kind: type, text: str, keep: Any) -> None:
    (listener,) = sock.create_sockets(conf(address), LOG)
    keep(listener)
    assert type(listener) is kind
    assert str(listener) == text.format(listener.getsockname()[1])
    assert listener.cfg_addr == address
    assert listener.getblocking() is False
    assert os.get_inheritable(listener.fileno()) is False
    for option in (socket.SO_REUSEADDR, socket.SO_ACCEPTCONN):
        assert listener.getsockopt(socket.SOL_SOCKET, option)
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_encrypted_ones_say_https(keep: Any) -> None:
    (listener,) = sock.create_sockets(conf(("127.0.0.1", 0), is_ssl=True), LOG)
    keep(listener)
    assert str(listener).startswith("https://127.0.0.1:")


def test_the_backlog_is_counted(keep: Any) -> None:
    (listener,) = sock.create_sockets(conf(("127.0.0.1", 0)), LOG)
    keep(listener)
    with socket.create_connection(listener.getsockname()), socket.create_connection(listener.getsockname()):
        assert listener.get_backlog() == 2
        listener.accept()[0].close()
        assert listener.get_backlog() == 1


def test_two_may_share_a_port_if_they_are_told_to(keep: Any) -> None:
    (first,) = sock.create_sockets(conf(("127.0.0.1", 0), reuse_port=True), LOG)
    keep(first)
    (second,) = sock.create_sockets(conf(first.getsockname(), reuse_port=True), LOG)
    keep(second)
    assert first.getsockname() == second.getsockname()


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o777), (0o117, 0o660)])
def test_a_path_is_made_and_removed(umask: int, mode: int, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listeners = sock.create_sockets(conf(str(path), umask=umask), LOG)
    assert (type(listeners[0]), str(listeners[0])) == (sock.UnixSocket, f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    sock.close_sockets(listeners)
    assert not path.exists()
    assert listeners[0].fileno() == -1


def test_a_path_stays_if_it_is_to_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    sock.close_sockets(sock.create_sockets(conf(str(path)), LOG), unlink=False)
    assert path.is_socket()


def test_a_path_is_removed_though_the_directory_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listeners = sock.create_sockets(conf("socket"), LOG)
    monkeypatch.chdir("/")
    sock.close_sockets(listeners)
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_another_socket_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    first = sock.create_sockets(conf(path), LOG)
    second = sock.create_sockets(conf(path), LOG)
    sock.close_sockets(first)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    sock.close_sockets(second)
    assert not os.path.exists(path)


def test_what_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(
        RuntimeError,
        match=r"^unix:.*: what is there is not a socket \(bind from the default; allowed: HOST, ",
    ):
        sock.create_sockets(conf(str(path)), LOG)
    assert path.read_text() == "precious"


def test_an_inherited_socket_keeps_its_number_and_shuts_the_others_out(tmp_path: Path) -> None:
    given = socket.socket()
    given.bind(("127.0.0.1", 0))
    name, number = given.getsockname(), given.detach()
    listeners = sock.create_sockets(conf(("127.0.0.1", 0), number), LOG)
    assert [(type(each), each.fileno(), each.getsockname()) for each in listeners] == [
        (sock.TCPSocket, number, name)
    ]
    with socket.create_connection(name):
        sock.close_sockets(listeners)
    path = str(tmp_path / "socket")
    given = socket.socket(socket.AF_UNIX)
    given.bind(path)
    listeners = sock.create_sockets(conf(), LOG, fds=[given.detach()])
    assert type(listeners[0]) is sock.UnixSocket
    sock.close_sockets(listeners)
    assert os.path.exists(path), "whoever made it removes it"


def test_an_inherited_number_that_is_no_socket_is_an_error() -> None:
    with open("/dev/null") as file, pytest.raises(RuntimeError, match=rf"^fd://{file.fileno()}: "):
        sock.create_sockets(conf(), LOG, fds=[file.fileno()])


def test_nothing_is_left_open_if_one_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock.time, "sleep", lambda seconds: None)
    path = tmp_path / "socket"
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SystemExit) as end:
        sock.create_sockets(conf(str(path), ("203.0.113.1", 80)), LOG)
    assert end.value.code == 1
    assert not path.exists()
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_file_is_left_that_cannot_be_given_to_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chown(path: str, uid: int, gid: int) -> None:
        raise PermissionError(errno.EPERM, "not yours to give")

    monkeypatch.setattr(sock.util, "chown", chown)
    monkeypatch.setattr(sock.time, "sleep", lambda seconds: None)
    with pytest.raises(SystemExit):
        sock.create_sockets(conf(str(tmp_path / "socket")), LOG)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ours("it ends with a traceback")
def test_an_abstract_name_is_served(serve: Serve) -> None:
    name = f"\0rgunicorn-{os.getpid()}"
    server: Server = serve("views:app", binds=[], config=f"bind = 'unix:' + {name!r}\n")
    assert server.address == name
    server.wait_for_log(rf"Listening at: unix:@{name[1:]} \(\d+\)$")
    with Connection(name) as connection:
        connection.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.read_response().body == b"hello\n"


@pytest.mark.ours("a file of that name is made")
def test_an_abstract_name_can_be_written_in_a_shell(serve: Serve) -> None:
    name = f"rgunicorn-{uuid.uuid4().hex}"
    server: Server = serve("views:app", binds=[rf"unix:\0{name}"])
    assert server.address == f"\0{name}"
    assert server.get("/hello").status == 200


@pytest.mark.ours("it tries for five seconds")
def test_an_address_that_is_forbidden_is_tried_once(keep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(self: object, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sock.TCPSocket, "bind", forbid)
    started = time.monotonic()
    with pytest.raises(SystemExit):
        sock.create_sockets(conf(("127.0.0.1", 80)), LOG)
    assert time.monotonic() - started < 1
