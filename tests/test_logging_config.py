"""Logging as its user wants it: configurations of logging, logger classes, opening again and reloading."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from conftest import Serve
from support.command import Project
from support.processes import wait_for
from support.server import IS_GUNICORN, Server

SOURCE = """
import sys

def app(environ, start_response):
    if environ["PATH_INFO"] == "/says":
        print("said by the application", flush=True)
        print("complained by the application", file=sys.stderr, flush=True)
    start_response("200 OK", [("Content-Length", "2"), ("X-Out", "set")])
    return [b"ok"]
"""
NAME = "gunicorn" if IS_GUNICORN else "rgunicorn"
#: A formatter as many projects have one: it takes the atoms out of the record.
JSON_FORMATTER = """
import json, logging

class Formatter(logging.Formatter):
    def format(self, record):
        if not isinstance(record.args, dict):
            return json.dumps({"message": record.getMessage()})
        atoms = ["m", "U", "q", "H", "h", "s", "f", "a", "B", "r", "{host}i", "{x-out}o", "{path_info}e"]
        told = {atom: record.args[atom] for atom in atoms}
        return json.dumps({**told, "line": record.getMessage(), "form": record.msg})

class NoHealth(logging.Filter):
    def filter(self, record):
        return record.args["U"] != "/health"
"""
INI = """
[loggers]
keys=root, gunicorn.error, gunicorn.access

[handlers]
keys=console, access

[formatters]
keys=plain, own

[logger_root]
level=WARNING
handlers=console

[logger_gunicorn.error]
level=INFO
handlers=console
propagate=0
qualname=gunicorn.error

[logger_gunicorn.access]
level=INFO
handlers=access
propagate=0
qualname=gunicorn.access

[handler_console]
class=StreamHandler
formatter=plain
args=(sys.stderr,)

[handler_access]
class=logging.FileHandler
formatter=own
args=("%(here)s/access.log",)

[formatter_plain]
format=INI %(levelname)s %(message)s

[formatter_own]
format=OWN %(message)s
"""


def dictionary(path: Path, **access: object) -> dict[str, object]:
    """A configuration that sends the access log to a file, with the formatter `own`."""
    return {
        "handlers": {
            "console": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"},
            "error_console": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "own",
            },
            "access": {"class": "logging.FileHandler", "filename": str(path), "formatter": "own", **access},
        },
        "formatters": {"own": {"format": "DICT %(message)s"}},
        "loggers": {
            "gunicorn.error": {"level": "INFO", "handlers": ["error_console"], "propagate": False},
            "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
        },
    }


def lines(log: Path, count: int = 1) -> list[str]:
    """The lines of the log, once there are so many."""
    return wait_for(
        lambda: found if log.exists() and len(found := log.read_text().splitlines()) >= count else None,
        f"{count} lines",
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def serving(serve: Serve, *flags: str, **settings: object) -> Server:
    return serve("app:app", *flags, source=SOURCE, **settings)


# Configurations of logging


def test_a_dictionary(serve: Serve, log: Path) -> None:
    server = serving(
        serve, "--access-logformat", "%(m)s %(U)s", config=f"logconfig_dict = {dictionary(log)!r}"
    )
    server.get("/x")
    assert lines(log) == ["DICT GET /x"]
    assert re.search(r"^DICT Listening at: ", server.log(), re.MULTILINE)


def test_a_json_file(serve: Serve, log: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"version": 1, **dictionary(log)}))
    server = serving(serve, "--log-config-json", str(path), "--access-logformat", "%(m)s %(U)s")
    server.get("/x")
    assert lines(log) == ["DICT GET /x"]


def test_an_ini_file(serve: Serve, log: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.ini"
    path.write_text(INI)
    server = serving(serve, "--log-config", str(path), "--access-logformat", "%(m)s %(U)s")
    server.get("/x")
    assert lines(log) == ["OWN GET /x"]
    assert re.search(r"^INI INFO Listening at: ", server.log(), re.MULTILINE)


def test_without_loggers_of_its_own_a_dictionary_logs_through_the_root(serve: Serve) -> None:
    """What is not given is as in CONFIG_DEFAULTS: both logs propagate to a root that prints."""
    server = serving(serve, "--access-logformat", "%(m)s %(U)s", config="logconfig_dict = {'version': 1}")
    server.get("/x")
    wait_for(lambda: server.stdout().count("GET /x") == 2, "the line, twice")
    assert "[INFO] GET /x" in server.stdout()


def test_formatters_and_filters_find_the_atoms_in_the_record(serve: Serve, log: Path) -> None:
    config = f"""{JSON_FORMATTER}
