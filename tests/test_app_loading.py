"""What `MODULE:EXPR` names: which application is found, and what is said when none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import Project

APP = """
import sys

def application(environ, start_response):
    return []

app = application
nothing = None
number = 3

class Site:
    app = application

def create(*args, **kwargs):
    print(args, kwargs, file=sys.stderr)
    return application

def one(a):
    return application

def inside():
    return len(3)

def empty():
    return None

def leave():
    sys.exit(7)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("site_app.py", APP)
    project.write("package/__init__.py", "")
    project.write("package/module.py", APP)
    return project


@pytest.mark.parametrize(
    "uri", ["site_app", "site_app:app", "package.module:app", "site_app:create()", "site_app:one(a=None)"]
)
def test_the_application_is_found(project: Project, uri: str) -> None:
    done = project.run("--check-config", uri)
    assert done.returncode == 0, done.stderr


def test_a_factory_gets_its_literal_arguments(project: Project) -> None:
    done = project.run("--check-config", "site_app:create('x', [1, -2], debug=True)")
    assert done.returncode == 0
    assert done.stderr == "('x', [1, -2]) {'debug': True}\n"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "Failed to parse '' as an attribute name or function call."),
        ("app app", "Failed to parse 'app app' as an attribute name or function call."),
        ("Site.app", "Failed to parse 'Site.app' as an attribute name or function call."),
        ("1", "Failed to parse '1' as an attribute name or function call."),
        ("Site.app()", "Function reference must be a simple name: 'Site.app()'"),
        ("create(x)", "Failed to parse arguments as literal values: 'create(x)'"),
        ("create(*[1])", "Failed to parse arguments as literal values: 'create(*[1])'"),
        ("create(**{'a': 1})", "Failed to parse arguments as literal values: \"create(**{'a': 1})\""),
        ("nosuch", "Failed to find attribute 'nosuch' in 'site_app'."),
        ("one()", "TypeError: one() missing 1 required positional argument: 'a'"),
        ("nothing", "Failed to find application object: 'nothing'"),
        ("empty()", "Failed to find application object: 'empty()'"),
        ("number", "Application object must be callable."),
    ],
)
def test_what_is_said_when_the_module_has_no_such_application(
    project: Project, expression: str, message: str
) -> None:
    said = project.refusal("--check-config", f"site_app:{expression}")
    assert said.startswith("\nError while loading the application:\n\nTraceback")
    assert said.endswith(f"\nrgunicorn.errors.AppImportError: {message}\n")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("site_app.py", "ImportError: Failed to find application, did you mean 'site_app:application'?"),
        ("site_app.py:app", "ImportError: Failed to find application, did you mean 'site_app:app'?"),
        ("nosuch", "ModuleNotFoundError: No module named 'nosuch'"),
        (":application", "ValueError: Empty module name"),
        ("site_app:inside()", "TypeError: object of type 'int' has no len()"),
    ],
)
def test_other_failures_go_through(project: Project, uri: str, message: str) -> None:
    assert project.refusal("--check-config", uri).endswith(f"\n{message}\n")


def test_an_application_that_exits_ends_the_check_with_its_status(project: Project) -> None:
    assert project.run("--check-config", "site_app:leave()").returncode == 7


def test_no_application_at_all(project: Project) -> None:
    assert project.refusal() == "\nError: No application module specified.\n"


def test_the_file_may_name_the_application(project: Project) -> None:
    project.write("gunicorn.conf.py", "wsgi_app = 'site_app:app'\n")
    settings = project.settings()
    assert (settings["wsgi_app"], settings["default_proc_name"]) == ("site_app:app", "gunicorn")
    assert project.settings("package.module")["default_proc_name"] == "package.module"


def test_applications_are_found_from_chdir_and_pythonpath(project: Project) -> None:
    project.write("elsewhere/distant.py", APP)
    assert project.run("--check-config", "--chdir", "elsewhere", "distant").returncode == 0
    assert project.run("--check-config", "--pythonpath", "package,elsewhere", "distant").returncode == 0
    assert project.run("--check-config", "--pythonpath", "package", "distant").returncode == 1
