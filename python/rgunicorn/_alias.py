"""Makes `import gunicorn[.x]` mean `rgunicorn[.x]`: the same module objects, be Gunicorn installed or not.

For this process only: nothing is written, and neither subprocesses nor the metadata of an installed Gunicorn
change. A module that Gunicorn has and this package has not cannot be imported under either name.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

OURS = "rgunicorn"
THEIRS = "gunicorn"


def install() -> None:
    """From now on the names are aliases. What was imported under them before is forgotten."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    for name in [name for name in sys.modules if _is_theirs(name)]:
        del sys.modules[name]
    sys.modules[THEIRS] = sys.modules[OURS]
    # Before the finder of files, which would find a second copy of each module in this package's directory.
    sys.meta_path.insert(0, _Finder())


def _is_theirs(name: str) -> bool:
    return name == THEIRS or name.startswith(f"{THEIRS}.")


class _Finder(MetaPathFinder):
    """Finds `gunicorn.x` where `rgunicorn.x` is. Raises ModuleNotFoundError where that is not."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _is_theirs(fullname):
            return None
        ours = OURS + fullname[len(THEIRS) :]
        try:
            found = importlib.util.find_spec(ours)
        except ModuleNotFoundError as error:
            # A package above it; anything else is missing inside of one.
            if error.name is None or not ours.startswith(error.name):
                raise
            found = None
        if found is None:
            missing = f"No module named {fullname!r}: this process is run by rgunicorn, which has no {ours!r}"
            raise ModuleNotFoundError(missing, name=fullname)
        return ModuleSpec(fullname, _Loader(ours), is_package=found.submodule_search_locations is not None)


class _Loader(Loader):
    """Gives the module of another name, and leaves it as it is."""

    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._ours)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has put the alias's own there.
        module.__spec__ = self._spec
