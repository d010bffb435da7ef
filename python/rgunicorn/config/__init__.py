"""The configuration: what can be set, how it is checked, and what follows from several settings.

What settings there are, what they take and what they default to is known by the native table alone. Each has
a class here under the name that Gunicorn gives it, and programs add settings by subclassing `Setting`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rgunicorn.config.command_line import CommandLineParser
from rgunicorn.config.configuration import CMD_ARGS, Config, get_default_config_file
from rgunicorn.config.setting import KNOWN_SETTINGS, Setting, SettingMeta, builtin_settings, make_settings
from rgunicorn.config.validators import (
    auto_int,
    validate_asgi_lifespan,
    validate_asgi_loop,
    validate_bool,
    validate_callable,
    validate_chdir,
    validate_class,
    validate_dict,
    validate_file_exists,
    validate_group,
    validate_header_map_behaviour,
    validate_http2_cleartext,
    validate_http2_frame_size,
    validate_http2_stream_limit,
    validate_http2_window_size,
    validate_http_parser,
    validate_http_protocols,
    validate_list_of_files_or_patterns,
    validate_list_string,
    validate_pos_int,
    validate_post_request,
    validate_proxy_protocol,
    validate_reload_engine,
    validate_ssl_version,
    validate_statsd_address,
    validate_string,
    validate_string_to_addr_list,
    validate_string_to_list,
    validate_user,
)
from rgunicorn.errors import ConfigError

PLATFORM = sys.platform

__all__ = [
    "CMD_ARGS",
    "KNOWN_SETTINGS",
    "PLATFORM",
    "CommandLineParser",
    "Config",
    "ConfigError",
    "Setting",
    "SettingMeta",
    "auto_int",
    "get_default_config_file",
    "make_settings",
    "validate_asgi_lifespan",
    "validate_asgi_loop",
    "validate_bool",
    "validate_callable",
    "validate_chdir",
    "validate_class",
    "validate_dict",
    "validate_file_exists",
    "validate_group",
    "validate_header_map_behaviour",
    "validate_http2_cleartext",
    "validate_http2_frame_size",
    "validate_http2_stream_limit",
    "validate_http2_window_size",
    "validate_http_parser",
    "validate_http_protocols",
    "validate_list_of_files_or_patterns",
    "validate_list_string",
    "validate_pos_int",
    "validate_post_request",
    "validate_proxy_protocol",
    "validate_reload_engine",
    "validate_ssl_version",
    "validate_statsd_address",
    "validate_string",
    "validate_string_to_addr_list",
    "validate_string_to_list",
    "validate_user",
]

# One class for each setting: `Workers`, `AccessLogFormat`, ...
globals().update(builtin_settings())

if TYPE_CHECKING:

    def __getattr__(name: str) -> type[Setting]: ...
