"""The only HTTP: what is asked of whom, and with which headers.

requests without its Session, which would add what must not be here: `.netrc` in place of our key, cookies, redirects
that are followed, and a redirect's body that is read whole. Every foreign exception leaves as one of ours.
"""

from __future__ import annotations

import json
import socket
import sys
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urljoin, urlsplit

from requests.exceptions import InvalidProxyURL
from requests.models import PreparedRequest
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util import parse_url

from videostat import __version__
from videostat.errors import Redirected, Unreadable, Untrusted
from videostat.providers.base import Answer
from videostat.transport import tracing
from videostat.transport.addresses import host, origin, site
from videostat.transport.connections import READ_SECONDS, Connections, limit_reading, where_media_is
from videostat.transport.headers import read_retry_after
from videostat.transport.redaction import REMOVED, without_key, without_key_inside
from videostat.transport.translation import as_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from urllib3 import BaseHTTPResponse

    from videostat.transport.connections import Resolve, Route

ANSWER_SECONDS = 30
ANSWER_BYTES = 4 * 1024 * 1024
MAX_REDIRECTS = 5
MEDIA_SITES = 10
MAX_DEPTH = 64

# NaN and the infinities, which are no JSON, are nothing.
_JSON = json.JSONDecoder(parse_constant=lambda _: None)


class Transport:
    """Asks services and opens media; one for all threads.

    `now` says when an answer came. `allow_private`: media may be in a private network, and there without encryption.
    `trace` gets a line for each request and each answer, from any thread. `resolve` is a getaddrinfo.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        allow_private: bool = False,
        trace: Callable[[str], object] | None = None,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._now = now
        self._allow_private = allow_private
        self._trace = trace
        self._proxy = cache(_proxy)
        # As many sites as there are accounts: none of them may be closed, for their routes are kept.
        self._api = Connections(sites=sys.maxsize)
        self._media = Connections(MEDIA_SITES, partial(where_media_is, resolve, allow_private=allow_private))
        self._account = cache(self._find_account)

    def ask(
        self, method: str, base_url: str, path: str, auth: Mapping[str, str], *, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """One look at an API: 4 MiB of decoded JSON at most, in 30 seconds, and no redirect.

        Raises Unreachable, Unreadable, Untrusted and ConfigError.
        """
        with as_ours(base_url):
            limit_reading(ANSWER_SECONDS)
            route, headers = self._account(base_url, tuple(auth.items()))
            if body is not None:
                headers = {**headers, "Content-Type": "application/json"}
            ordered = None if body is None else json.dumps(body).encode()
            start = f"{method} {base_url}{path}"
            self._tell(f"> {start}", headers, auth, ordered)
            response = route.send(method, path, headers, ordered)
            try:
                location = response.get_redirect_location()
                content = b"" if location else _read(response)
            finally:
                response.close()
            decoded = _decode(content, auth)
            self._tell(f"< {response.status} {start}", response.headers, auth, content if decoded is None else decoded)
            if location:
                raise _moved(base_url, path, without_key(location, auth))
        now, named = self._now(), _headers(response, auth)
        return Answer(
            status=response.status,
            headers=named,
            body=decoded,
            received_at=now,
            retry_after=read_retry_after(named, now),
        )

    def open(self, url: str, headers: Mapping[str, str], *, base_url: str, auth: Mapping[str, str]) -> Body:
        """A media file; `auth` goes to the origin of `base_url` alone, whatever the redirects.

        Raises Unreachable and ConfigError, and Untrusted for plain http, a private address, a bad certificate
        and a sixth redirect.
        """
        home = origin(base_url)
        for _ in range(MAX_REDIRECTS + 1):
            with as_ours(url):
                limit_reading(READ_SECONDS)
                request = _prepared(url, headers)
                # Only what was prepared is connected to: in a strange URL another parser sees another host.
                url = cast("str", request.url)
                here = origin(url)
                if here == home:
                    request.headers.update(auth)
                sent = cast("Mapping[str, str]", request.headers)
                route = self._route_to_media(url, is_home=here == home)
                self._tell(f"> GET {url}", sent, auth)
                response = route.send("GET", request.path_url, sent)
                self._tell(f"< {response.status} GET {url}", response.headers, auth)
                location = response.get_redirect_location()
                if not location:
                    return Body(response, url, auth, self._now())
                response.close()
                # HTTP's own character set is Latin-1, what servers write is UTF-8.
                with suppress(UnicodeError):
                    location = location.encode("latin-1").decode()
                url = urljoin(url, location)
                if here[0] == "https" and urlsplit(url).scheme == "http":
                    raise _unencrypted(url)
        raise Untrusted(f"more than {MAX_REDIRECTS} redirects, the last to {host(url)}")

    def _find_account(self, base_url: str, auth: tuple[tuple[str, str], ...]) -> tuple[Route, Mapping[str, str]]:
        """Where an account's requests go, and with which headers: they differ in their paths alone."""
        request = _prepared(base_url, {"Accept": "application/json", **dict(auth)})
        url = cast("str", request.url)
        return self._api.route(url, self._proxy(site(url))), dict(cast("Mapping[str, str]", request.headers))

    def _route_to_media(self, url: str, *, is_home: bool) -> Route:
        """Raises Untrusted where there must be none."""
        scheme = urlsplit(url).scheme
        proxy = self._proxy(site(url))
        # Behind a proxy nobody sees whether an address is private.
        if is_home or scheme == "https" or (scheme == "http" and self._allow_private and not proxy):
            return (self._api if is_home else self._media).route(site(url), proxy)
        raise _unencrypted(url)

    def _tell(self, start: str, headers: Mapping[str, str], auth: Mapping[str, str], body: object = None) -> None:
        if self._trace:
            self._trace(tracing.line(start, headers, auth, body))


