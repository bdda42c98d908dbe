"""Read a video file in small pieces, and the results of its inspection."""

from __future__ import annotations

import os
from dataclasses import dataclass

# A one-day video in fragments of one second has 200,000 boxes. The limit refuses a file of headers only within seconds.
MOST_PARTS = 1_000_000
CUT = "a truncated video"


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A well-formed video file. `end_is_proven`: a truncated file could not have this structure."""

    extension: str
    end_is_proven: bool


class NotAVideo(ValueError):
    """The file is not a whole video; the message says what it is. `is_final`: more bytes would not change that."""

    def __init__(self, what: str, *, is_final: bool = False) -> None:
        super().__init__(what)
        self.is_final = is_final


class Reader:
    """A reader of an open file. It raises NotAVideo after too many parts."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._left = MOST_PARTS
        self.size = os.fstat(fd).st_size

    def read_header(self, offset: int) -> bytes:
        """Read the first 16 bytes of a part and count the part. Raises NotAVideo."""
        self._left -= 1
        if self._left < 0:
            raise NotAVideo(f"a file of more than {MOST_PARTS:,} parts", is_final=True)
        return self.read(offset, 16)

    def read(self, offset: int, length: int) -> bytes:
        """Read at most `length` bytes at an offset."""
        return os.pread(self._fd, length, offset)
