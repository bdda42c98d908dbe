"""Is this file a whole video? Boxes of MP4 and MOV (ISO/IEC 14496-12), elements of WebM (RFC 8794)."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTENSIONS = ("mp4", "webm", "mov")
HEAD = 12
"""How many first bytes `extension` needs."""

_EBML = b"\x1aE\xdf\xa3"
_SEGMENT = b"\x18S\x80g"


@dataclass(frozen=True, slots=True)
class Video:
    """A file that contradicts itself nowhere; `proves_its_end`: a cut one could not look like this."""

    extension: str
    proves_its_end: bool


def extension(head: bytes) -> str | None:
    """What the first bytes announce; None: a page, or anything else that is no video."""
    if head[4:8] == b"ftyp":
        return "mov" if head[8:12] == b"qt  " else "mp4"
    return "webm" if head[:4] == _EBML else None


def inspect(fd: int) -> Video | None:
    """Walk the whole file; None: it is no video, or not all of one."""
    size = os.fstat(fd).st_size
    found = extension(os.pread(fd, HEAD, 0))
    if found is None:
        return None
    try:
        ends = _webm_ends(fd, size) if found == "webm" else _boxes_end(fd, size)
    except (ValueError, struct.error):
        return None
    return Video(found, proves_its_end=ends)


def _boxes_end(fd: int, size: int) -> bool:
    kinds, is_open = set(), False
    for kind, is_open in _boxes(fd, size):  # noqa: B007  the last box decides
        kinds.add(kind)
    if not kinds & {b"moov", b"moof"}:
        raise ValueError("nothing to play")
    # A fragmented file cut between two fragments looks whole, unless its index, always last, is there.
    return kind == b"mfra" if b"moof" in kinds else kinds >= {b"moov", b"mdat"} and not is_open


def _boxes(fd: int, size: int) -> Iterator[tuple[bytes, bool]]:
    """Each top-level box: its kind, and whether it merely goes on to the end of the file."""
    offset = 0
    while offset < size:
        header = os.pread(fd, 16, offset)
        length, kind = struct.unpack_from(">I4s", header)
        header_length = 8
        # Only media data: everything that is zero, such as a hole, would otherwise be a box to the end.
        is_open = length == 0 and kind == b"mdat"
        if is_open:
            length = size - offset
        elif length == 1:
            (length,) = struct.unpack_from(">Q", header, 8)
            header_length = 16
        if length < header_length or offset + length > size:
            raise ValueError("a box that does not fit")
        yield kind, is_open
        offset += length


def _webm_ends(fd: int, size: int) -> bool:
    header = os.pread(fd, 256, 0)
    width, length = _element_size(header, len(_EBML))
    start = len(_EBML) + width + (length or 0)
    if header[start : start + len(_SEGMENT)] != _SEGMENT:
        return False
    width, length = _element_size(header, start + len(_SEGMENT))
    if length is None:
        return False
    end = start + len(_SEGMENT) + width + length
    if end > size:
        raise ValueError("a segment that does not fit")
    return end == size


def _element_size(header: bytes, offset: int) -> tuple[int, int | None]:
    """How many bytes the size takes, and the size; None: unknown, as in a live recording."""
    first = header[offset] if offset < len(header) else 0
    if not first:
        raise ValueError("not a size")
    width = 9 - first.bit_length()
    unknown = (1 << 7 * width) - 1
    value = int.from_bytes(header[offset : offset + width], "big") & unknown
    return width, None if value == unknown else value
