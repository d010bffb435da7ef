"""Flask and Django under every worker class."""

from __future__ import annotations

import re
import threading
from collections import Counter

import pytest

from conftest import Serve
from support.classes import Kind, differs
from support.server import EXAMPLES, Server

pytestmark = differs("gevent's own server: compared by its answers alone", "gunicorn-gevent_pywsgi")

#: Counts the visits of each client in a signed cookie, and greets it by the name of its request.
SESSIONS = """
import time
from flask import Flask, request, session

app = Flask(__name__)
app.secret_key = "no secret"

@app.get("/visit/<name>")
def visit(name):
    session.setdefault("name", name)
    session["visits"] = session.get("visits", 0) + 1
    time.sleep(0.01)
    return f"{request.path} {session['name']} {session['visits']}"
"""


def test_flask_keeps_the_sessions_of_its_clients_apart(kind: Kind, serve: Serve) -> None:
    server = kind.serve(serve, "app:app", source=SESSIONS)
    found: Counter[str] = Counter()

    def visit(name: str) -> None:
        cookie = "x=y"
        for _ in range(5):
            response = server.get(f"/visit/{name}", f"Cookie: {cookie}")
            cookie = (response.header("Set-Cookie") or "").split(";")[0]
            found[response.text] += 1

    names = [f"client{number}" for number in range(8)]
    threads = [threading.Thread(target=visit, args=[name], daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {f"/visit/{name} {name} {visits}": 1 for name in names for visits in range(1, 6)}


@pytest.fixture(scope="module")
def django(kind: Kind, serve_kind: Serve) -> Server:
    return kind.serve(serve_kind, "django_app.wsgi", "--chdir", str(EXAMPLES / "django_app"))


@differs("tornado refuses Django's cookies, which begin with a blank, and never answers", "gunicorn-tornado")
def test_django_accepts_a_form(django: Server) -> None:
    page = django.get("/note/")
    cookie = next(value for value in page.all("Set-Cookie") if value.startswith("csrftoken="))
    secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert secret
    response = django.get(
        "/note/",
        f"Cookie: {cookie.split(';')[0]}",
        "Content-Type: application/x-www-form-urlencoded",
        method="POST",
        body=f"csrfmiddlewaretoken={secret[1]}&text=caf%C3%A9".encode(),
    )
    assert (response.status, response.body.decode()) == (200, "Noted: café\n")


def test_django_sends_a_file(django: Server) -> None:
    assert django.get("/file/").body == (EXAMPLES / "django_app" / "django_app" / "views.py").read_bytes()


def test_django_answers_what_is_not_there(django: Server) -> None:
    assert django.get("/nowhere").status == 404
