"""The parts of a WSGI environ that are Python, and responses.

Responses are what hooks and loggers see, and what code that reads its requests itself answers with.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from logging import getLogger
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import unquote_to_bytes

import rgunicorn
from rgunicorn import SERVER, SERVER_SOFTWARE, _native, util
from rgunicorn.http.errors import ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName

if TYPE_CHECKING:
    from rgunicorn.config import Config

__all__ = [
    "SERVER",
    "SERVER_SOFTWARE",
    "FileWrapper",
    "Response",
    "WSGIErrorsWrapper",
    "base_environ",
    "create",
    "default_environ",
    "proxy_environ",
]

#: What configurations overwrite, here or in the package: what was in both of them at first.
_FIRST = {"SERVER": SERVER, "SERVER_SOFTWARE": SERVER_SOFTWARE}
_SENDABLE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_STATUS = re.compile(r"[0-9]{3}(?: [\t\x20-\x7e\x80-\xff]*)?")

Headers = Iterable[tuple[str, str]]

FileWrapper = _native.FileWrapper

log = getLogger("gunicorn.http.wsgi")


def overwritten(name: str) -> str:
    """SERVER or SERVER_SOFTWARE, whoever has set it. Raises RuntimeError: it cannot be sent."""
    value = str(globals()[name])
    if value == _FIRST[name]:
        value = str(getattr(rgunicorn, name))
    if name == "SERVER" and not _SENDABLE.fullmatch(value):
        raise RuntimeError(f"{name} cannot be sent in a response: {value!r}")
    return value


class WSGIErrorsWrapper:
    """`wsgi.errors`: writes to stderr if the error log goes there, and to the files of the error log.

    What is written appears at once and as it is, without the log's own format.
    """

    def __init__(self, cfg: Config) -> None:
        self._to_stderr: bool = cfg.errorlog == "-"

    def _streams(self) -> list[TextIO]:
        # None where the program was started without it.
        streams = [sys.stderr] if self._to_stderr and sys.stderr is not None else []
        for handler in getLogger("gunicorn.error").handlers:
            stream: TextIO | None = getattr(handler, "stream", None)
            if stream is not None and stream not in streams:
                streams.append(stream)
        return streams

    def write(self, data: str) -> None:
        """Writes text."""
        for stream in self._streams():
            # A full disk or a closed pipe is no reason why a request should fail.
            with contextlib.suppress(OSError, ValueError):
                stream.write(data)
                stream.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes several pieces of text."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Everything has been flushed already."""


