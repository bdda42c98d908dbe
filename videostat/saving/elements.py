"""Check the elements of a WebM or Matroska file (RFC 8794, RFC 9559)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from videostat.saving.videoreader import CUT, NotAVideo, VideoFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from videostat.saving.videoreader import Reader

EBML = b"\x1aE\xdf\xa3"

_DOC_TYPE = b"\x42\x82"
_SEGMENT = b"\x18S\x80g"
_CLUSTER = b"\x1fC\xb6u"
_TRACKS = b"\x16T\xaek"
_TRACK = b"\xae"
_TRACK_TYPE = b"\x83"
_ANYWHERE = {b"\xec", b"\xbf"}  # Void and CRC-32
# The others are SeekHead, Info, Cues, Attachments, Chapters and Tags.
_IN_SEGMENT = {
    _TRACKS, _CLUSTER, b"\x11M\x9bt", b"\x15I\xa9f", b"\x1cS\xbbk", b"\x19A\xa4i", b"\x10C\xa7p", b"\x12T\xc3g",
} | _ANYWHERE  # fmt: skip
# Timestamp, SilentTracks, Position, PrevSize, SimpleBlock, BlockGroup and EncryptedBlock.
_IN_CLUSTER = {b"\xe7", b"\x58\x54", b"\xa7", b"\xab", b"\xa3", b"\xa0", b"\xaf"} | _ANYWHERE
_VIDEO, _COMPLEX = 1, 3
_LONGEST_ID = 4  # bytes


class _Element(NamedTuple):
    """An element. `content` and `end` are offsets. `end` is None if the size is unknown, as in a live recording."""

    id: bytes
    content: int
    end: int | None


def inspect_elements(reader: Reader) -> VideoFile:
    """Check that a WebM or Matroska file is a whole video. Raises NotAVideo.

    Other data after the video is accepted, but then the end is not proven.
    """
    head = _read_element(reader, 0, reader.size)
    if head is None or head.end is None or head.end > reader.size:
        raise NotAVideo(CUT)
    extension = "webm"
    for each in _iter_elements(reader, head.content, head.end):
        if each.id == _DOC_TYPE and each.end:
            doc_type = reader.read(each.content, min(each.end - each.content, 16)).rstrip(b"\0")
            extension = {b"matroska": "mkv", b"webm": "webm"}.get(doc_type, "")
    if not extension:
        raise NotAVideo("an EBML file that is neither WebM nor Matroska", is_final=True)
    segment = _find_segment(reader, head.end)
    if segment.end is not None and segment.end > reader.size:
        raise NotAVideo(CUT)
    has_cluster, tracks = _walk_segment(reader, segment)
    if tracks and not tracks & {_VIDEO, _COMPLEX}:
        raise NotAVideo("audio without video", is_final=True)
    if not has_cluster:
        raise NotAVideo("a video header without media data")
    return VideoFile(extension, end_is_proven=segment.end == reader.size)


def _find_segment(reader: Reader, offset: int) -> _Element:
    while (found := _read_element(reader, offset, reader.size)) and found.id in _ANYWHERE and found.end:
        offset = found.end
    if found is None or found.id != _SEGMENT:
        raise NotAVideo("the start of a video, followed by other data")
    return found


def _walk_segment(reader: Reader, segment: _Element) -> tuple[bool, set[int]]:
    """Return whether the segment has media data, and the types of its tracks."""
    end = reader.size if segment.end is None else segment.end
    offset, has_cluster, tracks = segment.content, False, set[int]()
    while found := _read_element(reader, offset, end):
        # Any data may follow a segment of unknown size.
        if found.id not in _IN_SEGMENT and segment.end is None:
            break
        offset = _find_cluster_end(reader, found.content, end) if found.end is None else found.end
        if offset > end or (found.end is None and found.id != _CLUSTER):
            raise NotAVideo(CUT)
        if found.id == _CLUSTER:
            has_cluster = has_cluster or offset > found.content
        elif found.id == _TRACKS:
            tracks |= _read_track_types(reader, found.content, offset)
    return has_cluster, tracks


def _find_cluster_end(reader: Reader, offset: int, end: int) -> int:
    """Return the offset where a cluster ends: after the last element that may be in it.

    Raises NotAVideo if an element is cut.
    """
    while (found := _read_element(reader, offset, end)) and found.id in _IN_CLUSTER:
        if found.end is None or found.end > end:
            raise NotAVideo(CUT)
        offset = found.end
    return offset


def _read_track_types(reader: Reader, start: int, end: int) -> set[int]:
    return {
        int.from_bytes(reader.read(each.content, min(each.end - each.content, 8)))
        for track in _iter_elements(reader, start, end)
        if track.id == _TRACK and track.end
        for each in _iter_elements(reader, track.content, track.end)
        if each.id == _TRACK_TYPE and each.end
    }


def _iter_elements(reader: Reader, start: int, end: int) -> Iterator[_Element]:
    while (found := _read_element(reader, start, end)) and found.end and found.end <= end:
        yield found
        start = found.end


def _read_element(reader: Reader, offset: int, end: int) -> _Element | None:
    """Read the element at an offset, None if there is none. It may end after `end`."""
    header = reader.read_header(offset)[: max(0, end - offset)]
    width = _measure_width(header, 0)
    size_width = _measure_width(header, width)
    if not 1 <= width <= _LONGEST_ID or not size_width or width + size_width > len(header):
        return None
    unknown = (1 << 7 * size_width) - 1
    size = int.from_bytes(header[width : width + size_width]) & unknown
    content = offset + width + size_width
    return _Element(header[:width], content, None if size == unknown else content + size)


def _measure_width(header: bytes, offset: int) -> int:
    """Return the length in bytes of the number at an offset, 0 if there is none."""
    first = header[offset] if offset < len(header) else 0
    return 9 - first.bit_length() if first else 0
