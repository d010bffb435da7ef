"""Where values come from: files, variables, PasteDeploy, and what is said of each, by the real command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Serve
from support.command import Project
from support.processes import wait_for

APP = "def application(environ, start_response):\n    return []\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("app.py", APP)
    return project


# Names that are nearly settings


def warnings(project: Project, text: str) -> list[str]:
    """What a start with this file warns about."""
    project.write("gunicorn.conf.py", text)
    done = project.run("--check-config", "app")
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("worker = 3", "workers"),
        ("time_out = 60", "timeout"),
        ("keep_alive: int = 5", "keepalive"),
        ("preload = True", "preload_app"),
        ("max_requests_per_child = 100", "max_requests"),
        ("worker_int_class = 'sync'", "worker_class"),
        ("max_worker_connections = 10", "worker_connections"),
        ("logfile = 'x'", "errorlog"),
        ("bind_address = ':80'", "bind"),
        ("def worker_init(worker): pass", "post_worker_init"),
        ("def post_forks(server, worker): pass", "post_fork"),
    ],
)
def test_a_near_miss_is_one_line(project: Project, written: str, meant: str) -> None:
    name = written.removeprefix("def ").replace("(", " ").replace(":", " ").split()[0]
    path = project.directory / "gunicorn.conf.py"
    line = f"Warning: {path}:3: {name!r} is not a setting and has no effect; did you mean {meant!r}?"
    assert warnings(project, f"import os\n\n{written}\n") == [line]


def test_a_near_miss_is_found_inside_of_other_statements(project: Project) -> None:
    text = "import os\nif os.environ:\n    try:\n        log_level = 'debug'\n    finally:\n        pass\n"
    (line,) = warnings(project, text)
    assert ":4: 'log_level' is not a setting and has no effect; did you mean 'loglevel'?" in line


@pytest.mark.parametrize(
    "text",
    [
        "worker = 3\nworkers = worker * 2\n",
        "time_out = 60\ndef when_ready(server):\n    print(time_out)\n",
        "time_out = 60\ntimeout = 30\n",
        "TIMEOUT = 60\n_workers = 2\n",
        "from app import application as worker\nimport os as thread\n",
        "class Worker: pass\nclass workers_: pass\n",
        "def work(): pass\ndef thread(): pass\ndef time_out(): pass\n",
        "for worker in range(3): pass\nwith open('app.py') as preload: pass\n",
        "worker = 3\nglobals()['workers'] = 2\n",
        "def helper():\n    worker = 3\n    time_out = 5\n",
        "host = 'h'\nport = 80\ndebug = True\nname = 'x'\n",
        "cores = 2\nworkers_per_core = 1\nweb_concurrency = 2\nuse_loglevel = 'info'\n",
    ],
)
def test_helpers_are_no_near_misses(project: Project, text: str) -> None:
    assert warnings(project, text) == []


#: The names and the manner of the configuration of a container image that many start from.
CONTAINER = """
import json
import multiprocessing
import os

workers_per_core_str = os.getenv("WORKERS_PER_CORE", "1")
max_workers_str = os.getenv("MAX_WORKERS")
use_max_workers = None
if max_workers_str:
    use_max_workers = int(max_workers_str)
web_concurrency_str = os.getenv("WEB_CONCURRENCY", None)
host = os.getenv("HOST", "0.0.0.0")
port = os.getenv("PORT", "80")
bind_env = os.getenv("BIND", None)
use_loglevel = os.getenv("LOG_LEVEL", "info")
use_bind = bind_env or f"{host}:{port}"
cores = multiprocessing.cpu_count()
workers_per_core = float(workers_per_core_str)
default_web_concurrency = workers_per_core * cores
web_concurrency = 3
accesslog_var = os.getenv("ACCESS_LOG", "-")
use_accesslog = accesslog_var or None
errorlog_var = os.getenv("ERROR_LOG", "-")
use_errorlog = errorlog_var or None
graceful_timeout_str = os.getenv("GRACEFUL_TIMEOUT", "120")
timeout_str = os.getenv("TIMEOUT", "120")
keepalive_str = os.getenv("KEEP_ALIVE", "5")

