"""Every setting: the verdict on good and bad values, from a file and from a flag, and the printed line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from parity.rows import differences, needed
from parity.values import FILE_RULES, OWN, PRINTED, SETTINGS, VALUE_RULES, WORD_RULES, Rule, Tried

PROBE = Path(__file__).with_name("probe.py")
PACKAGES = ("gunicorn", "rgunicorn")
APP = "def application(environ, start_response):\n    return []\n"

#: Values that a file alone cannot make.
NEEDS_NAMES = re.compile("[hH]ook|partial|defaulted|variadic|START")

Answer = dict[str, Any]

#: Behind the reason rgunicorn says which setting it is, and where the value comes from.
SOURCE = re.compile(r" \((?P<name>\w+) from (?P<source>.+?)(; allowed: .+)?\)$")


@dataclass(frozen=True)
class Judged:
    """What both servers say of one value."""

    value: str
    theirs: Answer
    ours: Answer


def ask(jobs: list[dict[str, Any]], directory: Path) -> list[tuple[Answer, Answer]]:
    """The answers of both servers to each job, Gunicorn's first."""
    (directory / "probe_app.py").write_text(APP)
    (directory / "jobs.json").write_text(json.dumps(jobs))
    env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(directory), "PWD": str(directory)}
    running = [
        subprocess.Popen(
            [sys.executable, "-B", str(PROBE), package, "jobs.json"],
            cwd=directory,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for package in PACKAGES
    ]
    answers = []
    for process in running:
        stdout, stderr = process.communicate(timeout=80)
        assert process.returncode == 0, stderr
        answers.append(json.loads(stdout))
    return list(zip(*answers, strict=True))


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Judged]]:
    """What is said of the values of each setting."""
    jobs = [
        {"name": tried.name, "value": value}
        for tried in SETTINGS
        for value in [*tried.kind.values, *tried.values]
    ]
    answers = ask(jobs, tmp_path_factory.mktemp("values"))
    return grouped([(job["name"], job["value"]) for job in jobs], answers)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Judged]]:
    """What is said of each flag with its words."""
    asked = [(tried, word) for tried in SETTINGS if tried.flag for word in [*tried.kind.words, *tried.words]]
    jobs = [
        {"arguments": ["--print-config", tried.flag, *([] if word is None else [word]), "probe_app"]}
        for tried, word in asked
    ]
    answers = ask(jobs, tmp_path_factory.mktemp("words"))
    return grouped([(tried.name, str(word)) for tried, word in asked], answers)


@pytest.fixture(scope="module")
def files(
    values: Mapping[str, list[Judged]], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, list[Judged]]:
    """What is said of a file with a value that Gunicorn takes, and of one with a value that it refuses."""
    chosen = [(tried.name, one.value) for tried in SETTINGS for one in two_of(values[tried.name])]
    directory = tmp_path_factory.mktemp("files")
    jobs = []
    for number, (name, value) in enumerate(chosen):
        (directory / f"conf{number}.py").write_text(f"{name} = {value}\n")
        jobs.append({"arguments": ["--print-config", "-c", f"conf{number}.py", "probe_app"]})
    return grouped(chosen, ask(jobs, directory))


def two_of(judged: list[Judged]) -> list[Judged]:
    """The first value that is taken, and the first that is refused, of those that need no further names."""
    plain = [one for one in judged if not NEEDS_NAMES.search(one.value)]
    taken = [one for one in plain if "printed" in one.theirs and one.value != "None"]
    refused = [one for one in plain if "refused" in one.theirs]
    return [*taken[:1], *refused[:1]]


