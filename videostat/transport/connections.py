"""Connections to checked addresses that send URLs unchanged and stop reading at a deadline.

urllib3 lets its classes be replaced: PoolManager.pool_classes_by_scheme and ConnectionPool.ConnectionCls. A connection
receives only the URL and the headers of a request, so the other data travels in a header with an illegal name, which is
removed before sending.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, InvalidHeader, NameResolutionError, NewConnectionError

from videostat.transport.sockets import Deadline, PlainSocket, SecureSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from urllib3 import BaseHTTPResponse

    Find = Callable[[str, str, int], list[str]]

_TARGET = ":target"


class Target(str):
    """A request URL for urllib3. `raw` is the form to send; `deadline` limits the reading of the answer."""

    __slots__ = ("deadline", "raw")
    raw: str
    deadline: Deadline


class StaleConnectionError(ConnectionResetError):
    """The server closed a kept-alive connection before it read the request."""


class _Connection(HTTPConnection):
    """A connection to a checked address.

    `find` returns the addresses allowed for a host and port, None allows all. Behind a proxy it is not called.
    """

    def __init__(self, host: str, *args: Any, find: Callable[[str, int], list[str]] | None, **kwargs: Any) -> None:
        super().__init__(host, *args, **kwargs)
        self._name, self._find = host, find
        self._deadline: Deadline | None = None
        self._is_used = self._may_resend = False

    def connect(self) -> None:
        self._is_used = False
        if self._find is None or self.proxy:
            super().connect()
        else:
            self._connect_to_checked(self._find)
        if type(self.sock) is socket.socket:
            self.sock = PlainSocket(self.sock.family, self.sock.type, self.sock.proto, self.sock.detach())
            self.sock.settimeout(self.timeout)

    def _connect_to_checked(self, find: Callable[[str, int], list[str]]) -> None:
        """Connect to the first address that answers. Host header and TLS keep the host's name."""
        try:
            *others, last = find(self._name, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self._name, self, error) from error
        try:
            for self.host in others:
                with suppress(NewConnectionError, ConnectTimeoutError):
                    return super().connect()
            self.host = last
            return super().connect()
        finally:
            self.host = self._name

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:  # noqa: ARG002 - the target has the form to send
        target = headers.pop(_TARGET)
        self._deadline, self._may_resend = target.deadline, self._is_used and method == "GET"
        with self._detect_stale():
            super().request(method, target.raw, body, headers, **options)

    def getresponse(self) -> Any:
        sock = self.sock
        if isinstance(sock, PlainSocket | SecureSocket):
            sock.deadline = self._deadline
        try:
            with self._detect_stale():
                response = super().getresponse()
        except InvalidHeader:
            # After several Content-Length headers, urllib3 leaves the socket open.
            if isinstance(sock, PlainSocket | SecureSocket):
                socket.close(sock.detach())
            raise
        self._is_used = True
        return response

    @contextmanager
    def _detect_stale(self) -> Iterator[None]:
        try:
            yield
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            if self._may_resend:
                raise StaleConnectionError from error
            raise


class _SecureConnection(_Connection, HTTPSConnection):
    def connect(self) -> None:
        if self._find and not self.proxy:
            # Do not use assert_hostname: it switches check_hostname off in the shared context.
            self.server_hostname = self._name
        super().connect()


_OURS: dict[Any, Any] = {HTTPConnection: _Connection, HTTPSConnection: _SecureConnection}


class _Pool(HTTPConnectionPool):
    def __init__(self, *args: Any, find: Find | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._find = find and partial(find, self.scheme)

    # A property: a class attribute would hide the one that vcrpy puts into urllib3's pools while it records.
    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]  # noqa: N802 - urllib3's name
        ours = _OURS.get(super().ConnectionCls)
        return partial(ours, find=self._find) if ours else super().ConnectionCls

    def urlopen(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> BaseHTTPResponse:  # type: ignore[override]
        if super().ConnectionCls in _OURS:
            headers = headers.copy()
            headers[_TARGET] = url
        return super().urlopen(method, url, body, headers, **options)


class _SecurePool(_Pool, HTTPSConnectionPool):  # type: ignore[override]
    pass


def make_pools(find: Find | None) -> dict[str, Any]:
    """Return the connection pool class for each scheme."""
    return {"http": partial(_Pool, find=find), "https": partial(_SecurePool, find=find)}
