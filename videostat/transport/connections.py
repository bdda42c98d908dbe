"""Connections, with what requests' own lack: one TLS context, a deadline for reading, a look at each address."""

from __future__ import annotations

import io
import math
import os
import re
import socket
import ssl
import threading
import time
from contextlib import suppress
from functools import lru_cache, partial
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, parse_headers
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError
from urllib3.util import Retry, Timeout

from videostat.errors import ConfigError, Untrusted
from videostat.transport.addresses import is_private, origin, site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import WriteableBuffer
    from urllib3 import BaseHTTPResponse

    Resolve = Callable[..., list[Any]]

CONNECT_SECONDS = 10
READ_SECONDS = 30
# With requests' own 10, 32 workers throw connections away: 0.63 of the speed.
POOL_SIZE = 32
LARGE_READ = 65536  # bytes: a video's, not an answer's
NEVER = Retry(total=False, redirect=False)
PATIENCE = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Route(NamedTuple):
    """The connections to a site, and what stands before a path in their requests: for a proxy the site itself."""

    pool: Any
    prefix: str

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> BaseHTTPResponse:
        """The answer, its body unread."""
        answer: BaseHTTPResponse = self.pool.urlopen(
            method,
            self.prefix + path,
            body=body,
            headers=headers,
            timeout=PATIENCE,
            retries=NEVER,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
        if answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and self.pool.proxy:
            answer.close()
            raise _refused_by_proxy()
        return answer


class Connections(HTTPAdapter):
    """Those that are open, to `sites` at most; with requests' knowledge of proxies, and without its send().

    That would find out anew for each request where it goes, which is a fifth of a look. `addresses` says where to
    connect for a scheme, host and port: what it has checked, and nothing resolved again; behind a proxy the proxy
    decides.
    """

    def __init__(self, sites: int, addresses: Callable[[str, str, int], list[str]] | None = None) -> None:
        super().__init__(pool_connections=sites, pool_maxsize=POOL_SIZE)
        self._addresses = addresses

    def route(self, url: str, proxy: str | None) -> Route:
        """The way to all that begins with this URL; raises ConfigError for certificates that cannot be read."""
        scheme, host, port = origin(url)
        tls, proxy_tls = {}, {}
        if scheme == "https":
            tls = {"ssl_context": _context()}
        if proxy and proxy.lower().startswith("https:"):
            tls, proxy_tls = {"ssl_context": _context()}, {"proxy_ssl_context": _context()}
        manager: Any = self.proxy_manager_for(proxy, **proxy_tls) if proxy else self.poolmanager
        pool = manager.connection_from_host(host, port, scheme, pool_kwargs=tls)
        # A SOCKS proxy has connections of its own.
        if ours := _CONNECTIONS.get(type(pool).ConnectionCls):
            check = None if pool.proxy else self._addresses
            pool.ConnectionCls = partial(ours, addresses=check and partial(check, scheme))
        path = urlsplit(url).path.rstrip("/")
        return Route(pool, site(url) + path if pool.proxy and scheme == "http" else path)


def where_media_is(resolve: Resolve, scheme: str, host: str, port: int, *, allow_private: bool) -> list[str]:
    """Where a video is, if one may have it from there.

    That is over https from the public internet or, if that is allowed, from anywhere; and over http from private
    addresses alone. Raises Untrusted, and socket.gaierror.
    """
    addresses = dict.fromkeys(info[4][0] for info in resolve(host.strip("[]"), port, type=socket.SOCK_STREAM))
    if scheme == "http" and not all(map(is_private, addresses)):
        raise Untrusted(f"the video is offered without encryption, at {host}")
    if scheme == "https" and not allow_private and any(map(is_private, addresses)):
        raise Untrusted(
            f"the video's address, {host}, leads into a private network", hint="If it is meant to: --allow-private"
        )
    return list(addresses)


def limit_reading(seconds: float) -> None:
    """What this thread reads from now on must come by then, or the read raises TimeoutError."""
    _deadline.at = time.monotonic() + seconds


class _Deadline(threading.local):
    at = math.inf


_deadline = _Deadline()


class _Wire(io.RawIOBase):
    """A socket's own time-out starts anew with every byte that drips in."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = min(_deadline.at - time.monotonic(), READ_SECONDS)
        if left <= 0:
            raise TimeoutError
        # Not for less than a second: it is a system call, and all that threads do in turns; a tenth of a look.
        if abs(left - (self._sock.gettimeout() or math.inf)) > 1:
            self._sock.settimeout(left)
        count = self._raw.readinto(buffer)
        if count and len(memoryview(buffer)) >= LARGE_READ and isinstance(self._sock, ssl.SSLSocket):
            count += self._decrypted(memoryview(buffer)[count:])
        return count

    def _decrypted(self, rest: memoryview) -> int:
        """What else is there without waiting: TLS comes in records of 16 KiB, and a buffer for each costs 2.5 times."""
        count, patience = 0, self._sock.gettimeout()
        self._sock.settimeout(0)
        # What is wrong here, the next read will say.
        with suppress(OSError):
            while count < len(rest) and (more := self._sock.recv_into(rest[count:])):
                count += more
        self._sock.settimeout(patience)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Wire(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        """That of the answer: CPython takes 103 and its like for one, and the next request would get the real one."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise HTTPException("a protocol that nobody asked for")
            if not HTTPStatus.SWITCHING_PROTOCOLS < status < HTTPStatus.OK:
                return version, status, reason
            parse_headers(self.fp)

    def begin(self) -> None:
        super().begin()
        if self.length is None and len(set(re.findall(r"[^\s,]+", self.headers.get("Content-Length", "")))) > 1:
            # urllib3 would refuse it too, and leave the socket to the garbage collector.
            self.close()
            raise HTTPException("several lengths")


class _Connection(HTTPConnection):
    """`addresses` says where to connect for a host and port: what it has checked, and nothing resolved again."""

    response_class = _Response

    def __init__(self, *args: Any, addresses: Callable[[str, int], list[str]] | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._addresses = addresses

    def _new_conn(self) -> socket.socket:
        if self._addresses is None:
            return super()._new_conn()
        name = self._dns_host
        try:
            *others, last = self._addresses(name, self.port)
            for self.host in others:
                try:
                    return super()._new_conn()
                except ConnectTimeoutError:
                    continue
            self.host = last
            return super()._new_conn()
        except socket.gaierror as error:
            raise NameResolutionError(name, self, error) from error
        finally:
            # The request and its TLS go by the name.
            self.host = name

    def _tunnel(self) -> None:
        try:
            super()._tunnel()
        except OSError as error:
            if f" {HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:d} " in str(error):
                raise _refused_by_proxy() from None
            raise


def _refused_by_proxy() -> ConfigError:
    """To ask again with the same password could lock somebody out."""
    return ConfigError(
        "the proxy refuses its user name and password, or wants some (HTTP 407)",
        hint="The environment has them, as in HTTPS_PROXY=http://user:password@proxy.example:3128",
    )


class _SecureConnection(_Connection, HTTPSConnection):
    pass


_CONNECTIONS = {HTTPConnection: _Connection, HTTPSConnection: _SecureConnection}


class _Context(ssl.SSLContext):
    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        """urllib3 would set the same ones at each connection, which is a race: python/cpython#141012."""


def _context() -> ssl.SSLContext:
    variable = next((name for name in CA_VARIABLES if os.environ.get(name)), "")
    with _lock:
        return _load(os.environ.get(variable) or DEFAULT_CA_BUNDLE_PATH, variable or "certifi")


_lock = threading.Lock()


@lru_cache
def _load(certificates: str, source: str) -> ssl.SSLContext:
    """One for all connections: if each makes its own, it costs 18 ms and 0.75 MB."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
    try:
        context.load_verify_locations(**{"capath" if Path(certificates).is_dir() else "cafile": certificates})
    except OSError as error:
        raise ConfigError(f"the certificates that {source} names cannot be read: {certificates}") from error
    return context
