"""`--reload`: a change is served by a new worker, an error as its traceback, and nothing halts."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Serve
from support.processes import stays, wait_for
from support.server import IS_GUNICORN, Server, parse_address

APP = """
import {imported}
def app(environ, start_response):
    body = {text!r}.encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

ENGINES = [
    "poll",
    pytest.param("inotify", marks=pytest.mark.skipif(IS_GUNICORN, reason="one engine is enough")),
]


def app(text: str, imported: str = "os") -> str:
    """The source of an application that says `text`."""
    return APP.format(text=text, imported=imported)


def write(server: Server, name: str, text: str) -> None:
    """Changes a file of the application, as an editor does: a new file takes the old one's name."""
    path = server.directory / name
    new = path.with_suffix(".new")
    new.write_text(text)
    if path.exists() and new.stat().st_mtime_ns == path.stat().st_mtime_ns:
        os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    new.rename(path)
    server.files.add(f"run/{name}")


def answers(server: Server, body: bytes) -> Callable[[], bool]:
    """Whether the server's answer holds `body`."""
    return lambda: body in server.get("/").body


def replaced(server: Server, before: list[int]) -> Callable[[], bool]:
    """Whether none of these workers is left, and others are ready."""
    return lambda: bool(server.booted()) and not set(server.workers()) & set(before)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """How files are watched."""
    if request.param == "inotify":
        pytest.importorskip("inotify")
    return str(request.param)


def test_a_change_is_served_by_a_new_worker(engine: str, serve: Serve) -> None:
    server = serve("app:app", "--reload", "--reload-engine", engine, source=app("one"))
    server.wait_for_log(r"\[WARNING\] Reloader is on. Use in development only!$")
    assert server.get("/").body == b"one"
    first = server.worker()
    write(server, "app.py", app("two"))
    wait_for(answers(server, b"two"), "the new text")
    path = re.escape(str(server.directory / "app.py"))
    server.wait_for_log(rf"\[{first}\] \[INFO\] Worker reloading: {path} modified$")
    wait_for(lambda: first not in server.workers(), "the end of the old worker")
    assert not re.search("exited with code|die young|ERROR", server.log())


@pytest.mark.ours(reason="epoll, which inotify needs, is gone when these have patched the library")
@pytest.mark.parametrize("asked", ["auto", "inotify"])
@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
def test_files_are_polled_where_a_thread_is_a_greenlet(asked: str, kind: str, serve: Serve) -> None:
    pytest.importorskip(kind)
    pytest.importorskip("inotify")
    server = serve("app:app", "-k", kind, "--reload", "--reload-engine", asked, source=app("one"))
    assert server.get("/").body == b"one"
    write(server, "app.py", app("two"))
    wait_for(answers(server, b"two"), "the new text")
    said = "reload_engine: inotify cannot wait in a greenlet; files are polled." in server.log()
    assert said == (asked == "inotify")


def test_every_worker_is_replaced_by_every_change(serve: Serve) -> None:
    server = serve("app:app", "--reload", "-w", "2", source=app("0"))
    for count in range(1, 4):
        before = server.workers()
        write(server, "app.py", app(str(count)))
        wait_for(replaced(server, before), "new workers alone")
        wait_for(lambda: len(server.booted()) == 2, "two of them")
        assert server.get("/").body == str(count).encode()
    assert "die young" not in server.log()


def test_a_module_that_the_application_imports_is_watched(engine: str, serve: Serve) -> None:
    server = serve("app:app", "--reload", "--reload-engine", engine, source=app("x"))
    write(server, "part.py", "")
    write(server, "app.py", app("imports", imported="part"))
    wait_for(answers(server, b"imports"), "the application that imports it")
    wait_for(server.booted, "its worker")
    before = server.workers()
    write(server, "part.py", "found = True")
    server.wait_for_log("Worker reloading: .*part.py modified$")
    wait_for(replaced(server, before), "another worker")


def test_extra_files_and_patterns_are_watched(engine: str, serve: Serve, tmp_path: Path) -> None:
    extra, page, other = tmp_path / "extra.txt", tmp_path / "t" / "page.html", tmp_path / "other.txt"
    page.parent.mkdir()
    for path in (extra, page, other):
        path.write_text("one")
    flags = ["--reload", "--reload-engine", engine, "--reload-extra-file", str(extra)]
    server = serve("app:app", *flags, "--reload-extra-file", str(tmp_path / "t" / "*.html"), source=app("x"))
    for path in (extra, page):
        before = server.worker()
        other.write_text("two")
        path.write_text("two")
        server.wait_for_log(f"Worker reloading: {re.escape(str(path))} modified$")
        wait_for(replaced(server, [before]), "another worker")
    assert str(other) not in server.log()


@pytest.mark.ours("poll: only a later change of it")
def test_a_new_file_that_a_pattern_matches_is_a_change(engine: str, serve: Serve, tmp_path: Path) -> None:
    flags = ["--reload", "--reload-engine", engine, "--reload-extra-file", str(tmp_path / "**" / "*.html")]
    server = serve("app:app", *flags, source=app("x"))
    for path in (tmp_path / "page.html", tmp_path / "new" / "directory" / "page.html"):
        before = server.worker()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".txt").touch()
        path.touch()
        server.wait_for_log(f"Worker reloading: {re.escape(str(path))} modified$")
        wait_for(replaced(server, [before]), "another worker")
    assert ".txt" not in server.log()


