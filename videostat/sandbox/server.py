"""The HTTP server. It sends a reply slowly, or cuts it, if the reply says so."""

from __future__ import annotations

import re
import socket
import sys
from collections import deque
from contextlib import suppress
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from videostat.sandbox.exchange import Request, reply_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from videostat.clock import Clock
    from videostat.sandbox.exchange import Reply

_MAX_BODY = 1 << 20
_KEPT = 10_000


class Server(ThreadingHTTPServer):
    """A server on loopback that keeps its latest requests and errors. It calls `answer` from many threads."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, clock: Clock, answer: Callable[[Request], Reply]) -> None:
        self.clock = clock
        self.answer = answer
        self.requests: deque[Request] = deque(maxlen=_KEPT)
        self.errors: deque[BaseException] = deque(maxlen=_KEPT)
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind the socket without asking for this machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_port = self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then handle it."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection and forget it."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        """Keep an error of the sandbox. A connection that the client has closed is not kept."""
        error = sys.exception()
        if error and not isinstance(error, OSError):
            self.errors.append(error)

    def server_close(self) -> None:
        """Close the server and all its connections."""
        super().server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "videostat-sandbox"
    sys_version = ""
    timeout = 60  # seconds until an idle connection is closed
    # Send headers and body in one piece, without waiting for more.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a request."""
        body = self._read_body()
        if body is None:
            self.close_connection = True
            self._send(reply_page(413, "Content Too Large"))
            return
        path, _, query = self.path.partition("?")
        request = Request(
            at=self.server.clock.now(),
            method=self.command,
            path=unquote(path),
            query=dict(parse_qsl(query)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        self.server.requests.append(request)
        self._send(self.server.answer(request))

    do_HEAD = do_GET  # noqa: N815 - the base class looks for these names
    do_POST = do_GET  # noqa: N815

    def _read_body(self) -> bytes | None:
        """Read the body. Return None if it is too long or has no plain Content-Length."""
        length = self.headers.get("Content-Length", "0")
        is_valid = re.fullmatch(r"[0-9]{1,9}", length) and "Transfer-Encoding" not in self.headers
        return self.rfile.read(int(length)) if is_valid and int(length) <= _MAX_BODY else None

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        body = reply.body[: reply.cut_at]
        if reply.bytes_per_second:
            self._send_slowly(body, reply.bytes_per_second)
        else:
            self.wfile.write(body)
        self.close_connection |= len(body) < len(reply.body)

    def _send_slowly(self, body: bytes, bytes_per_second: int) -> None:
        piece = max(1, bytes_per_second // 10)
        for start in range(0, len(body), piece):
            self.wfile.write(body[start : start + piece])
            self.wfile.flush()
            self.server.clock.sleep(piece / bytes_per_second)

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - the base class's signature
        """Write the Date header in the sandbox's time."""
        return format_datetime(self.server.clock.now(), usegmt=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's signature
        """Write no log."""
