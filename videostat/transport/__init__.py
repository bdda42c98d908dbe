"""Send API requests and open videos with requests. No other room sends HTTP requests.

All exceptions of requests and urllib3 are re-raised as VideostatError.
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
from videostat.transport.addresses import find_media_addresses, format_host, format_site, parse_origin
from videostat.transport.headers import read_retry_after
from videostat.transport.redaction import REMOVED, redact_key
from videostat.transport.session import Request, Session, find_proxies
from videostat.transport.sockets import Deadline
from videostat.transport.translation import translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from requests import Response

    from videostat.transport.addresses import Resolve

CONNECT_SECONDS = 10
ANSWER_SECONDS = 60
ANSWER_BYTES = 4 * 1024 * 1024
FIRST_BYTE_SECONDS = 90  # of a video
READ_SECONDS = 30  # between two reads of a video
MAX_REDIRECTS = 10
MAX_DEPTH = 64

# JSON has no NaN and no infinity: read them as null.
_JSON = json.JSONDecoder(parse_constant=lambda _: None)


class Transport:
    """An HTTP client for API requests and videos. All threads share one.

    `now` returns the current time, for Answer.received_at.
    `allow_private`: allow videos from a private network, where plain http is allowed too.
    `trace` is called with one line per request and per answer, from any thread.
    `resolve` has the signature of socket.getaddrinfo.
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
        self._account = cache(_prepare_account)
        self._homes: set[str] = set()
        # Two sessions: a private address is allowed for an account's own API, but not for another account's videos.
        self._api = Session()
        self._media = Session(partial(find_media_addresses, resolve, self._homes, allow_private=allow_private))

    def ask(
        self, method: str, base_url: str, path: str, auth: Mapping[str, str], *, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """Send one API request and return the answer.

        The answer may have 4 MiB of decoded JSON and take 60 seconds. A redirect is not followed.
        Raises Unreachable, Unreadable, Untrusted and ConfigError.
        """
        with translate_errors(base_url):
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
            text = _decode_text(content, auth)
            decoded = _parse_json(text)
            shown = text if decoded is None else decoded
            self._write_trace(f"< {response.status_code} {start}", response.headers, auth, shown)
            if location:
                raise _make_redirect_error(base_url, path, redact_key(location, auth))
        now, headers = self._now(), _redact_headers(response, auth)
        return Answer(
            status=response.status_code,
            headers=headers,
            body=decoded,
            received_at=now,
            retry_after=read_retry_after(headers, now),
        )

    def open(self, url: str, headers: Mapping[str, str], *, base_url: str, auth: Mapping[str, str]) -> Body:
        """Open a video and return its body. Up to 10 redirects are followed.

        The `auth` headers are sent only to the origin of `base_url`.
        Raises Unreachable and ConfigError. Raises Untrusted for plain http, a private address, a bad certificate or
        too many redirects.
        """
        home, jar = parse_origin(base_url), RequestsCookieJar()
        self._homes.add(home[1] or "")
        for _ in range(MAX_REDIRECTS + 1):
            with translate_errors(url):
                request = Request(url, headers, jar)
                request.target = _quote_target(url)
                # Check the URL that requests will connect to: two parsers may see two hosts in a strange URL.
                url = cast("str", request.url)
                here = parse_origin(url)
                is_home = here == home
                # Object stores refuse a signed URL together with an authorization header.
                if is_home and not _SIGNED.search(url):
                    request.headers.update(auth)
                self._ensure_trusted(url, is_home=is_home)
                session = self._api if is_home else self._media
                response, start = self._send(session, request, auth, FIRST_BYTE_SECONDS)
                self._write_trace(f"< {response.status_code} {start}", response.headers, auth)
                if not response.is_redirect:
                    return Body(response, request.deadline, url, auth, self._now())
                response.close()
                jar.update(response.cookies)
                location = response.headers["location"]
                # http.client decodes headers as Latin-1, but servers write UTF-8.
                with suppress(UnicodeError):
                    location = location.encode("latin-1").decode()
                url = location if _quote_target(location) else urljoin(url, location)
                if here[0] == "https" and urlsplit(url).scheme == "http":
                    raise _make_unencrypted_error(url)
        raise Untrusted(f"more than {MAX_REDIRECTS} redirects, the last to {format_host(url)}")

    def close(self) -> None:
        """Close all open connections. The transport can still be used: it opens new ones."""
        self._api.close()
        self._media.close()

    def _send(
        self, session: Session, request: Request, auth: Mapping[str, str], seconds: float
    ) -> tuple[Response, str]:
        """Send a request; return the response, and the request's name for the trace."""
        url = cast("str", request.url)
        start = f"{request.method} {url}"
        self._write_trace(f"> {start}", cast("Mapping[str, str]", request.headers), auth, request.body)
        request.deadline.allow(seconds)
        return session.send(request, timeout=(CONNECT_SECONDS, seconds), proxies=self._proxies(format_site(url))), start

    def _ensure_trusted(self, url: str, *, is_home: bool) -> None:
        """Raise Untrusted if the URL is not encrypted and must be."""
        match urlsplit(url).scheme:
            case "https":
                return
            # Behind a proxy the address is unknown, so it cannot be private for sure.
            case "http" if is_home or (self._allow_private and not self._proxies(format_site(url))):
                return
        raise _make_unencrypted_error(url)

    def _write_trace(
        self, start: str, headers: Mapping[str, str], auth: Mapping[str, str], body: object = None
    ) -> None:
        is_logged = tracing.LOG.isEnabledFor(logging.DEBUG)
        if self._trace or is_logged:
            line = tracing.format_line(start, headers, auth, body)
            if self._trace:
                self._trace(line)
            if is_logged:
                tracing.LOG.debug("%s", tracing.make_printable(line))


class Body:
    """The body of a video response, read piece by piece.

    Header names are in lower case. The bytes are as received, without decompression.
    """

    def __init__(
        self, response: Response, deadline: Deadline, url: str, auth: Mapping[str, str], now: datetime
    ) -> None:
        self._response = response
        self._deadline = deadline
        self._url = url
        self.status = response.status_code
        self.headers = _redact_headers(response, auth)
        self.retry_after = read_retry_after(self.headers, now)

    def read1(self, size: int) -> bytes:
        """Return the next bytes, at most `size`. b"" means the end. Raises Unreachable."""
        with translate_errors(self._url):
            self._deadline.allow(READ_SECONDS)
            # read() and readinto() would lose the last bytes when the connection is cut.
            piece: bytes = self._response.raw.read1(size)
            return piece

    @property
    def end_is_known(self) -> bool:
        """Whether HTTP has confirmed that the body is complete. Valid after the last read."""
        raw = self._response.raw
        return bool(raw.chunked or raw.length_remaining == 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._response.close()


def _prepare_account(base_url: str, auth: tuple[tuple[str, str], ...]) -> Request:
    """Prepare the request of an account, which later requests copy."""
    return Request(base_url, {"Accept": "application/json", "Cache-Control": "no-cache", **dict(auth)})


def _quote_target(url: str) -> str:
    """Return path and query of a URL. Only characters that HTTP forbids are quoted."""
    written = _PATH_AND_QUERY.match(url)
    return _QUOTED.sub(lambda found: quote(found[0]), written[1] or "/") if written else ""


# RFC 3986, appendix B. A URL that does not match is sent in the form that requests gives it.
_PATH_AND_QUERY = re.compile(r"(?i:https?)://[^\\/?#]*(/[^#]*|(?=#|$))")
_SIGNED = re.compile(r"[?&]([^=&#]*signature|sign|sig)=", re.IGNORECASE)
_QUOTED = re.compile(r"[^!-~]+")


def _redact_headers(response: Response, auth: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): redact_key(value, auth) for name, value in response.headers.items()}


def _read(response: Response) -> bytes:
    body = bytearray()
    # Set the attribute: vcrpy's bodies do not accept the keyword.
    response.raw.decode_content = True
    while piece := response.raw.read1(65536):
        body += piece
        if len(body) > ANSWER_BYTES:
            raise Unreadable("the answer is larger than 4 MiB")
    return bytes(body)


def _decode_text(body: bytes, auth: Mapping[str, str]) -> str:
    encoding = json.detect_encoding(body)
    try:
        text = body.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        # The replacement keeps the text invalid as JSON.
        text = body.decode(encoding, "backslashreplace")
    return redact_key(text, auth)


def _parse_json(text: str) -> object:
    try:
        decoded = _JSON.decode(text)
    except (ValueError, RecursionError):
        return None
    return None if _is_deep(decoded) else decoded


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _list_children(outer) if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _list_children(value: object) -> Collection[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _make_redirect_error(base_url: str, path: str, location: str) -> Redirected:
    target, asked = urljoin(base_url + path, location), path.partition("?")[0]
    scheme, _, target_path, *_ = urlsplit(target)
    address = format_site(target) + target_path.removesuffix(asked)
    is_as_safe = scheme in {"https", urlsplit(base_url).scheme}
    is_new_address = is_as_safe and target_path.endswith(asked) and address != base_url and REMOVED not in address
    error = Redirected(
        f"{format_site(base_url)} redirects to {format_site(target)}, where a key must not follow",
        hint=f"If that is the service's new address, put base_url = {json.dumps(address)} in its configuration."
        if is_new_address
        else None,
    )
    error.location = target
    return error


def _make_unencrypted_error(url: str) -> Untrusted:
    return Untrusted(f"the video is offered without encryption, at {format_host(url)}")
