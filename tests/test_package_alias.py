"""`import gunicorn` in a process that rgunicorn runs: the same modules under both names, never Gunicorn's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rgunicorn
from conftest import Serve

#: Where the package is, for an interpreter without site-packages.
PACKAGE = Path(rgunicorn.__file__).parents[1]


def python(code: str, directory: Path, *, bare: bool = False) -> str:
    """Runs a program to its end; gives what it prints. `bare`: where nothing is installed."""
    flags = ["-S"] if bare else []
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SAME = """
import importlib, sys
import rgunicorn.app.base
import gunicorn, gunicorn.app.base, gunicorn.workers.base as base
from gunicorn import util, sock
from gunicorn.workers.sync import SyncWorker
import rgunicorn.arbiter
pairs = [
    (gunicorn, rgunicorn),
    (gunicorn.app.base, rgunicorn.app.base),
    (base, importlib.import_module("rgunicorn.workers.base")),
    (importlib.import_module("gunicorn.errors"), importlib.import_module("rgunicorn.errors")),
    (util, rgunicorn.util),
    (sock, sys.modules["rgunicorn.sock"]),
    (SyncWorker, sys.modules["rgunicorn.workers.sync"].SyncWorker),
    (__import__("gunicorn.arbiter").arbiter, rgunicorn.arbiter),
]
assert all(one is other for one, other in pairs), pairs
for name, module in list(sys.modules.items()):
    if name.startswith("gunicorn"):
        assert module is sys.modules["r" + name], name
        assert module.__spec__.name == module.__name__ == "r" + name, module.__spec__
print("same")
"""


@pytest.mark.parametrize("bare", [False, True], ids=["beside Gunicorn", "without Gunicorn"])
def test_both_names_are_the_same_modules(bare: bool, tmp_path: Path) -> None:
    assert python(SAME, tmp_path, bare=bare) == "same"


@pytest.mark.parametrize("bare", [False, True], ids=["beside Gunicorn", "without Gunicorn"])
def test_a_pickle_comes_back_under_either_name(bare: bool, tmp_path: Path) -> None:
    code = """
import pickle
import rgunicorn.app.base
from gunicorn.errors import ConfigError
kept = pickle.dumps(ConfigError)
assert b"rgunicorn.errors" in kept
assert pickle.loads(kept) is ConfigError
assert pickle.loads(b"cgunicorn.errors\\nConfigError\\n.") is ConfigError
"""
    python(code, tmp_path, bare=bare)


@pytest.mark.parametrize("bare", [False, True], ids=["beside Gunicorn", "without Gunicorn"])
@pytest.mark.parametrize("name", ["gunicorn.dirty", "gunicorn.dirty.arbiter", "gunicorn.ctl.cli"])
def test_a_module_that_only_gunicorn_has_is_said_to_be_missing(name: str, bare: bool, tmp_path: Path) -> None:
    code = f"""
import rgunicorn.app.base
try:
    import {name}
except ModuleNotFoundError as error:
    print(error.name, error, sep="\\n")
"""
    missing, text = python(code, tmp_path, bare=bare).splitlines()
    assert name.startswith(missing)
    assert text == (
        f"No module named {missing!r}: this process is run by rgunicorn, which has no {'r' + missing!r}"
    )


def test_what_was_imported_of_gunicorn_before_is_replaced(tmp_path: Path) -> None:
    code = """
import gunicorn, gunicorn.util, sys
before = gunicorn
assert "site-packages" in before.util.__file__
import rgunicorn.app.base
import gunicorn, gunicorn.util
assert gunicorn is rgunicorn and gunicorn is not before
assert gunicorn.util is rgunicorn.util
assert not [m for n, m in sys.modules.items() if n.startswith("gunicorn") and m is not sys.modules["r" + n]]
"""
    python(code, tmp_path)


def test_the_name_alone_takes_nobodys_place(tmp_path: Path) -> None:
    """A library that looks at `rgunicorn` inside a process of Gunicorn's must not disturb it."""
    code = "import rgunicorn, gunicorn; assert gunicorn is not rgunicorn; import gunicorn.workers.gthread"
    python(code, tmp_path)


def test_versions_that_programs_compare_are_gunicorns(tmp_path: Path) -> None:
    code = """
import importlib.metadata, rgunicorn.app.base, gunicorn
assert gunicorn.version_info >= (20,) and gunicorn.__version__ == "27.0.1"
assert gunicorn.SERVER_SOFTWARE.startswith("gunicorn/27.0.1 ")
assert importlib.metadata.version("gunicorn") == "27.0.1"
assert importlib.metadata.version("rgunicorn") == gunicorn.VERSION
"""
    python(code, tmp_path)


def test_a_source_is_found_and_a_module_can_be_loaded_again(tmp_path: Path) -> None:
    code = """
import rgunicorn.app.base, gunicorn.errors, importlib, inspect, importlib.util
assert "class HaltServer" in inspect.getsource(gunicorn.errors)
assert importlib.reload(gunicorn.errors) is rgunicorn.errors
assert importlib.util.find_spec("gunicorn.workers").submodule_search_locations is not None
"""
    python(code, tmp_path)


#: Gunicorn checks `reload_engine` with it; here the classes of workers load it.
LATER = {"gunicorn.reloader"}


def test_an_application_brings_the_modules_that_it_brings_in_gunicorn(tmp_path: Path) -> None:
    """Configurations say `import gunicorn`, and then `gunicorn.arbiter.Arbiter`."""
    theirs = set(python(f"import gunicorn.app.wsgiapp; {LOADED}", tmp_path).split())
    ours = set(python(f"import rgunicorn.app.wsgiapp; {LOADED}", tmp_path).split())
    assert "gunicorn.arbiter" in theirs
    assert theirs - LATER <= {name.removeprefix("r") for name in ours}


LOADED = "import sys; print(*(name for name in sys.modules if 'gunicorn' in name.partition('.')[0]))"

APP = """
import json, subprocess, sys
import gunicorn, gunicorn.arbiter
from gunicorn.workers.base import Worker

def app(environ, start_response):
    child = [sys.executable, "-c", "import gunicorn; print(gunicorn.__file__)"]
    facts = {
        "same": gunicorn is sys.modules["rgunicorn"] and Worker.__module__ == "rgunicorn.workers.base",
        "child": subprocess.check_output(child, text=True).strip(),
        "configuration": sys.modules["__config__"].found,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(facts).encode()]
"""


@pytest.mark.ours("of Gunicorn there is one name")
def test_an_application_and_a_configuration_see_it_and_a_subprocess_does_not(serve: Serve) -> None:
    config = "import gunicorn, gunicorn.util, rgunicorn\nfound = gunicorn.util is rgunicorn.util\n"
    facts = json.loads(serve(source=APP, config=config).get("/").body)
    assert facts["same"] is True
    assert facts["configuration"] is True
    assert facts["child"].endswith("site-packages/gunicorn/__init__.py")
