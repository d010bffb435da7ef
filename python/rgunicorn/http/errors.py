"""Why a request or a response cannot be understood, under the names that Gunicorn's users catch."""

from __future__ import annotations

from typing import Any


class ParseException(Exception):
    """A request is not what it should be."""


class NoMoreData(IOError):
    """The other side has ended the connection within a message. `buf`: what had come of it."""

    def __init__(self, buf: bytes | None = None) -> None:
        self.buf = buf

    def __str__(self) -> str:
        return f"No more data after: {self.buf!r}"


class ConfigurationProblem(ParseException):
    """The settings and the proxy in front of the server contradict each other."""

    def __init__(self, info: str) -> None:
        self.info = info
        self.code = 500

    def __str__(self) -> str:
        return f"Configuration problem: {self.info}"


class InvalidRequestLine(ParseException):
    """The first line is not a request line."""

    def __init__(self, req: Any) -> None:
        self.req = req
        self.code = 400

    def __str__(self) -> str:
        return f"Invalid HTTP request line: {self.req!r}"


class InvalidRequestMethod(ParseException):
    """The method is not one."""

    def __init__(self, method: Any) -> None:
        self.method = method

    def __str__(self) -> str:
        return f"Invalid HTTP method: {self.method!r}"


class ExpectationFailed(ParseException):
    """The client expects what the server cannot do."""

    def __init__(self, expect: Any) -> None:
        self.expect = expect

    def __str__(self) -> str:
        return f"Unable to comply with expectation: {self.expect!r}"


class InvalidHTTPVersion(ParseException):
    """The version is not one, or is not served."""

    def __init__(self, version: str | tuple[int, int]) -> None:
        self.version = version

    def __str__(self) -> str:
        return f"Invalid HTTP Version: {self.version!r}"


class InvalidHeader(ParseException):
    """A header line or its value is malformed. `req`: the request, as far as it was understood."""

    def __init__(self, hdr: Any, req: Any = None) -> None:
        self.hdr = hdr
        self.req = req

    def __str__(self) -> str:
        return f"Invalid HTTP Header: {self.hdr!r}"


class ObsoleteFolding(ParseException):
    """A header goes on in a second line."""

    def __init__(self, hdr: Any) -> None:
        self.hdr = hdr

    def __str__(self) -> str:
        return f"Obsolete line folding is unacceptable: {self.hdr!r}"


class InvalidHeaderName(ParseException):
    """The name of a header is malformed, or it must not be there."""

    def __init__(self, hdr: Any) -> None:
        self.hdr = hdr

    def __str__(self) -> str:
        return f"Invalid HTTP header name: {self.hdr!r}"


class InvalidResponseHeader(InvalidHeader):
    """The application gave a header value that cannot be sent. `hdr` is the name, never the value."""

    def __str__(self) -> str:
        return f"Invalid response header from the application: {self.hdr}"


class InvalidResponseHeaderName(InvalidHeaderName):
    """The application gave a header name that cannot be sent."""

    def __str__(self) -> str:
        return f"Invalid response header name from the application: {self.hdr}"


class UnsupportedTransferCoding(ParseException):
    """The body is coded in a way that is not served."""

    def __init__(self, hdr: Any) -> None:
        self.hdr = hdr
        self.code = 501

    def __str__(self) -> str:
        return f"Unsupported transfer coding: {self.hdr!r}"


class InvalidChunkSize(ParseException):
    """What should be the size of a chunk is none."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.code = 400

    def __str__(self) -> str:
        return f"Invalid chunk size: {self.data!r}"


class ChunkMissingTerminator(ParseException):
    """A chunk does not end where it should."""

    def __init__(self, term: Any) -> None:
        self.term = term
        self.code = 400

    def __str__(self) -> str:
        return f"Invalid chunk terminator is not '\\r\\n': {self.term!r}"


class InvalidChunkExtension(ParseException):
    """What follows the size of a chunk is malformed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.code = 400

    def __str__(self) -> str:
        return f"Invalid chunk extension: {self.reason}"


class LimitRequestLine(ParseException):
    """The request line is longer than `limit_request_line`; both in bytes."""

    def __init__(self, size: Any, max_size: int | None = None) -> None:
        self.size = size
        self.max_size = max_size

    def __str__(self) -> str:
        if self.max_size is None:
            return str(self.size)
        return f"Request Line is too large ({self.size} > {self.max_size})"


class LimitRequestHeaders(ParseException):
    """There are too many headers, or they are too long."""

    def __init__(self, msg: str) -> None:
        self.msg = msg

    def __str__(self) -> str:
        return self.msg


class InvalidProxyLine(ParseException):
    """The line of the PROXY protocol's first version is malformed."""

    def __init__(self, line: Any) -> None:
        self.line = line
        self.code = 400

    def __str__(self) -> str:
        return f"Invalid PROXY line: {self.line!r}"


class InvalidProxyHeader(ParseException):
    """The header of the PROXY protocol's second version is malformed."""

    def __init__(self, msg: str) -> None:
        self.msg = msg
        self.code = 400

    def __str__(self) -> str:
        return f"Invalid PROXY header: {self.msg}"


class ForbiddenProxyRequest(ParseException):
    """This peer may not speak the PROXY protocol."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.code = 403

    def __str__(self) -> str:
        return f"Proxy request from {self.host!r} not allowed"


class InvalidSchemeHeaders(ParseException):
    """Two of the `secure_scheme_headers` contradict each other."""

    def __str__(self) -> str:
        return "Contradictory scheme headers"


class InvalidH2CPreface(ParseException):
    """A connection that should speak HTTP/2 began with something else."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __str__(self) -> str:
        return f"Expected HTTP/2 connection preface, got {self.data!r}"