logconfig_dict = {dictionary(log, filters=["health"])!r}
logconfig_dict["formatters"]["own"] = {{"()": Formatter}}
logconfig_dict["filters"] = {{"health": {{"()": NoHealth}}}}
access_log_format = '%(m)s "%(U)s"'
"""
    server = serving(serve, config=config)
    server.get("/health")
    server.get("/a%20b?c=d", "Referer: r", "User-Agent: u")
    (line,) = lines(log)
    assert json.loads(line) == {
        "m": "GET",
        "U": "/a b",
        "q": "c=d",
        "H": "HTTP/1.1",
        "h": "127.0.0.1",
        "s": "200",
        "f": "r",
        "a": "u",
        "B": 2,
        "r": "GET /a%20b?c=d HTTP/1.1",
        "{host}i": "localhost",
        "{x-out}o": "set",
        "{path_info}e": "/a b",
        "line": 'GET "/a b"',
        "form": '%(m)s "%(U)s"',
    }


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("logconfig = 'nosuch.ini'", "Error: log config 'nosuch.ini' not found"),
        ("logconfig_dict = {'handlers': {'x': {'class': 'no.Such'}}}", "Unable to configure handler 'x'"),
        ("logconfig_json = 'bad.json'", "line 1"),
    ],
)
@pytest.mark.ours("its command is run by another test")
def test_a_bad_configuration_is_told(tmp_path: Path, setting: str, reason: str) -> None:
    project = Project(tmp_path)
    project.write("app.py", SOURCE)
    project.write("bad.json", "{no json")
    project.write("gunicorn.conf.py", setting)
    said = project.refusal("-b", "127.0.0.1:0", "app")
    assert said.startswith("\nError: ")
    assert reason in said
    assert "Traceback" not in said


# Logger classes


def test_a_format_overwritten_in_the_class(serve: Serve) -> None:
    config = f"from {NAME} import glogging\nglogging.Logger.error_fmt = 'OVERWRITTEN %(message)s'\n"
    config += "glogging.Logger.datefmt = '%Y'\n"
    server = serving(serve, config=config)
    assert re.search(r"^OVERWRITTEN Listening at: ", server.log(), re.MULTILINE)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # As most projects do it.
        (
            "def atoms(self, resp, req, environ, request_time):\n"
            "        atoms = super().atoms(resp, req, environ, request_time)\n"
            "        atoms['U'] = atoms['U'].upper()\n"
            "        return atoms",
            "GET /X 200 2",
        ),
        ("def now(self): return 'NOW'", "GET /x 200 2"),
        (
            "def access(self, resp, req, environ, request_time):\n"
            "        if req.path != '/health':\n"
            "            self.access_log.info('%s %s %s', resp.status, req.method, environ['PATH_INFO'])",
            "200 OK GET /x",
        ),
        (
            "def setup(self, cfg):\n"
            "        super().setup(cfg)\n"
            "        self.access_log.addFilter(lambda record: record.args['U'] != '/health')",
            "GET /x 200 2",
        ),
        (
            "class atoms_wrapper_class(dict):\n        def __getitem__(self, k): return 'any'",
            "any any any any",
        ),
        (
            "def setup(self, cfg):\n"
            "        super().setup(cfg)\n"
            "        fmt = logging.Formatter('SET %(message)s')\n"
            "        self._set_handler(self.access_log, cfg.accesslog, fmt=fmt)",
            "SET GET /x 200 2",
        ),
        (
            "def setup(self, cfg):\n"
            "        self.error_log.addHandler(logging.StreamHandler())\n"
            "        self.error_log.setLevel('INFO')\n"
            "        self.access_log.setLevel('INFO')\n"
            "        self.access_log.addHandler(logging.FileHandler(cfg.accesslog))",
            "GET /x 200 2",
        ),
    ],
)
def test_a_logger_class_of_the_users_own(serve: Serve, log: Path, body: str, expected: str) -> None:
    config = f"import logging\nfrom {NAME}.glogging import Logger\nclass logger_class(Logger):\n    {body}\n"
    flags = ("--access-logfile", str(log), "--access-logformat", "%(m)s %(U)s %(s)s %(b)s")
    server = serving(serve, *flags, config=config)
    if "health" in body:
        server.get("/health")
    server.get("/x")
    assert lines(log) == [expected]


def test_a_logger_class_by_its_name(serve: Serve, log: Path) -> None:
    config = f"from {NAME}.glogging import Logger\nclass Own(Logger):\n    def now(self): return 'NOW'\n"
    source = SOURCE + config.replace("Own", "OwnLogger")
    flags = ("--access-logfile", str(log), "--access-logformat", "%(t)s")
    server = serve("app:app", *flags, "--logger-class", "app.OwnLogger", source=source)
    server.get("/")
    assert lines(log) == ["NOW"]


def test_a_logger_class_that_is_something_else(serve: Serve, log: Path) -> None:
    config = """
