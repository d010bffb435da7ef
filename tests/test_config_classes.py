"""`rgunicorn.config` as programs use it: settings as classes, checks, computed attributes."""

from __future__ import annotations

import argparse
import ipaddress
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rgunicorn import config as rgunicorn_config
from rgunicorn.config import KNOWN_SETTINGS, Config, Setting, make_settings
from rgunicorn.errors import ConfigError
from support.command import Project

#: Prints what the real Gunicorn's module has; its own process, because here `gunicorn` may be this server.
GUNICORN = """
import gunicorn.config as c, json
print(json.dumps({
    "settings": [
        [s.name, s.__name__, s.section, s.cli or None, s.action, s.nargs, s.const] for s in c.KNOWN_SETTINGS
    ],
    "validators": [name for name in vars(c) if name.startswith("validate_")],
    "config": [name for name in dir(c.Config) if not name.startswith("_")],
}))
"""


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", GUNICORN], capture_output=True, text=True, check=True, timeout=60
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def known() -> Iterator[list[type[Setting]]]:
    """The list of settings, which is as before after the test."""
    before = list(KNOWN_SETTINGS)
    yield KNOWN_SETTINGS
    KNOWN_SETTINGS[:] = before


# The same as Gunicorn's


def test_settings_have_gunicorns_names_classes_and_options_in_its_order(theirs: dict[str, Any]) -> None:
    ours = [
        [s.name, s.__name__, s.section, s.cli, s.action, s.nargs, s.const]
        for s in KNOWN_SETTINGS
        if not s.spec.is_ours
    ]
    assert ours == theirs["settings"]


def test_what_is_not_gunicorns_is_marked(theirs: dict[str, Any]) -> None:
    names = {name for name, *_ in theirs["settings"]}
    assert {s.name for s in KNOWN_SETTINGS if s.spec.is_ours} == {s.name for s in KNOWN_SETTINGS} - names


def test_every_class_is_in_the_module_under_its_name() -> None:
    for setting in KNOWN_SETTINGS:
        assert getattr(rgunicorn_config, setting.__name__) is setting


def test_gunicorns_checks_and_the_members_of_config_exist(theirs: dict[str, Any]) -> None:
    for name in theirs["validators"]:
        assert callable(getattr(rgunicorn_config, name)), name
    assert set(theirs["config"]) - set(dir(Config)) == set()


def test_default_is_on_the_class() -> None:
    assert '"%(r)s"' in rgunicorn_config.AccessLogFormat.default
    assert rgunicorn_config.ForwardedAllowIPS.default == "127.0.0.1,::1"


# Settings of one's own


def test_a_subclass_is_a_setting_with_an_option(known: list[type[Setting]]) -> None:
    class Depth(Setting):
        name = "depth"
        section = "My Program"
        cli = ("--depth", "--deepness")
        meta = "INT"
        validator = rgunicorn_config.validate_pos_int
        type = int
        default = 3
        desc = """\
            How deep.

            More of it.
            """

    assert known[-1] is Depth
    assert (Depth.short, Depth.desc) == ("How deep.", "How deep.\n\nMore of it.")
    config = Config(prog="program")
    assert (config.depth, config.settings["depth"].section) == (3, "My Program")
    for line in ("--depth 7", "--deepn=7", "--dep 7"):
        options = config.parser().parse_args(line.split())
        assert (options.depth, options.workers) == (7, None), line
    with pytest.raises(ValueError, match="Value must be positive: -1"):
        config.set("depth", -1)
    assert "depth" not in make_settings(ignore=["depth"])


def test_a_setting_of_ones_own_may_have_any_action_of_argparse(known: list[type[Setting]]) -> None:
    class Base(Setting):
        validator = staticmethod(lambda value: value)

    def add(option: str, **attributes: object) -> None:
        type("Added", (Base,), {"name": option, "cli": [f"--{option}"], **attributes})

    before = len(known)
    add("on", action="store_true")
    add("off", action="store_false")
    add("constant", action="store_const", const=5)
    add("many", action="append")
    add("maybe", nargs="?", const="none given")
    parse = Config(prog="program").parser().parse_args
    assert len(known) == before + 5
    options = parse([*("--on", "--off", "--constant"), *("--many", "a", "--many", "b"), "--maybe"])
    found = (options.on, options.off, options.constant, options.many, options.maybe)
    assert found == (True, False, 5, ["a", "b"], "none given")
    assert parse(["--maybe", "given"]).maybe == "given"
    assert parse([]).on is None
    with pytest.raises(TypeError, match=r"an option cannot have the action 'store' with nargs='\*'"):
        add("all", nargs="*")


