"""Tell by its content what a file is, and whether a film is all there."""

from __future__ import annotations

import os
import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from videostat.saving.boxes import FIRST, inspect_boxes
from videostat.saving.elements import EBML, inspect_elements
from videostat.saving.film import NoFilm, Source

if TYPE_CHECKING:
    from videostat.saving.film import Film

EXTENSIONS = ("mp4", "webm", "mov", "mkv")
HEAD = 12
"""How many first bytes `begins_like_a_film` needs."""
NAMING = 512
"""How many of them `name_content` needs."""


class Content(NamedTuple):
    """What something is that is no film; `is_result`: a service may have been paid to make just that.

    `is_final`: it will not become one; where a page is now, a film may be later.
    """

    name: str
    is_result: bool = False
    is_final: bool = False


_BYTE_ORDER_MARK = rb"(?:\xef\xbb\xbf)?\s*"
# First bytes, and what begins with them; the first line that fits decides.
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
        (_BYTE_ORDER_MARK + rb"(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<MPD\b", "playlist (DASH)", False),
        (_BYTE_ORDER_MARK + rb"(?:<!doctype\s+html|<html|<head|<body|<script)", "web page", False),
        (_BYTE_ORDER_MARK + rb"<(?:\?xml|[a-z])", "XML document", False),
        (_BYTE_ORDER_MARK + rb"[\[{]", "JSON document", False),
    )
]
OTHER = Content("something else")
NOTHING = Content("nothing at all")


def begins_like_a_film(head: bytes) -> bool:
    """Tell by the first bytes whether the rest is worth fetching."""
    if head[:4] == EBML:
        return True
    length, kind = struct.unpack_from(">I4s", head.ljust(HEAD, b"\0"))
    # 0: to the end of the file, 1: a length of 64 bits follows; else the box has at least its own header.
    return kind in FIRST and not 1 < length < struct.calcsize(">I4s")


def name_content(head: bytes) -> Content:
    """Name what begins like no film, by its first bytes."""
    return next((content for pattern, content in _CONTENTS if pattern.match(head)), OTHER)


def may_be_paid_for(head: bytes) -> bool:
    """Tell by the first bytes whether it is a film, or something else that a service may have been paid to make."""
    return begins_like_a_film(head[:HEAD]) or name_content(head).is_result


def inspect(fd: int) -> Film:
    """Walk the whole file; raises NoFilm, which says what it is, where it is not all of a film."""
    source = Source(fd)
    head = source.read(0, HEAD)
    if not begins_like_a_film(head):
        raise NoFilm(name_content(source.read(0, NAMING)).name, is_final=True)
    return inspect_elements(source) if head[:4] == EBML else inspect_boxes(source)


def is_film(file: os.PathLike[str]) -> bool:
    """Tell whether a file is a whole film; it is never opened through a link, nor waited for."""
    fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        inspect(fd)
    except NoFilm:
        return False
    finally:
        os.close(fd)
    return True