import logging
class logger_class:
    def __init__(self, cfg):
        self.cfg = cfg
        self.lines = logging.getLogger("mine")
        self.lines.setLevel("INFO")
        self.lines.addHandler(logging.StreamHandler())
    def __getattr__(self, name):
        return getattr(self.lines, name)
    def access(self, resp, req, environ, request_time):
        with open(self.cfg.accesslog, "a") as file:
            file.write(f"{req.method} {resp.status}\\n")
    def reopen_files(self): pass
    def close_on_exec(self): pass
"""
    server = serving(serve, "--access-logfile", str(log), config=config)
    assert re.search("^Listening at: ", server.log(), re.MULTILINE)
    assert server.get("/").status == 200
    assert lines(log) == ["GET 200 OK"]


def test_an_access_method_patched_in_the_class(serve: Serve, log: Path) -> None:
    """Some programs that wrap Gunicorn replace the method itself."""
    config = f"""
from {NAME} import glogging
original = glogging.Logger.access
def access(self, resp, req, environ, request_time):
    if environ["PATH_INFO"] != "/health":
        original(self, resp, req, environ, request_time)
glogging.Logger.access = access
"""
    server = serving(serve, "--access-logfile", str(log), "--access-logformat", "%(U)s", config=config)
    server.get("/health")
    server.get("/x")
    assert lines(log) == ["/x"]


def test_handlers_that_the_application_adds(serve: Serve, log: Path) -> None:
    """Django and others configure logging when they are loaded, in the worker."""
    source = f"""
