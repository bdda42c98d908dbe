from __future__ import annotations

import os
import struct
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faults import box, mp4, webm
from hypothesis import given, settings
from hypothesis import strategies as st

from videostat.saving.container import NAMING_BYTES, inspect, is_video_start, may_be_result, name_content
from videostat.saving.videoreader import CUT, NotAVideo, VideoFile

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(os.environ.get("VIDEOSTAT_TEST_FILMS", Path(__file__).parents[1] / "fixtures" / "films"))
FILMS = sorted((FIXTURES / "films").iterdir())
OTHERS = sorted((FIXTURES / "others").iterdir())
# The number of bytes after the end of the video: without them, the video is still whole.
TRAILING_BYTES = {"label-last.mp4": 28, "line-end-last.mp4": 2, "zeros-last.mp4": 64, "tag-last.webm": 128}
# Videos whose content does not prove where they end.
WITHOUT_PROVEN_END = {
    "ffmpeg-dash.mp4",
    "ffmpeg-fragmented-without-mfra.mp4",
    "ffmpeg-global-sidx.mp4",
    "ffmpeg-live.webm",
    "ffmpeg-piped.mkv",
    "ffmpeg-piped.webm",
    "gstreamer-streamable.webm",
    "line-end-last.mp4",
    "size-0-moov.mp4",
    "size-0.mp4",
    "styp-first.mp4",
    "tag-last.webm",
    "zeros-last.mp4",
}

FTYP = box(b"ftyp", b"isom\0\0\0\0")
MOOV = box(b"moov", bytes(4))
FRAGMENTED_MOOV = box(b"moov", box(b"mvex"))
FRAGMENT = box(b"moof", bytes(4)) + box(b"mdat", b"12345")
EBML = b"\x1aE\xdf\xa3\x87\x42\x82\x84webm"


def track(handler: bytes, *tables: bytes) -> bytes:
    minf = box(b"minf", box(b"stbl", b"".join(tables)))
    return box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + handler + bytes(12)) + minf))


def inspect_content(tmp_path: Path, content: bytes) -> VideoFile | str:
    """Return the format of the content, or the message that says why it is not a whole video."""
    path = tmp_path / "video"
    path.write_bytes(content)
    with path.open("rb") as file:
        try:
            return inspect(file.fileno())
        except NotAVideo as problem:
            return str(problem)


@pytest.mark.parametrize("film", FILMS, ids=lambda path: path.name)
def test_whole_video_of_a_real_muxer_is_accepted(tmp_path: Path, film: Path) -> None:
    extension = {".m4v": "mp4", ".3gp": "mp4"}.get(film.suffix, film.suffix[1:])
    expected = VideoFile(extension, end_is_proven=film.name not in WITHOUT_PROVEN_END)
    assert is_video_start(film.read_bytes()[:12])
    assert inspect_content(tmp_path, film.read_bytes()) == expected


@pytest.mark.slow
@pytest.mark.parametrize("film", FILMS, ids=lambda path: path.name)
def test_cut_video_of_a_real_muxer_has_no_proven_end(tmp_path: Path, film: Path) -> None:
    path = tmp_path / "video"
    path.write_bytes(content := film.read_bytes())
    whole = len(content) - TRAILING_BYTES.get(film.name, 0)
    accepted = []
    with path.open("rb+") as file:
        for at in range(len(content) - 1, -1, -1):
            file.truncate(at)
            try:
                accepted += [at] if inspect(file.fileno()).end_is_proven else []
            except NotAVideo:
                continue
    assert set(accepted) <= {whole}


def test_fixtures_have_videos_of_every_muxer_and_extension() -> None:
    assert {"ffmpeg", "mkvmerge", "gstreamer"} <= {path.name.partition(".")[0].partition("-")[0] for path in FILMS}
    assert {path.suffix for path in FILMS} == {".mp4", ".mov", ".m4v", ".3gp", ".webm", ".mkv"}
    assert len((FIXTURES / "VERSIONS").read_text().splitlines()) == 3


@pytest.mark.parametrize("other", OTHERS, ids=lambda path: path.name)
def test_kind_of_a_file_that_is_not_a_video_is_recognised(tmp_path: Path, other: Path) -> None:
    content = other.read_bytes()
    said = {
        "clip.avi": "AVI file",
        "clip.avif": "AVIF image",
        "clip.flv": "Flash video",
        "clip.gif": "GIF image",
        "clip.ts": "MPEG-TS file",
        "clip.webp": "WebP image",
        "cover.jpg": "JPEG image",
        "cover.png": "PNG image",
        "error.json": "JSON document",
        "error.xml": "XML document",
        "header-alone.mp4": "a video header without media data",
        "init-segment.mp4": "a video header without media data",
        "page-behind-ebml.webm": "an EBML file that is neither WebM nor Matroska",
        "page.html": "web page",
        "playlist.m3u8": "playlist (HLS)",
        "playlist.mpd": "playlist (DASH)",
        "segment.m4s": "a video segment without its start",
        "sound-in.mp4": "audio without video",
        "sound-in.webm": "audio without video",
        "sound.m4a": "audio without video",
        "sound.mp3": "MP3 audio",
        "sound.ogg": "Ogg file",
        "sound.wav": "WAV audio",
        "zeros-behind-ebml.webm": "the start of a video, followed by other data",
    }
    assert inspect_content(tmp_path, content) == said[other.name]
    if not is_video_start(content[:12]):
        assert name_content(content[:NAMING_BYTES]).name == said[other.name]


