"""From the text that names an application to the application itself."""

from __future__ import annotations

import ast
import importlib
import logging
import os
import traceback
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

from rgunicorn.errors import AppImportError


def import_app(uri: str) -> Callable[..., Any]:
    """The application that `MODULE`, `MODULE:NAME` or `MODULE:FACTORY(ARGUMENTS)` names.

    Raises AppImportError if MODULE does not hold it; what the module or the factory raises goes through.
    """
    module_name, colon, expression = uri.partition(":")
    if not colon:
        expression = "application"
    module = _app_module(module_name, expression)
    name, arguments = _app_expression(expression)
    try:
        found = getattr(module, name)
    except AttributeError:
        if logging.root.level == logging.DEBUG:
            traceback.print_exc()
        raise AppImportError(f"Failed to find attribute {name!r} in {module_name!r}.") from None
    app = found if arguments is None else _made(found, *arguments)
    if app is None:
        raise AppImportError(f"Failed to find application object: {expression!r}")
    if not callable(app):
        raise AppImportError("Application object must be callable.")
    return app  # type: ignore[no-any-return]


def _app_module(name: str, expression: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        stem, extension = os.path.splitext(name)
        if extension == ".py" and os.path.exists(name):
            hint = f"{stem}:{expression}"
            raise ImportError(f"Failed to find application, did you mean {hint!r}?") from None
        raise


_Arguments = tuple[list[Any], dict[str, Any]]


def _app_expression(text: str) -> tuple[str, _Arguments | None]:
    """The attribute's name, and the arguments if it is to be called."""
    try:
        expression = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise _unparsable(text) from None
    if isinstance(expression, ast.Name):
        return expression.id, None
    if not isinstance(expression, ast.Call):
        raise _unparsable(text)
    if not isinstance(expression.func, ast.Name):
        raise AppImportError(f"Function reference must be a simple name: {text!r}")
    return expression.func.id, _literal_arguments(expression, text)


def _unparsable(text: str) -> AppImportError:
    return AppImportError(f"Failed to parse {text!r} as an attribute name or function call.")


def _literal_arguments(call: ast.Call, text: str) -> _Arguments:
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (ValueError, TypeError):
        named = {None: None}
    if None in named:
        # Not a literal, or `**mapping`, which has no name.
        raise AppImportError(f"Failed to parse arguments as literal values: {text!r}")
    return positional, {name: value for name, value in named.items() if name is not None}


def _made(factory: Callable[..., Any], positional: list[Any], named: dict[str, Any]) -> Any:
    try:
        return factory(*positional, **named)
    except TypeError as error:
        # Only a failure to enter the factory is the caller's: one raised inside it has a deeper frame.
        if _entered(error.__traceback__):
            raise
        text = "".join(traceback.format_exception_only(error)).strip()
        raise AppImportError(text) from None


def _entered(trace: TracebackType | None) -> bool:
    return trace is not None and trace.tb_next is not None


def make_fail_app(msg: str | bytes) -> Callable[..., list[bytes]]:
    """An application whose only answer is an error, `msg`."""
    body = msg.encode() if isinstance(msg, str) else msg

    def application(environ: Any, start_response: Any) -> list[bytes]:
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        start_response("500 Internal Server Error", headers)
        return [body]

    return application
