"""StatsD: the logger that also counts. Each metric is one datagram."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rgunicorn.glogging import Logger

if TYPE_CHECKING:
    from rgunicorn.config import Config

#: The keys of `extra` that make a metric of a log record, and what the type may be.
METRIC_VAR = "metric"
VALUE_VAR = "value"
MTYPE_VAR = "mtype"
GAUGE_TYPE = "gauge"
COUNTER_TYPE = "counter"
HISTOGRAM_TYPE = "histogram"
TIMER_TYPE = "timer"

#: While metrics cannot be sent: seconds between two warnings, and between two attempts to connect.
WARN_EVERY = 60.0
CONNECT_EVERY = 1.0


class Statsd(Logger):
    """Logs, and sends metrics of requests, of workers and of the log itself to `statsd_host`."""

    def __init__(self, cfg: Config) -> None:
        #: None until there is one: the first `setup` may already have something to say.
        self.sock: socket.socket | None = None
        self._connected_at = self._warned_at = float("-inf")
        self.prefix = ""
        self.dogstatsd_tags = ""
        super().__init__(cfg)

    def setup(self, cfg: Config) -> None:
        """As `Logger.setup`, and connects."""
        super().setup(cfg)
        prefix = cfg.statsd_prefix or ""
        # Gunicorn leaves a single character alone.
        self.prefix = f"{prefix.rstrip('.')}." if len(prefix.rstrip(".")) > 1 else prefix
        self.dogstatsd_tags = cfg.dogstatsd_tags or ""
        self._connect()

    # The log.

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at CRITICAL, and counts."""
        super().critical(msg, *args, **kwargs)
        self.increment("gunicorn.log.critical", 1)

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at ERROR, and counts."""
        super().error(msg, *args, **kwargs)
        self.increment("gunicorn.log.error", 1)

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at WARNING, and counts."""
        super().warning(msg, *args, **kwargs)
        self.increment("gunicorn.log.warning", 1)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs an exception, and counts it as one, not as an error."""
        super().exception(msg, *args, **kwargs)
        self.increment("gunicorn.log.exception", 1)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at INFO; a metric in `extra` is sent."""
        self.log(logging.INFO, msg, *args, **kwargs)

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs at DEBUG; a metric in `extra` is sent, whatever the level."""
        self.log(logging.DEBUG, msg, *args, **kwargs)

    def log(self, lvl: int | str, msg: object, *args: object, **kwargs: Any) -> None:
        """Logs, unless the text is empty, and sends the metric that `extra` names with its value and type."""
        try:
            self._send_metric(kwargs.get("extra") or {})
            if msg:
                super().log(lvl, msg, *args, **kwargs)
        except Exception:
            super().warning("Failed to log to statsd", exc_info=True)

    def _send_metric(self, extra: Mapping[str, Any]) -> None:
        metric, value, kind = (extra.get(key) for key in (METRIC_VAR, VALUE_VAR, MTYPE_VAR))
        if not metric or value is None:
            return
        if kind == GAUGE_TYPE:
            self.gauge(metric, value)
        elif kind == COUNTER_TYPE:
            self.increment(metric, value)
        elif kind == HISTOGRAM_TYPE:
            self.histogram(metric, value)
        elif kind == TIMER_TYPE:
            self.timer(metric, value)

    def access(self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: timedelta) -> None:
        """Logs a request if there is an access log, and counts it in any case."""
        super().access(resp, req, environ, request_time)
        status = resp.status.decode("latin-1") if isinstance(resp.status, bytes) else resp.status
        if isinstance(status, str):
            status = int(status.split(None, 1)[0])
        self.timer("gunicorn.request.duration", request_time / timedelta(milliseconds=1))
        self.increment("gunicorn.requests", 1)
        self.increment(f"gunicorn.request.status.{status}", 1)

    # The metrics, for subclasses too.

    def gauge(self, name: str, value: object) -> None:
        """Sends how much of something there is now."""
        self._sock_send(f"{self.prefix}{name}:{value}|g")

    def increment(self, name: str, value: object, sampling_rate: float = 1.0) -> None:
        """Adds to a counter."""
        self._sock_send(f"{self.prefix}{name}:{value}|c|@{sampling_rate}")

    def decrement(self, name: str, value: object, sampling_rate: float = 1.0) -> None:
        """Takes from a counter."""
        self._sock_send(f"{self.prefix}{name}:-{value}|c|@{sampling_rate}")

    def timer(self, name: str, value: object) -> None:
        """Sends a duration in milliseconds."""
        self._sock_send(f"{self.prefix}{name}:{value}|ms")

    def histogram(self, name: str, value: object) -> None:
        """Sends one value of a distribution."""
        self._sock_send(f"{self.prefix}{name}:{value}|h")

    def _sock_send(self, msg: str | bytes) -> None:
        """Sends one datagram. Nobody waits for a server that is slow or gone."""
        if self.sock is None:
            self._connect_again()
        if self.sock is None:
            return
        try:
            datagram = msg.encode("ascii") if isinstance(msg, str) else msg
            if self.dogstatsd_tags:
                datagram += b"|#" + self.dogstatsd_tags.encode("ascii")
            self.sock.send(datagram)
        except BlockingIOError:
            # It does not read as fast as we send: what it misses it misses.
            pass
        except Exception:
            self._send_failed()

    def _send_failed(self) -> None:
        """Says so now and then, and looks for a server that has been started again."""
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            super().warning("Error sending message to statsd", exc_info=True)
        self._connect_again()

    def _connect_again(self) -> None:
        if time.monotonic() - self._connected_at >= CONNECT_EVERY:
            self._connect()

    def _connect(self) -> None:
        self._connected_at = time.monotonic()
        former, self.sock = self.sock, _connected(self.cfg.statsd_host) or self.sock
        if former is not None and former is not self.sock:
            former.close()


def _connected(address: str | tuple[str, int] | None) -> socket.socket | None:
    """A socket to send to `address`, a path or a host and a port.

    None if that fails: metrics are no reason not to serve.
    """
    if not address:
        return None
    try:
        family, target = _resolved(address)
        connecting = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:
        return None
    try:
        connecting.connect(target)
    except OSError:
        connecting.close()
        return None
    connecting.setblocking(False)
    return connecting


def _resolved(address: str | tuple[str, int]) -> tuple[socket.AddressFamily, Any]:
    if isinstance(address, str):
        return socket.AF_UNIX, address
    family, _, _, _, target = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    return family, target