import logging
logging.getLogger("gunicorn.access").addHandler(logging.FileHandler({str(log)!r}))
{SOURCE}"""
    server = serve("app:app", "--access-logfile", "-", "--access-logformat", "%(U)s", source=source)
    server.get("/x")
    assert lines(log) == ["/x"]
    wait_for(lambda: server.stdout() == "/x\n", "the line on standard output")


def test_a_line_that_cannot_be_formatted_harms_nothing(serve: Serve, log: Path) -> None:
    server = serving(serve, "--access-logfile", str(log), "--access-logformat", "%(U)d")
    if IS_GUNICORN:
        assert server.get("/x").status == 200
        server.wait_for_log("Logging error")
    server.get("/x")


# Files


def test_captured_output_goes_to_the_error_log(serve: Serve, tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    server = serving(serve, "--capture-output", "--error-logfile", str(errors), error_log=errors)
    server.get("/says")
    server.wait_for_log("^said by the application$")
    server.wait_for_log("^complained by the application$")
    assert server.stdout() == ""


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_log_files_are_opened_again(serve: Serve, tmp_path: Path, log: Path, number: signal.Signals) -> None:
    errors = tmp_path / "errors"
    flags = ["--capture-output", "--error-logfile", str(errors), "--access-logfile", str(log)]
    server = serving(serve, *flags, "--access-logformat", "%(U)s", error_log=errors)
    server.get("/before")
    lines(log)
    for path in (errors, log):
        path.rename(path.with_suffix(".old"))
    server.kill(number)
    wait_for(lambda: errors.exists() and log.exists(), "new files")
    wait_for(lambda: server.get("/says") and "/says" in log.read_text(), "a line in the new access log")
    wait_for(lambda: "said by the application" in errors.read_text(), "output in the new error log")
    assert lines(log.with_suffix(".old"))[0] == "/before"


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    if IS_GUNICORN:
        pytest.skip("its command is run by another test")
    project = Project(tmp_path)
    project.write("app.py", SOURCE)
    for flag in ("--error-logfile", "--access-logfile"):
        said = project.refusal(flag, "no/such/log", "-b", "127.0.0.1:0", "app")
        assert "Error: Error: 'no/such/log' isn't writable [FileNotFoundError(2" in said


# Reloading


def test_a_reload_configures_logging_anew(serve: Serve, tmp_path: Path, log: Path) -> None:
    path = tmp_path / "log.ini"
    path.write_text(INI)
    server = serving(serve, "--log-config", str(path), "--access-logformat", "%(U)s")
    server.get("/before")
    lines(log)
    path.write_text(INI.replace("OWN ", "NEW ").replace("INI ", "NEW "))
    server.kill(signal.SIGHUP)
    server.wait_for_log(r"^NEW INFO Booting worker")
    wait_for(lambda: server.get("/after") and "NEW /after" in log.read_text(), "a new line")


@pytest.mark.parametrize("worse", ["not logging's", INI.replace("class=StreamHandler", "class=no.Such")])
def test_a_bad_configuration_leaves_the_old_in_place(
    serve: Serve, tmp_path: Path, log: Path, worse: str
) -> None:
    path = tmp_path / "log.ini"
    path.write_text(INI)
    server = serving(serve, "--log-config", str(path), "--access-logformat", "%(U)s")
    server.get("/before")
    lines(log)
    path.write_text(worse)
    server.kill(signal.SIGHUP)
    server.wait_for_log(r"^Error: reloading the logger configuration failed, keeping the previous one$")
    if not IS_GUNICORN:
        # Gunicorn reads the file again, which is no better now.
        server.wait_for_log(
            r"^INI ERROR reloading the logger configuration failed, keeping the previous one$"
        )
        server.wait_for_log(r"^INI INFO Booting worker", count=2)
        wait_for(lambda: server.get("/after") and "OWN /after" in log.read_text(), "a line as before")


def test_a_reload_changes_level_and_files(serve: Serve, tmp_path: Path, log: Path) -> None:
    config = f"accesslog = {str(log)!r}\naccess_log_format = '1 %(U)s'\nloglevel = 'info'\n"
    server = serving(serve, config=config)
    server.get("/before")
    lines(log)
    other = tmp_path / "other"
    (server.directory / "gunicorn.conf.py").write_text(
        f"accesslog = {str(other)!r}\naccess_log_format = '2 %(U)s'\nloglevel = 'debug'\n"
    )
    server.kill(signal.SIGHUP)
    server.wait_for_log(r"\[DEBUG\] Current configuration")
    wait_for(lambda: server.get("/after") and other.exists() and other.read_text(), "a line in the other log")
    assert lines(other)[0] == "2 /after"
    handlers = [line for line in log.read_text().splitlines() if line.startswith("2 ")]
    assert handlers == []


@pytest.mark.ours("a bad configuration ends it")
def test_a_reload_that_fails_leaves_logging_alone(serve: Serve, tmp_path: Path) -> None:
    added = tmp_path / "added"
    config = f"""
import logging
logconfig_dict = {{"version": 1}}
def when_ready(server):
    logging.getLogger("gunicorn.error").addHandler(logging.FileHandler({str(added)!r}))
"""
    server = serving(serve, config=config)
    (server.directory / "gunicorn.conf.py").write_text("workers = 'many'\n")
    server.kill(signal.SIGHUP)
    server.wait_for_log("Reload failed: bad configuration")
    assert "Reload failed: bad configuration" in added.read_text()
