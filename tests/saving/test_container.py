from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from faults import box, mp4, webm
from hypothesis import given, settings
from hypothesis import strategies as st

from videostat.saving.container import Video, extension, inspect

if TYPE_CHECKING:
    from pathlib import Path

FTYP = box(b"ftyp", b"isom\0\0\0\0")
MOOV = box(b"moov", bytes(4))
FRAGMENT = box(b"moof", bytes(4)) + box(b"mdat", b"12345")


def inspected(tmp_path: Path, content: bytes) -> Video | None:
    path = tmp_path / "video"
    path.write_bytes(content)
    with path.open("rb") as file:
        return inspect(file.fileno())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (mp4(500), Video("mp4", proves_its_end=True)),
        (mp4(500, brand=b"qt  "), Video("mov", proves_its_end=True)),
        (FTYP + box(b"mdat", b"1") + MOOV, Video("mp4", proves_its_end=True)),
        (FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 19) + b"abc", Video("mp4", proves_its_end=True)),
        (FTYP + MOOV + struct.pack(">I4s", 0, b"mdat") + b"to the end", Video("mp4", proves_its_end=False)),
        (FTYP + MOOV, Video("mp4", proves_its_end=False)),
        (FTYP + MOOV + FRAGMENT, Video("mp4", proves_its_end=False)),
        (FTYP + FRAGMENT, Video("mp4", proves_its_end=False)),
        (FTYP + MOOV + FRAGMENT + box(b"mfra"), Video("mp4", proves_its_end=True)),
        (webm(), Video("webm", proves_its_end=True)),
        (webm() + b"more", Video("webm", proves_its_end=False)),
        (webm(is_live=True), Video("webm", proves_its_end=False)),
        (b"\x1aE\xdf\xa3\x84webm something else", Video("webm", proves_its_end=False)),
    ],
)
def test_a_whole_video_is_told_by_its_content(tmp_path: Path, content: bytes, expected: Video) -> None:
    assert inspected(tmp_path, content) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ftyp",
        b"<!doctype html><title>gone</title>",
        b'{"code": 404, "message": "not found"}',
        b"<?xml version='1.0'?><Error/>",
        FTYP,
        FTYP + box(b"mdat", b"no index"),
        mp4(500)[:-1],
        mp4(500) + b"abc",
        mp4(500) + bytes(64),
        FTYP + MOOV + struct.pack(">I4s", 7, b"free") + b"abcdef",
        FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 15) + b"abc",
        FTYP + MOOV + struct.pack(">I4s", 1, b"mdat"),
        FTYP + struct.pack(">I4s", 0, b"moov") + b"abc",
        webm()[:-1],
        b"\x1aE\xdf\xa3",
        b"\x1aE\xdf\xa3\0",
    ],
)
def test_what_is_no_whole_video_is_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    assert inspected(tmp_path, content) is None


@settings(max_examples=50, deadline=None)
@given(cut=st.integers(0, 4_999))
def test_a_cut_anywhere_is_never_proof_of_the_end(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    for content in (mp4(5_000), webm()):
        video = inspected(tmp_path_factory.getbasetemp(), content[:cut])
        assert video is None or not video.proves_its_end


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_judged_without_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    for head in (b"", FTYP, FTYP + MOOV, b"\x1aE\xdf\xa3", webm()[:15]):
        inspected(tmp_path_factory.getbasetemp(), head + content)
        extension(content)
