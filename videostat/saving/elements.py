"""Walk the elements of WebM and Matroska (RFC 8794, RFC 9559), to see whether all of a film is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from videostat.saving.film import CUT, Film, NoFilm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from videostat.saving.film import Source

EBML = b"\x1aE\xdf\xa3"

_DOC_TYPE = b"\x42\x82"
_SEGMENT = b"\x18S\x80g"
_CLUSTER = b"\x1fC\xb6u"
_TRACKS = b"\x16T\xaek"
_TRACK = b"\xae"
_TRACK_TYPE = b"\x83"
_ANYWHERE = {b"\xec", b"\xbf"}  # Void and CRC-32
# SeekHead, Info, Cues, Attachments, Chapters and Tags are the others.
_IN_SEGMENT = {
    _TRACKS, _CLUSTER, b"\x11M\x9bt", b"\x15I\xa9f", b"\x1cS\xbbk", b"\x19A\xa4i", b"\x10C\xa7p", b"\x12T\xc3g",
} | _ANYWHERE  # fmt: skip
# Timestamp, SilentTracks, Position, PrevSize, SimpleBlock, BlockGroup and EncryptedBlock.
_IN_CLUSTER = {b"\xe7", b"\x58\x54", b"\xa7", b"\xab", b"\xa3", b"\xa0", b"\xaf"} | _ANYWHERE
_VIDEO, _COMPLEX = 1, 3
_LONGEST_ID = 4  # bytes


class _Element(NamedTuple):
    """`content` and `end` are offsets; `end` is None where the size is unknown, as in a live recording."""

    id: bytes
    content: int
    end: int | None


def inspect_elements(source: Source) -> Film:
    """Raise NoFilm where it is not all of a film; what stands behind one is let be, but then nothing proves its end."""
    head = _read_element(source, 0, source.size)
    if head is None or head.end is None or head.end > source.size:
        raise NoFilm(CUT)
    extension = "webm"
    for each in _elements(source, head.content, head.end):
        if each.id == _DOC_TYPE and each.end:
            doc_type = source.read(each.content, min(each.end - each.content, 16)).rstrip(b"\0")
            extension = {b"matroska": "mkv", b"webm": "webm"}.get(doc_type, "")
    if not extension:
        raise NoFilm("an EBML file that is neither WebM nor Matroska", is_final=True)
    segment = _find_segment(source, head.end)
    if segment.end is not None and segment.end > source.size:
        raise NoFilm(CUT)
    has_cluster, tracks = _walk_segment(source, segment)
    if tracks and not tracks & {_VIDEO, _COMPLEX}:
        raise NoFilm("audio without pictures", is_final=True)
    if not has_cluster:
        raise NoFilm("a film's header without its pictures")
    return Film(extension, proves_its_end=segment.end == source.size)


def _find_segment(source: Source, offset: int) -> _Element:
    while (found := _read_element(source, offset, source.size)) and found.id in _ANYWHERE and found.end:
        offset = found.end
    if found is None or found.id != _SEGMENT:
        raise NoFilm("the first bytes of a film, and then something else")
    return found


def _walk_segment(source: Source, segment: _Element) -> tuple[bool, set[int]]:
    """Return whether there is media data, and the types of the tracks."""
    end = source.size if segment.end is None else segment.end
    offset, has_cluster, tracks = segment.content, False, set[int]()
    while found := _read_element(source, offset, end):
        # Behind a segment of unknown size there may be anything.
        if found.id not in _IN_SEGMENT and segment.end is None:
            break
        offset = _end_of_cluster(source, found.content, end) if found.end is None else found.end
        if offset > end or (found.end is None and found.id != _CLUSTER):
            raise NoFilm(CUT)
        if found.id == _CLUSTER:
            has_cluster = has_cluster or offset > found.content
        elif found.id == _TRACKS:
            tracks |= _track_types(source, found.content, offset)
    return has_cluster, tracks


def _end_of_cluster(source: Source, offset: int, end: int) -> int:
    """Return where a cluster of unknown size ends: before what can be in none."""
    while (found := _read_element(source, offset, end)) and found.id in _IN_CLUSTER:
        if found.end is None or found.end > end:
            raise NoFilm(CUT)
        offset = found.end
    return offset


def _track_types(source: Source, start: int, end: int) -> set[int]:
    return {
        int.from_bytes(source.read(each.content, min(each.end - each.content, 8)))
        for track in _elements(source, start, end)
        if track.id == _TRACK and track.end
        for each in _elements(source, track.content, track.end)
        if each.id == _TRACK_TYPE and each.end
    }


def _elements(source: Source, start: int, end: int) -> Iterator[_Element]:
    while (found := _read_element(source, start, end)) and found.end and found.end <= end:
        yield found
        start = found.end


def _read_element(source: Source, offset: int, end: int) -> _Element | None:
    """Return the element there, None for what is none; its own end may be behind `end`."""
    header = source.header(offset)[: max(0, end - offset)]
    width = _width(header, 0)
    size_width = _width(header, width)
    if not 1 <= width <= _LONGEST_ID or not size_width or width + size_width > len(header):
        return None
    unknown = (1 << 7 * size_width) - 1
    size = int.from_bytes(header[width : width + size_width]) & unknown
    content = offset + width + size_width
    return _Element(header[:width], content, None if size == unknown else content + size)


def _width(header: bytes, offset: int) -> int:
    """Return how many bytes the number there takes, 0 where there is none."""
    first = header[offset] if offset < len(header) else 0
    return 9 - first.bit_length() if first else 0