def test_a_bad_text_for_a_setting_of_ones_own_is_the_command_lines_mistake(
    known: list[type[Setting]], capsys: pytest.CaptureFixture[str]
) -> None:
    class Ratio(Setting):
        name = "ratio"
        cli = ("--ratio",)
        validator = staticmethod(lambda value: value)
        type = float

    with pytest.raises(SystemExit) as end:
        Config(prog="program").parser().parse_args(["--ratio", "x"])
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "usage: program [OPTIONS] [APP_MODULE]\nprogram: error: argument --ratio: invalid float value: 'x'\n"
    )


def test_options_of_other_settings_are_taken(known: list[type[Setting]]) -> None:
    class Weight(Setting):
        name = "weight"
        cli = ("-w", "--weight")
        validator = rgunicorn_config.validate_string

    # It may be set, but there can be no command line.
    assert Config().weight is None
    with pytest.raises(ConfigError, match="the option -w of the setting weight is that of workers"):
        Config().parser()


PROGRAM = """
from gunicorn_or_not import config, base

class Tenant(config.Setting):
    name = "tenant"
    section = "Tenants"
    cli = ["--tenant"]
    meta = "NAME"
    validator = config.validate_string
    default = "none"
    desc = "Whose service it is."

class Program(base.Application):
    def init(self, parser, opts, args):
        return {"workers": 2, "Tenant": "from init"}

    def load(self):
        return print

Program("%(prog)s [OPTIONS] TENANT", prog="program").run()
"""


def test_a_program_with_a_setting_of_its_own(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("gunicorn_or_not.py", "from rgunicorn import config\nfrom rgunicorn.app import base\n")
    project.write("program.py", PROGRAM)

    def tenant(*arguments: str, **env: str) -> str:
        done = project.run("--print-config", *arguments, env=env, program=["program.py"])
        assert done.returncode == 0, done.stderr
        lines = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)
        assert lines[f"{'workers':34}"] == "2"
        return lines[f"{'tenant':34}"]

    assert tenant() == "from init"
    project.write("gunicorn.conf.py", "tenant = ' from the file '\n")
    assert tenant() == "from the file"
    assert tenant(GUNICORN_CMD_ARGS="--tenant=variable") == "variable"
    assert tenant("--tenant", "option", GUNICORN_CMD_ARGS="--tenant=variable") == "option"
    done = project.run("--help", program=["program.py"])
    assert done.stdout.startswith("usage: program [OPTIONS] TENANT\n")
    assert "--tenant <NAME>\n          Whose service it is." in done.stdout


# Checks


def test_callables_are_checked_by_their_arity() -> None:
    one = rgunicorn_config.validate_callable(1)
    assert one(len) is len
    assert one("os.path.basename") is __import__("os").path.basename
    assert rgunicorn_config.validate_callable(-1)(print) is print
    for value, message in [
        (3, "Value is not callable: 3"),
        (lambda: 0, "Value must have an arity of: 1"),
        ("x", r"Value 'x' is not import string. Format: module\[.submodules...\].object"),
        ("os.nosuch", "Can not load 'nosuch' from 'os'"),
        ("nosuch.x", "No module named 'nosuch'"),
    ]:
        with pytest.raises(TypeError, match=message):
            one(value)


def test_octal_numbers_of_the_command_line() -> None:
    assert [rgunicorn_config.auto_int(None, text) for text in ("0022", "0x1F", "18", "0")] == [18, 31, 18, 0]