@pytest.mark.parametrize("other", OTHERS, ids=lambda path: path.name)
def test_only_pages_covers_documents_and_playlists_are_not_results(other: Path) -> None:
    content = other.read_bytes()
    is_result = is_video_start(content[:12]) or name_content(content[:NAMING_BYTES]).is_result
    assert is_result == (other.suffix not in {".jpg", ".png", ".html", ".xml", ".json", ".m3u8", ".mpd"})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (mp4(500), VideoFile("mp4", end_is_proven=True)),
        (mp4(500, brand=b"qt  "), VideoFile("mov", end_is_proven=True)),
        (FTYP + box(b"mdat", b"1") + MOOV, VideoFile("mp4", end_is_proven=True)),
        (FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 19) + b"abc", VideoFile("mp4", end_is_proven=True)),
        (FTYP + MOOV + struct.pack(">I4s", 0, b"mdat") + b"to the end", VideoFile("mp4", end_is_proven=False)),
        (FTYP + MOOV + box(b"mdat", b"1") + struct.pack(">I4s", 0, b"free"), VideoFile("mp4", end_is_proven=False)),
        (FTYP + MOOV + FRAGMENT, VideoFile("mp4", end_is_proven=False)),
        (FTYP + FRAGMENTED_MOOV + FRAGMENT, VideoFile("mp4", end_is_proven=False)),
        (FTYP + MOOV + FRAGMENT + box(b"mfra"), VideoFile("mp4", end_is_proven=True)),
        (FTYP + MOOV + FRAGMENT + box(b"mfra") + b"\r\n", VideoFile("mp4", end_is_proven=False)),
        (mp4(500) + b"abc", VideoFile("mp4", end_is_proven=False)),
        (mp4(500) + bytes(64), VideoFile("mp4", end_is_proven=False)),
        (mp4(500) + b"ID3\x04 and a song", VideoFile("mp4", end_is_proven=False)),
        (mp4(500) + struct.pack(">I4s", 99, b"\x01\x02\x03\x04"), VideoFile("mp4", end_is_proven=False)),
        (FTYP + box(b"beam", b"1") + mp4(500), VideoFile("mp4", end_is_proven=True)),
        (
            FTYP + box(b"moov", track(b"soun") + track(b"vide")) + box(b"mdat", b"1"),
            VideoFile("mp4", end_is_proven=True),
        ),
        (webm(), VideoFile("webm", end_is_proven=True)),
        (webm() + b"more", VideoFile("webm", end_is_proven=False)),
        (webm(is_live=True), VideoFile("webm", end_is_proven=False)),
    ],
)
def test_format_and_proven_end_are_read_from_the_content(tmp_path: Path, content: bytes, expected: VideoFile) -> None:
    assert inspect_content(tmp_path, content) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ftyp",
        FTYP,
        FTYP + MOOV,
        FTYP + MOOV + box(b"mdat"),
        FTYP + FRAGMENT,
        FTYP + FRAGMENTED_MOOV + box(b"mdat", b"before its first fragment"),
        FTYP + MOOV + FRAGMENT + box(b"moof", bytes(4)),
        FTYP + box(b"mdat", b"no index"),
        mp4(500)[:-1],
        mp4(500) + struct.pack(">I4s", 99, b"uuid") + b"a label that is cut",
        FTYP + MOOV + struct.pack(">I4s", 7, b"free") + b"abcdef" + box(b"mdat", b"1"),
        FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 15) + b"abc",
        FTYP + MOOV + struct.pack(">I4s", 1, b"mdat"),
        FTYP + struct.pack(">I4s", 0, b"moov") + b"abc",
        FTYP + box(b"moov", track(b"vide", box(b"stco", struct.pack(">IIII", 0, 2, 40, 9999)))) + box(b"mdat", b"1"),
        FTYP + box(b"moov", track(b"vide", box(b"co64", struct.pack(">IIQ", 0, 1, 1 << 40)))) + box(b"mdat", b"1"),
        FTYP + box(b"moov", track(b"soun")) + box(b"mdat", b"1"),
        webm()[:-1],
        b"\x1aE\xdf\xa3",
        b"\x1aE\xdf\xa3\0",
        b"\x1aE\xdf\xa3\xff",
        EBML + b"<!doctype html><title>gone</title>",
        EBML + bytes(500),
        EBML + b"\x18S\x80g\x01" + b"\xff" * 7 + bytes(500),
        EBML + b"\x18S\x80g\x01" + b"\xff" * 7 + b"\x16T\xaek\x80",
        b"\x1aE\xdf\xa3\x86\x42\x82\x83abc\x18S\x80g\x84\x1fC\xb6u",
    ],
)
def test_content_that_is_not_a_whole_video_is_rejected(tmp_path: Path, content: bytes) -> None:
    assert isinstance(inspect_content(tmp_path, content), str)


