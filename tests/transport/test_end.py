"""Detect from HTTP alone whether a body is complete."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from loopback import Server

from videostat.errors import Unreachable
from videostat.transport import Transport

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def read(server: Server) -> bool:
    """Read a whole body, and return whether its end is known."""
    transport = Transport(lambda: datetime.now(UTC))
    with transport.open(f"{server.url}/v.mp4", {}, base_url=server.url, auth={}) as body:
        while body.read1(65536):
            pass
        return body.end_is_known


@pytest.mark.parametrize(
    ("response", "is_known"),
    [
        (HEAD + b"Content-Length: 5\r\n\r\nhello", True),
        (HEAD + b"Content-Length: 5, 5\r\n\r\nhello", True),
        (HEAD + b"Content-Length: 0\r\n\r\n", True),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", True),
        (HEAD + b"\r\nhello", False),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", False),
        (HEAD + b"Content-Length: five\r\n\r\nhello", False),
        (HEAD + b"Content-Length: -5\r\n\r\nhello", False),
    ],
)
def test_end_is_known_only_with_a_valid_length_or_last_chunk(response: bytes, is_known: bool) -> None:  # noqa: FBT001  a case
    with Server(lambda _: [response]) as server:
        assert read(server) == is_known


@pytest.mark.parametrize(
    "response",
    [
        HEAD + b"Content-Length: 5\r\n\r\nhell",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello",
        CHUNKED + b"5\r\nhello\r\n5\r\nw",
        CHUNKED,
    ],
)
def test_incomplete_body_raises_unreachable(response: bytes) -> None:
    with Server(lambda _: [response]) as server, pytest.raises(Unreachable, match="was lost"):
        read(server)
