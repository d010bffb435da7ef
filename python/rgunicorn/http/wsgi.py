"""The parts of a WSGI environ that are Python, and a response as hooks and loggers see it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from logging import getLogger
from typing import Any, TextIO
from urllib.parse import unquote_to_bytes

import rgunicorn
from rgunicorn import SERVER, SERVER_SOFTWARE, _native
from rgunicorn.http.errors import ConfigurationProblem

__all__ = [
    "SERVER",
    "SERVER_SOFTWARE",
    "FileWrapper",
    "Response",
    "WSGIErrorsWrapper",
    "base_environ",
    "default_environ",
    "proxy_environ",
]

#: What configurations overwrite, here or in the package, as it is without them.
_DEFAULTS = {"SERVER": "rgunicorn", "SERVER_SOFTWARE": f"gunicorn/27.0.1 rgunicorn/{_native.VERSION}"}
_SENDABLE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

FileWrapper = _native.FileWrapper

log = getLogger("gunicorn.http.wsgi")


def overwritten(name: str) -> str:
    """SERVER or SERVER_SOFTWARE, whoever has set it. Raises RuntimeError: it cannot be sent."""
    value = str(globals()[name])
    if value == _DEFAULTS[name]:
        value = str(getattr(rgunicorn, name))
    if name == "SERVER" and not _SENDABLE.fullmatch(value):
        raise RuntimeError(f"{name} cannot be sent in a response: {value!r}")
    return value


class WSGIErrorsWrapper:
    """`wsgi.errors`: writes to stderr if the error log goes there, and to the files of the error log.

    What is written appears at once and as it is, without the log's own format.
    """

    def __init__(self, cfg: Any) -> None:
        self._to_stderr: bool = cfg.errorlog == "-"

    def _streams(self) -> list[TextIO]:
        streams = [sys.stderr] if self._to_stderr else []
        for handler in getLogger("gunicorn.error").handlers:
            stream: TextIO | None = getattr(handler, "stream", None)
            if stream is not None and stream not in streams:
                streams.append(stream)
        return streams

    def write(self, data: str) -> None:
        """Writes text."""
        for stream in self._streams():
            stream.write(data)
            stream.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes several pieces of text."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Everything has been flushed already."""


class Response:
    """A response that has been served. The server makes these objects where a hook or a logger wants them."""

    #: The request, the client's socket as in the environ, and the configuration.
    req: Any
    sock: Any
    cfg: Any
    #: The `Server` header.
    version: str
    #: Code and reason as the application gave them; None if it did not and nothing was sent in its place.
    status: str | None
    #: The code; there is none where there is no status.
    status_code: int
    #: The application's headers, without those that are the server's business.
    headers: list[tuple[str, str]]
    #: Bytes of the body.
    sent: int
    #: What `Content-Length` says.
    response_length: int | None
    headers_sent: bool
    chunked: bool
    upgrade: bool
    #: Whether the connection ends with it.
    must_close: bool

    def force_close(self) -> None:
        """Says that the connection ends with this response. It has been decided when hooks get the object."""
        self.must_close = True

    def should_close(self) -> bool:
        """Whether the connection ends with this response."""
        return self.must_close or bool(self.req.should_close())


def base_environ(cfg: Any) -> dict[str, Any]:
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


def default_environ(req: Any, sock: Any, cfg: Any) -> dict[str, Any]:
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


def error_environ(req: Any, cfg: Any) -> dict[str, Any]:
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