class Response:
    """A response.

    Hooks and loggers get one that has been served: changing it changes nothing. Code that reads its requests
    itself makes one, which sends what it is told to `sock`.
    """

    #: The code; there is none before there is a status.
    status_code: int

    def __init__(self, req: Any, sock: Any, cfg: Config) -> None:
        self.req = req
        #: The client's socket, as in the environ.
        self.sock = sock
        self.cfg = cfg
        #: The `Server` header.
        self.version = overwritten("SERVER")
        #: Code and reason as the application gave them; None if it did not and nothing was sent in its place.
        self.status: str | None = None
        #: The application's headers, without those that are the server's business.
        self.headers: list[tuple[str, str]] = []
        self.headers_sent = False
        #: Bytes of the body so far.
        self.sent = 0
        #: What `Content-Length` says.
        self.response_length: int | None = None
        self.chunked = False
        self.upgrade = False
        #: Whether the connection ends with it, whatever else there is to it.
        self.must_close = False

    def force_close(self) -> None:
        """Ends the connection with this response. In an object that hooks get it was decided before."""
        self.must_close = True

    def should_close(self) -> bool:
        """Whether the connection ends with this response."""
        if self.must_close or self.req.should_close():
            return True
        framed = self.chunked or self.response_length is not None
        return not framed and not self._has_no_body()

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """What the application calls; see PEP 3333."""
        if exc_info is not None and self.headers_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self.status is not None:
            raise AssertionError("Response headers already set!")
        if not isinstance(status, str):
            raise TypeError(f"{status!r} is not a string")
        if not _STATUS.fullmatch(status):
            raise ValueError(f"Invalid status {status!r}")
        self.status, self.status_code = status, int(status[:3])
        self.headers, self.response_length, self.upgrade = [], None, False
        self.process_headers(headers)
        if self.status_code < 200 or self.status_code == 204:
            self.headers = [pair for pair in self.headers if pair[0].lower() != "content-length"]
            self.response_length = None
        self.chunked = self.is_chunked()
        return self.write

    def process_headers(self, headers: Headers) -> None:
        """Checks and takes the application's headers."""
        for name, given in headers:
            value = _checked(name, given)
            lower = name.lower()
            if lower == "connection":
                self.upgrade |= value.lower() == "upgrade"
            elif not util.is_hoppish(name) or (lower, value.lower()) == ("upgrade", "websocket"):
                if lower == "content-length":
                    self.response_length = int(value)
                self.headers.append((name, value))

    def is_chunked(self) -> bool:
        """Whether the body has to be sent in chunks."""
        return self.response_length is None and self.req.version > (1, 0) and not self._has_no_body()

    def default_headers(self) -> list[str]:
        """The lines of the head that are the server's business."""
        connection = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        minor = 0 if self.req.version <= (1, 0) else 1
        lines = [f"HTTP/1.{minor} {self.status}\r\n"]
        if self.version:
            lines.append(f"Server: {self.version}\r\n")
        lines += [f"Date: {util.http_date()}\r\n", f"Connection: {connection}\r\n"]
        return [*lines, "Transfer-Encoding: chunked\r\n"] if self.chunked else lines

    def send_headers(self) -> None:
        """Sends the head, once."""
        if self.headers_sent:
            return
        if self.status is None:
            raise AssertionError("the application sent a body before it called start_response()")
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
        util.write(self.sock, "".join(lines).encode("latin-1"))
        self.headers_sent = True

    def write(self, arg: bytes) -> None:
        """Sends a block of the body, and the head before the first."""
        if not isinstance(arg, bytes):
            raise TypeError(f"{arg!r} is not a byte")
        self.send_headers()
        if self._has_no_body():
            return
        if self.response_length is not None:
            arg = arg[: self.response_length - self.sent]
        self.sent += len(arg)
        if arg:
            util.write(self.sock, arg, self.chunked)

    def write_file(self, respiter: Iterable[bytes]) -> None:
        """Sends what `wsgi.file_wrapper` has made."""
        for block in respiter:
            self.write(block)

    def close(self) -> None:
        """Ends the response. The socket stays open."""
        self.send_headers()
        if self.chunked:
            util.write_chunk(self.sock, b"")

    def _has_no_body(self) -> bool:
        return self.req.method == "HEAD" or self.status_code < 200 or self.status_code in (204, 304)


def _checked(name: str, value: str) -> str:
    """A header's value as it is sent. Raises TypeError, InvalidResponseHeaderName, InvalidResponseHeader."""
    for part in (name, value):
        if not isinstance(part, str):
            raise TypeError(f"{part!r} is not a string")
    if not _TOKEN.fullmatch(name):
        raise InvalidResponseHeaderName(repr(name))
    if not _SENDABLE.fullmatch(value):
        raise InvalidResponseHeader(repr(name))
    return value.strip(" \t")


