"""The wire cases: for each, the bytes of a request and what must come back.

The refusals' texts are Gunicorn's. `ours` is the row of docs/compat.md that says why Gunicorn, run on the
same table, is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HOST = b"Host: localhost\r\n"

#: Command-line flags, configuration file and environment of the servers that the cases are sent to.
SERVERS: dict[str, tuple[list[str], str | None, dict[str, str]]] = {
    "plain": ([], None, {}),
    "untrusting": (["--forwarded-allow-ips", "10.0.0.0/8,192.168.0.1"], None, {}),
    "network": (["--forwarded-allow-ips", "10.0.0.0/8,127.0.0.0/8"], None, {}),
    "everybody": (["--forwarded-allow-ips", "*"], None, {}),
    "tolerant": (
        [
            "--permit-obsolete-folding",
            "--strip-header-spaces",
            "--permit-unconventional-http-method",
            "--permit-unconventional-http-version",
            "--casefold-http-method",
        ],
        None,
        {},
    ),
    "limited": (
        [
            "--limit-request-line",
            "100",
            "--limit-request-fields",
            "3",
            "--limit-request-field_size",
            "40",
        ],
        None,
        {},
    ),
    "unlimited": (["--limit-request-line", "0", "--limit-request-field_size", "0"], None, {}),
    "refusing": (["--header-map", "refuse"], None, {}),
    "dangerous": (["--header-map", "dangerous"], None, {}),
    "forwarding": (["--forwarder-headers", "SCRIPT_NAME,X_USER"], None, {}),
    "forwarding all": (["--forwarder-headers", "*"], None, {}),
    "schemes": ([], "secure_scheme_headers = {'X-TLS': 'yes', 'FRONT-END-HTTPS': 'on'}\n", {}),
    "prefixed": ([], None, {"SCRIPT_NAME": "/base"}),
    "body limit": (["--limit-request-body", "10"], None, {}),
}


@dataclass(frozen=True)
class Case:
    """One request and its answer. `page`: the text of a refusal; None if it is not laid down."""

    name: str
    request: bytes
    status: int = 200
    server: str = "plain"
    page: str | None = None
    #: What the application's environ must hold; None: it must not have the key.
    environ: dict[str, str | None] = field(default_factory=dict)
    body: str = ""
    persists: bool = True
    version: str = "HTTP/1.1"
    ours: str | None = None


def get(fields: bytes = b"", target: bytes = b"/", version: bytes = b"HTTP/1.1") -> bytes:
    """A GET with a Host field and further `fields`."""
    return b"GET " + target + b" " + version + b"\r\n" + HOST + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """A POST with its body as it goes over the wire."""
    return b"POST / " + version + b"\r\n" + HOST + fields + b"\r\n" + body


def chunked(body: bytes, fields: bytes = b"") -> bytes:
    """A POST whose body is chunked already."""
    return post(b"Transfer-Encoding: chunked\r\n" + fields, body)


def refused(
    name: str,
    request: bytes,
    page: str | None,
    status: int = 400,
    server: str = "plain",
    ours: str | None = None,
) -> Case:
    """A case that ends with an error page and a closed connection."""
    return Case(name, request, status, server, page, persists=False, ours=ours)


LINE = "Invalid Request Line 'Invalid HTTP request line: {!r}'"
METHOD = "Invalid Method 'Invalid HTTP method: {!r}'"
VERSION = "Invalid HTTP Version 'Invalid HTTP Version: {!r}'"
HEADER = "Invalid HTTP Header: {!r}"
NAME = "Invalid HTTP header name: {!r}"
LIMIT = "Error parsing headers: {!r}"
LENGTH = HEADER.format("CONTENT-LENGTH")
CODING = HEADER.format("TRANSFER-ENCODING")
BARE_LF = "bare LF as line terminator"


def bad_line(name: str, line: bytes, page: str = LINE, about: object = None, server: str = "plain") -> Case:
    """A request line that is refused."""
    value = about if about is not None else line.decode("latin-1")
    return refused(name, line + b"\r\n" + HOST + b"\r\n", page.format(value), server=server)


REQUEST_LINES = [
    Case(
        "a plain GET",
        get(),
        environ={
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "RAW_URI": "/",
            "QUERY_STRING": "",
            "SCRIPT_NAME": "",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "CONTENT_LENGTH": None,
            "CONTENT_TYPE": None,
            "wsgi.url_scheme": "http",
        },
    ),
    Case("one empty line before", b"\r\n" + get(target=b"/x"), environ={"PATH_INFO": "/x"}),
    refused("two empty lines before", b"\r\n\r\n" + get(), LINE.format("")),
    refused("a bare LF ends the request line", b"GET / HTTP/1.1\n" + HOST + b"\r\n", LINE.format(BARE_LF)),
    bad_line("two parts", b"GET /"),
    bad_line("one part", b"GET"),
    bad_line("four parts", b"GET / HTTP/1.1 x", VERSION, "HTTP/1.1 x"),
    bad_line("two spaces", b"GET  / HTTP/1.1"),
    bad_line("tabs for spaces", b"GET\t/\tHTTP/1.1"),
    bad_line("a space at the end", b"GET / HTTP/1.1 ", VERSION, "HTTP/1.1 "),
    bad_line("a lower-case method", b"get / HTTP/1.1", METHOD, "get"),
    bad_line("a method with #", b"GE#T / HTTP/1.1", METHOD, "GE#T"),
    bad_line("a method of two letters", b"GE / HTTP/1.1", METHOD, "GE"),
    bad_line("a method of 21 letters", b"A" * 21 + b" / HTTP/1.1", METHOD, "A" * 21),
    bad_line("a method that is no token", b"G(T) / HTTP/1.1", METHOD, "G(T)"),
    Case(
        "a method of 20 letters",
        b"A" * 20 + b" / HTTP/1.1\r\n" + HOST + b"\r\n",
        environ={"REQUEST_METHOD": "A" * 20},
    ),
    bad_line("a control character in the target", b"GET /\x01 HTTP/1.1"),
    bad_line("DEL in the target", b"GET /\x7f HTTP/1.1"),
    bad_line("a byte beyond ASCII in the target", b"GET /\xe9 HTTP/1.1"),
    bad_line("* with GET", b"GET * HTTP/1.1"),
    bad_line("an authority with GET", b"GET localhost:80 HTTP/1.1"),
    Case(
        "OPTIONS *",
        b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
        environ={"REQUEST_METHOD": "OPTIONS", "RAW_URI": "*"},
    ),
    Case(
        "CONNECT with an authority",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
        environ={"REQUEST_METHOD": "CONNECT", "RAW_URI": "localhost:80"},
        persists=False,
        ours="connect",
    ),
    Case(
        "an absolute target",
        get(target=b"http://example.com/a/b?c=d"),
        environ={"PATH_INFO": "/a/b", "QUERY_STRING": "c=d", "RAW_URI": "http://example.com/a/b?c=d"},
    ),
    Case(
        "an absolute target overrides Host",
        get(target=b"http://example.com:81/"),
        environ={"HTTP_HOST": "example.com:81"},
        ours="absolute-target",
    ),
    bad_line("broken brackets in an absolute target", b"GET http://[::1/ HTTP/1.1"),
    Case("two slashes in front", get(target=b"//a//b"), environ={"PATH_INFO": "//a//b"}),
    Case(
        "parameters, a query with ? and a fragment",
        get(target=b"/a;b=c?d=e?f#g"),
        environ={"PATH_INFO": "/a;b=c", "QUERY_STRING": "d=e?f", "RAW_URI": "/a;b=c?d=e?f#g"},
    ),
    Case(
        "percent escapes",
        get(target=b"/%2F%00%zz%E9%"),
        environ={"PATH_INFO": "//\0%zz\xe9%", "RAW_URI": "/%2F%00%zz%E9%"},
    ),
    Case("a query stays as it is", get(target=b"/?a=%20+&b"), environ={"QUERY_STRING": "a=%20+&b"}),
    bad_line("a lower-case version", b"GET / http/1.1", VERSION, "http/1.1"),
    bad_line("a version without its minor", b"GET / HTTP/1", VERSION, "HTTP/1"),
    bad_line("a version of three digits", b"GET / HTTP/1.10", VERSION, "HTTP/1.10"),
    bad_line("HTTP/2.0", b"GET / HTTP/2.0", VERSION, (2, 0)),
    bad_line("HTTP/0.9", b"GET / HTTP/0.9", VERSION, (0, 9)),
    Case(
        "a higher minor version",
        get(version=b"HTTP/1.9"),
        environ={"REQUEST_METHOD": "GET"},
        ours="versions",
    ),
    Case("a line of 4094 bytes", get(target=b"/" + b"a" * 4080), environ={"PATH_INFO": "/" + "a" * 4080}),
    refused(
        "a line of 4095 bytes",
        get(target=b"/" + b"a" * 4081),
        "Request Line is too large (4095 > 4094)",
        414,
    ),
]

HEADERS = [
    refused("no Host", b"GET / HTTP/1.1\r\n\r\n", None, ours="host"),
    refused("a Host with a space", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", None, ours="host"),
    refused("a Host with a slash", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", None, ours="host"),
    refused("a Host with a user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", None, ours="host"),
    refused("a Host with a bad port", b"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", None, ours="host"),
    refused("a list of hosts", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", None, ours="host"),
    refused("two Hosts", get(b"Host: localhost\r\n"), HEADER.format("HOST")),
    Case("an IPv6 Host", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", environ={"HTTP_HOST": "[::1]:80"}),
    Case("HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", persists=False, version="HTTP/1.0"),
    Case(
        "fields become variables",
        get(b"X-One: 1\r\nx-TWO:2\r\nX-Empty:\r\n"),
        environ={"HTTP_X_ONE": "1", "HTTP_X_TWO": "2", "HTTP_X_EMPTY": ""},
    ),
    Case("a value is stripped", get(b"X: \t a \t b \t \r\n"), environ={"HTTP_X": "a \t b"}),
    Case("repeated fields are joined", get(b"X: a\r\nY: -\r\nX: b,c\r\n"), environ={"HTTP_X": "a,b,c"}),
    Case("bytes beyond ASCII in a value", get(b"X: \xe9\xff\r\n"), environ={"HTTP_X": "\xe9\xff"}),
    Case(
        "type and length have names of their own",
        post(b"Content-Type: a/b\r\nContent-Length: 2\r\n", b"hi"),
        environ={
            "CONTENT_TYPE": "a/b",
            "CONTENT_LENGTH": "2",
            "HTTP_CONTENT_TYPE": None,
            "HTTP_CONTENT_LENGTH": None,
        },
        body="hi",
    ),
    refused("two Content-Types", get(b"Content-Type: a/b\r\n" * 2), HEADER.format("CONTENT-TYPE")),
    # Gunicorn's words depend on how the bytes arrive.
    refused("a bare LF ends a field", get(b"X: 1\nY: 2\r\n"), None),
    refused("no colon", get(b"nonsense\r\n"), HEADER.format("nonsense")),
    refused("no name", get(b": value\r\n"), HEADER.format(": value")),
    refused("a space before the colon", get(b"X : 1\r\n"), NAME.format("X ")),
    refused("a name that is no token", get(b"X(Y): 1\r\n"), NAME.format("X(Y)")),
    refused("a name beyond ASCII", get(b"X\xe9: 1\r\n"), NAME.format("X\xe9")),
    refused("a folded field", get(b"X: a\r\n b\r\n"), "Obsolete line folding is unacceptable: 'X'"),
    refused("NUL in a value", get(b"X: a\0b\r\n"), HEADER.format("X")),
    refused("a control character in a value", get(b"X: a\x01b\r\n"), HEADER.format("X")),
    refused("a bare CR in a value", get(b"X: a\rb\r\n"), HEADER.format("X")),
    refused("DEL in a value", get(b"X: a\x7fb\r\n"), HEADER.format("X")),
    Case("a field of 8190 bytes", get(b"X: " + b"a" * 8185 + b"\r\n"), environ={"HTTP_X": "a" * 8185}),
    refused(
        "a field of 8191 bytes",
        get(b"X: " + b"a" * 8186 + b"\r\n"),
        LIMIT.format("limit request headers fields size"),
        431,
    ),
    Case(
        "100 fields",
        get(b"".join(b"X-%d: 1\r\n" % number for number in range(99))),
        environ={"HTTP_X_98": "1"},
    ),
    refused(
        "101 fields",
        get(b"".join(b"X-%d: 1\r\n" % number for number in range(100))),
        LIMIT.format("limit request headers fields"),
        431,
    ),
    Case(
        "an underscore in a name", get(b"X_Y: 1\r\nX-Z: 2\r\n"), environ={"HTTP_X_Y": None, "HTTP_X_Z": "2"}
    ),
    Case(
        "dropped fields are not counted",
        get(b"A_B: 1\r\n" * 50 + b"X: 1\r\n" * 99),
        environ={"HTTP_A_B": None, "HTTP_X": ",".join("1" * 99)},
    ),
    refused(
        "an unknown expectation",
        get(b"Expect: foo\r\n"),
        "Unable to comply with expectation: 'foo'",
        417,
    ),
    Case(
        "an expectation in HTTP/1.0",
        get(b"Expect: 100-continue\r\n", version=b"HTTP/1.0"),
        persists=False,
        version="HTTP/1.0",
    ),
]

LENGTHS = [
    Case(
        "a body with a length",
        post(b"Content-Length: 11\r\n", b"hello\r\n\r\n\0\xff"),
        body="hello\r\n\r\n\0\xff",
    ),
    Case("a length with zeros in front", post(b"Content-Length: 0005\r\n", b"hello"), body="hello"),
    Case("an empty body", post(b"Content-Length: 0\r\n")),
    Case("a POST without framing", post(b"")),
    Case("a GET with a body", get(b"Content-Length: 5\r\n") + b"hello", body="hello"),
    Case(
        "a body that nobody reads",
        b"POST /ignore HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    ),
    Case(
        "a chunked body that nobody reads",
        b"POST /ignore HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    refused("a length and chunks", chunked(b"0\r\n\r\n", b"Content-Length: 5\r\n"), LENGTH),
    refused("two equal lengths", post(b"Content-Length: 5\r\n" * 2, b"hello"), LENGTH),
    refused("two different lengths", post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"), LENGTH),
    *(
        refused(f"the length {length!r}", post(b"Content-Length: " + length + b"\r\n", b"hello"), LENGTH)
        for length in (b"5, 5", b"+5", b"-5", b"0x5", b"5 5", b"5.0", b"", b"five", b"\xb2")
    ),
]

CHUNKS = [
    Case("chunks", chunked(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), body="hello world"),
    Case("no chunks but the last", chunked(b"0\r\n\r\n")),
    Case(
        "hexadecimal sizes of both cases",
        chunked(b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"),
        body="01234567890123456789a",
    ),
    Case("zeros in front of a size", chunked(b"0005\r\nhello\r\n000\r\n\r\n"), body="hello"),
    Case(
        "the coding in capitals",
        post(b"Transfer-Encoding: CHUNKED\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        body="hello",
    ),
    Case(
        "extensions",
        chunked(b'5;a;b=c;d="e;\\"f"\r\nhello\r\n0 ;last\r\n\r\n'),
        body="hello",
    ),
    Case(
        "trailer fields are not variables",
        chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n"),
        body="hello",
        environ={"HTTP_X_SUM": None},
    ),
    refused("a size that is no number", chunked(b"zz\r\nhello\r\n0\r\n\r\n"), "Invalid chunk size: b'zz'"),
    refused("a size with 0x", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), "Invalid chunk size: b'0x5'"),
    refused("a negative size", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), "Invalid chunk size: b'-5'"),
    refused("a size with an underscore", chunked(b"1_0\r\nhello\r\n0\r\n\r\n"), "Invalid chunk size: b'1_0'"),
    refused("no size", chunked(b"\r\nhello\r\n0\r\n\r\n"), "Invalid chunk size: b''"),
    refused(
        "a bare CR in an extension",
        chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
        "Invalid chunk extension: bare CR not allowed",
    ),
    refused(
        "an extension that is none",
        chunked(b"5;a=(b)\r\nhello\r\n0\r\n\r\n"),
        "Invalid chunk extension: invalid chunk extension",
    ),
    refused(
        "a chunk longer than its size",
        chunked(b"5\r\nhelloXX0\r\n\r\n"),
        "Invalid chunk terminator is not '\\r\\n': b'XX'",
    ),
    refused("a Host in the trailer", chunked(b"0\r\nHost: x\r\n\r\n"), NAME.format("HOST")),
    refused(
        "a length in the trailer", chunked(b"0\r\nContent-Length: 1\r\n\r\n"), NAME.format("CONTENT-LENGTH")
    ),
    refused(
        "a folded field in the trailer",
        chunked(b"0\r\nX: 1\r\n 2\r\n\r\n"),
        "Obsolete line folding is unacceptable: 'X'",
    ),
    refused("chunked twice", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), CODING),
    refused("chunked in two fields", chunked(b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"), CODING),
    refused("chunked is not last", post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"), CODING),
    refused("identity alone", post(b"Transfer-Encoding: identity\r\n"), CODING),
    refused("gzip alone", post(b"Transfer-Encoding: gzip\r\n"), CODING),
    refused("chunks in HTTP/1.0", post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"HTTP/1.0"), CODING),
    refused(
        "an unknown coding", post(b"Transfer-Encoding: foo\r\n"), "Unsupported transfer coding: 'foo'", 501
    ),
    refused(
        "a coding with a parameter",
        post(b"Transfer-Encoding: chunked;q=1\r\n"),
        "Unsupported transfer coding: 'chunked;q=1'",
        501,
    ),
    refused("an empty coding", post(b"Transfer-Encoding:\r\n"), "Unsupported transfer coding: ''", 501),
    Case(
        "gzip under chunked closes",
        post(b"Transfer-Encoding: gzip, chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        body="hello",
        persists=False,
    ),
]

PERSISTENCE = [
    Case("close", get(b"Connection: close\r\n"), persists=False),
    Case("close in capitals", get(b"Connection: CLOSE\r\n"), persists=False),
    Case("an unknown option", get(b"Connection: foo\r\n")),
    Case("close in a list", get(b"Connection: foo, close\r\n"), persists=False, ours="connection-tokens"),
    Case(
        "close in a second field",
        get(b"Connection: foo\r\nConnection: close\r\n"),
        persists=False,
        ours="connection-tokens",
    ),
    Case(
        "close beside keep-alive",
        get(b"Connection: keep-alive, close\r\n"),
        persists=False,
        ours="connection-tokens",
    ),
    Case("HTTP/1.0", get(version=b"HTTP/1.0"), persists=False, version="HTTP/1.0"),
    Case("HTTP/1.0 keep-alive", get(b"Connection: Keep-Alive\r\n", version=b"HTTP/1.0"), version="HTTP/1.0"),
    Case(
        "HTTP/1.0 keep-alive in a list",
        get(b"Connection: foo, Keep-Alive\r\n", version=b"HTTP/1.0"),
        version="HTTP/1.0",
        ours="connection-tokens",
    ),
    Case("HEAD", b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n"),
    Case("204 has no body", get(b"X-Status: 204 No Content\r\n"), 204),
    Case("304 has no body", get(b"X-Status: 304 Not Modified\r\n"), 304),
    Case(
        "a status without a reason",
        get(b"X-Status: 200\r\n"),
        ours="no-reason",
    ),
    Case("an unusual status", get(b"X-Status: 299 \xe9 la carte\r\n"), 299),
]

FORWARDED_SCHEME = b"X-Forwarded-Proto: https\r\n"
HTTPS: dict[str, str | None] = {"wsgi.url_scheme": "https"}
HTTP: dict[str, str | None] = {"wsgi.url_scheme": "http"}
PREFIX = b"SCRIPT_NAME: /foo\r\n"

TRUST = [
    Case(
        "a trusted proxy says https",
        get(FORWARDED_SCHEME),
        environ={**HTTPS, "HTTP_X_FORWARDED_PROTO": "https"},
    ),
    Case("a trusted proxy says http", get(b"X-Forwarded-Proto: http\r\n"), environ=HTTP),
    Case("the value must be equal", get(b"X-Forwarded-Proto: HTTPS\r\n"), environ=HTTP),
    Case("X-Forwarded-Ssl", get(b"X-Forwarded-Ssl: on\r\n"), environ=HTTPS),
    Case("X-Forwarded-Protocol", get(b"X-Forwarded-Protocol: ssl\r\n"), environ=HTTPS),
    refused(
        "contradictory schemes",
        get(FORWARDED_SCHEME + b"X-Forwarded-Ssl: off\r\n"),
        "Contradictory scheme headers",
    ),
    Case(
        "X-Forwarded-For changes nothing",
        get(b"X-Forwarded-For: 9.9.9.9\r\n"),
        environ={"REMOTE_ADDR": "127.0.0.1"},
    ),
    Case("nobody is believed", get(FORWARDED_SCHEME), server="untrusting", environ=HTTP),
    Case(
        "nobody contradicts",
        get(FORWARDED_SCHEME + b"X-Forwarded-Ssl: off\r\n"),
        server="untrusting",
        environ=HTTP,
    ),
    Case("a network is believed", get(FORWARDED_SCHEME), server="network", environ=HTTPS),
    Case("everybody is believed", get(FORWARDED_SCHEME), server="everybody", environ=HTTPS),
    Case("a scheme field of one's own", get(b"X-Tls: yes\r\n"), server="schemes", environ=HTTPS),
    Case("the default scheme fields are replaced", get(FORWARDED_SCHEME), server="schemes", environ=HTTP),
    Case(
        "SCRIPT_NAME from a proxy",
        get(PREFIX, b"/foo/b%20r"),
        environ={"SCRIPT_NAME": "/foo", "PATH_INFO": "/b r", "RAW_URI": "/foo/b%20r"},
    ),
    Case(
        "SCRIPT_NAME is the whole path",
        get(PREFIX, b"/foo"),
        environ={"SCRIPT_NAME": "/foo", "PATH_INFO": ""},
    ),
    refused(
        "SCRIPT_NAME is no prefix",
        get(PREFIX, b"/env"),
        "Configuration problem: Request path '/env' does not start with SCRIPT_NAME '/foo'",
        500,
    ),
    Case(
        "SCRIPT_NAME from a stranger",
        get(PREFIX, b"/foo/bar"),
        server="untrusting",
        environ={"SCRIPT_NAME": "", "PATH_INFO": "/foo/bar", "HTTP_SCRIPT_NAME": None},
    ),
    Case(
        "SCRIPT_NAME of the process",
        get(target=b"/base/x"),
        server="prefixed",
        environ={"SCRIPT_NAME": "/base", "PATH_INFO": "/x"},
    ),
    refused(
        "the process's SCRIPT_NAME is no prefix",
        get(),
        "Configuration problem: Request path '/' does not start with SCRIPT_NAME '/base'",
        500,
        server="prefixed",
    ),
    Case(
        "PATH_INFO is passed on",
        get(b"PATH_INFO: /x\r\n"),
        environ={"PATH_INFO": "/", "HTTP_PATH_INFO": "/x"},
    ),
    Case(
        "a forwarder header",
        get(b"X_USER: ada\r\nX_Y: 1\r\n"),
        server="forwarding",
        environ={"HTTP_X_USER": "ada", "HTTP_X_Y": None},
    ),
    Case(
        "all forwarder headers",
        get(b"X_USER: ada\r\nX_Y: 1\r\n"),
        server="forwarding all",
        environ={"HTTP_X_USER": "ada", "HTTP_X_Y": "1"},
    ),
    refused("header_map refuse", get(b"X_Y: 1\r\n"), NAME.format("X_Y"), server="refusing"),
    Case(
        "header_map refuse lets a forwarder header pass",
        get(b"PATH_INFO: /x\r\n"),
        server="refusing",
        environ={"HTTP_PATH_INFO": "/x"},
    ),
    Case(
        "header_map dangerous", get(b"X_Y: 1\r\nX-Y: 2\r\n"), server="dangerous", environ={"HTTP_X_Y": "1,2"}
    ),
    Case(
        "header_map dangerous does not frame the body",
        post(b"Content_Length: 9\r\nContent-Length: 2\r\n", b"hi"),
        server="dangerous",
        environ={"HTTP_CONTENT_LENGTH": "9", "CONTENT_LENGTH": "2"},
        body="hi",
    ),
]

TOLERANCES = [
    Case(
        "a folded field is joined",
        get(b"X: a\r\n  b\r\n\tc\r\n"),
        server="tolerant",
        environ={"HTTP_X": "a b c"},
    ),
    Case(
        "a space before the colon is stripped",
        get(b"X \t: 1\r\n"),
        server="tolerant",
        environ={"HTTP_X": "1"},
    ),
    refused(
        "a space in front is still refused",
        b"GET / HTTP/1.1\r\n X: 1\r\n" + HOST + b"\r\n",
        None,
        server="tolerant",
    ),
    Case(
        "a lower-case method is raised",
        b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
        server="tolerant",
        environ={"REQUEST_METHOD": "GET"},
    ),
    Case(
        "a short method",
        b"x / HTTP/1.1\r\n" + HOST + b"\r\n",
        server="tolerant",
        environ={"REQUEST_METHOD": "X"},
    ),
    refused(
        "a method that is no token, still", b"g(t / HTTP/1.1\r\n" + HOST + b"\r\n", None, server="tolerant"
    ),
    Case(
        "HTTP/2.5",
        get(version=b"HTTP/2.5"),
        server="tolerant",
        environ={"REQUEST_METHOD": "GET"},
        ours="versions",
    ),
    refused(
        "a version that is none, still", get(version=b"HTTP/x"), VERSION.format("HTTP/x"), server="tolerant"
    ),
]

LIMITS = [
    Case("100 bytes of 100", get(target=b"/" + b"a" * 86), server="limited"),
    refused(
        "101 bytes of 100",
        get(target=b"/" + b"a" * 87),
        "Request Line is too large (101 > 100)",
        414,
        "limited",
    ),
    Case("a field of 40 bytes of 40", get(b"X: " + b"a" * 35 + b"\r\n"), server="limited"),
    refused(
        "a field of 41 bytes of 40",
        get(b"X: " + b"a" * 36 + b"\r\n"),
        LIMIT.format("limit request headers fields size"),
        431,
        "limited",
    ),
    Case("3 fields of 3", get(b"X: 1\r\nY: 2\r\n"), server="limited"),
    refused(
        "4 fields of 3",
        get(b"X: 1\r\nY: 2\r\nZ: 3\r\n"),
        LIMIT.format("limit request headers fields"),
        431,
        "limited",
    ),
    Case("a long line without a limit", get(target=b"/" + b"a" * 8_200), server="unlimited"),
    refused(
        "a field size of 0 means 8190",
        get(b"X: " + b"a" * 8186 + b"\r\n"),
        LIMIT.format("limit request headers fields size"),
        431,
        "unlimited",
    ),
    Case(
        "a body at its limit",
        post(b"Content-Length: 10\r\n", b"0123456789"),
        server="body limit",
        body="0123456789",
        ours="new-answers",
    ),
    Case(
        "a chunked body at its limit",
        chunked(b"a\r\n0123456789\r\n0\r\n\r\n"),
        server="body limit",
        body="0123456789",
        ours="new-answers",
    ),
    refused(
        "a body above its limit",
        post(b"Content-Length: 11\r\n", b"0123456789a"),
        None,
        413,
        "body limit",
        "new-answers",
    ),
    refused(
        "a length of almost 2**63",
        post(b"Content-Length: 9223372036854775807\r\n"),
        None,
        413,
        "body limit",
        "new-answers",
    ),
    refused(
        "a chunked body above its limit",
        chunked(b"a\r\n0123456789\r\n1\r\na\r\n0\r\n\r\n"),
        None,
        413,
        "body limit",
        "new-answers",
    ),
]

CASES = [*REQUEST_LINES, *HEADERS, *LENGTHS, *CHUNKS, *PERSISTENCE, *TRUST, *TOLERANCES, *LIMITS]
