"""Which module of the crate may name which, where `unsafe` and pyo3 may stand, and how long a file may be.

The table is the design (docs/architecture.md). A new edge is added here, on purpose, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: What each module names besides itself. `py` may name everything; nothing may name `py`.
MAY_NAME: dict[str, set[str]] = {
    "settings": set(),
    "proto": set(),
    "sys": set(),
    "net": {"sys"},
    "scoreboard": {"net", "sys"},
    "reactor": {"proto", "net", "sys", "scoreboard", "settings"},
    "log": {"proto", "reactor", "settings", "sys"},
    "wsgi": {"proto", "reactor", "net", "sys", "log"},
    "worker": {"proto", "net", "sys", "scoreboard", "settings", "reactor", "log", "wsgi"},
    "arbiter": {"net", "sys", "scoreboard", "settings", "log"},
    "py": {"proto", "net", "sys", "scoreboard", "settings", "reactor", "log", "wsgi", "worker", "arbiter"},
}

#: Modules and files that know nothing of Python.
WITHOUT_PYTHON = (
    "proto",
    "settings",
    "net",
    "reactor",
    "scoreboard",
    "arbiter/plan",
    "arbiter/children",
)

#: Where `unsafe` may stand.
UNSAFE = ("sys/", "wsgi/ffi.rs")

#: Lines that a file may have; tables of data, and tests, are longer.
LONGEST = 400
DATA = ("settings/table.rs", "settings/table/")

COMMENT_OR_TEXT = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | r(\#*)".*?"\1 | "(?:\\.|[^"\\])*" | '(?:\\[^\n]{1,8}|[^'\\\n])'""",
    re.DOTALL | re.VERBOSE,
)
#: `crate::a`, or the group of `crate::{a, b::c}`.
FROM_CRATE = re.compile(r"\bcrate::(?:(\w+)|\{([^;]*?)\}\s*;)")
FROM_SUPER = re.compile(r"\b((?:super::)+)(\w+)")


def code(path: Path) -> str:
    """The source without comments and literals."""
    return COMMENT_OR_TEXT.sub(" ", path.read_text())


def sources(root: Path) -> Iterator[tuple[str, Path]]:
    """Each source file with its path below `src`."""
    for path in sorted((root / "src").rglob("*.rs")):
        yield path.relative_to(root / "src").as_posix(), path


def modules(name: str) -> list[str]:
    """The module path of a file: `a/b.rs` and `a/b/mod.rs` are a, b."""
    parts = name.removesuffix(".rs").split("/")
    return parts[:-1] if parts[-1] == "mod" else parts


def top_level(group: str) -> Iterator[str]:
    """The first names in a `{...}` group of paths."""
    depth = 0
    for token in re.finditer(r"[{}]|(?:^|(?<=,))\s*(\w+)", group):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            depth -= 1
        elif depth == 0:
            yield token[1]


def named(name: str, text: str) -> set[str]:
    """The top-level modules that a file names."""
    here = modules(name)
    found: set[str] = set()
    for match in FROM_CRATE.finditer(text):
        found |= {match[1]} if match[1] else set(top_level(match[2]))
    for match in FROM_SUPER.finditer(text):
        if match[1].count("super::") >= len(here):
            found.add(match[2])
    return found


def wrong_names(root: Path) -> list[str]:
    """Each edge that the table does not have."""
    wrong = []
    for name, path in sources(root):
        module = modules(name)[0]
        if module == "lib":
            continue
        for other in sorted(named(name, code(path)) - {module}):
            if other not in MAY_NAME.get(module, set()):
                wrong.append(f"src/{name} names {other}")
    return wrong


def python_where_none_may_be(root: Path) -> list[str]:
    """The files that name pyo3 and may not."""
    return [
        f"src/{name}"
        for name, path in sources(root)
        if any(name == f"{place}.rs" or name.startswith(f"{place}/") for place in WITHOUT_PYTHON)
        and re.search(r"\bpyo3\b|\bPython<|\bPyAny\b", code(path))
    ]


def unsafe_elsewhere(root: Path) -> list[str]:
    """The files that say `unsafe` and may not."""
    return [
        f"src/{name}"
        for name, path in sources(root)
        if not name.startswith(UNSAFE) and re.search(r"\bunsafe\b", code(path))
    ]


def test_modules_name_only_what_the_design_allows() -> None:
    assert wrong_names(ROOT) == []


def test_every_module_is_in_the_table() -> None:
    found = {modules(name)[0] for name, _ in sources(ROOT)} - {"lib"}
    assert found == set(MAY_NAME)


def test_the_pure_modules_know_no_python() -> None:
    assert python_where_none_may_be(ROOT) == []


