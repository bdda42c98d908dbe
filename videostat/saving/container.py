"""Find out what a file contains, and whether a video is complete."""

from __future__ import annotations

import os
import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from videostat.saving.boxes import FIRST, inspect_boxes
from videostat.saving.elements import EBML, inspect_elements
from videostat.saving.videoreader import NotAVideo, Reader

if TYPE_CHECKING:
    from videostat.saving.videoreader import VideoFile

EXTENSIONS = ("mp4", "webm", "mov", "mkv")
HEAD_BYTES = 12
"""The number of first bytes that `is_video_start` needs."""
NAMING_BYTES = 512
"""The number of first bytes that `name_content` needs."""


class Content(NamedTuple):
    """A kind of content other than video. `is_result`: a service may have made it as the result of a job.

    `is_final`: asking for this URL again will not give a video. (A web page may be replaced by a video later.)
    """

    name: str
    is_result: bool = False
    is_final: bool = False


_BYTE_ORDER_MARK = rb"(?:\xef\xbb\xbf)?\s*"
_COMMENT = rb"(?:<!--.*?-->\s*)?"  # one only: with `*`, some pages would take for ever
# Patterns of the first bytes, and what they mean. The first match is used.
_CONTENTS = [
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), Content(name, is_result, is_result or name.startswith("playlist")))
    for pattern, name, is_result in (
        (rb"GIF8[79]a", "GIF image", True),
        (rb"RIFF.{4}WEBP", "WebP image", True),
        (rb"RIFF.{4}AVI ", "AVI file", True),
        (rb"RIFF.{4}WAVE", "WAV audio", True),
        (rb"\x47.{187}\x47", "MPEG-TS file", True),
        (rb".{4}\x47.{191}\x47", "MPEG-TS file", True),
        (rb"\x00\x00\x01\xba", "MPEG program stream", True),
        (rb"FLV\x01", "Flash video", True),
        (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media file", True),
        (rb"OggS", "Ogg file", True),
        (rb"fLaC", "FLAC audio", True),
        (rb"ID3[\x02-\x04]|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]", "MP3 audio", True),
        (rb"PK\x03\x04", "ZIP archive", True),
        (rb"\xff\xd8\xff", "JPEG image", False),
        (rb"\x89PNG\r\n", "PNG image", False),
        (rb"\x1f\x8b", "file compressed with gzip", False),
        (_BYTE_ORDER_MARK + rb"#EXTM3U", "playlist (HLS)", False),
        (_BYTE_ORDER_MARK + rb"(?:<\?xml[^>]*>\s*)?" + _COMMENT + rb"<MPD\b", "playlist (DASH)", False),
        (_BYTE_ORDER_MARK + _COMMENT + rb"(?:<!doctype\s+html|<html|<head|<body|<script)", "web page", False),
        (_BYTE_ORDER_MARK + _COMMENT + rb"<(?:\?xml|[a-z])", "XML document", False),
        (_BYTE_ORDER_MARK + rb"[\[{]", "JSON document", False),
    )
]
OTHER = Content("something else")
NOTHING = Content("nothing at all")


def is_video_start(head: bytes) -> bool:
    """Return whether the first bytes can be the start of a video."""
    if head[:4] == EBML:
        return True
    length, kind = struct.unpack_from(">I4s", head.ljust(HEAD_BYTES, b"\0"))
    # The length 0 means up to the end of the file, and 1 means that a 64-bit length follows.
    return kind in FIRST and not 1 < length < struct.calcsize(">I4s")


def name_content(head: bytes) -> Content:
    """Find the kind of content, other than video, from the first bytes."""
    return next((content for pattern, content in _CONTENTS if pattern.match(head)), OTHER)


def may_be_result(head: bytes) -> bool:
    """Return whether these first bytes may belong to the result of a job."""
    return is_video_start(head[:HEAD_BYTES]) or name_content(head).is_result


def inspect(fd: int) -> VideoFile:
    """Check that a file is a whole video. Raises NotAVideo with the name of the content."""
    reader = Reader(fd)
    head = reader.read(0, HEAD_BYTES)
    if not is_video_start(head):
        raise NotAVideo(name_content(reader.read(0, NAMING_BYTES)).name, is_final=True)
    return inspect_elements(reader) if head[:4] == EBML else inspect_boxes(reader)


def is_video(file: os.PathLike[str]) -> bool:
    """Return whether a file is a whole video. Symbolic links are not followed. Raises OSError."""
    fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        inspect(fd)
    except NotAVideo:
        return False
    finally:
        os.close(fd)
    return True
