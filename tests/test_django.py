"""The Django example under four workers, on each kind of socket."""

from __future__ import annotations

import re

import pytest

from conftest import Serve
from support.server import EXAMPLES, Server
from support.wire import Response

DJANGO_APP = EXAMPLES / "django_app"


@pytest.fixture(scope="module", params=["tcp", "tcp6", "unix"])
def django(request: pytest.FixtureRequest, serve_module: Serve) -> Server:
    server = serve_module("django_app.wsgi", "-w", "4", "--chdir", str(DJANGO_APP), kind=request.param)
    assert server.get("/").text == "Hello from Django\n"
    return server


def token(response: Response) -> tuple[str, str]:
    """The CSRF cookie and the form's token."""
    (cookie,) = (value for value in response.all("Set-Cookie") if value.startswith("csrftoken="))
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', response.text)
    assert found
    return cookie.split(";")[0], found[1]


def test_the_admin_asks_for_a_login(django: Server) -> None:
    redirect = django.get("/admin/")
    assert (redirect.status, redirect.header("Location")) == (302, "/admin/login/?next=/admin/")
    page = django.get("/admin/login/?next=/admin/")
    assert page.status == 200
    assert '<input type="password" name="password"' in page.text
    assert token(page)


def test_a_wrong_login_reaches_the_database(django: Server) -> None:
    cookie, secret = token(django.get("/admin/login/"))
    response = django.get(
        "/admin/login/",
        f"Cookie: {cookie}",
        "Content-Type: application/x-www-form-urlencoded",
        method="POST",
        body=f"csrfmiddlewaretoken={secret}&username=ada&password=wrong".encode(),
    )
    assert response.status == 200
    assert "Please enter the correct username and password" in response.text


def test_a_form_is_accepted_with_its_token(django: Server) -> None:
    cookie, secret = token(django.get("/note/"))
    response = django.get(
        "/note/",
        f"Cookie: {cookie}",
        "Content-Type: application/x-www-form-urlencoded",
        method="POST",
        body=f"csrfmiddlewaretoken={secret}&text=caf%C3%A9".encode(),
    )
    assert (response.status, response.body.decode()) == (200, "Noted: café\n")


def test_a_form_is_refused_without_its_token(django: Server) -> None:
    response = django.get(
        "/note/", "Content-Type: application/x-www-form-urlencoded", method="POST", body=b"text=caf%C3%A9"
    )
    assert response.status == 403
    assert "CSRF verification failed" in response.text


def test_a_file_is_sent_from_disk(django: Server) -> None:
    response = django.get("/file/")
    assert response.body == (DJANGO_APP / "django_app" / "views.py").read_bytes()
    assert response.header("Content-Disposition") == 'attachment; filename="views.py"'
    assert response.header("Content-Length") == str(len(response.body))


def test_a_missing_page_is_the_projects_to_answer(django: Server) -> None:
    assert django.get("/nowhere").status == 404


def test_a_path_without_its_slash_is_redirected(django: Server) -> None:
    response = django.get("/note")
    assert (response.status, response.header("Location")) == (301, "/note/")
