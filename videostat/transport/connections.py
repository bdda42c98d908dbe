"""Connections that lead to checked addresses, send a URL as it was written and read until a deadline.

urllib3 builds pools and connections from classes that it lets be replaced: PoolManager.pool_classes_by_scheme and
ConnectionPool.ConnectionCls. A connection knows nothing of a request but its URL and headers; what else it has to know
comes in a header that never leaves, because its name is not a legal one.
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
    """What urllib3 asks for; `raw` is how it is spelt on the wire, and `deadline` until when the answer is read."""

    __slots__ = ("deadline", "raw")
    raw: str
    deadline: Deadline


class StaleConnectionError(ConnectionResetError):
    """The server has given up a connection that was kept: nobody has seen the request."""


class _Connection(HTTPConnection):
    """`find` says which addresses a host and port may be connected to; None: any. Behind a proxy the proxy decides."""

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
        """Try each address in turn; the request and its TLS go by the name."""
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

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:  # noqa: ARG002 - the target says how it is spelt
        target = headers.pop(_TARGET)
        self._deadline, self._may_resend = target.deadline, self._is_used and method == "GET"
        with self._telling_stale():
            super().request(method, target.raw, body, headers, **options)

    def getresponse(self) -> Any:
        sock = self.sock
        if isinstance(sock, PlainSocket | SecureSocket):
            sock.deadline = self._deadline
        try:
            with self._telling_stale():
                response = super().getresponse()
        except InvalidHeader:
            # urllib3 leaves the socket of an answer with several lengths to the garbage collector.
            if isinstance(sock, PlainSocket | SecureSocket):
                socket.close(sock.detach())
            raise
        self._is_used = True
        return response

    @contextmanager
    def _telling_stale(self) -> Iterator[None]:
        try:
            yield
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            if self._may_resend:
                raise StaleConnectionError from error
            raise


class _SecureConnection(_Connection, HTTPSConnection):
    def connect(self) -> None:
        if self._find and not self.proxy:
            # Not assert_hostname, which would switch check_hostname off in the shared context, for good.
            self.server_hostname = self._name
        super().connect()


_OURS: dict[Any, Any] = {HTTPConnection: _Connection, HTTPSConnection: _SecureConnection}


class _Pool(HTTPConnectionPool):
    def __init__(self, *args: Any, find: Find | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._find = find and partial(find, self.scheme)

    # A class attribute would hide the one that vcrpy puts into urllib3's own pools while a cassette is in.
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


def pools(find: Find | None) -> dict[str, Any]:
    """Return what makes a pool of connections for each scheme."""
    return {"http": partial(_Pool, find=find), "https": partial(_SecurePool, find=find)}