@settings(max_examples=50, deadline=None)
@given(cut=st.integers(0, 4_999))
def test_video_cut_at_any_offset_has_no_proven_end(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    for content in (mp4(5_000), webm()):
        film = inspect_content(tmp_path_factory.getbasetemp(), content[:cut])
        assert isinstance(film, str) or not film.end_is_proven


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=64))
def test_inspection_of_any_bytes_raises_no_unexpected_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    for head in (b"", FTYP, FTYP + MOOV, b"\x1aE\xdf\xa3", webm()[:15], webm(is_live=True)[:40]):
        inspect_content(tmp_path_factory.getbasetemp(), head + content)
        is_video_start(content)
        name_content(content)


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: b"\0\0\0\x08free" * 8_000_000, id="boxes"),
        pytest.param(lambda: webm(is_live=True)[:24] + b"\xec\x80" * 32_000_000, id="elements"),
    ],
)
def test_file_of_only_headers_takes_bounded_time_and_memory(tmp_path: Path, content: Callable[[], bytes]) -> None:
    (tmp_path / "video").write_bytes(content())
    tracemalloc.start()
    began = time.process_time()
    try:
        with (
            (tmp_path / "video").open("rb") as file,
            pytest.raises(NotAVideo, match="more than 1,000,000 parts") as caught,
        ):
            inspect(file.fileno())
        assert caught.value.is_final
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 30


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"\0\0\0\x04" + box(b"mdat", bytes(9))[:8], id="a length shorter than a header"),
        pytest.param(b"\0\0\0\x08\1\2\3\4" + box(b"mdat", bytes(9))[:8], id="a kind that is not text"),
        pytest.param(b"\0\0\0\x09zzzz", id="an unknown box beyond the end"),
        pytest.param(b"\0\0\0\0zzzz", id="an unknown box without a length"),
    ],
)
def test_video_followed_by_other_data_is_accepted_without_a_proven_end(tmp_path: Path, tail: bytes) -> None:
    assert inspect_content(tmp_path, mp4() + tail) == VideoFile("mp4", end_is_proven=False)


def test_a_void_may_stand_before_the_segment(tmp_path: Path) -> None:
    film = webm()
    start = film.index(b"\x18S\x80g")
    assert inspect_content(tmp_path, film[:start] + b"\xec\x81\x00" + film[start:]) == VideoFile(
        "webm", end_is_proven=True
    )


def test_other_data_may_follow_a_live_recording(tmp_path: Path) -> None:
    film = webm(is_live=True) + b"\x1aE\xdf\xa3\x80"
    assert inspect_content(tmp_path, film) == VideoFile("webm", end_is_proven=False)


def make_indexed_video(*offsets: int, count: int | None = None) -> bytes:
    table = struct.pack(">II", 0, len(offsets) if count is None else count) + struct.pack(f">{len(offsets)}I", *offsets)
    return FTYP + box(b"moov", track(b"vide", box(b"stco", table))) + box(b"mdat", b"12345")


def test_video_whose_last_chunk_begins_at_its_end_is_cut(tmp_path: Path) -> None:
    size = len(make_indexed_video(0))
    assert inspect_content(tmp_path, make_indexed_video(size - 1)) == VideoFile("mp4", end_is_proven=True)
    assert inspect_content(tmp_path, make_indexed_video(size)) == CUT


def test_offsets_beyond_the_count_of_their_table_are_ignored(tmp_path: Path) -> None:
    assert inspect_content(tmp_path, make_indexed_video(9, 1 << 30, count=1)) == VideoFile("mp4", end_is_proven=True)


@pytest.mark.parametrize(("length", "is_start"), [(0, True), (1, True), (2, False), (7, False), (8, True)])
def test_box_shorter_than_its_header_is_no_start_of_a_video(length: int, *, is_start: bool) -> None:
    assert is_video_start(struct.pack(">I4s4s", length, b"ftyp", b"isom")) == is_start


@pytest.mark.parametrize(
    "head", [b"GIF89a", b"FLV\x01", b"OggS", b"fLaC", b"ID3\x03", b"PK\x03\x04", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"]
)
def test_other_media_may_be_the_result_of_a_job(head: bytes) -> None:
    assert may_be_result(head + bytes(20))


def test_cut_element_after_a_live_recording_is_ignored(tmp_path: Path) -> None:
    film = webm(is_live=True) + b"\xec\x40"
    assert inspect_content(tmp_path, film) == VideoFile("webm", end_is_proven=False)