loglevel = use_loglevel
workers = web_concurrency
bind = use_bind
errorlog = use_errorlog
worker_tmp_dir = "/dev/shm"
accesslog = use_accesslog
graceful_timeout = int(graceful_timeout_str)
timeout = int(timeout_str)
keepalive = int(keepalive_str)
log_data = {"loglevel": loglevel, "workers": workers, "bind": bind, "workers_per_core": workers_per_core}
assert json.dumps(log_data)
"""


def test_the_configuration_of_a_well_known_image_loads_in_silence(project: Project) -> None:
    assert warnings(project, CONTAINER) == []
    settings = project.settings("app")
    assert (settings["workers"], settings["timeout"], settings["keepalive"]) == ("3", "120", "5")


# Configurations as they are written


def test_a_loop_that_copies_variables_gives_numbers_as_text(project: Project) -> None:
    project.write(
        "gunicorn.conf.py",
        "import os\nfor key, value in os.environ.items():\n    if key.startswith('GUNICORN_'):\n"
        "        locals()[key.split('_', 1)[1].lower()] = value\n",
    )
    env = {"GUNICORN_WORKERS": "3", "GUNICORN_TIMEOUT": "0x10", "GUNICORN_RELOAD": "true"}
    settings = project.settings("app", env={**env, "GUNICORN_BIND": "127.0.0.1:99", "GUNICORN_OTHER": "x"})
    assert [settings[name] for name in ("workers", "timeout", "reload")] == ["3", "16", "True"]
    assert settings["bind"] == "['127.0.0.1:99']"


def test_none_is_the_default_where_gunicorn_takes_it(project: Project) -> None:
    names = "wsgi_app accesslog proc_name tmp_upload_dir pidfile worker_tmp_dir certfile keyfile logconfig "
    names += "syslog_prefix statsd_host reload daemon preload_app capture_output sendfile paste pythonpath"
    project.write("gunicorn.conf.py", "".join(f"{name} = None\n" for name in names.split()))
    settings = project.settings("app")
    assert {settings[name] for name in names.split()} == {"None"}
    project.write("gunicorn.conf.py", "user = None\ngroup = None\nhttp_protocols = None\nraw_env = None\n")
    settings = project.settings("app")
    assert (settings["user"], settings["group"]) == (str(os.geteuid()), str(os.getegid()))
    assert (settings["http_protocols"], settings["raw_env"]) == ("['h1']", "[]")


def test_hooks_may_be_dotted_names_methods_and_annotated(project: Project) -> None:
    project.write("hooks.py", "def ready(server): pass\nclass Site:\n    def exit(self, server): pass\n")
    project.write(
        "gunicorn.conf.py",
        "import sys, hooks\nwhen_ready = 'hooks.ready'\non_exit = hooks.Site().exit\n"
        "def post_request(worker: object, req: object, *args: object) -> int: return 1\n"
        "proc_name = sys.modules['__config__'].__name__\n",
    )
    settings = project.settings("app")
    assert settings["when_ready"] == "<ready()>"
    assert settings["on_exit"] == "<Site.exit()>"
    assert settings["post_request"] == "<post_request()>"
    assert settings["proc_name"] == "__config__"


def test_imported_names_that_are_settings_count(project: Project) -> None:
    project.write("base.py", "workers = 4\ntime_out = 3\n")
    project.write("gunicorn.conf.py", "from base import *\n")
    done = project.run("--print-config", "app")
    assert f"{'workers':34} = 4" in done.stdout
    assert done.stderr == ""


# Where a bad value stands


def test_the_line_of_a_bad_value_is_the_last_that_sets_it(project: Project) -> None:
    path = project.write("gunicorn.conf.py", "workers = 2\nif workers:\n    workers = -2\ntimeout = 3\n")
    said = project.refusal("app")
    assert said.startswith(
        "Invalid value for workers: -2\n\n\nError: Value must be positive: -2 (workers from "
    )
    assert f"the configuration file {path}, line 3; allowed: a whole number, 0 or more, or 'auto')" in said
    project.write("conf/server.py", "\nraw_env = ['x']\n")
    done = project.run("--check-config", "-c", "python:conf.server", "app")
    assert done.returncode == 1
    assert "(raw_env from the configuration file python:conf.server, line 2)" in done.stderr
    project.write("gunicorn.conf.py", "globals()['workers'] = -1\n")
    assert f"(workers from the configuration file {path}; allowed" in project.refusal("app")


# Parts that do not exist


@pytest.mark.parametrize(
    ("arguments", "part", "name"),
    [
        (["--certfile", "x.pem"], "TLS", "certfile from --certfile"),
        (["--keyfile", "x.pem"], "TLS", "keyfile from --keyfile"),
        (["--proxy-protocol"], "the PROXY protocol", "proxy_protocol from --proxy-protocol"),
        (["--protocol", "uwsgi"], "the uwsgi protocol", "protocol from --protocol"),
        (["--http-protocols", "h2,h1"], "HTTP/2", "http_protocols from --http-protocols"),
        (["--http2-cleartext", "upgrade"], "HTTP/2", "http2_cleartext from --http2-cleartext"),
        (["--dirty-app", "x:Y"], "the dirty arbiter", "dirty_apps from --dirty-app"),
        (["--dirty-workers", "1"], "the dirty arbiter", "dirty_workers from --dirty-workers"),
        (["--control-socket", "x.ctl"], "the control socket", "control_socket from --control-socket"),
    ],
)
def test_parts_that_do_not_exist_are_refused(
    project: Project, arguments: list[str], part: str, name: str
) -> None:
    line = f"\nError: {part} is not part of this version of rgunicorn ({name} on the command line)\n"
    # `--` ends the option that takes a word or none.
    assert project.refusal(*arguments, "--", "app") == line
    assert project.refusal("--check-config", *arguments, "--", "app") == line


def test_hooks_of_parts_that_do_not_exist_are_refused(project: Project) -> None:
    for hook, part in [
        ("def on_dirty_starting(arbiter): pass", "the dirty arbiter"),
        ("def dirty_post_fork(arbiter, worker): pass", "the dirty arbiter"),
        ("def dirty_worker_init(worker): pass", "the dirty arbiter"),
        ("def dirty_worker_exit(arbiter, worker): pass", "the dirty arbiter"),
    ]:
        path = project.write("gunicorn.conf.py", f"{hook}\n")
        said = project.refusal("app")
        name = hook[4:].partition("(")[0]
        missing = f"{part} is not part of this version of rgunicorn"
        assert said == f"\nError: {missing} ({name} from the configuration file {path}, line 1)\n"


def test_ssl_context_without_a_certificate_asks_for_nothing(project: Project) -> None:
    # As in the configuration that Gunicorn gives as its example.
    project.write("gunicorn.conf.py", "def ssl_context(conf, default): return default()\n")
    assert "ssl_context()" in project.settings("app")["ssl_context"]
    said = project.refusal("--certfile", "x.pem", "app")
    assert said.startswith("\nError: TLS is not part of this version")


def test_defaults_and_wishes_taken_back_are_no_wish_for_a_part(project: Project) -> None:
    project.write(
        "gunicorn.conf.py",
        "certfile = None\nproxy_protocol = False\nprotocol = 'http'\nhttp_protocols = 'h1'\ndirty_apps = []\n"
        "ca_certs = 'x'\nasgi_loop = 'uvloop'\ncontrol_socket = 'x.ctl'\ncontrol_socket_disable = True\n"
        "control_socket_mode = 0o640\n",
    )
    assert project.settings("app")["control_socket"] == "x.ctl"
    (project.directory / "gunicorn.conf.py").unlink()
    assert project.settings("--no-control-socket", "app")["control_socket_disable"] == "True"
    # It would narrow what is not there.
    assert project.settings("--control-socket-mode", "0600", "app")["control_socket_mode"] == "384"


# Variables


def test_a_platforms_variables_are_weaker_than_all_else(project: Project) -> None:
    project.write("mine.py", "from rgunicorn.workers.sync import SyncWorker\nclass Mine(SyncWorker): pass\n")
    env = {
        "CC_GUNICORN_TIMEOUT": "90",
        "CC_GUNICORN_LOGLEVEL": "debug",
        "CC_GUNICORN_WORKER_CLASS": "mine.Mine",
    }
    names = ("timeout", "loglevel", "worker_class")
    settings = project.settings("app", env=env)
    assert [settings[name] for name in names] == ["90", "debug", "mine.Mine"]
    project.write("gunicorn.conf.py", "timeout = 50\nloglevel = 'error'\nworker_class = 'sync'\n")
    settings = project.settings("app", env=env)
    assert [settings[name] for name in names] == ["50", "error", "sync"]
    (project.directory / "gunicorn.conf.py").unlink()
    settings = project.settings("-t", "5", "app", env={**env, "CC_GUNICORN_LOGLEVEL": ""})
    assert [settings[name] for name in names] == ["5", "info", "mine.Mine"]
    said = project.refusal("app", env={"CC_GUNICORN_TIMEOUT": "long"})
    assert "(timeout from the environment variable CC_GUNICORN_TIMEOUT; allowed: a whole number" in said


def test_the_control_sockets_default_follows_the_environment(project: Project) -> None:
    env = {"XDG_RUNTIME_DIR": str(project.directory)}
    assert project.settings("app", env=env)["control_socket"] == f"{project.directory}/gunicorn.ctl"
    home = {"XDG_RUNTIME_DIR": "/nosuch", "HOME": "/somewhere"}
    assert project.settings("app", env=home)["control_socket"] == "/somewhere/.gunicorn/gunicorn.ctl"


# As many workers as the machine is good for


def test_auto_is_a_number_that_the_log_explains(serve: Serve) -> None:
    cpus = len(os.sched_getaffinity(0))
    server = serve(source=APP.replace("application", "app"), config="workers = 'auto'\n")
    said = server.wait_for_log(r"workers: auto = (\d+) \((2 x [\d.]+ CPUs? \+ 1.*)\)$")
    number = int(said[1])
    assert 1 <= number <= 2 * cpus + 1
    # Less only where something is said to take it away.
    assert number == 2 * cpus + 1 or "; " in said[2]
    wait_for(lambda: len(server.booted()) == number, f"{number} workers")


def test_auto_may_come_from_everywhere(project: Project) -> None:
    expected = project.settings("-w", "auto", "app")["workers"]
    assert int(expected) >= 1
    assert project.settings("app", env={"WEB_CONCURRENCY": "auto"})["workers"] == expected
    assert project.settings("app", env={"GUNICORN_CMD_ARGS": "--workers=auto"})["workers"] == expected
    project.write("mine.py", "class Mine: pass\n")
    several = project.settings("-w", "auto", "-k", "mine.Mine", "app")["workers"]
    assert int(several) <= len(os.sched_getaffinity(0))


# PasteDeploy


PASTE = """
[app:main]
paste.app_factory = site_factory:make
greeting = hello