def test_unsafe_stays_where_system_calls_are_made() -> None:
    assert unsafe_elsewhere(ROOT) == []


def test_every_file_says_what_it_is_for() -> None:
    silent = [f"src/{name}" for name, path in sources(ROOT) if not path.read_text().startswith("//!")]
    assert silent == []


def test_files_fit_one_thought() -> None:
    long = {
        f"src/{name}": lines
        for name, path in sources(ROOT)
        if (lines := len(path.read_text().splitlines())) > LONGEST
        and not name.startswith(DATA)
        and not name.endswith("tests.rs")
        and "/tests/" not in name
    }
    assert long == {}


def test_generated_names_of_python_modules_are_gunicorns() -> None:
    """The package's modules are named after Gunicorn's, so that `gunicorn.x` can be `rgunicorn.x`."""
    private = {
        *("_alias", "_app_uri", "_process", "_start", "http/_refusals", "workers/_overdue"),
        *("workers/_reactor", "workers/_readiness", "workers/_tornado_wsgi"),
        *(f"_embedded/{name}" for name in ("__init__", "listeners", "logger", "server", "settings")),
        *("_embedded/turns", "_embedded/worker"),
        *(f"_arbiter/{name}" for name in ("__init__", "child", "former", "held", "listening")),
        *(f"_arbiter/{name}" for name in ("manager", "orders", "program", "proof", "reports")),
        *(f"_logs/{name}" for name in ("__init__", "access", "config", "syslog")),
    }
    # One module in Gunicorn.
    config = {"__init__", "__main__", "command_line", "configuration", "setting", "source", "validators"}
    ours = {"__main__", "_native", *private, *(f"config/{name}" for name in config)}
    theirs = {
        *(
            "__init__",
            "arbiter",
            "config",
            "debug",
            "errors",
            "glogging",
            "pidfile",
            "reloader",
            "sock",
            "systemd",
            "util",
        ),
        *("app/__init__", "app/base", "app/pasterapp", "app/wsgiapp"),
        *(
            "http/__init__",
            "http/body",
            "http/errors",
            "http/message",
            "http/parser",
            "http/unreader",
            "http/wsgi",
        ),
        *("instrument/__init__", "instrument/statsd"),
        *("workers/__init__", "workers/base", "workers/base_async", "workers/sync", "workers/gthread"),
        *("workers/ggevent", "workers/geventlet", "workers/gtornado", "workers/workertmp"),
    }
    package = ROOT / "python" / "rgunicorn"
    found = {path.relative_to(package).with_suffix("").as_posix() for path in package.rglob("*.py")}
    assert found - theirs - ours == set()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("proto/http1/head.rs", "use crate::sys::fd;", ["src/proto/http1/head.rs names sys"]),
        ("proto/http1/head.rs", "use super::super::super::net::x;", ["src/proto/http1/head.rs names net"]),
        ("proto/http1/head.rs", "use super::super::target;", []),
        ("proto/mod.rs", "use super::sys;", ["src/proto/mod.rs names sys"]),
        ("proto/a.rs", "fn f() { crate::wsgi::call() }", ["src/proto/a.rs names wsgi"]),
        ("proto/a.rs", '// use crate::sys;\nlet x = "crate::sys";', []),
        (
            "reactor/a.rs",
            "use crate::{\n proto::{head, wsgi},\n worker::x,\n arbiter};",
            ["src/reactor/a.rs names arbiter", "src/reactor/a.rs names worker"],
        ),
        ("worker/a.rs", "use crate::arbiter;", ["src/worker/a.rs names arbiter"]),
        ("worker/a.rs", "use crate::py;", ["src/worker/a.rs names py"]),
        ("py/a.rs", "use crate::{arbiter, worker};", []),
    ],
)
def test_the_check_finds_a_wrong_edge(name: str, text: str, expected: list[str], tmp_path: Path) -> None:
    path = tmp_path / "src" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert wrong_names(tmp_path) == expected


def test_the_check_finds_python_and_unsafe(tmp_path: Path) -> None:
    for name, text in {
        "proto/a.rs": "use pyo3::prelude::*;",
        "arbiter/plan.rs": "use pyo3::Python;",
        "arbiter/spawn.rs": "use pyo3::Python;\nfn f() { unsafe { g() } }",
        "sys/fd.rs": "// pyo3\nunsafe fn f() {}",
        "wsgi/ffi.rs": "unsafe { pyo3::ffi::Py_None() }",
    }.items():
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert python_where_none_may_be(tmp_path) == ["src/arbiter/plan.rs", "src/proto/a.rs"]
    assert unsafe_elsewhere(tmp_path) == ["src/arbiter/spawn.rs"]
