"""What the source of a configuration file says about its names.

On which line each gets its value, and which of them were perhaps meant as settings.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from rgunicorn._native import setting_meant
from rgunicorn.config.validators import SPECS

#: Who calls these may read and set names that are nowhere in the source.
_DYNAMIC = frozenset({"eval", "exec", "globals", "locals", "vars"})
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass
class Names:
    """The global names of a configuration file."""

    #: The line of the last statement that binds the name.
    lines: dict[str, int] = field(default_factory=dict)
    #: Names that get a value by an assignment.
    assigned: set[str] = field(default_factory=set)
    #: Names of functions.
    functions: set[str] = field(default_factory=set)
    #: Names that anything in the file makes use of.
    used: set[str] = field(default_factory=set)

    def near_misses(self) -> Iterator[tuple[int, str, str]]:
        """Names that have no effect but nearly are a setting's: the line, the name and the setting.

        A name that the file uses is a helper. Functions can only have been meant as hooks. Where the setting
        has a value too, the other name is no mistake for it.
        """
        if self.used & _DYNAMIC:
            return
        for name in sorted((self.assigned | self.functions) - self.used, key=self.lines.__getitem__):
            meant = setting_meant(name)
            if meant is None or meant in self.lines:
                continue
            if name in self.assigned or SPECS[meant].is_hook:
                yield self.lines[name], name, meant


def names_of(path: str) -> Names:
    """The names in the file at `path`; none where that cannot be read as source."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return Names()
    names = Names()
    for statement in tree.body:
        _collect(statement, names)
    names.used = set(_used(tree))
    return names


def _collect(node: ast.AST, names: Names) -> None:
    """The names that a statement binds, and those inside it which share its scope."""
    for name in _bound(node, names):
        names.lines[name] = getattr(node, "lineno", 0)
    if isinstance(node, _SCOPES):
        return
    for child in ast.iter_child_nodes(node):
        _collect(child, names)


def _bound(node: ast.AST, names: Names) -> Iterator[str]:
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for name in _stored(target):
                names.assigned.add(name)
                yield name
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        names.functions.add(node.name)
        yield node.name
    elif isinstance(node, ast.ClassDef):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        yield from _stored(node.target)


def _stored(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _used(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            yield from node.names
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