class Body:
    """A media answer being read: header names in lower case, bytes as they are on the wire."""

    def __init__(self, response: BaseHTTPResponse, url: str, auth: Mapping[str, str], now: datetime) -> None:
        self._response = response
        self._url = url
        self.status = response.status
        self.headers = _headers(response, auth)
        self.retry_after = read_retry_after(self.headers, now)

    def read1(self, size: int) -> bytes:
        """So many bytes at most, as soon as there are any; none at the end. Raises Unreachable when cut off."""
        with as_ours(self._url):
            limit_reading(READ_SECONDS)
            # read() and readinto() would throw away the unfinished piece when the connection is cut.
            return self._response.read1(size, decode_content=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._response.close()


def _prepared(url: str, headers: Mapping[str, str]) -> PreparedRequest:
    request = PreparedRequest()
    request.prepare("GET", url, {"User-Agent": f"videostat/{__version__}", **headers})
    return request


def _proxy(site: str) -> str | None:
    """The one that the environment names; raises InvalidProxyURL here, where it is known whose address is bad."""
    proxy = select_proxy(site, get_environ_proxies(site))
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    host = b""
    with suppress(ValueError):
        host = (parse_url(proxy).host or "").encode("idna")
    if not host:
        raise InvalidProxyURL
    return proxy


def _headers(response: BaseHTTPResponse, auth: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): without_key(response.headers[name], auth) for name in response.headers}


def _read(response: BaseHTTPResponse) -> bytes:
    body = bytearray()
    while piece := response.read1(65536, decode_content=True):
        body += piece
        if len(body) > ANSWER_BYTES:
            raise Unreadable("the answer is larger than 4 MiB")
    return bytes(body)


def _decode(body: bytes, auth: Mapping[str, str]) -> object:
    try:
        text = body.decode(json.detect_encoding(body), "surrogatepass")
        decoded = _JSON.decode(text)
    except (ValueError, RecursionError):
        return None
    return None if _is_deep(decoded) else without_key_inside(decoded, text, auth)


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _inside(value: object) -> Collection[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _moved(base_url: str, path: str, location: str) -> Redirected:
    target, asked = urljoin(base_url + path, location), path.partition("?")[0]
    scheme, _, target_path, *_ = urlsplit(target)
    address = site(target) + target_path.removesuffix(asked)
    is_as_safe = scheme in {"https", urlsplit(base_url).scheme}
    is_new_address = is_as_safe and target_path.endswith(asked) and address != base_url and REMOVED not in address
    return Redirected(
        f"{site(base_url)} redirects to {site(target)}, where a key must not follow",
        location=target,
        hint=f"If that is the service's new address, put base_url = {json.dumps(address)} in its configuration."
        if is_new_address
        else None,
    )


def _unencrypted(url: str) -> Untrusted:
    return Untrusted(f"the video is offered without encryption, at {host(url)}")
