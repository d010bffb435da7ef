"""The checks under the names that settings of one's own use them by: `validator = validate_pos_int`.

Each takes a value and gives its final form, or raises TypeError, ValueError or ConfigError. The rules are
those of the native table: a check is that of a setting which has it.
"""

from __future__ import annotations

import glob
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

from rgunicorn import util
from rgunicorn._native import SettingSpec, import_object, is_pattern, setting_specs

#: The rows of the table by the name of the setting.
SPECS: dict[str, SettingSpec] = {spec.name: spec for spec in setting_specs()}

#: Checks one value.
Validator = Callable[[Any], Any]


def of_setting(name: str) -> Validator:
    """The check that a setting of the table has."""
    spec = SPECS[name]

    def validate(val: Any) -> Any:
        return spec.check(val, util.START_DIRECTORY)

    return validate


validate_asgi_lifespan = of_setting("asgi_lifespan")
validate_asgi_loop = of_setting("asgi_loop")
validate_bool = of_setting("preload_app")
validate_chdir = of_setting("chdir")
validate_class = of_setting("worker_class")
validate_dict = of_setting("secure_scheme_headers")
validate_group = of_setting("group")
validate_header_map_behaviour = of_setting("header_map")
validate_http2_cleartext = of_setting("http2_cleartext")
validate_http2_frame_size = of_setting("http2_max_frame_size")
validate_http2_stream_limit = of_setting("http2_max_concurrent_streams")
validate_http2_window_size = of_setting("http2_initial_window_size")
validate_http_parser = of_setting("http_parser")
validate_http_protocols = of_setting("http_protocols")
validate_list_string = of_setting("bind")
validate_pos_int = of_setting("backlog")
validate_proxy_protocol = of_setting("proxy_protocol")
validate_reload_engine = of_setting("reload_engine")
validate_statsd_address = of_setting("statsd_host")
validate_string = of_setting("proc_name")
validate_string_to_addr_list = of_setting("forwarded_allow_ips")
validate_string_to_list = of_setting("forwarder_headers")
validate_user = of_setting("user")

_check_files = of_setting("reload_extra_files")
_check_post_request = of_setting("post_request")


def validate_file_exists(val: str | None) -> str | None:
    """The path of a file that exists, or None."""
    return None if val is None else str(_check_files([val])[0])


def validate_list_of_files_or_patterns(val: Any) -> list[str]:
    """Files that exist, and patterns of files, which may match later."""
    paths: list[str] = _check_files(val)
    for pattern in filter(is_pattern, paths):
        if not glob.glob(pattern, recursive=True):
            warnings.warn(f"Pattern {pattern} currently matches no files.", RuntimeWarning, stacklevel=2)
    return paths


def validate_ssl_version(val: Any) -> Any:
    """Anything; it has no effect, which is said."""
    if val != SPECS["ssl_version"].initial(util.START_DIRECTORY)[0]:
        ignored = "option `ssl_version` is deprecated and it is ignored. Use ssl_context instead."
        print(f"Warning: {ignored}", file=sys.stderr)
    return val


def validate_callable(arity: int) -> Validator:
    """A callable with `arity` positional parameters (any number for -1), or the dotted name of one."""

    def validate(val: Any) -> Any:
        found = import_object(val) if isinstance(val, str) else val
        if not callable(found):
            raise TypeError(f"Value is not callable: {found}")
        # Builtins may not tell what they take: it is asked only where it matters.
        if arity != -1 and util.get_arity(found) != arity:
            raise TypeError(f"Value must have an arity of: {arity}")
        return found

    return validate


def validate_post_request(val: Any) -> Any:
    """A callable for the worker, the request, the environ and the response.

    One that takes fewer of them is called with those it takes, so that all callers may give all four.
    """
    hook = _check_post_request(val)
    taken = util.get_arity(hook)
    if taken == 4:
        return hook

    def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> Any:
        return hook(*(worker, req, environ, resp)[:taken])

    # Not `functools.wraps`: whoever counts the parameters shall find four.
    post_request.__name__ = getattr(hook, "__name__", post_request.__name__)
    post_request.__qualname__ = getattr(hook, "__qualname__", post_request.__qualname__)
    return post_request


def auto_int(_setting: object, text: str) -> int:
    """A number in any of Python's notations, or an octal one with a leading zero: a `type` for settings."""
    return int(re.sub(r"^0(?=\d)", "0o", text), 0)
