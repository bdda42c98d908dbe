"""Keep a result that cannot be proven to be a whole video, because it may have been paid for."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faults import (
    Answer,
    Fault,
    FaultServer,
    Service,
    Video,
    answers,
    at_path,
    chunked,
    cut,
    honest,
    in_folder,
    mp4,
    save,
    says,
    then_cut,
    unmeasured,
    webm,
)

from videostat.errors import NotSaved
from videostat.saving.partfile import Part

if TYPE_CHECKING:
    from loopback import Request

VIDEO = Video(mp4())
OTHERS = Path(__file__).parents[1] / "fixtures" / "films" / "others"
FRAGMENT = (OTHERS / "segment.m4s").read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def serves(body: bytes) -> Fault:
    return lambda request, video: honest(request, Video(body))


@pytest.mark.parametrize(
    "name", ["clip.gif", "clip.webp", "clip.avi", "clip.ts", "sound.mp3", "sound.m4a", "clip.avif", "sound-in.webm"]
)
def test_result_of_another_kind_is_kept_and_not_requested_again(tmp_path: Path, name: str) -> None:
    body = (OTHERS / name).read_bytes()
    with FaultServer(Video(body)) as server, pytest.raises(NotSaved, match="not a whole video") as caught:
        save(server.url, in_folder(tmp_path), resolve=pytest.fail, is_fresh=True)
    assert len(server.requests) == 1
    kept = tmp_path / "jogg-a1.unproven-1.part"
    assert names(tmp_path) == [kept.name]
    assert kept.read_bytes() == body
    assert str(caught.value).endswith(f"; the received bytes are kept as {kept}")


@pytest.mark.parametrize("name", ["playlist.m3u8", "playlist.mpd"])
def test_playlist_is_reported_and_not_kept(tmp_path: Path, name: str) -> None:
    with FaultServer(Video((OTHERS / name).read_bytes())) as server, pytest.raises(NotSaved, match="playlist"):
        save(server.url, in_folder(tmp_path), resolve=pytest.fail, is_fresh=True)
    assert (len(server.requests), names(tmp_path)) == (1, [])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("page.html", "web page"),
        ("error.xml", "XML"),
        ("error.json", "JSON"),
        ("cover.jpg", "JPEG"),
        ("cover.png", "PNG"),
    ],
)
def test_page_document_or_cover_image_is_reported_and_not_kept(tmp_path: Path, name: str, said: str) -> None:
    with FaultServer(Video((OTHERS / name).read_bytes())) as server, pytest.raises(NotSaved, match=said):
        save(server.url, in_folder(tmp_path))
    assert (len(server.requests), names(tmp_path)) == (2, [])


@pytest.mark.parametrize("name", ["init-segment.mp4", "header-alone.mp4", "segment.m4s", "zeros-behind-ebml.webm"])
@pytest.mark.parametrize("sent", [honest, chunked, unmeasured])
def test_file_that_only_starts_like_a_video_is_not_saved(tmp_path: Path, name: str, sent: Fault) -> None:
    with FaultServer(Video((OTHERS / name).read_bytes()), *[sent] * 99) as server:
        with pytest.raises(NotSaved, match="not a whole video"):
            save(server.url, in_folder(tmp_path))
        assert len(server.requests) <= 3
    assert names(tmp_path) == ["jogg-a1.unproven-1.part"]


def test_unproven_file_is_named_after_the_given_path(tmp_path: Path) -> None:
    with FaultServer(Video(FRAGMENT)) as server, pytest.raises(NotSaved):
        save(server.url, at_path(tmp_path / "clip.mp4"))
    assert names(tmp_path) == ["clip.mp4.unproven-1.part"]


def test_at_most_two_unproven_files_of_different_length_are_kept(tmp_path: Path) -> None:
    bodies = [FRAGMENT, FRAGMENT[:-1], FRAGMENT, FRAGMENT[:-2], FRAGMENT[:-3]]
    for run, body in enumerate(bodies, 1):
        with (
            FaultServer(Video(body)) as server,
            pytest.raises(NotSaved, match="the received bytes are kept as") as caught,
        ):
            save(server.url, in_folder(tmp_path))
        assert names(tmp_path) == [f"jogg-a1.unproven-{number}.part" for number in range(1, min(run, 2) + 1)]
    assert "jogg-a1.unproven-1.part and " in str(caught.value)
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert sizes == [len(FRAGMENT), len(FRAGMENT) - 1]


def test_later_run_does_not_remove_unproven_files(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"jogg-a1.unproven-{number}.part").write_bytes(bytes(number))
        (tmp_path / f"jogg-a1.unproven-{number}.part").chmod(0)
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))
    assert names(tmp_path) == ["jogg-a1.mp4", "jogg-a1.unproven-1.part", "jogg-a1.unproven-2.part"]


def test_unproven_files_of_the_same_run_are_removed_after_success(tmp_path: Path) -> None:
    with FaultServer(VIDEO, serves(VIDEO.body[:20_000]), serves(VIDEO.body[:30_000])) as server:
        assert save(server.url, in_folder(tmp_path), is_fresh=True).retries == 2
    assert names(tmp_path) == ["jogg-a1.mp4"]


def test_set_aside_keeps_the_bytes_and_empties_the_part(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.append(FRAGMENT)
        part.set_aside()
        assert names(tmp_path) == ["jogg-a1.part", "jogg-a1.unproven-1.part"]
        assert part.size == 0


def test_part_without_a_side_car_is_kept_as_unproven(tmp_path: Path) -> None:
    (tmp_path / "jogg-a1.part").write_bytes(webm())
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))
    assert names(tmp_path) == ["jogg-a1.mp4", "jogg-a1.unproven-1.part"]
    assert (tmp_path / "jogg-a1.unproven-1.part").read_bytes() == webm()


def test_part_of_another_job_is_kept_as_unproven(tmp_path: Path) -> None:
    (tmp_path / "jogg-a1.part").write_bytes(webm())
    (tmp_path / "jogg-a1.part.json").write_text(
        '{"provider": "doubao", "id": "a1", "validator": "\\"one\\"", "total": 9000}'
    )
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))
    assert (server.offsets, names(tmp_path)) == ([None], ["jogg-a1.mp4", "jogg-a1.unproven-1.part"])


def test_part_file_that_is_not_a_video_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "jogg-a1.part").write_bytes(b"my thesis")
    with FaultServer(VIDEO) as server, pytest.raises(NotSaved, match="not a partial download"):
        save(server.url, in_folder(tmp_path))
    assert server.requests == []
    assert (tmp_path / "jogg-a1.part").read_bytes() == b"my thesis"


def test_part_without_a_validator_is_discarded_after_a_kill(tmp_path: Path) -> None:
    with Part(in_folder(tmp_path)) as part:
        part.restart(part.version)
        part.append(VIDEO.body[:9_000])
        left = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for path, content in left.items():
        path.write_bytes(content)
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))
    assert (server.offsets, names(tmp_path)) == ([None], ["jogg-a1.mp4"])


# The connection closes at the end of the file. Two ends at the same place are the end of the file.


def test_connection_that_ends_at_different_places_is_retried(tmp_path: Path) -> None:
    with FaultServer(VIDEO, *[then_cut(unmeasured, end) for end in (20_000, 30_000, 10_000)]) as server:
        assert save(server.url, in_folder(tmp_path), resolve=pytest.fail).retries == 3
    assert names(tmp_path) == ["jogg-a1.mp4"]


def test_answers_that_end_at_the_same_place_end_the_download(tmp_path: Path) -> None:
    with FaultServer(VIDEO, *[then_cut(unmeasured, 20_000)] * 9) as server, pytest.raises(NotSaved, match="kept as"):
        save(server.url, in_folder(tmp_path))
    assert len(server.requests) == 3
    assert names(tmp_path) == ["jogg-a1.unproven-1.part"]


# Digests.


def digests(body: bytes) -> list[dict[str, str]]:
    md5, sha = (base64.b64encode(hashlib.new(name, body).digest()).decode() for name in ("md5", "sha256"))
    return [
        {"content_md5": md5},
        {"repr_digest": f"sha-256=:{sha}:"},
        {"content_digest": f"sha-256=:{sha}:"},
        {"digest": f"SHA-256={sha}"},
        {"x_goog_hash": f"crc32c=AAAAAA==,md5={md5}"},
    ]


@pytest.mark.parametrize("headers", digests(VIDEO.body))
def test_matching_digest_is_accepted(tmp_path: Path, headers: dict[str, str]) -> None:
    with FaultServer(VIDEO, says(**headers)) as server:
        assert save(server.url, in_folder(tmp_path)).retries == 0


@pytest.mark.parametrize("headers", digests(mp4(50_000, seed=2)))
def test_bytes_that_do_not_match_the_digest_are_requested_once_more(tmp_path: Path, headers: dict[str, str]) -> None:
    with FaultServer(VIDEO, says(**headers)) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert (server.offsets, saved.retries) == ([None, None], 1)
    assert names(tmp_path) == ["jogg-a1.mp4"]


@pytest.mark.parametrize("headers", digests(mp4(50_000, seed=2)))
def test_second_digest_mismatch_keeps_the_bytes_as_unproven(tmp_path: Path, headers: dict[str, str]) -> None:
    with FaultServer(VIDEO, *[says(**headers)] * 9) as server, pytest.raises(NotSaved, match="digest") as caught:
        save(server.url, in_folder(tmp_path), resolve=pytest.fail)
    assert server.offsets == [None, None]
    assert names(tmp_path) == ["jogg-a1.unproven-1.part"]
    assert "kept as" in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"content_md5": "so"},
        {"content_md5": "!" * 24},
        {"repr_digest": "sha-256=:AAAA:"},
        {"digest": "unixsum=30637"},
        {"x_goog_hash": "crc32c=AAAAAA=="},
    ],
)
def test_invalid_or_unknown_digest_is_ignored(tmp_path: Path, headers: dict[str, str]) -> None:
    with FaultServer(VIDEO, says(**headers)) as server:
        assert save(server.url, in_folder(tmp_path)).retries == 0


def test_digest_of_the_first_answer_is_checked_after_a_resume(tmp_path: Path) -> None:
    wrong = digests(mp4(50_000, seed=2))[0]

    def begin(request: Request, video: Video) -> Answer:
        return replace(says(**wrong)(request, video), sent=9_000)

    with FaultServer(VIDEO, begin, cut(0)) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 9_000, 9_000, None]
    assert saved.file.read_bytes() == VIDEO.body


# Problems that a new URL does not solve.


def test_new_url_is_requested_once_if_the_file_stays_bad(tmp_path: Path) -> None:
    with FaultServer(Video(FRAGMENT)) as server:
        service = Service(server.url)
        with pytest.raises(NotSaved):
            save(server.url, in_folder(tmp_path), resolve=service)
    assert (service.asked, len(server.requests)) == (1, 2)


@pytest.mark.parametrize("url", ["data:video/mp4;base64,AAAA", "gs://bucket/clip.mp4", "", "ftp://x/clip.mp4"])
def test_url_without_http_or_https_raises_not_saved(tmp_path: Path, url: str) -> None:
    with pytest.raises(NotSaved, match="not with http or https") as caught:
        save(url, in_folder(tmp_path), resolve=pytest.fail)
    assert "AAAA" not in str(caught.value)
    assert names(tmp_path) == []


def test_large_page_is_reported_and_not_kept(tmp_path: Path) -> None:
    huge = b"<!doctype html>" + bytes(10_000_000)
    with FaultServer(Video(huge), *[answers(200, huge)] * 2) as server, pytest.raises(NotSaved, match="web page"):
        save(server.url, in_folder(tmp_path))
    assert names(tmp_path) == []
