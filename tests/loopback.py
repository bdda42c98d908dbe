"""Servers on loopback that answer with any bytes, with or without TLS, and proxies to reach them by other names."""

from __future__ import annotations

import json
import re
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import trustme


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    raw: bytes = b""

    @property
    def offset(self) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(asked[1]) if asked else None


Reply = bytes | Iterable[bytes]
AnswerTo = Callable[[Request], Reply]


def reply(
    body: object = b"", status: int = 200, headers: Mapping[str, str] | None = None, *, content_type: str = ""
) -> bytes:
    """Return an HTTP answer; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Length": str(len(content)), "Content-Type": content_type or "application/json", **(headers or {})}
    return begin(status, lines) + content


def begin(status: int, headers: Mapping[str, str]) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode("latin-1")


def redirect(location: str, status: int = 302) -> bytes:
    return reply(b"", status, {"Location": location})


class _Listener:
    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=64)
        self._tls = tls
        self._open: set[socket.socket] = set()
        self.host = f"[{host}]" if ":" in host else host
        self.port: int = self._socket.getsockname()[1]
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        for each in (self._socket, *self._open):
            # Closing alone does not wake a thread in accept or recv.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.add(connection)
            with connection:
                self.serve(connection)
        self._open.discard(connection)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError


class Server(_Listener):
    """A server that answers each request with the bytes of `answer`, headers included, and keeps the requests.

    The bytes of an iterator are sent as they come, then the connection is closed; ConnectionResetError resets it.
    """

    def __init__(
        self,
        answer: AnswerTo | Reply = lambda _: reply({}),
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(host, port, tls)
        self.answer = answer
        self.requests: list[Request] = []
        self.url = f"{'https' if tls else 'http'}://{self.host}:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while request := _read(stream.readline, stream.read):
                self.requests.append(request)
                said = self.answer(request) if callable(self.answer) else self.answer
                try:
                    for piece in [said] if isinstance(said, bytes) else said:
                        connection.sendall(piece)
                except ConnectionResetError:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                head = said.rpartition(b"\r\n\r\n")[0].lower() if isinstance(said, bytes) else b""
                if b"\ncontent-length:" not in head:
                    return


class Proxy(_Listener):
    """A proxy to the servers by other names: `{"host:port": server}`. `refusal`: its answer instead, if set."""

    def __init__(self, names: Mapping[str, Server], *, refusal: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        super().__init__("127.0.0.1", 0, tls)
        self._names = names
        self._refusal = refusal
        self.asked: list[str] = []
        self.url = f"{'https' if tls else 'http'}://user:proxypassword@{self.host}:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb", 0)
        request = _read(stream.readline, stream.read)
        if request is None:
            return
        self.asked.append(f"{request.method} {request.target}")
        server = self._names.get(request.target)
        if self._refusal or server is None:
            connection.sendall(self._refusal or b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as there:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            _pump(connection, there)


class Socks(_Listener):
    """A SOCKS 5 proxy (RFC 1928) that connects every client to one server, and keeps the requested hosts."""

    def __init__(self, server: Server) -> None:
        super().__init__("127.0.0.1", 0, None)
        self._server = server
        self.asked: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb", 0)
        _, methods = stream.read(2)
        stream.read(methods)
        connection.sendall(b"\5\0")
        *_, kind = stream.read(4)
        address = stream.read(4 if kind == 1 else stream.read(1)[0])
        self.asked.append(socket.inet_ntoa(address) if kind == 1 else address.decode())
        stream.read(2)
        with socket.create_connection(("127.0.0.1", self._server.port), timeout=10) as there:
            connection.sendall(b"\5\0\0\1" + bytes(6))
            _pump(connection, there)


def tls(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    """Make a TLS context with a certificate for these names, signed by this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


def _pump(*pair: socket.socket) -> None:
    """Copy both ways in one thread until either side ends: two threads cannot use one TLS socket at once."""
    with suppress(OSError):
        while (
            ready := [s for s in pair if isinstance(s, ssl.SSLSocket) and s.pending()]
            or select.select(pair, (), (), 10)[0]
        ):
            for source in ready:
                piece = source.recv(65536)
                if not piece:
                    return
                pair[source is pair[0]].sendall(piece)


def _read(readline: Callable[[], bytes], read: Callable[[int], bytes | None]) -> Request | None:
    raw = b""
    while (line := readline()) not in {b"\r\n", b""}:
        raw += line
    if not raw:
        return None
    first, *lines = raw.decode("latin-1").splitlines()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    method, target, _ = first.split(" ", 2)
    body = read(int(headers.get("content-length", 0))) or b""
    return Request(method, target, headers, body, raw + body)
