"""The parts of a WSGI environ that are Python."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from logging import getLogger
from typing import Any, TextIO


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
