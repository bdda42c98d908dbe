"""Translate exceptions of requests, urllib3, http.client and ssl into VideostatError."""

from __future__ import annotations

import re
import ssl
from contextlib import contextmanager
from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING

from requests import exceptions as foreign
from urllib3 import exceptions as lower

from videostat.errors import ConfigError, NoConnection, Unreachable, Unreadable, Untrusted, VideostatError
from videostat.transport.addresses import format_host
from videostat.transport.tracing import hide_queries

if TYPE_CHECKING:
    from collections.abc import Iterator

_Kinds = type[Exception] | tuple[type[Exception], ...]

# http.client reports a proxy's answer to CONNECT only in this text.
_REFUSED_TUNNEL = re.compile("Tunnel connection failed: (401|403|407)")

# The foreign exception, our exception, its message and its hint. The first row that matches an exception or one of its
# causes is used.
_TRANSLATION: tuple[tuple[_Kinds, type[VideostatError], str, str | None], ...] = (
    (
        ssl.SSLCertVerificationError,
        Untrusted,
        "the certificate of {host} is not trusted: {cause.verify_message}",
        "If a proxy opens encrypted connections, name its certificate file in REQUESTS_CA_BUNDLE.",
    ),
    (
        (foreign.InvalidProxyURL, foreign.InvalidSchema, lower.ProxySchemeUnknown),
        ConfigError,
        "the address of the proxy for {host} is not valid",
        "It is set in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; NO_PROXY lists the hosts that need no proxy.",
    ),
    (lower.ProxyError, NoConnection, "the proxy for {host} cannot connect: {reason}", None),
    (lower.NewConnectionError, NoConnection, "{host} cannot be reached: {reason}", None),
    (lower.ConnectTimeoutError, NoConnection, "{host} did not answer in time", None),
    (TimeoutError, Unreachable, "{host} did not answer in time", None),
    ((ConnectionError, IncompleteRead), Unreachable, "the connection to {host} was lost", None),
    (ssl.SSLError, Unreachable, "TLS protocol error from {host}", None),
    (lower.DecodeError, Unreadable, "the answer from {host} cannot be decompressed", None),
    ((HTTPException, lower.InvalidHeader), Unreadable, "HTTP protocol error from {host}", None),
    (
        (foreign.InvalidURL, foreign.MissingSchema, lower.LocationValueError),
        Untrusted,
        "{host} sent a URL that is not valid",
        None,
    ),
    (OSError, Unreachable, "{host} cannot be reached: {reason}", None),
    # http.client, the idna codec and urllib.parse raise a bare ValueError for invalid URLs.
    (ValueError, Untrusted, "{host} sent a URL that is not valid", None),
    (Exception, Unreachable, "the connection to {host} was lost", None),
)


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Re-raise exceptions of requests, urllib3 and ssl as VideostatError.

    Neither the errors nor the log lines of these libraries show proxy passwords or URL queries.
    """
    try:
        with hide_queries():
            yield
    except (foreign.RequestException, lower.HTTPError, OSError, ValueError) as error:
        # Add no local variables here: a cycle of frame and exception would keep sockets open.
        raise _translate(error, format_host(url)) from error


def _translate(error: Exception, host: str) -> VideostatError:
    chain = list(iter_causes(error))
    reasons = (
        cause.strerror or str(cause)
        for cause in reversed(chain)
        if isinstance(cause, OSError) and not isinstance(cause, foreign.RequestException)
    )
    reason = next(reasons, "the connection was lost")
    if refusal := _REFUSED_TUNNEL.match(reason):
        return make_proxy_refusal(refusal[1])
    return next(
        ours(sentence.format(host=host, cause=cause, reason=reason), hint=hint)
        for kinds, ours, sentence, hint in _TRANSLATION
        for cause in chain
        if isinstance(cause, kinds)
    )


def make_proxy_refusal(status: str) -> ConfigError:
    """Return the error for a proxy that wants another password.

    It is not retried: the same wrong password again could lock the account.
    """
    return ConfigError(
        f"the proxy requires a valid user name and password (HTTP {status})",
        hint="Set them in the environment, as in HTTPS_PROXY=http://user:password@proxy.example:3128",
    )


def iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes. requests keeps them in `args`, urllib3 in `reason`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
        error = next((one for one in inner if isinstance(one, BaseException)), None)
