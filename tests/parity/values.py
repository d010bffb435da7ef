"""Good and bad values for every setting, as data: what a file may hold, and what a flag may be given."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """Values that are tried for settings of one kind."""

    #: Python source, for a configuration file.
    values: list[str]
    #: Words after the flag; None: the flag stands alone.
    words: list[str | None] = field(default_factory=list)


ODD = ["None", "object", "[]", "{}", "()", "b'x'"]

TEXT = Kind(
    [*ODD[:1], "'x'", "' x '", "''", "1", "True", "['x']", "b'x'", "'a,b'", "'\\u20ac'"],
    ["x", ""],
)
SWITCH = Kind(
    ["None", "True", "False", "'true'", "' TRUE '", "'False'", "'yes'", "''", "0", "1", "[]"], [None]
)
NUMBER = Kind(
    [
        *("0", "1", "7", "10 ** 6", "-1", "True", "False", "1.5", "2.0", "None"),
        *("'7'", "' 7 '", "'0x10'", "'0o17'", "'0b11'", "'010'", "'1_0'", "'-1'", "'abc'", "''", "'1.5'"),
        *("[1]", "b'7'", "'\\u0667'", "'+7'"),
    ],
    ["7", "-1", "abc"],
)
NUMBER_WORDS = ("0x10", "010", "1.5", "", " 7 ", "+7", "1_0")
LIST = Kind(
    ["None", "[]", "'x'", "' x '", "''", "['x', ' y ']", "('x', 'y')", "{'x': 1}", "'a,b'", "[1]", "1", "0"],
    ["x", " x ", "", "a,b"],
)
COMMAS = Kind(["None", "'x'", "'x, y ,'", "''", "['x']", "1", "'*'"], ["x", "x, y ,", "", "*"])
NETWORKS = Kind(
    [
        *("None", "'*'", "''", "'127.0.0.1'", "'127.0.0.1, ::1'", "'10.0.0.0/8,*'", "'10.0.0.1/8'", "'::/0'"),
        *(
            "'x'",
            "'1.2.3'",
            "'256.0.0.1'",
            "'127.0.0.1/33'",
            "'10.0.0.0/255.0.0.0'",
            "['*']",
            "1",
            "'fe80::1%eth0'",
        ),
    ],
    ["*", "127.0.0.1", "10.0.0.0/8, ::1", "10.0.0.1/8", "x", ""],
)
MAPPING = Kind(["{}", "{'A': 'b'}", "{'a': 1}", "None", "[]", "'x'", "1", "[('A', 'b')]"])
CLASS = Kind(["'sync'", "' sync '", "None", "1", "int", "lambda: int", "[]", "''"], ["sync", " sync ", ""])
ADDRESSES = Kind(
    [
        *(
            "'127.0.0.1:0'",
            "['127.0.0.1:0', '[::1]:0']",
            "None",
            "[]",
            "1",
            "''",
            "'unix:/x'",
            "[1]",
            "'a,b'",
        ),
        *("' h:1 '", "('h:1',)", "[None]"),
    ],
    ["127.0.0.1:0", "unix:/x", " h:1 "],
)
OCTAL = Kind(
    ["0", "18", "0o022", "'18'", "'0022'", "'0x1F'", "-1", "'abc'", "None", "1.5"],
    ["0022", "18", "0x1F", "0o22", "abc", "-1", "", "0", "00", "1.5", "08"],
)
PATH = TEXT
USER = Kind(
    ["None", "0", "1000", "'0'", "'root'", "'nosuchuser'", "''", "-1", "1.5", "True", "' root '", "'0x1'"],
    ["0", "root", "nosuchuser", "", "1000", " root "],
)


def callables(*counts: int) -> Kind:
    """Hooks that take so many positional arguments, and what else may be tried for them."""
    names = [f"hook({count})" for count in range(6)]
    others = [
        "defaulted",
        "variadic",
        "only_variadic",
        "Hooks().one",
        "Hooks().two",
        "Hooks()",
        "Hooks",
        "len",
        "int",
    ]
    imported = ["'os.path.isabs'", "'os.path.nosuch'", "'nosuch'", "'nosuch.module'", "'os.sep'", "''"]
    return Kind([*names, *others, *imported, "None", "1", f"partial(hook({max(counts) + 1}), 1)"])


ONE, TWO, THREE = callables(1), callables(2), callables(3)


def choice(*words: str, more: tuple[str, ...] = ()) -> Kind:
    """One of these words."""
    texts = [repr(word) for word in (*words, words[0].upper(), f" {words[0]} ", "nosuch", "")]
    return Kind([*texts, "None", "1", "True", "False", *more], [*words, words[0].upper(), "nosuch", ""])


@dataclass(frozen=True)
class Tried:
    """One setting: its kind, its flag if it has one, and values of its own."""

    name: str
    kind: Kind
    flag: str | None = None
    values: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def flagged(
    name: str, kind: Kind, flag: str = "", values: tuple[str, ...] = (), words: tuple[str, ...] = ()
) -> Tried:
    """A setting whose flag is its name unless another is given."""
    return Tried(name, kind, flag or "--" + name.replace("_", "-"), values, words)


SETTINGS = [
    Tried("config", TEXT),
    Tried("wsgi_app", TEXT),
    flagged("bind", ADDRESSES),
    flagged("backlog", NUMBER),
    flagged("workers", NUMBER, values=("2 ** 63 - 1", "2 ** 63"), words=NUMBER_WORDS),
    flagged("worker_class", CLASS),
    flagged("threads", NUMBER),
    flagged("worker_connections", NUMBER),
    flagged("max_requests", NUMBER),
    flagged("max_requests_jitter", NUMBER),
    flagged("timeout", NUMBER),
    flagged("graceful_timeout", NUMBER),
    flagged("keepalive", NUMBER, "--keep-alive"),
    flagged("limit_request_line", NUMBER, values=("8190", "8191", "65536")),
    flagged("limit_request_fields", NUMBER, values=("32768", "32769")),
    flagged("limit_request_field_size", NUMBER, "--limit-request-field_size"),
    flagged("reload", SWITCH),
    flagged("reload_engine", choice("auto", "poll", "inotify")),
    flagged(
        "reload_extra_files", LIST, "--reload-extra-file", ("['probe_app.py']", "'*.py'", "['nosuch.py']")
    ),
    flagged("spew", SWITCH),
    Tried("check_config", SWITCH),
    Tried("print_config", SWITCH),
    flagged("preload_app", SWITCH, "--preload"),
    flagged("sendfile", SWITCH, "--no-sendfile"),
    flagged("reuse_port", SWITCH),
    flagged("chdir", TEXT, values=("'/'", "'.'", "'nosuch'", "START"), words=("/", ".", "nosuch")),
    flagged("daemon", SWITCH),
    flagged("raw_env", LIST, "--env", ("['A=b', 'C=']",), ("A=b", "A=b=c")),
    flagged("pidfile", PATH, "--pid"),
    flagged("worker_tmp_dir", PATH),
    flagged("user", USER),
    flagged("group", USER),
    flagged("umask", OCTAL),
    flagged("initgroups", SWITCH),
    Tried("tmp_upload_dir", PATH),
    Tried("secure_scheme_headers", MAPPING),
    flagged("forwarded_allow_ips", NETWORKS),
    flagged("accesslog", PATH, "--access-logfile"),
    flagged("disable_redirect_access_to_syslog", SWITCH),
    flagged("access_log_format", TEXT, "--access-logformat", words=("%(h)s",)),
    flagged("errorlog", PATH, "--error-logfile"),
    flagged("loglevel", TEXT, "--log-level", ("'DEBUG'", "'nosuch'"), ("DEBUG", "nosuch")),
    flagged("capture_output", SWITCH),
    flagged("logger_class", CLASS, words=("simple",)),
    flagged("logconfig", PATH, "--log-config"),
    Tried("logconfig_dict", MAPPING),
    flagged("logconfig_json", PATH, "--log-config-json"),
    flagged("syslog_addr", TEXT, "--log-syslog-to", words=("udp://h:1", "unix:///x#dgram")),
    flagged("syslog", SWITCH, "--log-syslog"),
    flagged("syslog_prefix", TEXT, "--log-syslog-prefix"),
    flagged("syslog_facility", TEXT, "--log-syslog-facility", ("'local0'",), ("local0",)),
    flagged("enable_stdio_inheritance", SWITCH),
    flagged(
        "statsd_host",
        TEXT,
        values=("'h:1'", "'h:'", "'h:x'", "'[::1]:1'", "'unix:///x'", "'unix://'", "'unix:8125'", "'unix:x'"),
        words=("h:1", "h:x", "unix:///x", "unix:8125"),
    ),
    flagged("dogstatsd_tags", TEXT),
    flagged("statsd_prefix", TEXT),
    flagged("enable_backlog_metric", SWITCH),
    flagged("proc_name", TEXT, "--name", words=(" x ", "a,b")),
    Tried("default_proc_name", TEXT),
    flagged("pythonpath", TEXT),
    Tried("paste", TEXT),
    *(
        Tried(name, ONE)
        for name in (
            *(
                "on_starting",
                "on_reload",
                "when_ready",
                "post_worker_init",
                "worker_int",
                "worker_abort",
                "pre_exec",
            ),
            *("on_exit", "on_dirty_starting", "dirty_worker_init"),
        )
    ),
    *(
        Tried(name, TWO)
        for name in (
            *("pre_fork", "post_fork", "pre_request", "child_exit", "worker_exit", "ssl_context"),
            *("dirty_post_fork", "dirty_worker_exit"),
        )
    ),
    Tried("post_request", callables(2, 3, 4)),
    Tried("nworkers_changed", THREE),
    flagged(
        "proxy_protocol", choice("off", "auto", "v1", "v2", "true", "false", "none", "0", "1", more=("2",))
    ),
    flagged("proxy_allow_ips", NETWORKS, "--proxy-allow-from"),
    flagged("protocol", TEXT, words=("uwsgi", "http")),
    flagged("uwsgi_allow_ips", NETWORKS, "--uwsgi-allow-from"),
    flagged("keyfile", PATH),
    flagged("certfile", PATH),
    flagged("ssl_version", NUMBER, values=("'TLSv1_2'",)),
    flagged("cert_reqs", NUMBER, values=("2", "3")),
    flagged("ca_certs", PATH),
    flagged("suppress_ragged_eofs", SWITCH),
    flagged("do_handshake_on_connect", SWITCH),
    flagged("ciphers", TEXT),
    flagged(
        "http_protocols",
        COMMAS,
        values=("'h1'", "'h2'", "'h2,h1'", "'h1,h1'", "'h3'", "' h1 '", "'H1'", "['h1']"),
        words=("h1", "h2,h1", "h1,h1", "h3"),
    ),
    flagged("http2_cleartext", choice("off", "prior-knowledge", "upgrade", "both")),
    flagged("http2_max_concurrent_streams", NUMBER),
    flagged("http2_initial_window_size", NUMBER, values=("2147483647", "2147483648")),
    flagged("http2_max_frame_size", NUMBER, values=("16383", "16384", "16777215", "16777216")),
    flagged("http2_max_header_list_size", NUMBER),
    flagged("raw_paste_global_conf", LIST, "--paste-global", words=("a=b",)),
    flagged("permit_obsolete_folding", SWITCH),
    flagged("strip_header_spaces", SWITCH),
    flagged("permit_unconventional_http_method", SWITCH),
    flagged("permit_unconventional_http_version", SWITCH),
    flagged("casefold_http_method", SWITCH),
    flagged("forwarder_headers", COMMAS),
    flagged("header_map", choice("drop", "refuse", "dangerous")),
    flagged("asgi_loop", choice("auto", "asyncio", "uvloop")),
    flagged("asgi_lifespan", choice("auto", "on", "off")),
    flagged("asgi_disconnect_grace_period", NUMBER),
    flagged("websocket_max_message_size", NUMBER),
    flagged("http_parser", choice("auto", "fast", "python")),
    flagged("root_path", TEXT),
    flagged("dirty_apps", LIST, "--dirty-app"),
    flagged("dirty_workers", NUMBER),
    flagged("dirty_timeout", NUMBER),
    flagged("dirty_threads", NUMBER),
    flagged("dirty_graceful_timeout", NUMBER),
    flagged("control_socket", TEXT, words=("/x",)),
    flagged("control_socket_mode", OCTAL),
    flagged("control_socket_disable", SWITCH, "--no-control-socket"),
]


@dataclass(frozen=True)
class Rule:
    """A row of docs/compat.md, and the values of which settings differ by it. None named: all of them."""

    row: str
    values: frozenset[str]
    names: frozenset[str] = frozenset()

    def covers(self, name: str, value: str) -> bool:
        """Whether the row is the reason."""
        return (not self.values or value in self.values) and (not self.names or name in self.names)


def rule(row: str, *values: str, names: tuple[str, ...] = ()) -> Rule:
    """A rule for these values, of these settings."""
    return Rule(row, frozenset(values), frozenset(names))


PARTIALS = tuple(f"partial(hook({count}), 1)" for count in range(1, 6))
LOW_HTTP2 = ("http2_max_concurrent_streams", "http2_initial_window_size")

#: Settings that are whole numbers.
NUMBERS = (
    "asgi_disconnect_grace_period",
    "backlog",
    "cert_reqs",
    "control_socket_mode",
    "dirty_graceful_timeout",
    "dirty_threads",
    "dirty_timeout",
    "dirty_workers",
    "graceful_timeout",
    "http2_initial_window_size",
    "http2_max_concurrent_streams",
    "http2_max_frame_size",
    "http2_max_header_list_size",
    "keepalive",
    "limit_request_field_size",
    "limit_request_fields",
    "limit_request_line",
    "max_requests",
    "max_requests_jitter",
    "threads",
    "timeout",
    "umask",
    "websocket_max_message_size",
    "worker_connections",
    "workers",
)

#: Why a value of a file is judged or printed otherwise.
VALUE_RULES = [
    rule("number-forms", "b'7'", "'\\u0667'"),
    rule("number-forms", "True", names=("user", "group")),
    rule("none-switch", "None"),
    rule("partial", *PARTIALS, "Hooks()"),
    rule("hook-names", "hook(2)", "hook(3)", "defaulted", "variadic", "Hooks().two", names=("post_request",)),
    rule(
        "reasons", "1", names=("bind", "raw_env", "reload_extra_files", "dirty_apps", "raw_paste_global_conf")
    ),
    rule("reasons", "1.5", names=("user", "group")),
    rule("reasons", "1.5", "2.0", "[1]", names=NUMBERS),
    rule("reasons", "-1", "'-1'", names=LOW_HTTP2),
    rule("bounds", "2 ** 63", "[None]", "'fe80::1%eth0'"),
    rule("dict-list", "{'x': 1}"),
]

#: Why a command is that gives one on its line, or in a file.
WORD_RULES: list[Rule] = [
    rule("deeper-check", names=("raw_env",)),
    rule("deeper-check", "", names=("worker_class", "logger_class")),
    rule("reasons", "-1", names=LOW_HTTP2),
    rule("tls", names=("certfile", "keyfile")),
    rule("http2", names=("http2_cleartext", "http_protocols")),
    rule("proxy", names=("proxy_protocol",)),
    rule("uwsgi", names=("protocol",)),
    rule("dirty", names=("dirty_apps", "dirty_workers", "on_dirty_starting", "dirty_worker_init")),
    rule("control-socket", names=("control_socket", "control_socket_mode")),
]

#: Why a file's value is, in the whole command.
FILE_RULES = [rule("reasons", "'x'", names=("paste",))]

#: Settings that Gunicorn does not have.
OWN = {
    *("body_timeout", "header_timeout", "send_timeout", "limit_request_body", "request_body_memory"),
    *("request_timeout", "response_file_limit", "response_memory", "stream_request_body"),
    *("max_worker_lifetime", "max_worker_lifetime_jitter", "max_worker_memory", "shutdown_delay"),
    *("reload_surge", "touch_reload", "ready_path"),
}

#: The printed lines that differ where nothing is set, and why.
PRINTED = {"keepalive": "keepalive"}
