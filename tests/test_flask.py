"""The Flask example under four workers, on each kind of socket."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from conftest import Serve
from support.server import EXAMPLES, Server

FLASK_APP = EXAMPLES / "flask_app"


@pytest.fixture(scope="module", params=["tcp", "tcp6", "unix"])
def flask(
    request: pytest.FixtureRequest, serve_module: Serve, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    uploads = tmp_path_factory.mktemp("uploads")
    app = f"flask_app:create_app(uploads={str(uploads)!r})"
    return serve_module(app, "-w", "4", "--chdir", str(FLASK_APP), kind=request.param)


def multipart(name: str, data: bytes) -> tuple[str, bytes]:
    """A form with one file: its Content-Type field and its body."""
    head = f'--frontier\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return (
        "Content-Type: multipart/form-data; boundary=frontier",
        head.encode() + data + b"\r\n--frontier--\r\n",
    )


def test_the_page_has_a_length_and_a_type(flask: Server) -> None:
    response = flask.get("/")
    assert response.status == 200
    assert "<h1>Hello from Flask</h1>" in response.text
    assert response.header("Content-Type") == "text/html; charset=utf-8"
    assert response.framing == "length"


def test_a_form_is_read(flask: Server) -> None:
    response = flask.get(
        "/form",
        "Content-Type: application/x-www-form-urlencoded",
        method="POST",
        body=b"name=Grace+H%C3%B6pper",
    )
    assert (response.status, response.body.decode()) == (200, "Hello, Grace Höpper!")


def test_json_comes_back(flask: Server) -> None:
    value = {"name": "Ada", "numbers": [1, 2.5, None], "text": "é" * 10_000}
    response = flask.get(
        "/json", "Content-Type: application/json", method="POST", body=json.dumps(value).encode()
    )
    assert json.loads(response.body) == {"received": value}


def test_an_uploaded_file_can_be_downloaded_from_any_worker(flask: Server) -> None:
    data = bytes(range(256)) * 12_000
    field, body = multipart("bytes.bin", data)
    response = flask.get("/upload", field, method="POST", body=body)
    assert json.loads(response.body) == {
        "name": "bytes.bin",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    for _ in range(8):
        response = flask.get("/download/bytes.bin")
        assert response.status == 200
        assert response.header("Content-Disposition") == "attachment; filename=bytes.bin"
        assert response.body == data


def test_a_file_in_memory_is_sent(flask: Server) -> None:
    response = flask.get("/download")
    assert response.body == b"0123456789" * 100_000
    assert response.header("Content-Disposition") == "attachment; filename=digits.txt"


def test_a_file_on_disk_is_sent_whole_in_part_and_not_at_all(flask: Server) -> None:
    text = (FLASK_APP / "flask_app.py").read_bytes()
    response = flask.get("/source")
    assert response.body == text
    etag = response.header("ETag")
    part = flask.get("/source", "Range: bytes=10-19")
    assert (part.status, part.body) == (206, text[10:20])
    assert part.header("Content-Range") == f"bytes 10-19/{len(text)}"
    unchanged = flask.get("/source", f"If-None-Match: {etag}")
    assert (unchanged.status, unchanged.body) == (304, b"")
    head = flask.get("/source", method="HEAD")
    assert (head.status, head.header("Content-Length"), head.body) == (200, str(len(text)), b"")


def test_a_generator_is_streamed_in_chunks(flask: Server) -> None:
    response = flask.get("/stream?lines=1000")
    assert response.framing == "chunked"
    assert response.text == "".join(f"line {number}\n" for number in range(1000))


def test_cookies_go_both_ways(flask: Server) -> None:
    response = flask.get("/counter")
    assert response.text == "1\n"
    assert response.all("Set-Cookie") == ["visits=1; HttpOnly; Path=/; SameSite=Lax", "last=seen; Path=/"]
    assert flask.get("/counter", "Cookie: visits=41; last=seen").text == "42\n"


def test_a_redirect_names_its_target(flask: Server) -> None:
    response = flask.get("/old")
    assert (response.status, response.header("Location")) == (301, "/")


def test_an_unknown_page_and_a_wrong_method_are_the_applications_to_answer(flask: Server) -> None:
    assert flask.get("/nowhere").status == 404
    response = flask.get("/form")
    assert response.status == 405
    assert set((response.header("Allow") or "").split(", ")) == {"POST", "OPTIONS"}


def test_a_view_that_fails_is_answered_and_the_worker_goes_on(flask: Server) -> None:
    workers = flask.workers()
    for _ in range(8):
        assert flask.get("/fail").status == 500
    assert flask.workers() == workers


def test_the_default_application_works_too(serve: Serve) -> None:
    server = serve("flask_app:app", "-w", "4", "--chdir", str(FLASK_APP))
    assert "Hello from Flask" in server.get("/").text


def test_a_factory_takes_arguments(serve: Serve) -> None:
    server = serve("flask_app:create_app('Good day')", "--chdir", str(FLASK_APP))
    assert "<h1>Good day</h1>" in server.get("/").text


def test_the_examples_directory_stays_clean() -> None:
    assert {path.name for path in Path(FLASK_APP).iterdir()} - {"__pycache__"} == {"flask_app.py"}
