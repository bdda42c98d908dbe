"""Receive deliveries over HTTP from an untrusted network.

http.server implements the protocol. This module limits the time and the size of a request, the number of connections
and the accepted lengths. (With waitress and uvicorn, 200 slow connections can block all others.)
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
# The longest time that stopping takes. A shorter one would wake an idle process more often.
_STOP_SECONDS = 0.1


class Receiver:
    """A server that runs during its `with` block. Raises UsageError if the address cannot be used.

    `hear` is called with each delivery, from many threads, before the answer is sent. It must return quickly, with
    False for a delivery whose signature is wrong, which is answered with 401.
    `is_healthy` gives the answer to GET /healthz; without it, that is 404.
    The attribute `address` has the real port, if port 0 (any free one) was given.
    """

    def __init__(
        self, address: Address, hear: Callable[[Delivery], bool], is_healthy: Callable[[], bool] | None = None
    ) -> None:
        try:
            self._server = _Server(address, hear, is_healthy)
        except (OSError, UnicodeError) as error:
            raise UsageError(
                f"cannot listen on {address.host}, port {address.port}: {getattr(error, 'strerror', None) or error}",
                hint="Use another port, such as --listen 8081. Port 0 takes any free one.",
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
        # HTTPServer.server_bind also looks up the host's name, which can take seconds.
        TCPServer.server_bind(self)
        self.server_port = self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = None
            # A real delivery takes milliseconds, so close the oldest connection when there are too many.
            oldest = next(iter(self._open)) if len(self._open) > CONNECTIONS else None
            if oldest:
                del self._open[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started; the service will send it again
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        # Ignore a sender that disconnects, but show bugs.
        if not isinstance(sys.exception(), OSError):
            raise  # noqa: PLE0704 - called while the exception is handled


class _TooLarge(Exception):
    """The request is longer than any delivery."""


class _Input(RawIOBase):
    """The bytes of a connection, with a deadline and a limit."""

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
    """Set the connection's timeout to the time that is left. Raises TimeoutError if none is."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
    return connection


class _Handler(BaseHTTPRequestHandler):
    """Answer one request without a body and close the connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    # For requests without a readable version, so that they get an answer too.
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
        # Read the rest of the request: closing with unread bytes could destroy the answer.
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while _wait_for(self.connection, self._deadline).recv(BODY_BYTES):
                pass

    def handle_expect_100(self) -> bool:
        """Ask for the body only if it will be read."""
        if self.command == "POST" and (refusal := self._find_refusal()):
            self.send_error(refusal)
            return False
        return super().handle_expect_100()

    def do_POST(self) -> None:
        if refusal := self._find_refusal():
            self.send_error(refusal)
            return
        body = self.rfile.read(length := int(self.headers["Content-Length"]))
        if len(body) < length:  # the sender has gone
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_accepted = self.server.hear(Delivery(headers, body, self._target[1]))
        self._answer(HTTPStatus.NO_CONTENT if is_accepted else HTTPStatus.UNAUTHORIZED)

    def do_GET(self) -> None:
        """Answer requests that only test the address: OPTIONS of HeyGen, load balancers, browsers."""
        if self.server.is_healthy and self._target[0] == HEALTH:
            is_healthy = self.server.is_healthy()
            self._answer(HTTPStatus.OK if is_healthy else HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._answer(HTTPStatus.NO_CONTENT if self._is_hook_path else HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET  # noqa: N815 - the base class looks for these names
    do_OPTIONS = do_GET  # noqa: N815

    @property
    def _target(self) -> tuple[str, str]:
        """The path and the query as sent; `self.path` merges leading slashes."""
        path, _, query = self.requestline.split()[1].partition("?")
        return path, query

    @property
    def _is_hook_path(self) -> bool:
        return hmac.compare_digest(self._target[0].encode(), self.server.path)

    def _find_refusal(self) -> HTTPStatus | None:
        """Return the status that refuses a request, or None."""
        lengths = self.headers.get_all("Content-Length", [])
        is_chunked = "Transfer-Encoding" in self.headers
        if not self._is_hook_path:
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
        """Answer without a body: the default page would repeat the request."""
        self._answer(HTTPStatus(code))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's signature
        """Write no log: stderr is for messages to the user."""
