"""Exceptions of requests, urllib3, http.client and ssl become ours."""

from __future__ import annotations

import re
import ssl
from contextlib import contextmanager
from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING

from requests import exceptions as foreign
from urllib3 import exceptions as lower

from videostat.errors import ConfigError, NoConnection, Unreachable, Unreadable, Untrusted, VideostatError
from videostat.transport.addresses import host
from videostat.transport.tracing import hide_queries

if TYPE_CHECKING:
    from collections.abc import Iterator

_Kinds = type[Exception] | tuple[type[Exception], ...]

# What http.client says of a proxy's answer to CONNECT; it has no other word for it.
_REFUSED_TUNNEL = re.compile("Tunnel connection failed: (401|403|407)")

# What to look for in an exception and in all that led to it; what it becomes, and how that is told. The first row wins.
_TRANSLATION: tuple[tuple[_Kinds, type[VideostatError], str, str | None], ...] = (
    (
        ssl.SSLCertVerificationError,
        Untrusted,
        "the certificate of {host} is not to be trusted: {cause.verify_message}",
        "Behind a proxy that opens encrypted connections, name its certificates in REQUESTS_CA_BUNDLE.",
    ),
    (
        (foreign.InvalidProxyURL, foreign.InvalidSchema, lower.ProxySchemeUnknown),
        ConfigError,
        "the proxy for {host} cannot be used: videostat does not understand its address",
        "The environment names it: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; NO_PROXY names the hosts that need none.",
    ),
    (lower.ProxyError, NoConnection, "the proxy for {host} does not connect: {reason}", None),
    (lower.NewConnectionError, NoConnection, "{host} cannot be reached: {reason}", None),
    (lower.ConnectTimeoutError, NoConnection, "{host} did not answer in time", None),
    (TimeoutError, Unreachable, "{host} did not answer in time", None),
    ((ConnectionError, IncompleteRead), Unreachable, "the connection with {host} was lost", None),
    (ssl.SSLError, Unreachable, "{host} does not speak TLS as it should", None),
    (lower.DecodeError, Unreadable, "the answer of {host} cannot be unpacked", None),
    ((HTTPException, lower.InvalidHeader), Unreadable, "{host} does not speak HTTP as it should", None),
    (
        (foreign.InvalidURL, foreign.MissingSchema, lower.LocationValueError),
        Untrusted,
        "an address of {host} cannot be used",
        None,
    ),
    (OSError, Unreachable, "{host} cannot be reached: {reason}", None),
    # http.client, the idna codec and urllib.parse raise it bare for addresses that cannot be.
    (ValueError, Untrusted, "an address of {host} cannot be used", None),
    (Exception, Unreachable, "the connection with {host} was lost", None),
)


@contextmanager
def as_ours(url: str) -> Iterator[None]:
    """Foreign exceptions leave this block as ours, and foreign log lines; without proxy passwords or query strings."""
    try:
        with hide_queries():
            yield
    except (foreign.RequestException, lower.HTTPError, OSError, ValueError) as error:
        # No more locals here: a frame that holds the exception which holds the frame keeps sockets open.
        raise _translated(error, host(url)) from error


def _translated(error: Exception, host: str) -> VideostatError:
    chain = list(causes(error))
    reasons = (
        cause.strerror or str(cause)
        for cause in reversed(chain)
        if isinstance(cause, OSError) and not isinstance(cause, foreign.RequestException)
    )
    reason = next(reasons, "the connection was lost")
    if refusal := _REFUSED_TUNNEL.match(reason):
        return refused_by_proxy(refusal[1])
    return next(
        ours(sentence.format(host=host, cause=cause, reason=reason), hint=hint)
        for kinds, ours, sentence, hint in _TRANSLATION
        for cause in chain
        if isinstance(cause, kinds)
    )


def refused_by_proxy(status: str) -> ConfigError:
    """Say that a proxy wants another password: to ask again with the same one could lock somebody out."""
    return ConfigError(
        f"the proxy refuses its user name and password, or wants some (HTTP {status})",
        hint="The environment has them, as in HTTPS_PROXY=http://user:password@proxy.example:3128",
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception and all that led to it: requests keeps urllib3's in args, urllib3 in `reason`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
        error = next((one for one in inner if isinstance(one, BaseException)), None)