def test_a_syntax_error_is_served_until_it_is_mended(engine: str, serve: Serve) -> None:
    server = serve("app:app", "--reload", "--reload-engine", engine, source="def app(:\n")
    for target in ("/", "/x"):
        response = server.get(target)
        assert response.status == 500
        assert response.header("content-type").startswith("text/plain")
        assert b"Traceback (most recent call last):" in response.body
        assert b"SyntaxError: " in response.body
    server.wait_for_log(r"\[ERROR\] invalid syntax \(app.py, line 1\)$")
    write(server, "app.py", app("mended"))
    wait_for(answers(server, b"mended"), "the mended application")
    write(server, "app.py", "app = (")
    wait_for(answers(server, b"SyntaxError"), "the report")
    write(server, "app.py", app("again"))
    wait_for(answers(server, b"again"), "the mended application")


@pytest.mark.ours("the server ends")
@pytest.mark.parametrize(
    ("source", "report"),
    [
        ("import no_such_module", b"No module named 'no_such_module'"),
        ("undefined", b"NameError"),
        ("other = 1", b"Failed to find attribute 'app' in 'app'."),
        ("import part", b"ZeroDivisionError"),
    ],
)
def test_any_other_error_is_served_too_once_the_service_runs(
    source: str, report: bytes, serve: Serve
) -> None:
    server = serve("app:app", "--reload", source=app("one"))
    write(server, "part.py", "1 / 0")
    write(server, "app.py", source)
    wait_for(answers(server, report), "the report")
    assert server.get("/").status == 500
    if report == b"ZeroDivisionError":
        # It is not among the modules: the traceback names it.
        wait_for(server.booted, "the worker that watches")
        write(server, "part.py", "def app(environ, start_response): return part()")
        server.wait_for_log("Worker reloading: .*part.py modified$")
    write(server, "app.py", app("mended"))
    wait_for(answers(server, b"mended"), "the mended application")


def test_a_first_start_that_fails_ends_as_without_it(serve: Serve) -> None:
    server = serve("app:app", "--reload", source="import no_such_module", launch=True)
    server.wait_for_exit(3)
    server.wait_for_log("Reason: Worker failed to boot.$")


def test_worker_int_is_called_in_the_worker_that_leaves(serve: Serve) -> None:
    config = "def worker_int(worker): worker.log.info('worker_int of %s', worker.pid)"
    server = serve("app:app", "--reload", source=app("one"), config=config)
    first = server.worker()
    write(server, "app.py", app("two"))
    server.wait_for_log(f"worker_int of {first}$")
    wait_for(answers(server, b"two"), "the new text")


@pytest.mark.ours("the next worker starts when the one before has gone")
def test_a_request_that_runs_is_answered(serve: Serve, tmp_path: Path) -> None:
    source = """
import os, time
def app(environ, start_response):
    open({begun!r}, "w").close()
    while not os.path.exists({end!r}):
        time.sleep(0.01)
    start_response("200 OK", [("Content-Length", "3")])
    return [b"old"]
""".format(begun=str(tmp_path / "begun"), end=str(tmp_path / "end"))
    server = serve("app:app", "--reload", source=source)
    with server.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for((tmp_path / "begun").exists, "the application to be called")
        write(server, "app.py", app("new"))
        wait_for(answers(server, b"new"), "the new worker")
        (tmp_path / "end").touch()
        assert connection.read_response().body == b"old"


@pytest.mark.ours("the log does not say so")
def test_preloaded_code_stays_and_the_log_says_so(serve: Serve) -> None:
    server = serve("app:app", "--reload", "--preload", source=app("one"))
    server.wait_for_log(r"\[WARNING\] preload_app is on, too: ")
    first = server.worker()
    write(server, "app.py", app("two"))
    wait_for(replaced(server, [first]), "another worker")
    assert server.get("/").body == b"one"


def test_without_it_nothing_is_watched(serve: Serve) -> None:
    server = serve("app:app", source=app("one"))
    first = server.worker()
    write(server, "app.py", app("two"))
    assert "Reloader" not in server.log()
    stays(lambda: server.workers() == [first], "the worker", 1.5)
    server.kill(signal.SIGHUP)
    wait_for(answers(server, b"two"), "the new text after HUP")


@pytest.mark.ours("it looks for the package before the configuration is read")
def test_an_engine_that_is_not_installed_is_named(serve: Serve) -> None:
    # A module of that name that is nothing: what `pip uninstall` leaves.
    config = "import sys; sys.modules['inotify'] = None"
    server = serve(
        "app:app", "--reload", "--reload-engine", "inotify", source=app("x"), config=config, launch=True
    )
    server.wait_for_exit(3)
    server.wait_for_log("You must have the inotify module installed to use the inotify reloader$")


ASGI = """
async def app(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]}})
    await send({{"type": "http.response.body", "body": {text!r}}})
"""


@pytest.mark.ours("the worker class looks at nothing that the reloader changes")
def test_a_worker_class_of_another_package_is_replaced_too(serve: Serve) -> None:
    pytest.importorskip("uvicorn_worker")
    flags = ("--reload", "-k", "uvicorn_worker.UvicornWorker")
    server = serve("app:app", *flags, source=ASGI.format(text=b"one"), launch=True)
    server.wait_for_log("Application startup complete|Started server process|Reloader is on")
    server.addresses = [parse_address(server.wait_for_log(r"Listening at: (\S+) ")[1])]
    wait_for(answers(server, b"one"), "an answer")
    first = server.worker()
    write(server, "app.py", ASGI.format(text=b"two"))
    wait_for(answers(server, b"two"), "the new text")
    wait_for(lambda: first not in server.workers(), "the end of the old worker")
    assert not re.search("exited with code|die young", server.log())