def grouped(asked: list[tuple[str, str]], answers: list[tuple[Answer, Answer]]) -> Mapping[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for (name, value), (theirs, ours) in zip(asked, answers, strict=True):
        found.setdefault(name, []).append(Judged(value, theirs, ours))
    return found


def verdict(name: str, answer: Answer) -> dict[str, object]:
    """What is compared of a command's end."""
    if answer["status"] == 0:
        lines = printed(answer["stdout"])
        return {"status": 0, "printed": lines.get(name, "nothing")}
    return {"status": answer["status"], "reason": reason(answer["stderr"]) if answer["status"] == 1 else ""}


def printed(text: str) -> dict[str, str]:
    """The lines of `--print-config` by setting."""
    parts = (line.partition(" = ") for line in text.splitlines())
    return {name.strip(): value for name, equals, value in parts if equals}


def reason(text: str) -> str:
    """The text of the `Error:` line."""
    lines = [line.removeprefix("Error: ") for line in text.splitlines() if line.startswith("Error: ")]
    return lines[-1] if lines else text.strip().rpartition("\n")[2]


def split_source(name: str, answer: dict[str, object]) -> dict[str, object]:
    """rgunicorn's verdict without the setting and its source, which must be there and right."""
    if "reason" not in answer or answer["status"] != 1:
        return answer
    match = SOURCE.search(str(answer["reason"]))
    if match is None or match["name"] != name:
        return {**answer, "source": f"not named in {answer['reason']!r}"}
    return {**answer, "reason": str(answer["reason"])[: match.start()]}


def unexplained(name: str, judged: list[Judged], rules: list[Rule]) -> list[str]:
    """The differences that no rule names."""
    return [
        f"{name} = {one.value}: Gunicorn {one.theirs}, rgunicorn {one.ours}"
        for one in judged
        if one.theirs != one.ours and not any(rule.covers(name, one.value) for rule in rules)
    ]


@pytest.mark.parametrize("tried", SETTINGS, ids=[tried.name for tried in SETTINGS])
def test_values(tried: Tried, values: Mapping[str, list[Judged]]) -> None:
    assert unexplained(tried.name, values[tried.name], VALUE_RULES) == []


@pytest.mark.parametrize("tried", SETTINGS, ids=[tried.name for tried in SETTINGS])
def test_words_of_a_flag(tried: Tried, words: Mapping[str, list[Judged]]) -> None:
    judged = [ended(tried.name, one) for one in words.get(tried.name, [])]
    assert unexplained(tried.name, judged, WORD_RULES) == []


@pytest.mark.parametrize("tried", SETTINGS, ids=[tried.name for tried in SETTINGS])
def test_files(tried: Tried, files: Mapping[str, list[Judged]]) -> None:
    judged = [ended(tried.name, one) for one in files[tried.name]]
    assert unexplained(tried.name, judged, [*VALUE_RULES, *WORD_RULES, *FILE_RULES]) == []


def ended(name: str, one: Judged) -> Judged:
    """Verdicts for what the commands said."""
    return Judged(one.value, verdict(name, one.theirs), split_source(name, verdict(name, one.ours)))


def test_every_rule_is_needed(
    values: Mapping[str, list[Judged]],
    words: Mapping[str, list[Judged]],
    files: Mapping[str, list[Judged]],
) -> None:
    found = [(VALUE_RULES, values), (WORD_RULES, all_ended(words)), (FILE_RULES, all_ended(files))]
    assert [rule for rules, judged in found for rule in rules if not differs(rule, judged)] == []


def all_ended(found: Mapping[str, list[Judged]]) -> Mapping[str, list[Judged]]:
    return {name: [ended(name, one) for one in judged] for name, judged in found.items()}


def differs(rule: Rule, found: Mapping[str, list[Judged]]) -> bool:
    return any(
        one.theirs != one.ours and rule.covers(name, one.value)
        for name, judged in found.items()
        for one in judged
    )


def test_the_printed_configuration(words: Mapping[str, list[Judged]]) -> None:
    """Every setting of Gunicorn is tried and printed, and its default is the same."""
    (one, *_) = words["pidfile"]
    theirs, ours = printed(one.theirs["stdout"]), printed(one.ours["stdout"])
    assert set(theirs) == {tried.name for tried in SETTINGS}
    assert set(ours) - set(theirs) == OWN
    assert list(ours) == sorted(ours)
    assert differences(theirs, {name: ours[name] for name in ours if name not in OWN}, PRINTED) == []


def test_every_row_is_needed() -> None:
    used = {rule.row for rule in [*VALUE_RULES, *WORD_RULES]} | set(PRINTED.values())
    assert used | {"own-settings", "error-source"} == needed("settings")
