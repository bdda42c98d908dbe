"""Sockets that stop reading at a deadline. A plain timeout would start again with every byte."""

from __future__ import annotations

import math
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGE_READ = 65536  # bytes; only videos are read in pieces of this size


@dataclass(slots=True)
class Deadline:
    """The time at which reading must stop, in monotonic seconds."""

    at: float = math.inf

    def allow(self, seconds: float) -> None:
        """Set the deadline to this many seconds from now."""
        self.at = time.monotonic() + seconds


class PlainSocket(socket.socket):
    """A plain socket with a deadline."""

    deadline: Deadline | None = None

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """Read like socket.recv_into. Raises TimeoutError at the deadline."""
        _keep(self)
        return super().recv_into(buffer, nbytes, flags)


class SecureSocket(ssl.SSLSocket):
    """A TLS socket with a deadline. A large read returns all records that have arrived."""

    deadline: Deadline | None = None

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Read like ssl.SSLSocket.recv_into. Raises TimeoutError at the deadline."""
        _keep(self)
        count = super().recv_into(buffer, nbytes, flags)
        view = memoryview(buffer)
        return count + self._drain(view[count:]) if count and view.nbytes >= LARGE_READ else count

    def _drain(self, rest: memoryview) -> int:
        """Read the records that have arrived, without waiting.

        A record has at most 16 KiB. One large read for each would take 2.5 times as long.
        """
        count, timeout = 0, self.gettimeout()
        self.settimeout(0)
        # The next normal read will raise the error.
        with suppress(OSError):
            while count < len(rest) and (more := super().recv_into(rest[count:])):
                count += more
        self.settimeout(timeout)
        return count


def _keep(sock: PlainSocket | SecureSocket) -> None:
    if sock.deadline is None:
        return
    left = sock.deadline.at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    # Setting the timeout is a system call and takes a tenth of a request's time, so skip changes below a second.
    if abs(left - (sock.gettimeout() or math.inf)) > 1:
        sock.settimeout(left)
