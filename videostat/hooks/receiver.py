"""Take deliveries in over HTTP, from a network that sends whatever it likes.

http.server does the protocol. What it leaves open is bounded here: the time and the bytes of a request, the number of
connections, the lengths that are believed. waitress and uvicorn let 200 slow connections keep the honest ones out.
"""

from __future__ import annotations

import hmac
import re
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader, RawIOBase
from socketserver import TCPServer
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from videostat.errors import UsageError
from videostat.hooks.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from videostat.hooks.address import Address

REQUEST_SECONDS = 5
BODY_BYTES = 64 * 1024
HEAD_BYTES = 64 * 1024
CONNECTIONS = 256
HEALTH = "/healthz"

_LENGTH = re.compile(r"[0-9]{1,20}", re.ASCII)
# How long stop() may take. A shorter one would wake an idle process more often.
_STOP_SECONDS = 0.1


class Receiver:
    """A server that runs while the `with` block does.

    `hear` is called with each delivery, from many threads, before it is answered: it returns at once, False for a
    delivery that nobody can have signed, which is answered 401. `is_healthy` answers GET /healthz, 404 without it.
    Raises UsageError if the address cannot be had. `address` has the port that was found, where 0 was asked for.
    """

    def __init__(
        self, address: Address, hear: Callable[[Delivery], bool], is_healthy: Callable[[], bool] | None = None
    ) -> None:
        try:
            self._server = _Server(address, hear, is_healthy)
        except (OSError, UnicodeError) as error:
            raise UsageError(
                f"cannot listen on {address.host}, port {address.port}: {getattr(error, 'strerror', None) or error}",
                hint="Port 0 takes any free one.",
            ) from error
        self.address = replace(address, port=self._server.server_port)
        self._thread = Thread(target=self._server.serve_forever, args=(_STOP_SECONDS,), name="hooks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: Address, hear: Callable[[Delivery], bool], is_healthy: Callable[[], bool] | None
    ) -> None:
        self.path = address.path.encode()
        self.hear = hear
        self.is_healthy = is_healthy
        self._open: dict[socket.socket, None] = {}
        self._lock = Lock()
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer also asks the name service for our own name, which can take seconds.
        TCPServer.server_bind(self)
        self.server_port = self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = None
            # An honest delivery takes milliseconds: when all places are taken, the oldest is held by somebody else.
            oldest = next(iter(self._open)) if len(self._open) > CONNECTIONS else None
            if oldest:
                del self._open[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread to be had: the service sends it again
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        # A sender that goes away is no error of ours; a bug is, and must be seen.
        if not isinstance(sys.exception(), OSError):
            raise  # noqa: PLE0704 - called where it is being handled


class _TooLarge(Exception):
    """The request is longer than any delivery."""


class _Input(RawIOBase):
    """A connection's bytes, until the deadline and the limit, whatever the pauses between them."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._left = HEAD_BYTES + BODY_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            raise _TooLarge
        received = _wait_for(self._connection, self._deadline).recv_into(memoryview(buffer)[: self._left])
        self._left -= received
        return received


def _wait_for(connection: socket.socket, deadline: float) -> socket.socket:
    """Let the connection's next operation last until the deadline; raises TimeoutError after it."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
    return connection


class _Handler(BaseHTTPRequestHandler):
    """One request, one answer without a body, and the end."""

    server: _Server
    protocol_version = "HTTP/1.1"
    # What a request is that names no version, or one that cannot be read: also such a sender is told.
    default_request_version = "HTTP/1.1"
    server_version = "videostat"
    sys_version = ""

    def setup(self) -> None:
        self._deadline = monotonic() + REQUEST_SECONDS
        super().setup()
        self.rfile = BufferedReader(_Input(self.request, self._deadline))

    def handle(self) -> None:
        try:
            self.handle_one_request()
        except _TooLarge:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        # What is not read when we close would cut our answer off before the sender has seen it.
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while _wait_for(self.connection, self._deadline).recv(BODY_BYTES):
                pass

    def handle_expect_100(self) -> bool:
        """Ask for a body only if it will be read."""
        if self.command == "POST" and (refusal := self._refusal()):
            self.send_error(refusal)
            return False
        return super().handle_expect_100()

    def do_POST(self) -> None:
        if refusal := self._refusal():
            self.send_error(refusal)
            return
        body = self.rfile.read(length := int(self.headers["Content-Length"]))
        if len(body) < length:  # the sender has gone
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_welcome = self.server.hear(Delivery(headers, body, self._target[1]))
        self._answer(HTTPStatus.NO_CONTENT if is_welcome else HTTPStatus.UNAUTHORIZED)

    def do_GET(self) -> None:
        """Answer who tries the address before using it: HeyGen's OPTIONS, load balancers, a browser."""
        if self.server.is_healthy and self._target[0] == HEALTH:
            is_well = self.server.is_healthy()
            self._answer(HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._answer(HTTPStatus.NO_CONTENT if self._is_door else HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET  # noqa: N815 - the base class looks for these names
    do_OPTIONS = do_GET  # noqa: N815

    @property
    def _target(self) -> tuple[str, str]:
        """Path and query as they were sent; `self.path` has lost a slash where there were two."""
        path, _, query = self.requestline.split()[1].partition("?")
        return path, query

    @property
    def _is_door(self) -> bool:
        return hmac.compare_digest(self._target[0].encode(), self.server.path)

    def _refusal(self) -> HTTPStatus | None:
        """Return why the body of this request is not read."""
        lengths = self.headers.get_all("Content-Length", [])
        is_chunked = "Transfer-Encoding" in self.headers
        if not self._is_door:
            return HTTPStatus.NOT_FOUND
        if len(lengths) + is_chunked > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            return HTTPStatus.BAD_REQUEST
        if not lengths:
            return HTTPStatus.LENGTH_REQUIRED
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if int(lengths[0]) > BODY_BYTES else None

    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Connection", "close")
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - the base class's signature
        """Answer without the page that repeats what was sent."""
        self._answer(HTTPStatus(code))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's signature
        """Say nothing: stderr is a conversation with a person."""
