"""Settings as classes: one for each row of the native table, and those that programs add."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from rgunicorn import util
from rgunicorn._native import SettingSpec
from rgunicorn.config import validators
from rgunicorn.config.validators import SPECS, Validator
from rgunicorn.errors import ConfigError

#: The class of every setting, in the order in which they were made.
KNOWN_SETTINGS: list[type[Setting]] = []

#: Where the classes of the table's rows are found.
MODULE = "rgunicorn.config"

#: What stands for the text of an option that may go without; no argument can hold it.
_NO_TEXT = "\0"

_FLAG_ACTIONS = ("store_true", "store_false", "store_const")


class SettingMeta(type):
    """Registers each subclass of `Setting`: from then on configurations have that setting."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> SettingMeta:
        """Make the class and its option on the command line."""
        if not attrs.get("name"):
            # A base of settings, not one itself.
            return super().__new__(mcs, name, bases, attrs)
        attrs["order"] = len(KNOWN_SETTINGS)
        if "validator" in attrs:
            attrs["validator"] = staticmethod(attrs["validator"])
        made = super().__new__(mcs, name, bases, attrs)
        made.fmt_desc(attrs.get("desc", ""))
        if "spec" not in attrs:
            made.spec = _added(made)  # type: ignore[attr-defined]
        KNOWN_SETTINGS.append(made)  # type: ignore[arg-type]
        return made

    def fmt_desc(cls, desc: str) -> None:
        """Set the description, and its first line for the help."""
        cls.desc = textwrap.dedent(desc).strip()
        cls.short = cls.desc.partition("\n")[0]


class Setting(metaclass=SettingMeta):
    """One setting and its value.

    A subclass says what it is called (`name`, `section`), its options (`cli`), what follows these (`meta`,
    `type`, `action`, `nargs` and `const`, as argparse has them), its check (`validator`), its `default` and
    its description (`desc`).
    """

    name: str = ""
    section: str = ""
    cli: Sequence[str] | None = None
    validator: Validator
    type: Any = None
    meta: str | None = None
    action: str | None = None
    default: Any = None
    nargs: str | None = None
    const: Any = None
    short: str = ""
    desc: str = ""
    order: int = 0
    value: Any = None

    #: The row of the native table, or what stands for one.
    spec: ClassVar[SettingSpec]
    #: Who gave the value, in words.
    source = "the default"
    #: Whether anybody gave it.
    given = False

    def __init__(self) -> None:
        if self.default is not None:
            self.set(self.default)

    def get(self) -> Any:
        """The value as it is set."""
        return self.value

    def set(self, val: Any) -> None:
        """Check and set. Raises ValueError, TypeError or ConfigError; the former value then stays."""
        if not callable(getattr(self, "validator", None)):
            raise TypeError(f"Invalid validator: {self.name}")
        self.value = self.validator(val)

    def copy(self) -> Setting:
        """Another one with the same value."""
        return copy.copy(self)

    @property
    def spelling(self) -> str:
        """Its options on the command line: `-w/--workers`; empty if there are none."""
        return "/".join(self.cli or ())

    def from_command_line(self, given: Any) -> Any:
        """What an option gives, by `action`, `const` and `type`. Raises TypeError or ValueError."""
        if self.action == "store_const" or given == _NO_TEXT:
            return self.const
        if self.action in _FLAG_ACTIONS:
            return self.action == "store_true"
        return given if self.type is None else self.type(given)

    def missing_part(self, settings: dict[str, Setting]) -> str | None:
        """What the value asks for that is not part of this version, if it does."""
        changed = self.given and self.value != type(self)().value
        missing = self.spec.missing(self.value, self.given, changed)
        if missing is None:
            return None
        part, unless = missing
        return None if unless and settings[unless].value else part

    def blame(self, reason: object, source: str | None = None) -> str:
        """One line for the user: what is wrong, with which setting, from where, and what is allowed."""
        return f"{reason} ({self.name} from {source or self.source}; allowed: {self.spec.allowed})"

    def __lt__(self, other: Setting) -> bool:
        return self.section == other.section and self.order < other.order

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}={self.value!r}>"


