"""Walk the boxes of MP4 and QuickTime (ISO/IEC 14496-12), to see whether all of a film is there."""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from videostat.saving.film import CUT, Film, NoFilm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from videostat.saving.film import Source

FIRST = {b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"sidx", b"emsg", b"prft"}
"""What a file may begin with: QuickTime is older than `ftyp`, and a live stream's first fragment has none."""

_KNOWN = FIRST | {b"moof", b"mfra", b"meta", b"udta", b"meco", b"ssix", b"pdin", b"imda", b"PICT", b"junk"}
_FRAGMENTED_ISO = {b"styp", b"moof"}
# The boxes that lead to what must be known of each track: its kind, and where its media data is.
_INSIDE = {
    b"moov": {b"trak", b"mvex"},
    b"trak": {b"mdia"},
    b"mdia": {b"hdlr", b"minf"},
    b"minf": {b"stbl"},
    b"stbl": {b"stco", b"co64"},
}
_IMAGES = {b"avif": "AVIF image", b"avis": "AVIF image", b"heic": "HEIC image", b"heix": "HEIC image", b"mif1": "image"}
_PIECE = 1 << 16  # bytes of a table


@dataclass(frozen=True, slots=True)
class _Box:
    """`content` and `end` are offsets; `is_open`: it merely goes on to the end of the file."""

    kind: bytes
    content: int
    end: int
    is_open: bool = False


@dataclass(slots=True)
class _Index:
    """What `moov` tells: the kinds of the tracks, and where the last piece of media data begins."""

    handlers: set[bytes]
    promises_fragments: bool = False
    last_chunk: int = -1


@dataclass(slots=True)
class _Seen:
    """What the boxes of a file are; `waits_for_media`: the last fragment has not had its own yet."""

    kinds: set[bytes]
    brand: bytes = b""
    index: _Index | None = None
    last: _Box | None = None
    has_media: bool = False
    waits_for_media: bool = False


def inspect_boxes(source: Source) -> Film:
    """Raise NoFilm where it is not all of a film; what stands behind one is let be, but then nothing proves its end."""
    seen = _look(source)
    _ensure_pictures(seen)
    index, has_fragments = seen.index, b"moof" in seen.kinds
    if index is None:
        raise NoFilm("a film's segment without its beginning" if has_fragments else "a film without its index (moov)")
    has_pieces = has_fragments or index.last_chunk >= 0 or not index.promises_fragments
    if not seen.has_media or not has_pieces or seen.waits_for_media:
        raise NoFilm("a film's header without its pictures")
    if index.last_chunk >= source.size:
        raise NoFilm(CUT)
    if seen.brand:
        extension = "mov" if seen.brand == b"qt  " else "mp4"
    else:
        extension = "mp4" if seen.kinds & _FRAGMENTED_ISO else "mov"
    last = seen.last
    is_closed = last is not None and last.end == source.size and not last.is_open
    # A fragmented file cut between two fragments looks whole, unless its index, always last, is there.
    has_last_index = last is not None and last.kind == b"mfra"
    is_fragmented = has_fragments or index.promises_fragments
    return Film(extension, proves_its_end=is_closed and (has_last_index or not is_fragmented))


def _look(source: Source) -> _Seen:
    seen = _Seen(set())
    for box in _boxes(source, 0, source.size):
        seen.last = box
        if box.kind in _KNOWN:
            seen.kinds.add(box.kind)
        match box.kind:
            case b"ftyp":
                seen.brand = source.read(box.content, 4)
            case b"moov":
                seen.index = _read_index(source, box)
            case b"moof":
                seen.waits_for_media = True
            case b"mdat":
                seen.has_media = seen.has_media or box.end > box.content
                seen.waits_for_media = False
    return seen


def _ensure_pictures(seen: _Seen) -> None:
    """Raise NoFilm for images and audio; a header whose tracks cannot be read is given the benefit of the doubt."""
    handlers = seen.index.handlers if seen.index else set()
    if b"vide" in handlers:
        return
    if seen.brand in _IMAGES:
        raise NoFilm(_IMAGES[seen.brand], is_final=True)
    if handlers or seen.brand in {b"M4A ", b"M4B ", b"M4P ", b"F4A "}:
        raise NoFilm("audio without pictures", is_final=True)


def _boxes(source: Source, start: int, end: int) -> Iterator[_Box]:
    """Yield the boxes between two offsets, up to what is none; raises NoFilm for one that is cut."""
    while start + 8 <= end:
        header = source.header(start)
        length, kind = struct.unpack_from(">I4s", header)
        content, is_open = start + 8, length == 0
        if length == 1:
            content, length = start + 16, int.from_bytes(header[8:].ljust(8, b"\xff"))
        stop = end if is_open else start + length
        is_known = kind in _KNOWN or kind in _INSIDE
        if is_known and stop > end:
            raise NoFilm(CUT)
        # Without a known kind, zeros and whatever a service adds behind its films would be boxes too.
        if stop < content or stop > end or (is_open and not is_known) or not _is_kind(kind):
            return
        yield _Box(kind, content, stop, is_open)
        start = stop


def _is_kind(kind: bytes) -> bool:
    """Tell whether it is four printable characters of ASCII; Apple's own may have a copyright sign."""
    text = kind.decode("latin-1").replace("\u00a9", "c")
    return text.isascii() and text.isprintable()


def _read_index(source: Source, moov: _Box) -> _Index:
    index = _Index(set())
    for box in _inner(source, moov):
        if box.kind == b"mvex":
            index.promises_fragments = True
        elif box.kind == b"hdlr":
            index.handlers.add(source.read(box.content + 8, 4))
        elif box.kind in {b"stco", b"co64"}:
            index.last_chunk = max(index.last_chunk, _last_offset(source, box))
    return index


def _inner(source: Source, outer: _Box) -> Iterator[_Box]:
    wanted = _INSIDE.get(outer.kind, set())
    for box in _boxes(source, outer.content, outer.end) if wanted else ():
        if box.kind in wanted:
            yield box
            yield from _inner(source, box)


def _last_offset(source: Source, table: _Box) -> int:
    """Return the largest offset in a table of chunks, -1 for an empty one."""
    offsets = array("I" if table.kind == b"stco" else "Q")
    count = int.from_bytes(source.read(table.content + 4, 4))
    start = table.content + 8
    end = min(table.end, start + count * offsets.itemsize)
    largest = -1
    while end - start >= offsets.itemsize:
        piece = source.read(start, min(_PIECE, end - start))
        offsets = array(offsets.typecode, piece[: len(piece) - len(piece) % offsets.itemsize])
        if not offsets:
            break
        if sys.byteorder == "little":
            offsets.byteswap()
        largest, start = max(largest, *offsets), start + len(piece)
    return largest