[app:other]
paste.app_factory = site_factory:make
greeting = %(word)s
"""

FACTORY = """
def make(global_conf, greeting):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [greeting.encode()]
    return app
"""

LOGGERS = """
[loggers]
keys = root

[handlers]
keys =

[formatters]
keys =

[logger_root]
handlers =
"""


def test_an_application_of_a_paste_file_is_served(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "site.ini").write_text(PASTE)
    (tmp_path / "site_factory.py").write_text(FACTORY)
    server = serve("ignored:app", "--paste", "site.ini", chdir=tmp_path)
    assert server.get("/").body == b"hello"
    (tmp_path / "gunicorn.conf.py").write_text(
        "paste = 'site.ini#other'\nraw_paste_global_conf = ['word=hi']\n"
    )
    server = serve("ignored:app", chdir=tmp_path)
    assert server.get("/").body == b"hi"


def test_what_a_paste_file_says_is_weaker_than_other_sources(project: Project) -> None:
    path = project.write("site.ini", PASTE + LOGGERS)
    project.write("site_factory.py", FACTORY)
    settings = project.settings("--paste", "site.ini")
    assert (settings["default_proc_name"], settings["logconfig"]) == (str(path), str(path))
    assert settings["paste"] == "site.ini"
    settings = project.settings("--paste", "site.ini", "--log-config", "other.ini")
    assert settings["logconfig"] == "other.ini"
    project.write("gunicorn.conf.py", "logconfig = 'file.ini'\n")
    assert (
        project.settings("--paster", "site.ini#other", "--paste-global", "word=x")["logconfig"] == "file.ini"
    )


def test_mistakes_with_paste_files(project: Project) -> None:
    missing = project.directory / "nosuch.ini"
    assert project.refusal("--paste", "nosuch.ini#x") == f"\nError: '{missing}' not found\n"
    without = "import sys; sys.modules['paste.deploy'] = None; from rgunicorn.app.wsgiapp import run; run()"
    done = project.run("--paste", "nosuch.ini", program=["-c", without])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "\nError: import of paste.deploy halted; None in sys.modules\n"


RUNNER = """
import sys
from paste.deploy import loadserver, loadapp
app = loadapp("config:site.ini", relative_to=".")
loadserver("config:site.ini", relative_to=".")(app)
"""


def test_a_paste_file_may_name_the_server(project: Project, tmp_path: Path) -> None:
    server = "\n[server:main]\nuse = egg:rgunicorn#main\nhost = 127.0.0.1\nport = 4321\nworkers = 3\n"
    extra = "print_config = true\nconfig = conf.py\ntimeout = 7\n"
    path = project.write("site.ini", PASTE + server + extra)
    project.write("site_factory.py", FACTORY)
    project.write("runner.py", RUNNER)
    project.write("conf.py", "timeout = 9\nbacklog = 5\n")
    # The command line is not read.
    done = project.run("--nosuch", program=["runner.py"])
    assert done.returncode == 0, done.stderr
    settings = dict(line.split(" = ", 1) for line in done.stdout.splitlines())
    found = {name.strip(): value for name, value in settings.items()}
    assert found["bind"] == "['127.0.0.1:4321']"
    assert (found["workers"], found["timeout"], found["backlog"]) == ("3", "7", "5")
    assert found["default_proc_name"] == str(path)
    project.write("site.ini", PASTE + server.replace("port = 4321", "") + extra.replace("7", "-7"))
    done = project.run(program=["runner.py"])
    assert done.returncode == 1
    assert done.stderr.startswith(
        "\nError: Value must be positive: -7 (timeout from the section of the server in "
    )


# What the command can say of itself


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_a_script(project: Project, shell: str) -> None:
    done = project.run("--completions", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert "graceful-timeout" in done.stdout
    if shell == "bash":
        script = done.stdout + "\nCOMP_WORDS=(rgunicorn --graceful-t); COMP_CWORD=1\n"
        script += '_rgunicorn rgunicorn --graceful-t rgunicorn; echo "${COMPREPLY[@]}"\n'
        completed = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20)
        assert completed.stdout == "--graceful-timeout\n", completed.stderr


def test_the_manual_page_names_every_option(project: Project) -> None:
    done = project.run("--man")
    assert (done.returncode, done.stderr) == (0, "")
    page = done.stdout.replace("\\-", "-")
    for option in ("--workers", "--max-requests-jitter", "--header-timeout", "--paste-global"):
        assert option in page, option


# A directory that is gone, a reader that is


@pytest.mark.parametrize("flags", [("app",), ("--chdir", "sub", "app")])
def test_a_start_in_a_directory_that_has_been_removed_is_one_line(
    flags: tuple[str, ...], project: Project
) -> None:
    done = in_removed(project.directory / "gone", *flags)
    assert done.returncode == 1
    assert re.fullmatch(r"\nError: can't chdir.*/gone.*\n", done.stderr), done.stderr


def test_it_does_no_harm_where_nothing_is_looked_for_there(project: Project) -> None:
    config = project.write("conf.py", "")
    flags = ("--check-config", "--chdir", str(project.directory), "-c", str(config), "app")
    done = in_removed(project.directory / "gone", *flags)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_directory_of_that_name_is_taken(project: Project) -> None:
    project.write("new/app.py", APP)
    done = in_removed(project.directory / "gone", "--check-config", "app", then="mv ../new ../gone; ")
    assert (done.returncode, done.stderr) == (0, "")


def in_removed(directory: Path, *flags: str, then: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a directory that has been removed since the shell went there."""
    directory.mkdir()
    script = f'rmdir "$PWD"; {then}exec "$0" "$@"'
    program = Path(sys.executable).with_name("rgunicorn")
    return subprocess.run(
        ["sh", "-c", script, program, *flags],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PWD": str(directory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("flag", ["--print-config", "--help"])
def test_a_reader_that_has_seen_enough_is_no_error(flag: str, project: Project) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "rgunicorn", flag, "app"]
        done = subprocess.run(
            command, cwd=project.directory, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(writer)
    assert done.stderr == b""
