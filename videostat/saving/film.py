"""Read a file in small pieces, and say what it turned out to be."""

from __future__ import annotations

import os
from dataclasses import dataclass

# A film of a day in fragments of a second has 200,000 boxes. A file of nothing but headers is refused in seconds.
MOST_PARTS = 1_000_000
CUT = "a film that is cut"


@dataclass(frozen=True, slots=True)
class Film:
    """A whole film, as far as its content can tell; `proves_its_end`: a cut one could not look like this."""

    extension: str
    proves_its_end: bool


class NoFilm(ValueError):
    """Tell in words what a file is in place of a whole film; `is_final`: the rest of it would not change that."""

    def __init__(self, what: str, *, is_final: bool = False) -> None:
        super().__init__(what)
        self.is_final = is_final


class Source:
    """Read from an open file, in pieces; raises NoFilm for more parts than a film has."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._left = MOST_PARTS
        self.size = os.fstat(fd).st_size

    def header(self, offset: int) -> bytes:
        """Read the first 16 bytes of a part, and count it."""
        self._left -= 1
        if self._left < 0:
            raise NoFilm(f"a file of more than {MOST_PARTS:,} parts", is_final=True)
        return self.read(offset, 16)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)
