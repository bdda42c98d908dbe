"""Ask services and open videos: the only HTTP, on requests.

Every foreign exception leaves as one of ours.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import socket
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote, urljoin, urlsplit

from requests.cookies import RequestsCookieJar

from videostat.errors import Redirected, Unreadable, Untrusted
from videostat.providers.base import Answer
from videostat.transport import tracing
from videostat.transport.addresses import host, origin, site, where_media_is
from videostat.transport.headers import read_retry_after
from videostat.transport.redaction import REMOVED, without_key
from videostat.transport.session import Request, Session, find_proxies
from videostat.transport.sockets import Deadline
from videostat.transport.translation import as_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from requests import Response

    from videostat.transport.addresses import Resolve

CONNECT_SECONDS = 10
ANSWER_SECONDS = 60
ANSWER_BYTES = 4 * 1024 * 1024
FIRST_BYTE_SECONDS = 90  # of a video
READ_SECONDS = 30  # between a video's bytes
MAX_REDIRECTS = 10
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
        self._proxies = cache(find_proxies)
        self._account = cache(_account)
        self._homes: set[str] = set()
        # Two, for what is private and one account's own service is not where another's videos may be.
        self._api = Session()
        self._media = Session(partial(where_media_is, resolve, self._homes, allow_private=allow_private))

    def ask(
        self, method: str, base_url: str, path: str, auth: Mapping[str, str], *, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """Ask an API once: 4 MiB of decoded JSON at most, in 60 seconds, and no redirect.

        Raises Unreachable, Unreadable, Untrusted and ConfigError.
        """
        with as_ours(base_url):
            account = self._account(base_url, tuple(auth.items()))
            request = copy.copy(account)
            request.method, request.url = method, f"{cast('str', account.url).rstrip('/')}{path}"
            if body is not None:
                request.headers = account.headers.copy()
                request.prepare_body(data=None, files=None, json=body)
            request.deadline = Deadline()
            response, start = self._send(self._api, request, auth, ANSWER_SECONDS)
            with response:
                location = response.headers["location"] if response.is_redirect else None
                content = b"" if location else _read(response)
            text = _text(content, auth)
            decoded = _decode(text)
            told = text if decoded is None else decoded
            self._tell(f"< {response.status_code} {start}", response.headers, auth, told)
            if location:
                raise _moved(base_url, path, without_key(location, auth))
        now, named = self._now(), _headers(response, auth)
        return Answer(
            status=response.status_code,
            headers=named,
            body=decoded,
            received_at=now,
            retry_after=read_retry_after(named, now),
        )

    def open(self, url: str, headers: Mapping[str, str], *, base_url: str, auth: Mapping[str, str]) -> Body:
        """Open a video; `auth` goes to the origin of `base_url` alone, whatever the redirects.

        Raises Unreachable and ConfigError, and Untrusted for plain http, a private address, a bad certificate
        and an eleventh redirect.
        """
        home, jar = origin(base_url), RequestsCookieJar()
        self._homes.add(home[1] or "")
        for _ in range(MAX_REDIRECTS + 1):
            with as_ours(url):
                request = Request(url, headers, jar)
                request.target = _target(url)
                # Only what was prepared is connected to: in a strange URL another parser sees another host.
                url = cast("str", request.url)
                here = origin(url)
                is_home = here == home
                # A store refuses two proofs of identity at once.
                if is_home and not _SIGNED.search(url):
                    request.headers.update(auth)
                self._ensure_trusted(url, is_home=is_home)
                session = self._api if is_home else self._media
                response, start = self._send(session, request, auth, FIRST_BYTE_SECONDS)
                self._tell(f"< {response.status_code} {start}", response.headers, auth)
                if not response.is_redirect:
                    return Body(response, request.deadline, url, auth, self._now())
                response.close()
                jar.update(response.cookies)
                location = response.headers["location"]
                # HTTP's own character set is Latin-1, what servers write is UTF-8.
                with suppress(UnicodeError):
                    location = location.encode("latin-1").decode()
                url = location if _target(location) else urljoin(url, location)
                if here[0] == "https" and urlsplit(url).scheme == "http":
                    raise _unencrypted(url)
        raise Untrusted(f"more than {MAX_REDIRECTS} redirects, the last to {host(url)}")

    def close(self) -> None:
        """Close the connections that are open; new ones are opened where they are needed."""
        self._api.close()
        self._media.close()

    def _send(
        self, session: Session, request: Request, auth: Mapping[str, str], seconds: float
    ) -> tuple[Response, str]:
        """Return the answer, and how a trace names it."""
        url = cast("str", request.url)
        start = f"{request.method} {url}"
        self._tell(f"> {start}", cast("Mapping[str, str]", request.headers), auth, request.body)
        request.deadline.allow(seconds)
        return session.send(request, timeout=(CONNECT_SECONDS, seconds), proxies=self._proxies(site(url))), start

    def _ensure_trusted(self, url: str, *, is_home: bool) -> None:
        """Raise Untrusted where a video must not come from without encryption."""
        match urlsplit(url).scheme:
            case "https":
                return
            # Behind a proxy nobody sees whether an address is private.
            case "http" if is_home or (self._allow_private and not self._proxies(site(url))):
                return
        raise _unencrypted(url)

    def _tell(self, start: str, headers: Mapping[str, str], auth: Mapping[str, str], body: object = None) -> None:
        is_logged = tracing.LOG.isEnabledFor(logging.DEBUG)
        if self._trace or is_logged:
            line = tracing.line(start, headers, auth, body)
            if self._trace:
                self._trace(line)
            if is_logged:
                tracing.LOG.debug("%s", tracing.make_printable(line))


class Body:
    """A media answer being read: header names in lower case, bytes as they are on the wire."""

    def __init__(
        self, response: Response, deadline: Deadline, url: str, auth: Mapping[str, str], now: datetime
    ) -> None:
        self._response = response
        self._deadline = deadline
        self._url = url
        self.status = response.status_code
        self.headers = _headers(response, auth)
        self.retry_after = read_retry_after(self.headers, now)

    def read1(self, size: int) -> bytes:
        """Return so many bytes at most, as soon as there are any; none at the end. Raises Unreachable when cut off."""
        with as_ours(self._url):
            self._deadline.allow(READ_SECONDS)
            # read() and readinto() would throw away the unfinished piece when the connection is cut.
            piece: bytes = self._response.raw.read1(size)
            return piece

    @property
    def end_is_known(self) -> bool:
        """Tell, after the last read, whether HTTP itself says that nothing is missing."""
        raw = self._response.raw
        return bool(raw.chunked or raw.length_remaining == 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._response.close()


def _account(base_url: str, auth: tuple[tuple[str, str], ...]) -> Request:
    """Prepare what all requests of an account have in common: they differ in their paths alone."""
    return Request(base_url, {"Accept": "application/json", "Cache-Control": "no-cache", **dict(auth)})


def _target(url: str) -> str:
    """Return path and query as they are written, with what may not stand in a request line quoted."""
    written = _PATH_AND_QUERY.match(url)
    return _QUOTED.sub(lambda found: quote(found[0]), written[1] or "/") if written else ""


# RFC 3986, appendix B. Where a URL is not as plain as this, what requests makes of it is sent.
_PATH_AND_QUERY = re.compile(r"(?i:https?)://[^\\/?#]*(/[^#]*|(?=#|$))")
_SIGNED = re.compile(r"[?&]([^=&#]*signature|sign|sig)=", re.IGNORECASE)
_QUOTED = re.compile(r"[^!-~]+")


def _headers(response: Response, auth: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): without_key(value, auth) for name, value in response.headers.items()}


def _read(response: Response) -> bytes:
    body = bytearray()
    # An attribute, for the bodies of vcrpy take no keyword.
    response.raw.decode_content = True
    while piece := response.raw.read1(65536):
        body += piece
        if len(body) > ANSWER_BYTES:
            raise Unreadable("the answer is larger than 4 MiB")
    return bytes(body)


def _text(body: bytes, auth: Mapping[str, str]) -> str:
    encoding = json.detect_encoding(body)
    try:
        text = body.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        # What replaces the bytes is no JSON either.
        text = body.decode(encoding, "backslashreplace")
    return without_key(text, auth)


def _decode(text: str) -> object:
    try:
        decoded = _JSON.decode(text)
    except (ValueError, RecursionError):
        return None
    return None if _is_deep(decoded) else decoded


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
    error = Redirected(
        f"{site(base_url)} redirects to {site(target)}, where a key must not follow",
        hint=f"If that is the service's new address, put base_url = {json.dumps(address)} in its configuration."
        if is_new_address
        else None,
    )
    error.location = target
    return error


def _unencrypted(url: str) -> Untrusted:
    return Untrusted(f"the video is offered without encryption, at {host(url)}")
