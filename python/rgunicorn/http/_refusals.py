"""What a worker that reads requests in Python answers where it cannot serve one: errors to pages."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from rgunicorn.http import errors


@dataclass(frozen=True)
class Refusal:
    """An answer. `text` is what the page says, not yet escaped for HTML."""

    status: int
    reason: str
    text: str
    #: Otherwise the server's, or the application's.
    clients_fault: bool = True


_BAD_REQUEST = (400, "Bad Request")

#: The first class that fits gives status, reason and text.
_TABLE: tuple[tuple[type[BaseException], tuple[int, str], str], ...] = (
    (errors.InvalidRequestLine, _BAD_REQUEST, "Invalid Request Line '{}'"),
    (errors.InvalidRequestMethod, _BAD_REQUEST, "Invalid Method '{}'"),
    (errors.InvalidHTTPVersion, _BAD_REQUEST, "Invalid HTTP Version '{}'"),
    (errors.LimitRequestLine, (414, "URI Too Long"), "{}"),
    (errors.LimitRequestHeaders, (431, "Request Header Fields Too Large"), "Error parsing headers: '{}'"),
    (errors.ExpectationFailed, (417, "Expectation Failed"), "{}"),
    (errors.InvalidProxyLine, _BAD_REQUEST, "'{}'"),
    (errors.ForbiddenProxyRequest, (403, "Forbidden"), "Request forbidden"),
    (errors.UnsupportedTransferCoding, (501, "Bad Request"), "{}"),
    (errors.ConfigurationProblem, (500, "Bad Request"), "{}"),
    (errors.ParseException, _BAD_REQUEST, "{}"),
    (ssl.SSLError, (403, "Forbidden"), "'{}'"),
)
#: Bad requests by their class, but it is the application that has made them.
_OURS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)


def refusal(error: BaseException) -> Refusal:
    """The answer to a request that ends in `error`."""
    if not isinstance(error, _OURS):
        for kind, (status, reason), text in _TABLE:
            if isinstance(error, kind):
                return Refusal(status, reason, text.format(error))
    return Refusal(500, "Internal Server Error", "", clients_fault=False)
