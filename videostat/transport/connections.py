"""requests' adapter, with what it lacks: one TLS context, a deadline for reading, a look at each address."""

from __future__ import annotations

import io
import math
import os
import socket
import ssl
import threading
import time
from contextlib import suppress
from functools import lru_cache, partial
from http.client import HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError

from videostat.errors import ConfigError, Untrusted
from videostat.transport.addresses import is_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer
    from requests.models import PreparedRequest

    Resolve = Callable[..., list[Any]]

READ_SECONDS = 30
# With requests' own 10, 32 workers throw connections away: 0.63 of the speed.
POOL_SIZE = 32
LARGE_READ = 65536  # bytes: a video's, not an answer's
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Adapter(HTTPAdapter):
    """Sends requests and gives urllib3's responses. With `resolve`, a getaddrinfo, it is for media of strangers.

    Those it has over https from the public internet, over http from private addresses, and else raises Untrusted;
    behind a proxy the proxy decides. Raises ConfigError for certificates that cannot be read.
    """

    def __init__(self, resolve: Resolve | None = None) -> None:
        super().__init__(pool_maxsize=POOL_SIZE)
        self._resolve = resolve

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        # A SOCKS proxy has connections of its own.
        if ours := _CONNECTIONS.get(type(pool).ConnectionCls):
            resolve = None if pool.proxy else self._resolve
            pool.ConnectionCls = partial(ours, addresses=resolve and partial(_checked, resolve, pool.scheme))
        return pool

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            pool["ssl_context"] = _context()
        return host, pool

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("https:"):
            kwargs["proxy_ssl_context"] = _context()
        return super().proxy_manager_for(proxy, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context has the certificates; the inherited method would have them loaded at every connection."""

    def build_response(self, req: PreparedRequest, resp: Any) -> Any:  # noqa: ARG002 - the base class's signature
        """What requests would add is cookies, and an encoding that we do not ask for."""
        return resp


def _checked(resolve: Resolve, scheme: str, host: str, port: int) -> list[str]:
    """Where a host is, if one may connect to it; raises Untrusted, and socket.gaierror."""
    addresses = dict.fromkeys(info[4][0] for info in resolve(host.strip("[]"), port, type=socket.SOCK_STREAM))
    is_strange = any(is_private(address) is (scheme == "https") for address in addresses)
    if is_strange and scheme == "https":
        raise Untrusted(
            f"the video's address, {host}, leads into a private network", hint="If it is meant to: --allow-private"
        )
    if is_strange:
        raise Untrusted(f"the video is offered without encryption, at {host}")
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
        left = _deadline.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(min(left, READ_SECONDS))
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
