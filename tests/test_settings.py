"""Where settings come from, what they take, and what is said of bad ones."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rgunicorn
from rgunicorn import util
from rgunicorn.app.base import BaseApplication
from rgunicorn.app.wsgiapp import WSGIApplication
from rgunicorn.config import Config
from rgunicorn.errors import ConfigError, HaltServer
from rgunicorn.workers import SUPPORTED_WORKERS
from support.command import Project

APP = "def application(environ, start_response):\n    return []\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("app.py", APP)
    return project


# Precedence


def test_each_source_is_stronger_than_the_one_before(project: Project) -> None:
    assert project.settings("app")["workers"] == "1"
    env = {"WEB_CONCURRENCY": "2"}
    assert project.settings("app", env=env)["workers"] == "2"
    project.write("gunicorn.conf.py", "workers = 3\n")
    assert project.settings("app", env=env)["workers"] == "3"
    env["GUNICORN_CMD_ARGS"] = "--workers=4"
    assert project.settings("app", env=env)["workers"] == "4"
    assert project.settings("app", "-w5", env=env)["workers"] == "5"


def test_lists_replace_each_other(project: Project) -> None:
    project.write("gunicorn.conf.py", "bind = ['a:1', 'b:2']\n")
    assert project.settings("app")["bind"] == "['a:1', 'b:2']"
    env = {"GUNICORN_CMD_ARGS": "--bind 127.0.0.1:1 --bind '[::1]:2'"}
    assert project.settings("app", env=env)["bind"] == "['127.0.0.1:1', '[::1]:2']"
    assert project.settings("app", "-b", "c:3", env=env)["bind"] == "['c:3']"


def test_port_is_listened_on_at_every_address(project: Project) -> None:
    assert project.settings("app", env={"PORT": "5000"})["bind"] == "['0.0.0.0:5000']"


# The configuration file


@pytest.mark.parametrize("form", ["conf/server.py", "file:conf/server.py", "python:conf.server"])
def test_every_form_of_the_config_option(project: Project, form: str) -> None:
    project.write("conf/server.py", "workers = '0x2'\nWorkers = 9\nunheard_of = 1\n")
    project.write("gunicorn.conf.py", "workers = 7\n")
    assert project.settings("-c", form, "app")["workers"] == "2"
    assert project.settings("app", env={"GUNICORN_CMD_ARGS": f"-c {form}"})["workers"] == "2"


def test_the_default_file_is_the_one_of_the_start_directory(project: Project) -> None:
    project.write("gunicorn.conf.py", "chdir = 'sub'\nworkers = 2\n")
    project.write("sub/gunicorn.conf.py", "workers = 3\n")
    project.write("sub/inner.py", APP)
    settings = project.settings("inner")
    assert settings["workers"] == "2"
    assert settings["chdir"] == str(project.directory / "sub")


def test_the_file_is_a_module_that_pickling_and_dataclasses_find(project: Project) -> None:
    project.write(
        "gunicorn.conf.py",
        "import dataclasses, pickle\n"
        "@dataclasses.dataclass\nclass Size:\n    workers: int\n"
        "workers = pickle.loads(pickle.dumps(Size(6))).workers\n",
    )
    assert project.settings("app")["workers"] == "6"


def test_nothing_is_written_beside_the_file(project: Project) -> None:
    project.write("gunicorn.conf.py", "workers = 2\n")
    project.settings("app", env={"PYTHONDONTWRITEBYTECODE": ""})
    names = {path.name for path in project.directory.rglob("*gunicorn*")}
    assert names == {"gunicorn.conf.py"}


def test_a_file_of_another_extension_is_read_with_a_warning(project: Project) -> None:
    project.write("server.conf", "workers = 2\n")
    done = project.run("--print-config", "-c", "server.conf", "app")
    assert done.returncode == 0
    assert "!!! WARNING: configuration file should have a valid Python extension." in done.stderr


def test_hooks_of_a_file_are_taken_by_their_arity(project: Project) -> None:
    project.write(
        "gunicorn.conf.py",
        "def post_fork(server: object, worker: object) -> int: return 1\n"
        "when_ready = 'app.ready'\n"
        "class Hooks:\n    def exit(self, server): pass\n"
        "on_exit = Hooks().exit\n",
    )
    project.write("app.py", APP + "def ready(server): pass\n")
    settings = project.settings("app")
    assert settings["post_fork"] == "<post_fork()>"
    assert settings["when_ready"] == "<ready()>"


# Mistakes


def test_a_bad_value_on_the_command_line_is_one_line(project: Project) -> None:
    assert project.refusal("-w", "-3", "app") == (
        "\nError: Value must be positive: -3"
        " (workers from -w/--workers on the command line; allowed: a whole number, 0 or more, or 'auto')\n"
    )


def test_a_bad_value_in_the_environment_names_the_variable(project: Project) -> None:
    said = project.refusal("app", env={"WEB_CONCURRENCY": "many"})
    assert said.startswith("\nError: invalid literal for int() with base 0: 'many' (workers from ")
    assert "the environment variable WEB_CONCURRENCY; allowed: a whole number" in said
    said = project.refusal("app", env={"GUNICORN_CMD_ARGS": "--header-map x"})
    assert said == (
        "\nError: Invalid header map behaviour: x (header_map from --header-map in GUNICORN_CMD_ARGS;"
        " allowed: drop, refuse or dangerous)\n"
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("workers = None", "None is not a whole number"),
        ("workers = 1.5", "1.5 is not a whole number"),
        ("request_timeout = 0.5", "0.5 is not a whole number"),
        ("umask = '0022'", "invalid literal for int() with base 0: '0022'"),
        ("preload_app = 1", "Invalid type for casting: 1"),
        ("bind = 8000", "Not a string: 8000"),
        ("bind = [['127.0.0.1:0']]", "Not a string: ['127.0.0.1:0']"),
        ("bind = []; bind.append(bind)", "Not a string: [[...]]"),
        ("forwarded_allow_ips = ['10.0.0.1']", "Not a string: ['10.0.0.1']"),
        ("forwarded_allow_ips = '10.0.0.1/8'", "10.0.0.1/8 has host bits set"),
        ("secure_scheme_headers = 'x'", "Value is not a dictionary: x "),
        ("chdir = 'nosuch'", "can't chdir to 'nosuch'"),
        ("post_fork = 'x'", "Value 'x' is not import string. Format: module[.submodules...].object"),
        ("post_fork = 'app.x'", "Can not load 'x' from 'app'"),
        ("post_fork = 'nosuch.x'", "No module named 'nosuch'"),
        ("post_fork = 3", "Value is not callable: 3"),
        ("def post_fork(server): pass", "Value must have an arity of: 2"),
        ("def post_request(*args): pass", "Value must have an arity of: 4"),
    ],
)
def test_a_bad_value_in_the_file(project: Project, line: str, reason: str) -> None:
    project.write("gunicorn.conf.py", f"{line}\n")
    said = project.refusal("app")
    name = line.removeprefix("def ").split(" ")[0].split("(")[0]
    first, _, rest = said.partition("\n\n\n")
    assert first.startswith(f"Invalid value for {name}: ")
    path = project.directory / "gunicorn.conf.py"
    assert rest.startswith(f"Error: {reason} ({name} from the configuration file {path}, line 1; allowed: ")
    assert rest.count("\n") == 1


def test_values_that_only_look_odd_are_taken(project: Project) -> None:
    project.write(
        "gunicorn.conf.py",
        "workers = '4'\nbacklog = True\nproc_name = None\nraw_env = {}\nbind = ()\npreload_app = 'false'\n",
    )
    settings = project.settings("app")
    assert settings["workers"] == "4"
    assert settings["backlog"] == "1"
    assert settings["proc_name"] == "None"
    assert settings["raw_env"] == settings["bind"] == "[]"
    assert settings["preload_app"] == "False"


def test_a_file_that_raises_is_shown_with_its_traceback(project: Project) -> None:
    path = project.write("gunicorn.conf.py", "workers = 1 / 0\n")
    said = project.refusal("app")
    assert said.startswith(f"Failed to read config file: {path}\nTraceback")
    assert "workers = 1 / 0" in said
    assert said.endswith("ZeroDivisionError: division by zero\n")


def test_a_missing_file_and_a_missing_module(project: Project) -> None:
    assert project.refusal("-c", "nofile.py", "app") == "\nError: 'nofile.py' doesn't exist\n"
    assert project.refusal("-c", "python:nosuch", "app") == "\nError: No module named 'nosuch'\n"


def test_mistakes_of_the_command_line_exit_with_2(project: Project) -> None:
    undecodable = os.fsdecode(b"\xff")
    assert "an argument is not valid UTF-8" in project.refusal(undecodable, status=2)
    usage = "usage: rgunicorn [OPTIONS] [APP_MODULE]\nrgunicorn: error: "
    assert project.refusal("-t", "abc", "app", status=2) == (
        f"{usage}argument -t/--timeout: invalid int value: 'abc' (allowed: a whole number, 0 or more)\n"
    )
    said = project.refusal("app", status=2, env={"GUNICORN_CMD_ARGS": "--nosuch"})
    assert said == f"{usage}in GUNICORN_CMD_ARGS: unrecognized arguments: --nosuch\n"


def test_unbalanced_quotes_name_the_variable(project: Project) -> None:
    said = project.refusal("app", env={"GUNICORN_CMD_ARGS": "--name 'x"})
    assert said == "\nError: No closing quotation (in the environment variable GUNICORN_CMD_ARGS)\n"


def test_the_check_finds_what_would_stop_the_start(project: Project) -> None:
    for arguments, reason in [
        (["-b", ":abc"], "'abc' is not a valid port number. (bind from -b/--bind on the command line)"),
        (["-b", "unix:"], "'unix:' names no path. (bind from -b/--bind on the command line)"),
        (["-e", "FOO"], "environment setting 'FOO' invalid (raw_env from -e/--env on the command line)"),
        (
            ["-k", "asgi"],
            "worker class 'asgi' is not part of this version of rgunicorn; available: "
            + ", ".join(SUPPORTED_WORKERS)
            + " (worker_class from -k/--worker-class on the command line)",
        ),
    ]:
        assert project.refusal("--check-config", *arguments, "app") == f"\nError: {reason}\n\n"
    said = project.refusal("--check-config", "-k", "nosuch.Worker", "app")
    reason = "ModuleNotFoundError: No module named 'nosuch'"
    source = "worker_class from -k/--worker-class on the command line"
    assert said == f"\nError: class uri 'nosuch.Worker' invalid or not found: {reason} ({source})\n\n"
    said = project.refusal("--check-config", "-k", "gthred", "app")
    assert f"'gthred') not found; available: {', '.join(SUPPORTED_WORKERS)} ({source})" in said
    said = project.refusal("--check-config", "app", env={"PORT": ""})
    assert said == "\nError: '' is not a valid port number. (bind from the environment variable PORT)\n\n"


# Answers


def test_the_version_and_the_help_go_to_standard_output(project: Project) -> None:
    done = project.run("-v")
    assert (done.returncode, done.stdout) == (0, f"rgunicorn (version {rgunicorn.VERSION})\n")
    done = project.run(env={"GUNICORN_CMD_ARGS": "--help"})
    assert done.returncode == 0
    assert done.stdout.startswith("usage: rgunicorn [OPTIONS] [APP_MODULE]\n")


def test_the_config_is_printed_sorted_and_aligned(project: Project) -> None:
    done = project.run("--print-config", "app")
    names = [line.partition("=")[0] for line in done.stdout.splitlines()]
    assert names == sorted(names)
    assert {len(name) for name in names} == {35}


def test_the_settings_document_is_current() -> None:
    command = [sys.executable, "-m", "rgunicorn.config", "--markdown"]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert made == (Path(__file__).parents[1] / "docs" / "settings.md").read_text()


# The Config object


def test_settings_are_attributes_that_only_set_changes() -> None:
    config = Config()
    assert config.workers == 1
    with pytest.raises(AttributeError, match="Invalid access!"):
        config.workers = 2
    config.set("workers", "2")
    assert config.workers == 2
    config.loop = "uvloop"
    assert config.loop == "uvloop"
    with pytest.raises(AttributeError, match="No configuration setting for: nosuch"):
        _ = config.nosuch
    with pytest.raises(AttributeError, match="No configuration setting for: nosuch"):
        config.set("nosuch", 1)
    assert copy.copy(config).workers == 2


def test_a_refused_value_changes_nothing() -> None:
    config = Config()
    with pytest.raises(ValueError, match="Value must be positive: -1"):
        config.set("workers", -1)
    with pytest.raises(TypeError, match="Not a string: 1"):
        config.set("proc_name", 1)
    assert config.workers == 1


def test_setting_objects_have_gunicorns_attributes() -> None:
    setting = Config().settings["backlog"]
    assert (setting.name, setting.section, setting.default) == ("backlog", "Server Socket", 2048)
    setting.set(5)
    assert (setting.get(), setting.value, setting.default) == (5, 5, 2048)


def test_unset_hooks_can_be_called() -> None:
    config = Config()
    config.on_starting(None)
    config.post_request(None, None, None, None)


def test_a_function_given_as_a_class_is_called_for_it() -> None:
    config = Config()
    config.set("worker_class", lambda: dict)
    assert config.worker_class is dict
    assert config.worker_class_str == "dict"


def test_what_follows_from_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config()
    config.set("raw_env", ["A=b=c", "D="])
    assert config.env == {"A": "b=c", "D": ""}
    assert config.proc_name == "gunicorn"
    config.set("proc_name", "service")
    assert config.proc_name == "service"
    assert config.sendfile is True
    monkeypatch.setenv("SENDFILE", "no")
    assert config.sendfile is False
    config.set("sendfile", True)
    assert config.sendfile is True


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Example.COM:80", ("example.com", 80)),
        ("tcp://h:1", ("h", 1)),
        ("h", ("h", 8000)),
        (":5000", ("", 5000)),
        ("", ("0.0.0.0", 8000)),
        ("[::1]:80", ("::1", 80)),
        ("[FE80::1]", ("fe80::1", 8000)),
        ("unix:/run/x", "/run/x"),
        ("unix:///run/x", "/run/x"),
        ("unix:rel", "rel"),
        ("unix:@name", "@name"),
    ],
)
def test_addresses(text: str, address: util.Address) -> None:
    assert util.parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "port"),
    [(":abc", "abc"), ("h:", ""), ("[::1]:", ""), ("::1:80", ""), (":65536", "65536"), ("h:-1", "-1")],
)
def test_bad_ports(text: str, port: str) -> None:
    with pytest.raises(RuntimeError, match=f"^'{port}' is not a valid port number.$"):
        util.parse_address(text)


# Embedding


class Embedded(BaseApplication):
    values: dict[str, object]

    def load_config(self) -> None:
        for name, value in self.values.items():
            if name in self.cfg.settings and value is not None:
                self.cfg.set(name.lower(), value)


def test_an_embedder_reads_neither_arguments_nor_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("workers = 9\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["program", "--nosuch"])
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--nosuch")
    Embedded.values = {"bind": "h:1", "unknown": 1}
    app = Embedded()
    assert (app.cfg.bind, app.cfg.workers) == (["h:1"], 1)


def test_an_embedders_bad_value_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    Embedded.values = {"workers": -1}
    with pytest.raises(SystemExit) as end:
        Embedded()
    assert end.value.code == 1
    assert capsys.readouterr().err == "\nError: Value must be positive: -1\n"


def test_a_failed_reload_keeps_the_former_configuration() -> None:
    Embedded.values = {"workers": 2}
    app = Embedded()
    Embedded.values = {"workers": -1}
    with pytest.raises(ValueError, match="Value must be positive: -1"):
        app.reload()
    assert app.cfg.workers == 2
    Embedded.values = {"workers": 3}
    app.reload()
    assert app.cfg.workers == 3


def test_a_reload_reads_the_file_again_from_the_start_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gunicorn.conf.py"
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(util, "START_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["rgunicorn", "-t", "7"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    config.write_text("wsgi_app = 'one'\nchdir = 'sub'\nworkers = 2\n")
    app = WSGIApplication()
    assert (app.cfg.workers, app.cfg.timeout, Path.cwd()) == (2, 7, tmp_path / "sub")
    # The same size within the same second: a cached compilation would not notice.
    config.write_text("wsgi_app = 'two'\nchdir = 'sub'\nworkers = 3\n")
    app.reload()
    assert (app.cfg.workers, app.cfg.wsgi_app, Path.cwd()) == (3, "two", tmp_path / "sub")
    for broken in ["workers = -1\n", "1/0\n", "chdir = 'nosuch'\n", "", "raise SystemExit(1)\n"]:
        config.write_text(broken)
        with pytest.raises(ConfigError):
            app.reload()
        assert (app.cfg.workers, app.cfg.wsgi_app, Path.cwd()) == (3, "two", tmp_path / "sub")


def test_a_configuration_that_exits_does_not_end_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    Embedded.values = {"workers": 2}
    app = Embedded()
    monkeypatch.setattr(Embedded, "load_config", lambda self: sys.exit(7))
    with pytest.raises(ConfigError, match="exits with status 7"):
        app.reload()
    assert app.cfg.workers == 2


def test_names_and_exceptions_of_the_package() -> None:
    assert rgunicorn.SERVER == "rgunicorn"
    assert f"gunicorn/27.0.1 rgunicorn/{rgunicorn.VERSION}" == rgunicorn.SERVER_SOFTWARE
    assert not issubclass(HaltServer, Exception)
    assert str(HaltServer("App failed to load.", 4)) == "<HaltServer 'App failed to load.' 4>"
