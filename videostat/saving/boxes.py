"""Check the boxes of an MP4 or QuickTime file (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from videostat.saving.videoreader import CUT, NotAVideo, VideoFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from videostat.saving.videoreader import Reader

FIRST = {b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"sidx", b"emsg", b"prft"}
"""The boxes at the start of a file. Old QuickTime files and fragments of live streams have no `ftyp`."""

_KNOWN = FIRST | {b"moof", b"mfra", b"meta", b"udta", b"meco", b"ssix", b"pdin", b"imda", b"PICT", b"junk"}
_FRAGMENTED_ISO = {b"styp", b"moof"}
# The path to the two facts that are needed about each track: its type, and the offsets of its media data.
_INSIDE = {
    b"moov": {b"trak", b"mvex"},
    b"trak": {b"mdia"},
    b"mdia": {b"hdlr", b"minf"},
    b"minf": {b"stbl"},
    b"stbl": {b"stco", b"co64"},
}
_IMAGES = {b"avif": "AVIF image", b"avis": "AVIF image", b"heic": "HEIC image", b"heix": "HEIC image", b"mif1": "image"}
_PIECE = 1 << 16  # bytes of a table per read


@dataclass(frozen=True, slots=True)
class _Box:
    """A box. `content` and `end` are offsets. `is_open`: the box has no length and ends with the file."""

    kind: bytes
    content: int
    end: int
    is_open: bool


@dataclass(slots=True)
class _Index:
    """The types of the tracks in `moov`, and the last offset of media data."""

    handlers: set[bytes]
    promises_fragments: bool = False
    last_chunk: int = -1


@dataclass(slots=True)
class _Summary:
    """All that was found in a file. `waits_for_media`: the last fragment has no media data yet."""

    kinds: set[bytes]
    brand: bytes = b""
    index: _Index | None = None
    last: _Box | None = None
    has_media: bool = False
    waits_for_media: bool = False


def inspect_boxes(reader: Reader) -> VideoFile:
    """Check that an MP4 or QuickTime file is a whole video. Raises NotAVideo.

    Other data after the video is accepted, but then the end is not proven.
    """
    summary = _scan(reader)
    _ensure_video_track(summary)
    index, has_fragments = summary.index, b"moof" in summary.kinds
    if index is None:
        raise NotAVideo("a video segment without its start" if has_fragments else "a video without its index (moov)")
    has_pieces = has_fragments or index.last_chunk >= 0 or not index.promises_fragments
    if not summary.has_media or not has_pieces or summary.waits_for_media:
        raise NotAVideo("a video header without media data")
    if index.last_chunk >= reader.size:
        raise NotAVideo(CUT)
    if summary.brand:
        extension = "mov" if summary.brand == b"qt  " else "mp4"
    else:
        extension = "mp4" if summary.kinds & _FRAGMENTED_ISO else "mov"
    last = summary.last
    is_closed = last is not None and last.end == reader.size and not last.is_open
    # A fragmented file that is truncated between two fragments looks whole. Only the index at its end proves the end.
    has_last_index = last is not None and last.kind == b"mfra"
    is_fragmented = has_fragments or index.promises_fragments
    return VideoFile(extension, end_is_proven=is_closed and (has_last_index or not is_fragmented))


def _scan(reader: Reader) -> _Summary:
    summary = _Summary(set())
    for box in _iter_boxes(reader, 0, reader.size):
        summary.last = box
        if box.kind in _KNOWN:
            summary.kinds.add(box.kind)
        match box.kind:
            case b"ftyp":
                summary.brand = reader.read(box.content, 4)
            case b"moov":
                summary.index = _read_index(reader, box)
            case b"moof":
                summary.waits_for_media = True
            case b"mdat":
                summary.has_media = summary.has_media or box.end > box.content
                summary.waits_for_media = False
    return summary


def _ensure_video_track(summary: _Summary) -> None:
    """Raise NotAVideo for images and audio. A file whose tracks cannot be read is accepted."""
    handlers = summary.index.handlers if summary.index else set()
    if b"vide" in handlers:
        return
    if summary.brand in _IMAGES:
        raise NotAVideo(_IMAGES[summary.brand], is_final=True)
    if handlers or summary.brand in {b"M4A ", b"M4B ", b"M4P ", b"F4A "}:
        raise NotAVideo("audio without video", is_final=True)


def _iter_boxes(reader: Reader, start: int, end: int) -> Iterator[_Box]:
    """Yield the boxes between two offsets and stop at other data. Raises NotAVideo for a truncated box."""
    while start + 8 <= end:
        header = reader.read_header(start)
        length, kind = struct.unpack_from(">I4s", header)
        content, is_open = start + 8, length == 0
        if length == 1:
            content, length = start + 16, int.from_bytes(header[8:].ljust(8, b"\xff"))
        stop = end if is_open else start + length
        is_known = kind in _KNOWN or kind in _INSIDE
        if is_known and stop > end:
            raise NotAVideo(CUT)
        # Zeros and other data that services append could look like boxes of an unknown kind.
        if stop < content or stop > end or (is_open and not is_known) or not _is_kind(kind):
            return
        yield _Box(kind, content, stop, is_open)
        start = stop


def _is_kind(kind: bytes) -> bool:
    """Return whether a kind has four printable ASCII characters. Apple's kinds may have a copyright sign."""
    text = kind.decode("latin-1").replace("\u00a9", "c")
    return text.isascii() and text.isprintable()


def _read_index(reader: Reader, moov: _Box) -> _Index:
    index = _Index(set())
    for box in _iter_inner_boxes(reader, moov):
        if box.kind == b"mvex":
            index.promises_fragments = True
        elif box.kind == b"hdlr":
            index.handlers.add(reader.read(box.content + 8, 4))
        elif box.kind in {b"stco", b"co64"}:
            index.last_chunk = max(index.last_chunk, _read_last_offset(reader, box))
    return index


def _iter_inner_boxes(reader: Reader, outer: _Box) -> Iterator[_Box]:
    wanted = _INSIDE.get(outer.kind, set())
    for box in _iter_boxes(reader, outer.content, outer.end) if wanted else ():
        if box.kind in wanted:
            yield box
            yield from _iter_inner_boxes(reader, box)


def _read_last_offset(reader: Reader, table: _Box) -> int:
    """Return the largest offset in a table of chunks, or -1 if the table is empty."""
    offsets = array("I" if table.kind == b"stco" else "Q")
    count = int.from_bytes(reader.read(table.content + 4, 4))
    start = table.content + 8
    end = min(table.end, start + count * offsets.itemsize)
    largest = -1
    for offset in range(start, end, _PIECE):
        piece = reader.read(offset, min(_PIECE, end - offset))
        offsets = array(offsets.typecode, piece[: len(piece) - len(piece) % offsets.itemsize])
        if sys.byteorder == "little":
            offsets.byteswap()
        largest = max([largest, *offsets])
    return largest