def test_what_is_not_there_is_a_config_error() -> None:
    config = Config()
    for name, value, message in [
        ("user", "no-such-user", "No such user: 'no-such-user'"),
        ("group", "no-such-group", "No such group: 'no-such-group'"),
        ("chdir", "/nosuch", "can't chdir to '/nosuch'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            config.set(name, value)


def test_a_pattern_without_files_is_warned_about(tmp_path: Path) -> None:
    config = Config()
    with pytest.warns(RuntimeWarning, match=r"Pattern .*\*.html currently matches no files."):
        config.set("reload_extra_files", [f"{tmp_path}/*.html"])
    assert config.reload_extra_files == [f"{tmp_path}/*.html"]


def test_the_version_of_ssl_has_no_effect_which_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    config = Config()
    config.set("ssl_version", 2)
    assert capsys.readouterr().err == ""
    config.set("ssl_version", "TLSv1")
    assert "Warning: option `ssl_version` is deprecated and it is ignored." in capsys.readouterr().err


def test_an_unset_hook_is_its_default() -> None:
    config = Config()
    for name, setting in config.settings.items():
        if setting.spec.is_hook:
            assert setting.value is setting.default, name
    config.set("pre_request", lambda worker, req: None)
    hook = config.settings["pre_request"]
    assert hook.value is not hook.default


def test_a_hook_for_requests_is_called_with_what_it_takes() -> None:
    config = Config()
    seen: list[tuple[object, ...]] = []
    config.set("post_request", lambda worker, req: seen.append((worker, req)))
    config.post_request(1, 2, 3, 4)
    config.set("post_request", lambda worker, req, environ: seen.append((worker, req, environ)))
    config.post_request(1, 2, 3, 4)
    assert seen == [(1, 2), (1, 2, 3)]

    def hook(worker: object, req: object, environ: object, resp: object) -> None: ...

    config.set("post_request", hook)
    assert config.post_request is hook


# What follows from settings


def test_computed_attributes() -> None:
    config = Config()
    config.set("user", 7)
    config.set("group", "8")
    assert (config.uid, config.gid, config.reuse_port, config.is_ssl) == (7, 8, False, False)
    config.set("certfile", "x.pem")
    assert config.is_ssl
    assert config.ssl_options["certfile"] == "x.pem"
    assert list(config.ssl_options) == [
        *("keyfile", "certfile", "ssl_version", "cert_reqs", "ca_certs", "suppress_ragged_eofs"),
        *("do_handshake_on_connect", "ciphers"),
    ]
    config.set("raw_paste_global_conf", ["a=b=c", r"d\=e=f\=g"])
    assert config.paste_global_conf == {"a": "b=c", "d=e": "f=g"}
    config.set("raw_paste_global_conf", ["x"])
    with pytest.raises(RuntimeError, match="environment setting 'x' invalid"):
        _ = config.paste_global_conf


def test_allowed_networks_go_with_the_setting() -> None:
    config = Config()
    config.set("forwarded_allow_ips", "*,10.0.0.0/8")
    assert config.forwarded_allow_networks() == [ipaddress.ip_network("10.0.0.0/8")]
    config.set("forwarded_allow_ips", "::1")
    assert config.forwarded_allow_networks() == [ipaddress.ip_network("::1")]
    assert len(config.proxy_allow_networks()) == 2


def test_the_logger_is_the_stock_one_unless_another_is_named() -> None:
    config = Config()
    for name in ("gunicorn.glogging.Logger", "simple", None):
        config.set("logger_class", name)
        assert config.logger_class.__name__ == "Logger"
        assert config.logger_class.__module__ == "rgunicorn.glogging"

    class Mine:
        installed = 0

        @classmethod
        def install(cls) -> None:
            cls.installed += 1

    config.set("logger_class", Mine)
    assert config.logger_class is Mine
    assert Mine.installed == 1
    config.set("logger_class", "nosuch.Logger")
    with pytest.raises(RuntimeError, match=r"class uri 'nosuch\.Logger' invalid or not found"):
        _ = config.logger_class


def test_options_are_a_namespace() -> None:
    options = Config(prog="x").parser().parse_args(["app:app", "more", "-w", "2"])
    assert isinstance(options, argparse.Namespace)
    assert (options.args, options.workers) == (["app:app", "more"], 2)


def test_a_configuration_can_be_pickled() -> None:
    """A program that starts its server by `multiprocessing` may have to."""
    cfg = Config()
    cfg.set("workers", 3)
    cfg.set("on_exit", json.dumps)
    copied = pickle.loads(pickle.dumps(cfg))
    assert (copied.workers, copied.on_exit) == (3, json.dumps)
    assert copied.pre_request is cfg.pre_request
