"""The only HTTP: what is asked of whom, and with which headers.

requests' adapter without its Session, which would add what must not be here: `.netrc` in place of our key, cookies,
redirects that are followed, and a redirect's body that is read whole. Every foreign exception leaves as one of ours.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urljoin, urlsplit

from requests.exceptions import InvalidProxyURL
from requests.models import PreparedRequest
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util import parse_url

from videostat import __version__
from videostat.errors import Unreadable, Untrusted
from videostat.providers.base import Answer
from videostat.transport import tracing
from videostat.transport.addresses import host, origin, site
from videostat.transport.connections import READ_SECONDS, Adapter, limit_reading
from videostat.transport.foreign import as_ours
from videostat.transport.keys import REMOVED, without_key, without_key_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from urllib3 import BaseHTTPResponse

    from videostat.transport.connections import Resolve

CONNECT_SECONDS = 10
ANSWER_SECONDS = 30
ANSWER_BYTES = 4 * 1024 * 1024
MAX_REDIRECTS = 5
MAX_DEPTH = 64

_HEADERS = {"User-Agent": f"videostat/{__version__}"}


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
        self._trusted = Adapter()
        self._wary = Adapter(resolve)
        # The environment is read once a site: that is a quarter of a small request's cost.
        self._proxies = cache(_environment_proxies)
        self._prepared: dict[tuple[str, str, tuple[tuple[str, str], ...]], PreparedRequest] = {}

    def ask(
        self, method: str, base_url: str, path: str, auth: Mapping[str, str], *, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """One look at an API: 4 MiB of decoded JSON at most, in 30 seconds, and no redirect.

        Raises Unreachable, Unreadable, Untrusted and ConfigError.
        """
        with as_ours(base_url):
            limit_reading(ANSWER_SECONDS)
            request = self._request(method, base_url, auth, body)
            request.url = base_url + path
            response = self._send(self._trusted, request, base_url, auth)
            try:
                location = response.get_redirect_location()
                content = b"" if location else _read(response)
            finally:
                response.close()
            decoded = _decode(content, auth)
            self._tell_answer(request, response, auth, content if decoded is None else decoded)
            if location:
                raise _moved(base_url, path, without_key(location, auth))
        return Answer(status=response.status, headers=_headers(response, auth), body=decoded, received_at=self._now())

    def open(self, url: str, headers: Mapping[str, str], *, base_url: str, auth: Mapping[str, str]) -> Body:
        """A media file; `auth` goes to the origin of `base_url` alone, whatever the redirects.

        Raises Unreachable and ConfigError, and Untrusted for plain http, a private address, a bad certificate
        and a sixth redirect.
        """
        home = origin(base_url)
        for _ in range(MAX_REDIRECTS + 1):
            with as_ours(url):
                limit_reading(READ_SECONDS)
                request = PreparedRequest()
                request.prepare("GET", url, {**_HEADERS, **headers})
                # Only what was prepared is connected to: in a strange URL another parser sees another host.
                url = request.url or ""
                here = origin(url)
                if here == home:
                    request.headers.update(auth)
                response = self._send(self._adapter(url, is_home=here == home), request, site(url), auth)
                self._tell_answer(request, response, auth)
                location = response.get_redirect_location()
                if not location:
                    return Body(response, url, auth)
                response.close()
                url = urljoin(url, location)
                if here[0] == "https" and urlsplit(url).scheme == "http":
                    raise _unencrypted(url)
        raise Untrusted(f"more than {MAX_REDIRECTS} redirects, the last to {host(url)}")

    def _request(
        self, method: str, base_url: str, auth: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> PreparedRequest:
        # Preparing is a fifth of a small request's cost; the requests of one account differ in their path alone.
        key = (method, base_url, tuple(auth.items()))
        if body is not None or key not in self._prepared:
            request = PreparedRequest()
            request.prepare(method, base_url, {**_HEADERS, "Accept": "application/json", **auth}, json=body)
            if body is not None:
                return request
            self._prepared[key] = request
        return self._prepared[key].copy()

    def _adapter(self, url: str, *, is_home: bool) -> Adapter:
        """The one that may connect to a video's address; raises Untrusted where none may."""
        scheme = urlsplit(url).scheme
        if is_home or (scheme == "https" and self._allow_private):
            return self._trusted
        # Behind a proxy nobody sees whether an address is private.
        is_http_allowed = self._allow_private and not select_proxy(url, self._proxies(site(url)))
        if scheme == "https" or (scheme == "http" and is_http_allowed):
            return self._wary
        raise _unencrypted(url)

    def _send(self, adapter: Adapter, request: PreparedRequest, site: str, auth: Mapping[str, str]) -> BaseHTTPResponse:
        if self._trace:
            headers = cast("Mapping[str, str]", request.headers)
            self._trace(tracing.line(f"> {request.method} {request.url}", headers, auth, request.body))
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        return cast("BaseHTTPResponse", adapter.send(request, timeout=timeout, proxies=self._proxies(site)))

    def _tell_answer(
        self, request: PreparedRequest, response: BaseHTTPResponse, auth: Mapping[str, str], body: object = None
    ) -> None:
        if self._trace:
            start = f"< {response.status} {request.method} {request.url}"
            self._trace(tracing.line(start, response.headers, auth, body))


class Body:
    """A media answer being read: header names in lower case, bytes as they are on the wire."""

    def __init__(self, response: BaseHTTPResponse, url: str, auth: Mapping[str, str]) -> None:
        self._response = response
        self._url = url
        self.status = response.status
        self.headers = _headers(response, auth)

    def readinto(self, buffer: memoryview) -> int:
        """Up to a buffer of bytes, as soon as there are any; 0 at the end. Raises Unreachable when cut off."""
        with as_ours(self._url):
            limit_reading(READ_SECONDS)
            # read() and readinto() would throw away the unfinished piece when the connection is cut.
            piece = self._response.read1(len(buffer), decode_content=False)
            buffer[: len(piece)] = piece
            return len(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._response.close()


def _environment_proxies(site: str) -> dict[str, str]:
    """Raises InvalidProxyURL here, where it is known whose address is bad."""
    proxies = get_environ_proxies(site)
    if proxy := select_proxy(site, proxies):
        host = b""
        with suppress(ValueError):
            host = (parse_url(proxy).host or "").encode("idna")
        if not host:
            raise InvalidProxyURL
    return proxies


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
        decoded = json.loads(text, parse_constant=lambda _: None)
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


def _moved(base_url: str, path: str, location: str) -> Untrusted:
    target, asked = urljoin(base_url + path, location), path.partition("?")[0]
    scheme, _, target_path, *_ = urlsplit(target)
    address = site(target) + target_path.removesuffix(asked)
    is_as_safe = scheme in {"https", urlsplit(base_url).scheme}
    is_new_address = is_as_safe and target_path.endswith(asked) and address != base_url and REMOVED not in address
    return Untrusted(
        f"{site(base_url)} redirects to {site(target)}, where a key must not follow",
        hint=f"If that is the service's new address, put base_url = {json.dumps(address)} in its configuration."
        if is_new_address
        else None,
    )


def _unencrypted(url: str) -> Untrusted:
    return Untrusted(f"the video is offered without encryption, at {host(url)}")