class _BuiltinSetting(Setting):
    """A row of the native table. Its default may depend on variables: each configuration takes it anew."""

    def __init__(self) -> None:
        if self.spec.is_hook:
            self.value = self.default
            return
        self.default, source = self.spec.initial(util.START_DIRECTORY)
        self.source = source or self.source
        try:
            super().__init__()
        except (ValueError, TypeError, ConfigError) as error:
            raise ConfigError(self.blame(error)) from error

    def from_command_line(self, given: Any) -> Any:
        """The value, which the native parser has made already."""
        return given


def builtin_settings() -> dict[str, type[Setting]]:
    """The class of each row of the table, by its name."""
    return dict(_BUILTIN)


def make_settings(ignore: Iterable[str] | None = None) -> dict[str, Setting]:
    """Every setting with its default, by name, in the order of their classes; without those to `ignore`."""
    ignored = frozenset(ignore or ())
    made = (known() for known in KNOWN_SETTINGS)
    return {setting.name: setting for setting in made if setting.name not in ignored}


def _added(known: Any) -> SettingSpec:
    """The native side of a setting that a program adds."""
    takes = _taken(known.action or "store", known.nargs) if known.cli else None
    meta = known.meta or known.name.upper()
    return SettingSpec.added(known.name, known.section, list(known.cli or ()), takes, meta, known.short)


def _taken(action: str, nargs: str | None) -> str:
    if action in _FLAG_ACTIONS:
        return "nothing"
    if action == "append" and nargs is None:
        return "list"
    if action == "store" and nargs in (None, "?"):
        return "optional" if nargs else "text"
    raise TypeError(f"an option cannot have the action {action!r} with nargs={nargs!r}")


def _builtin(spec: SettingSpec) -> type[Setting]:
    default = _unset_hook(spec) if spec.is_hook else spec.initial(util.START_DIRECTORY)[0]
    attributes = {
        "__module__": MODULE,
        "__doc__": spec.description.partition("\n")[0],
        "spec": spec,
        "name": spec.name,
        "section": spec.section,
        "cli": spec.flags or None,
        "meta": spec.meta,
        **_as_argparse(spec),
        "validator": _OWN_CHECKS.get(spec.name) or validators.of_setting(spec.name),
        "default": staticmethod(default) if callable(default) else default,
        "desc": spec.description,
    }
    if spec.is_hook:
        # Where its name says it is, for whoever pickles a configuration.
        attributes[spec.name] = attributes["default"]
    return SettingMeta(spec.class_name, (_BuiltinSetting,), attributes)  # type: ignore[return-value]


def _as_argparse(spec: SettingSpec) -> dict[str, Any]:
    """What the option takes, in argparse's words."""
    match spec.takes, spec.without:
        case "nothing", True:
            return {"action": "store_true"}
        case "nothing", const:
            return {"action": "store_const", "const": const}
        case "list", _:
            return {"action": "append"}
        case "optional", const:
            return {"nargs": "?", "const": const}
    return {"type": int} if spec.takes == "number" else {}


def _unset_hook(spec: SettingSpec) -> Any:
    """A function of its own for each hook, by which the print of the configuration names it."""

    def unset(*_arguments: object) -> None:
        """What an unset hook does."""

    hook = _DEFAULT_HOOKS.get(spec.name, unset)
    hook.__module__ = MODULE
    hook.__name__ = spec.name
    hook.__qualname__ = f"{spec.class_name}.{spec.name}"
    return hook


def _log_request(worker: Any, req: Any) -> None:
    worker.log.debug("%s %s", req.method, req.path)


def _default_ssl_context(_config: Any, default_ssl_context_factory: Any) -> Any:
    return default_ssl_context_factory()


_DEFAULT_HOOKS: dict[str, Any] = {"pre_request": _log_request, "ssl_context": _default_ssl_context}

#: Checks that also say something, or make another callable.
_OWN_CHECKS: dict[str, Validator] = {
    "post_request": validators.validate_post_request,
    "reload_extra_files": validators.validate_list_of_files_or_patterns,
    "ssl_version": validators.validate_ssl_version,
}

_BUILTIN = {spec.class_name: _builtin(spec) for spec in SPECS.values()}
