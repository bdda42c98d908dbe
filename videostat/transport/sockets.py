"""Sockets that stop reading at a deadline: a plain time-out starts anew with every byte that drips in."""

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

LARGE_READ = 65536  # bytes: a video's, not an answer's


@dataclass(slots=True)
class Deadline:
    """The moment until which something may be read, in monotonic seconds."""

    at: float = math.inf

    def allow(self, seconds: float) -> None:
        """Move the deadline to so many seconds from now."""
        self.at = time.monotonic() + seconds


class PlainSocket(socket.socket):
    """A socket that keeps the deadline of the answer that is being read."""

    deadline: Deadline | None = None

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """Read as socket.recv_into does; raises TimeoutError at the deadline."""
        _keep(self)
        return super().recv_into(buffer, nbytes, flags)


class SecureSocket(ssl.SSLSocket):
    """The same over TLS; a large read takes all records that are there."""

    deadline: Deadline | None = None

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Read as ssl.SSLSocket.recv_into does; raises TimeoutError at the deadline."""
        _keep(self)
        count = super().recv_into(buffer, nbytes, flags)
        view = memoryview(buffer)
        return count + self._drain(view[count:]) if count and view.nbytes >= LARGE_READ else count

    def _drain(self, rest: memoryview) -> int:
        """Read what is there without waiting: a record has 16 KiB, and a large buffer for each costs 2.5 times."""
        count, patience = 0, self.gettimeout()
        self.settimeout(0)
        # What is wrong here, the next read will say.
        with suppress(OSError):
            while count < len(rest) and (more := super().recv_into(rest[count:])):
                count += more
        self.settimeout(patience)
        return count


def _keep(sock: PlainSocket | SecureSocket) -> None:
    if sock.deadline is None:
        return
    left = sock.deadline.at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    # Not for less than a second: it is a system call, which costs a tenth of a look.
    if abs(left - (sock.gettimeout() or math.inf)) > 1:
        sock.settimeout(left)