def base_environ(cfg: Config) -> dict[str, Any]:
    """What is in every environ."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.errors": WSGIErrorsWrapper(cfg),
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
        "wsgi.multithread": False,
        "wsgi.multiprocess": cfg.workers > 1,
        "wsgi.run_once": False,
        "SERVER_SOFTWARE": SERVER_SOFTWARE,
    }


def default_environ(req: Any, sock: Any, cfg: Config) -> dict[str, Any]:
    """An environ with what the request line says."""
    major, minor = req.version
    return {
        **base_environ(cfg),
        "wsgi.input": req.body,
        "gunicorn.socket": sock,
        "REQUEST_METHOD": req.method,
        "QUERY_STRING": req.query,
        "RAW_URI": req.uri,
        "SERVER_PROTOCOL": f"HTTP/{major}.{minor}",
    }


def proxy_environ(req: Any) -> dict[str, str]:
    """What the PROXY protocol says of the client."""
    info = req.proxy_protocol_info
    if not info:
        return {}
    return {
        "PROXY_PROTOCOL": info["proxy_protocol"],
        "REMOTE_ADDR": info["client_addr"],
        "REMOTE_PORT": str(info["client_port"]),
        "PROXY_ADDR": info["proxy_addr"],
        "PROXY_PORT": str(info["proxy_port"]),
    }


def create(
    req: Any,
    sock: Any,
    client: Any,
    server: Any,
    cfg: Config,
    response_class: Any = None,
    response_args: Any = (),
) -> tuple[Any, dict[str, Any]]:
    """Response and environ of a request that was read from `sock`.

    `client` is its peer's address, `server` the listener's. Raises ConfigurationProblem.
    """
    resp = (response_class or Response)(req, sock, cfg, *response_args)
    if getattr(req, "_expects_continue", False):
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    environ = default_environ(req, sock, cfg)
    mount = [value for name, value in req.headers if name == "SCRIPT_NAME"]
    environ["SCRIPT_NAME"] = mount[-1] if mount else os.environ.get("SCRIPT_NAME", "")
    amend_environ(environ, req)
    if isinstance(client, (str, bytes)):
        environ["REMOTE_ADDR"] = util.bytes_to_str(client)
    else:
        environ.update(REMOTE_ADDR=client[0], REMOTE_PORT=str(client[1]))
    environ["SERVER_NAME"], environ["SERVER_PORT"] = _server_names(req, server)
    environ.update(proxy_environ(req))
    environ["wsgi.early_hints"] = _early_hints(resp)
    return resp, environ


def _server_names(req: Any, server: Any) -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT. On a Unix socket the client says what they are."""
    if not isinstance(server, (str, bytes)):
        return server[0], str(server[1])
    host = dict(req.headers).get("HOST", "")
    if not host:
        return util.bytes_to_str(server), ""
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host, ""
    return name, port or ("443" if req.scheme == "https" else "80")


def _early_hints(resp: Any) -> Callable[[Headers], None]:
    def send(headers: Headers) -> None:
        if resp.headers_sent or resp.req.version < (1, 1):
            return
        fields = [(util.bytes_to_str(name), util.bytes_to_str(value)) for name, value in headers]
        lines = "".join(f"{name}: {_checked(name, value)}\r\n" for name, value in fields)
        util.write(resp.sock, f"HTTP/1.1 103 Early Hints\r\n{lines}\r\n".encode("latin-1"))

    return send


def error_environ(req: Any, cfg: Config) -> dict[str, Any]:
    """What loggers get for a request that the application was not called for."""
    host, port = (req.peer_addr or ("", -1))[:2]
    environ = default_environ(req, None, cfg)
    environ.update(REMOTE_ADDR=host, REMOTE_PORT=str(port), PATH_INFO=_decoded(req.path))
    return environ


def amend_environ(environ: dict[str, Any], req: Any) -> None:
    """Puts what a request says into the environ of what it said before. Raises ConfigurationProblem."""
    for name in [name for name in environ if name.startswith(("HTTP_", "CONTENT_"))]:
        del environ[name]
    mount = environ["SCRIPT_NAME"]
    if not req.path.startswith(mount):
        raise ConfigurationProblem(f"Request path {req.path!r} does not start with SCRIPT_NAME {mount!r}")
    major, minor = req.version
    environ.update(header_variables(req.headers))
    environ.update(
        {
            "REQUEST_METHOD": req.method,
            "RAW_URI": req.uri,
            "QUERY_STRING": req.query,
            "PATH_INFO": _decoded(req.path[len(mount) :]),
            "SERVER_PROTOCOL": f"HTTP/{major}.{minor}",
            "wsgi.url_scheme": req.scheme,
            "wsgi.input": req.body,
        }
    )


def header_variables(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers as variables of an environ; repeated ones are joined with a comma."""
    variables: dict[str, str] = {}
    for name, value in headers:
        if name in ("CONTENT-TYPE", "CONTENT-LENGTH"):
            variables[name.replace("-", "_")] = value
            continue
        key = "HTTP_" + name.replace("-", "_")
        variables[key] = f"{variables[key]},{value}" if key in variables else value
    return variables


def _decoded(path: str) -> str:
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
