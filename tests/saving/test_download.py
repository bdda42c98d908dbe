from __future__ import annotations

import errno
import fcntl
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

import faults
import pytest
from fakes import FakeClock
from faults import (
    Answer,
    Fault,
    FaultServer,
    Service,
    Video,
    answers,
    at_path,
    box,
    chunked,
    connect,
    cut,
    honest,
    in_folder,
    mp4,
    page,
    save,
    says,
    then_cut,
    unmeasured,
    webm,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Request

from videostat.errors import (
    ExitCode,
    Gone,
    KeyRefused,
    NotFound,
    NotSaved,
    RateLimited,
    Unreachable,
    Untrusted,
    VideostatError,
)
from videostat.models import Link
from videostat.saving import LONGEST_LIMIT, LONGEST_RETRY_AFTER, PATIENCE, UNREADABLE_TRIES, Transfer
from videostat.saving.attempt import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from videostat.saving.destination import Destination

VIDEO = Video(mp4())
OTHER = Video(mp4(60_000, seed=2), '"two"')
PAST = ["Tue, 31 Dec 2024 00:00:00 -0000", "Mon, 01 Jan 0001 00:00:00 +2359"]
NEVER = f"Fri, 31 Dec {'9' * 20} 23:59:59 GMT"
FRAGMENTED = mp4(900)[:32] + (box(b"moof", bytes(8)) + box(b"mdat", bytes(100))) * 9


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read_part(folder: Path) -> bytes:
    return (folder / "jogg-a1.part").read_bytes()


def leave_part_file(folder: Path, at: int, video: Video = VIDEO) -> None:
    """Leave the files of a run that was stopped after `at` bytes."""
    with FaultServer(video, cut(at)) as server, pytest.raises(NotSaved):
        save(
            server.url,
            in_folder(folder),
            clock=(clock := FakeClock()),
            deadline=clock.time + 0.001,
        )
    assert len(read_part(folder)) == at


# 1. The final name means complete.


def test_only_the_video_is_in_the_folder_after_saving(tmp_path: Path) -> None:
    with FaultServer(VIDEO) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert (saved.file, saved.bytes, saved.resumed, saved.retries) == (tmp_path / "jogg-a1.mp4", 50_000, 0, 0)
    assert not saved.skipped
    assert names(tmp_path) == ["jogg-a1.mp4"]
    assert saved.file.read_bytes() == VIDEO.body


@pytest.mark.parametrize("extension", ["mp4", "webm", "mov"])
def test_existing_video_is_skipped_without_a_request(tmp_path: Path, extension: str) -> None:
    (tmp_path / f"jogg-a1.{extension}").write_bytes(VIDEO.body)
    with FaultServer(VIDEO) as server:
        saved = save(server.url, in_folder(tmp_path))
        assert server.requests == []
    assert (saved.skipped, saved.bytes) == (True, 50_000)
    assert names(tmp_path) == [f"jogg-a1.{extension}"]


@pytest.mark.parametrize("where", [at_path(Path("clip.mp4")), in_folder(Path())])
def test_existing_file_that_is_not_a_video_is_kept_without_a_request(tmp_path: Path, where: Destination) -> None:
    where = replace(where, path=tmp_path / where.path)
    where.name_file("mp4").write_bytes(b"hi\n")
    with FaultServer(VIDEO) as server, pytest.raises(NotSaved, match="already exists"):
        save(server.url, where)
    assert server.requests == []
    assert names(tmp_path) == [where.name_file("mp4").name]
    assert where.name_file("mp4").read_bytes() == b"hi\n"


def test_overwrite_replaces_an_existing_file_at_a_given_path(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"hi\n")
    with FaultServer(VIDEO) as server:
        assert not save(server.url, at_path(tmp_path / "clip.mp4"), overwrite=True).skipped
    assert (tmp_path / "clip.mp4").read_bytes() == VIDEO.body


def test_video_saved_by_another_process_before_the_lock_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda fd, how: (tmp_path / "jogg-a1.mp4").write_bytes(VIDEO.body))
    with FaultServer(VIDEO) as server:
        assert save(server.url, in_folder(tmp_path)).skipped
    assert server.requests == []
    assert names(tmp_path) == ["jogg-a1.mp4"]


def test_overwrite_replaces_a_file_only_with_a_whole_video(tmp_path: Path) -> None:
    (tmp_path / "jogg-a1.mp4").write_bytes(b"there")
    with FaultServer(VIDEO, *[cut(0)] * 99) as server:
        with pytest.raises(NotSaved):
            save(server.url, in_folder(tmp_path), overwrite=True)
        assert (tmp_path / "jogg-a1.mp4").read_bytes() == b"there"
        server.script.clear()
        save(server.url, in_folder(tmp_path), overwrite=True)
    assert (tmp_path / "jogg-a1.mp4").read_bytes() == VIDEO.body


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, partial(Path.symlink_to, target="victim")])
@pytest.mark.parametrize("overwrite", [True, False])
def test_only_regular_files_are_overwritten(
    tmp_path: Path,
    make: Callable[[Path], None],
    overwrite: bool,  # noqa: FBT001  a case
) -> None:
    make(tmp_path / "jogg-a1.webm")
    with FaultServer(VIDEO) as server, pytest.raises(NotSaved, match="is not a regular file"):
        save(server.url, in_folder(tmp_path), overwrite=overwrite)
    assert server.requests == []
    assert names(tmp_path) == ["jogg-a1.webm"]


def test_folder_created_at_the_final_path_during_transfer_is_kept(tmp_path: Path) -> None:
    def mkdir_then(request: Request, video: Video) -> Answer:
        (tmp_path / "jogg-a1.mp4").mkdir()
        return honest(request, video)

    with FaultServer(VIDEO, mkdir_then) as server, pytest.raises(NotSaved, match="is not a regular file"):
        save(server.url, in_folder(tmp_path))
    assert read_part(tmp_path) == VIDEO.body


def test_second_run_that_saves_the_same_file_is_refused(tmp_path: Path) -> None:
    refusals: list[str] = []

    def meanwhile(request: Request, video: Video) -> Answer:
        with pytest.raises(NotSaved) as caught:
            save("http://127.0.0.1:9/unused", in_folder(tmp_path))
        refusals.append(str(caught.value))
        return honest(request, video)

    with FaultServer(VIDEO, meanwhile) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert refusals == ["not saved: another videostat process is saving it"]
    assert saved.file.read_bytes() == VIDEO.body


# 2. Resume and restart.


def test_video_is_requested_without_compression_or_range(tmp_path: Path) -> None:
    with FaultServer(VIDEO) as server:
        save(server.url, in_folder(tmp_path))
    (request,) = server.requests
    assert request.headers["accept-encoding"] == "identity"
    assert not {"range", "if-range"} & set(request.headers)


def test_bytes_received_before_a_cut_are_not_requested_again(tmp_path: Path) -> None:
    with FaultServer(VIDEO, cut(12_345), cut(1), cut(20_000)) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 12_345, 12_346, 32_346]
    assert [request.headers.get("if-range") for request in server.requests] == [None, '"one"', '"one"', '"one"']
    assert (saved.resumed, saved.retries) == (32_346, 3)
    assert saved.file.read_bytes() == VIDEO.body


def test_later_run_resumes_where_the_first_run_stopped(tmp_path: Path) -> None:
    leave_part_file(tmp_path, 30_000)
    assert names(tmp_path) == ["jogg-a1.part", "jogg-a1.part.json"]
    assert read_part(tmp_path) == VIDEO.body[:30_000]
    with FaultServer(VIDEO) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [30_000]
    assert saved.resumed == 30_000
    assert names(tmp_path) == ["jogg-a1.mp4"]


@pytest.mark.parametrize("etag", ['W/"one"', "one", '"', None])
def test_part_without_a_strong_etag_is_not_resumed_or_kept(tmp_path: Path, etag: str | None) -> None:
    video = replace(VIDEO, etag=etag)
    with FaultServer(video, *[cut(100)] * 9, *[cut(0)] * 99) as server, pytest.raises(NotSaved):
        save(server.url, in_folder(tmp_path))
    assert set(server.offsets) == {None}
    assert names(tmp_path) == []


@pytest.mark.parametrize("answer", [whole, honest])
def test_whole_answer_to_a_range_request_replaces_the_part(tmp_path: Path, answer: Fault) -> None:
    leave_part_file(tmp_path, 30_000)
    with FaultServer(OTHER, answer) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [30_000]
    assert (saved.resumed, saved.retries) == (0, 0)
    assert saved.file.read_bytes() == OTHER.body


@pytest.mark.parametrize(
    "misfit",
    [
        says(content_range="bytes 29999-49999/50000"),
        says(content_range="bytes 30001-49999/50000"),
        says(content_range="bytes 30000-49998/50000"),
        says(content_range="bytes 30000-49999/50001"),
        says(content_range="bytes 30000-49999/*"),
        says(content_range="30000-49999/50000"),
        says(content_range=None),
        says(etag='"two"'),
        says(etag='W/"one"'),
        says(etag=None),
        says(content_length="19999"),
        answers(416, content_range="bytes */30000"),
        answers(416, content_range="bytes */50000"),
        answers(416),
    ],
)
def test_part_is_discarded_if_the_range_answer_does_not_match(tmp_path: Path, misfit: Fault) -> None:
    leave_part_file(tmp_path, 30_000)
    with FaultServer(VIDEO, misfit) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [30_000, None]
    assert (saved.resumed, saved.file.read_bytes()) == (0, VIDEO.body)


def answer_206(**headers: str) -> Fault:
    answer = replace(whole(Request("GET", "/", {}), VIDEO), status=206).saying(**headers)
    return lambda request, video: answer


@pytest.mark.parametrize("content_range", ["bytes 1-50000/50001", "bytes 0-49999/50001", "bytes 0-49999/*", "0-49999"])
def test_unrequested_partial_answer_is_rejected(tmp_path: Path, content_range: str) -> None:
    with FaultServer(VIDEO, answer_206(content_range=content_range)) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert (server.offsets, saved.retries) == ([None, None], 1)


@pytest.mark.parametrize("headers", [{"content_range": "bytes 0-49999/50000"}, {}])
def test_206_answer_with_the_whole_video_is_accepted(tmp_path: Path, headers: dict[str, str]) -> None:
    with FaultServer(VIDEO, answer_206(**headers)) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert (server.offsets, saved.retries) == ([None], 0)
    assert saved.file.read_bytes() == VIDEO.body


def test_203_answer_to_a_range_request_replaces_the_part(tmp_path: Path) -> None:
    leave_part_file(tmp_path, 30_000)
    with FaultServer(OTHER, lambda request, video: replace(whole(request, video), status=203)) as server:
        assert save(server.url, in_folder(tmp_path)).file.read_bytes() == OTHER.body
    assert server.offsets == [30_000]


def leave_complete_part(folder: Path, video: Video = VIDEO) -> None:
    leave_part_file(folder, len(video.body) - 1, video)
    with (folder / "jogg-a1.part").open("ab") as file:
        file.write(video.body[-1:])


def test_416_answer_completes_the_part_if_the_total_agrees(tmp_path: Path) -> None:
    leave_complete_part(tmp_path)
    with FaultServer(VIDEO) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [50_000]
    assert (saved.resumed, saved.file.read_bytes()) == (50_000, VIDEO.body)


@pytest.mark.parametrize("content_range", ["bytes */50001", "bytes */*", "bytes 0-0/50000", ""])
def test_416_answer_restarts_the_download_if_the_total_differs(tmp_path: Path, content_range: str) -> None:
    leave_complete_part(tmp_path)
    with FaultServer(VIDEO, answers(416, content_range=content_range)) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [50_000, None]
    assert saved.file.read_bytes() == VIDEO.body


# 3. Length and content.


@pytest.mark.parametrize("length", ["-1", "+50000", "50000, 50001", "0x10", "5e4", "", "\u0665", "9" * 30])
def test_invalid_content_length_is_ignored(tmp_path: Path, length: str) -> None:
    said = Answer(headers={"etag": '"one"', "content-length": length})
    for body, is_saved in ((VIDEO.body, True), (FRAGMENTED, False)):
        pieces = ScriptedBody([body], said)
        try:
            assert save("https://x", in_folder(tmp_path), open=lambda url, headers, pieces=pieces: pieces).bytes
        except NotSaved as error:
            assert not is_saved
            assert "so it may be incomplete" in str(error)  # noqa: PT017  one of the two
        (tmp_path / "jogg-a1.mp4").unlink(missing_ok=True)


def test_repeated_equal_content_length_is_accepted(tmp_path: Path) -> None:
    with FaultServer(Video(FRAGMENTED), says(content_length=f"{len(FRAGMENTED)}, {len(FRAGMENTED)}")) as server:
        assert save(server.url, in_folder(tmp_path)).file.read_bytes() == FRAGMENTED


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_unrequested_compression_is_a_failed_attempt(tmp_path: Path, encoding: str) -> None:
    with FaultServer(VIDEO, says(content_encoding=encoding)) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert (len(server.requests), saved.retries) == (2, 1)


@pytest.mark.parametrize("encoding", ["identity", "", "binary", "UTF-8", "aws-chunked", "none"])
def test_other_content_encodings_are_not_compression(tmp_path: Path, encoding: str) -> None:
    with FaultServer(VIDEO, says(content_encoding=encoding)) as server:
        assert save(server.url, in_folder(tmp_path)).retries == 0


def test_part_longer_than_the_announced_total_is_discarded(tmp_path: Path) -> None:
    # The content of this video does not prove where it ends.
    endless = Video(webm(50_000, is_live=True))
    leave_part_file(tmp_path, 30_000, endless)

    def too_much(request: Request, video: Video) -> Answer:
        answer = honest(request, video).saying(content_length=None, transfer_encoding="chunked")
        return replace(answer, body=answer.body + b"!", is_chunked=True)

    with FaultServer(endless, too_much) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [30_000, None]
    assert saved.file.read_bytes() == endless.body


@pytest.mark.parametrize(
    ("video", "extension"),
    [(mp4(), "mp4"), (mp4(brand=b"qt  "), "mov"), (webm(), "webm"), (webm(is_live=True), "webm"), (FRAGMENTED, "mp4")],
)
def test_the_extension_comes_from_the_content(tmp_path: Path, video: bytes, extension: str) -> None:
    with FaultServer(Video(video), says(content_type="text/plain")) as server:
        assert save(server.url, in_folder(tmp_path)).file.name == f"jogg-a1.{extension}"
        assert save(server.url, at_path(tmp_path / "clip.mp4")).file.name == "clip.mp4"


@pytest.mark.parametrize("flaw", [VIDEO.body[:-1], mp4()[:16] + box(b"mdat"), webm()[:-1]])
def test_incomplete_video_of_the_announced_length_is_not_saved(tmp_path: Path, flaw: bytes) -> None:
    with FaultServer(Video(flaw)) as server, pytest.raises(NotSaved, match="not a whole video"):
        save(server.url, in_folder(tmp_path))
    assert len(server.requests) == 2
    assert names(tmp_path) == ["jogg-a1.unproven-1.part"]


@pytest.mark.parametrize("unsized", [chunked, unmeasured])
@pytest.mark.parametrize("video", [mp4(), webm()])
def test_video_with_a_proven_end_is_saved_without_a_content_length(
    tmp_path: Path, unsized: Fault, video: bytes
) -> None:
    transfer = Transfer("clip")
    with FaultServer(Video(video), unsized) as server:
        saved = save(server.url, in_folder(tmp_path), transfer=transfer)
    assert saved.file.read_bytes() == video
    assert (transfer.done, transfer.total) == (len(video), None)


@pytest.mark.parametrize("video", [FRAGMENTED, webm(is_live=True)])
def test_video_without_a_proven_end_is_saved_after_the_last_chunk(tmp_path: Path, video: bytes) -> None:
    with FaultServer(Video(video), chunked) as server:
        assert save(server.url, in_folder(tmp_path)).file.read_bytes() == video


@pytest.mark.parametrize("video", [FRAGMENTED, webm(is_live=True)])
def test_video_without_proven_end_or_length_is_kept_but_not_saved(tmp_path: Path, video: bytes) -> None:
    with FaultServer(Video(video), unmeasured) as server, pytest.raises(NotSaved, match="so it may be incomplete"):
        save(server.url, in_folder(tmp_path))
    assert len(server.requests) == 1
    assert names(tmp_path) == ["jogg-a1.unproven-1.part"]
    assert (tmp_path / "jogg-a1.unproven-1.part").read_bytes() == video


@pytest.mark.parametrize("unsized", [chunked, unmeasured])
def test_cut_is_detected_without_a_content_length(tmp_path: Path, unsized: Fault) -> None:
    with FaultServer(VIDEO, then_cut(unsized, 40_000)) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert (server.offsets, saved.retries) == ([None, None], 1)
    assert saved.file.read_bytes() == VIDEO.body
    assert names(tmp_path) == ["jogg-a1.mp4"]


# 4. Retries.


TROUBLE = [cut(0), cut(5), cut(0, "reset"), *map(answers, (408, 409, 421, 423, 425, 429, 444, 499, 500, 502, 503, 504))]


@pytest.mark.parametrize("fault", TROUBLE)
def test_temporary_errors_are_retried_until_the_deadline(tmp_path: Path, fault: Fault) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, *[fault] * 99) as server, pytest.raises(NotSaved, match="no time is left") as caught:
        save(server.url, in_folder(tmp_path), clock=clock, resolve=pytest.fail, deadline=clock.time + 200)
    assert caught.value.exit_code is ExitCode.NOT_SAVED
    assert caught.value.hint
    assert "secret" not in str(caught.value)
    limits = [1, 2, 4, 8, 16, *[30] * 99]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(clock.pauses, limits, strict=False))
    assert 170 < sum(clock.pauses) < 200
    assert len(server.requests) == len(clock.pauses) + 1
    assert names(tmp_path) == []


def test_video_is_saved_after_half_a_minute_of_server_errors(tmp_path: Path) -> None:
    clock = FakeClock()

    def busy(request: Request, video: Video) -> Answer:
        return (answers(503) if clock.time < 26 else honest)(request, video)

    with FaultServer(VIDEO, *[busy] * 99) as server:
        saved = save(server.url, in_folder(tmp_path), clock=clock, deadline=clock.time + 90)
    assert saved.file.read_bytes() == VIDEO.body


def test_without_a_deadline_retries_end_after_the_patience(tmp_path: Path) -> None:
    clock = FakeClock()
    began = clock.time
    faults_in_turn = [cut(0)] * 12 + [cut(5)] + [cut(0)] * 99
    with FaultServer(VIDEO, cut(10), *faults_in_turn) as server, pytest.raises(NotSaved, match="no time is left"):
        save(server.url, in_folder(tmp_path), clock=clock)
    # The patience starts again with each new byte: here after the fourteenth try, at about three minutes.
    assert PATIENCE + 120 < clock.time - began < PATIENCE + 300
    assert read_part(tmp_path) == VIDEO.body[:15]


@pytest.mark.parametrize("fault", [says(content_encoding="br"), answer_206(content_range="bytes 5-49999/50000")])
def test_unreadable_answer_is_requested_once_more(tmp_path: Path, fault: Fault) -> None:
    with FaultServer(VIDEO, *[fault] * 9) as server, pytest.raises(NotSaved):
        save(server.url, in_folder(tmp_path), resolve=pytest.fail)
    assert len(server.requests) == UNREADABLE_TRIES
    assert names(tmp_path) == []


def test_unreachable_server_raises_not_saved(tmp_path: Path) -> None:
    with FaultServer(VIDEO) as server:
        pass
    with pytest.raises(NotSaved, match="connection failed"):
        save(server.url, in_folder(tmp_path))
    assert names(tmp_path) == []


def test_new_bytes_allow_more_attempts(tmp_path: Path) -> None:
    faults_in_turn = [cut(0), answers(503), cut(0), cut(0), cut(5_000)] * 9
    with FaultServer(VIDEO, *faults_in_turn) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert (len(server.requests), saved.retries) == (46, 45)
    assert saved.file.read_bytes() == VIDEO.body


def test_only_bytes_beyond_the_longest_part_count_as_progress(tmp_path: Path) -> None:
    clock = FakeClock()
    began, ends = clock.time, [20_000, *[15_000, 19_000, 20_000, 500] * 50]
    with FaultServer(VIDEO, *[then_cut(whole, end) for end in ends]) as server, pytest.raises(NotSaved):
        save(server.url, in_folder(tmp_path), clock=clock)
    assert clock.time - began < PATIENCE


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_sets_the_pause(tmp_path: Path, status: int) -> None:
    clock = FakeClock()
    date = "Wed, 01 Jan 2025 00:13:20 GMT"
    with FaultServer(VIDEO, answers(status, retry_after="400"), answers(status, retry_after=date)) as server:
        save(server.url, in_folder(tmp_path), clock=clock, deadline=clock.time + 801)
    assert clock.pauses == [400, 400]


@pytest.mark.parametrize("hint", ["soon", "-5", "1e9", "Wed, 99 Foo 2025", "0", *PAST, NEVER, "9" * 5000])
def test_unusable_retry_after_leaves_the_default_pause(tmp_path: Path, hint: str) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, answers(503, retry_after=hint)) as server:
        save(server.url, in_folder(tmp_path), clock=clock)
    assert 0 < clock.pauses[0] < 1


def test_no_pause_goes_past_the_deadline(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, answers(503)) as server, pytest.raises(NotSaved, match="no time"):
        save(server.url, in_folder(tmp_path), clock=clock, deadline=clock.time + 0.001)
    assert (clock.pauses, len(server.requests)) == ([], 1)


@pytest.mark.parametrize(
    ("hint", "left", "expected_pause"),
    [
        ("400", 399, "400 seconds"),
        (f"{LONGEST_RETRY_AFTER + 1}", inf, "601 seconds"),
        ("Wed, 01 Jan 2025 01:00:00 GMT", inf, "3,600 seconds"),
    ],
)
def test_too_long_retry_after_ends_the_download(tmp_path: Path, hint: str, left: float, expected_pause: str) -> None:
    clock = FakeClock()
    with (
        FaultServer(VIDEO, answers(503, retry_after=hint)) as server,
        pytest.raises(NotSaved, match=expected_pause) as caught,
    ):
        save(server.url, in_folder(tmp_path), clock=clock, deadline=clock.time + left)
    assert (clock.pauses, len(server.requests)) == ([], 1)
    assert "the server answered 503" in str(caught.value)


def test_retry_after_pauses_do_not_count_as_silence(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, *[answers(503, retry_after="500")] * 2) as server:
        save(server.url, in_folder(tmp_path), clock=clock)
    assert clock.pauses == [500, 500]


def test_rate_limit_of_more_than_an_hour_ends_the_download(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, answers(403)) as server:
        service = Service(RateLimited("slow down", retry_after=LONGEST_LIMIT + 1))
        with pytest.raises(NotSaved, match="slow down; retry after 3,601 seconds"):
            save(server.url, in_folder(tmp_path), resolve=service, clock=clock)
    assert clock.pauses == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refused_url_is_renewed_and_the_part_is_kept(tmp_path: Path, status: int) -> None:
    leave_part_file(tmp_path, 30_000)
    clock = FakeClock()
    with FaultServer(VIDEO, answers(status)) as server, FaultServer(VIDEO) as renewed:
        saved = save(server.url, in_folder(tmp_path), resolve=Service(renewed.url), clock=clock)
    assert (server.offsets, renewed.offsets) == ([30_000], [30_000])
    assert saved.resumed == 30_000
    assert clock.pauses == []


@pytest.mark.parametrize(
    "body",
    [b'{"error": "expired"}', b"<?xml version='1.0'?><Error/>", b"<!doctype html>", b"\xff\xd8\xff\xe0 JPEG", b""],
)
def test_answer_that_is_not_a_video_counts_as_a_refused_url(tmp_path: Path, body: bytes) -> None:
    leave_part_file(tmp_path, 30_000)
    with FaultServer(VIDEO, answers(200, body, etag='"page"')) as server, FaultServer(VIDEO) as renewed:
        save(server.url, in_folder(tmp_path), resolve=Service(renewed.url))
    assert (server.offsets, renewed.offsets) == ([30_000], [30_000])


@pytest.mark.parametrize(("most", "asked", "requests"), [(2, 1, 4), (3, 2, 6)])
@pytest.mark.parametrize("fault", [page, answers(403)])
def test_url_is_renewed_until_the_limit_of_links(
    tmp_path: Path, fault: Fault, most: int, asked: int, requests: int
) -> None:
    with FaultServer(VIDEO, cut(10), fault, cut(20), fault, cut(0), fault) as server:
        service = Service(server.url)
        with pytest.raises(NotSaved) as caught:
            save(server.url, in_folder(tmp_path), resolve=service, most_links=most)
    assert service.asked == asked
    assert len(server.requests) == requests
    assert read_part(tmp_path) == VIDEO.body[:30]
    assert caught.value.exit_code is ExitCode.NOT_SAVED
    assert "may have expired" in str(caught.value.hint)


@pytest.mark.parametrize("status", [302, 304, 402, 405, 418, 451])
def test_other_status_codes_end_the_download_at_once(tmp_path: Path, status: int) -> None:
    leave_part_file(tmp_path, 30_000)
    with FaultServer(VIDEO, answers(status, location="http://127.0.0.1:9/")) as server:
        with pytest.raises(NotSaved, match=str(status)):
            save(server.url, in_folder(tmp_path), resolve=pytest.fail)
        assert len(server.requests) == 1
    assert len(read_part(tmp_path)) == 30_000


def test_bad_certificate_ends_the_download_at_once(tmp_path: Path) -> None:
    calls = []

    def untrusted(url: str, headers: Mapping[str, str]) -> ScriptedBody:
        calls.append(url)
        raise Untrusted("the certificate is not valid", hint="Set the clock.")

    with pytest.raises(NotSaved, match="certificate") as caught:
        save("https://x", in_folder(tmp_path), open=untrusted)
    assert (len(calls), caught.value.hint) == (1, "Set the clock.")


@pytest.mark.parametrize("error", [KeyRefused("no"), NotFound("no"), Gone("no")])
def test_final_error_of_the_service_is_passed_on(tmp_path: Path, error: VideostatError) -> None:
    transfer = Transfer("clip")
    with FaultServer(VIDEO, answers(403)) as server, pytest.raises(type(error)):
        save(server.url, in_folder(tmp_path), resolve=Service(error), transfer=transfer)
    assert transfer.state == "failed"


def test_new_url_is_requested_again_if_the_service_is_busy(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, answers(403)) as server:
        service = Service(Unreachable("no route"), RateLimited("slow down", retry_after=1800), server.url)
        save(server.url, in_folder(tmp_path), resolve=service, clock=clock)
    assert clock.pauses[1:] == [1800]


def test_service_that_never_gives_a_new_url_ends_in_not_saved(tmp_path: Path) -> None:
    service = Service(Unreachable("no route"))
    with FaultServer(VIDEO, answers(403)) as server, pytest.raises(NotSaved, match="no route"):
        save(server.url, in_folder(tmp_path), resolve=service)
    assert service.asked > 9


# 5. The expiry of a URL.


@pytest.mark.parametrize(("left", "asked"), [(61, 0), (60, 1), (0, 1), (-9, 1), (None, 0)])
def test_a_url_is_used_until_a_minute_before_it_expires(tmp_path: Path, left: int | None, asked: int) -> None:
    clock = FakeClock()
    expires_at = None if left is None else clock.now() + timedelta(seconds=left)
    with FaultServer(VIDEO) as server:
        service = Service(Link(server.url, expires_at))
        save(server.url, in_folder(tmp_path), clock=clock, expires_at=expires_at, resolve=service)
    assert (service.asked, len(server.requests)) == (asked, 1)


def test_url_with_the_earliest_possible_expiry_is_renewed(tmp_path: Path) -> None:
    with FaultServer(VIDEO) as server:
        service = Service(server.url)
        save(
            "http://127.0.0.1:9/",
            in_folder(tmp_path),
            expires_at=datetime.min.replace(tzinfo=UTC),
            resolve=service,
        )
    assert service.asked == 1


def test_url_that_expires_during_a_pause_is_renewed(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, answers(503, retry_after="600")) as server, FaultServer(VIDEO) as renewed:
        save(
            server.url,
            in_folder(tmp_path),
            clock=clock,
            expires_at=clock.now() + timedelta(minutes=10),
            resolve=Service(renewed.url),
        )
    assert (len(server.requests), len(renewed.requests)) == (1, 1)


def test_nothing_is_sent_after_the_deadline(tmp_path: Path) -> None:
    clock = FakeClock()
    now, deadline = clock.now(), clock.time + 5

    def late() -> Link:
        clock.sleep(6)
        return Link(server.url)

    with FaultServer(VIDEO) as server:
        with pytest.raises(NotSaved, match="timeout was reached"):
            save(
                server.url,
                in_folder(tmp_path),
                clock=clock,
                deadline=deadline,
                expires_at=now,
                resolve=late,
            )
        with pytest.raises(NotSaved, match="timeout was reached"):
            save(
                server.url,
                in_folder(tmp_path),
                clock=clock,
                deadline=deadline,
                expires_at=now,
                resolve=pytest.fail,
            )
    assert server.requests == []


# 6. Slow servers, and the progress that is shown.


class ScriptedBody:
    """Return pieces that each take `pace` seconds of the clock."""

    def __init__(self, pieces: list[bytes], answer: Answer, clock: FakeClock | None = None, pace: float = 1) -> None:
        self.pieces = iter(pieces)
        self.status = answer.status
        self.headers = answer.headers
        self.retry_after: float | None = None
        self.end_is_known = False
        self.asked: list[int] = []
        self._clock = clock or FakeClock()
        self._pace = pace

    def read1(self, size: int) -> bytes:
        self.asked.append(size)
        self._clock.time += self._pace
        return next(self.pieces, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


def make_slow_body(size: int, rate: int, clock: FakeClock) -> tuple[bytes, ScriptedBody]:
    video = mp4(size)
    pieces = [video[start : start + rate] for start in range(0, size, rate)]
    return video, ScriptedBody(pieces, honest(Request("GET", "/", {}), Video(video)), clock)


def test_transfer_below_the_minimum_rate_is_interrupted_and_resumed(tmp_path: Path) -> None:
    clock, calls = FakeClock(), []
    video, body = make_slow_body(50_000, 1000, clock)

    def open_body(url: str, headers: Mapping[str, str]) -> ScriptedBody:
        calls.append((clock.time, headers.get("Range")))
        answer = honest(Request("GET", "/", {name.lower(): value for name, value in headers.items()}), Video(video))
        return body if len(calls) == 1 else ScriptedBody([answer.body], answer, clock)

    save("https://x", in_folder(tmp_path), open=open_body, clock=clock)
    (began, first), (again, second) = calls
    assert (first, second) == (None, "bytes=30000-")
    assert 30 <= again - began < 32


def test_transfer_at_the_minimum_rate_is_not_interrupted(tmp_path: Path) -> None:
    clock = FakeClock()
    _, body = make_slow_body(200_000, 1024, clock)
    saved = save("https://x", in_folder(tmp_path), open=lambda url, headers: body, clock=clock)
    assert saved.retries == 0


def test_download_resumes_after_the_server_stops_sending(tmp_path: Path) -> None:
    with FaultServer(VIDEO, cut(30_000, "hang")) as server:
        save(server.url, in_folder(tmp_path), open=partial(connect, timeout=0.3))
    assert server.offsets == [None, 30_000]


def test_a_transfer_ends_at_the_deadline_and_keeps_its_bytes(tmp_path: Path) -> None:
    clock = FakeClock()
    video, body = make_slow_body(50_000, 5_000, clock)
    with pytest.raises(NotSaved, match="timeout was reached"):
        save(
            "https://x",
            in_folder(tmp_path),
            open=lambda url, headers: body,
            clock=clock,
            deadline=clock.time + 4,
        )
    assert read_part(tmp_path) == video[:20_000]


def test_read_size_is_one_mebibyte_for_any_video_size(tmp_path: Path) -> None:
    clock = FakeClock()
    _, body = make_slow_body(4 * PIECE, PIECE // 2, clock)
    save("https://x", in_folder(tmp_path), open=lambda url, headers: body, clock=clock)
    assert set(body.asked) == {PIECE} == {1 << 20}


class RecordingTransfer(Transfer):
    """Record every state that another thread could see."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        moments: list[tuple[int, int | None, str]] = self.__dict__.setdefault("moments", [])
        if hasattr(self, "state"):
            moments.append((self.done, self.total, self.state))


def test_shown_bytes_fall_after_a_restart_and_never_exceed_the_total(tmp_path: Path) -> None:
    leave_part_file(tmp_path, 55_000, OTHER)
    transfer = RecordingTransfer("clip")
    with FaultServer(VIDEO, cut(40_000), answers(416), cut(45_000)) as server:
        save(server.url, in_folder(tmp_path), transfer=transfer)
    moments = transfer.__dict__["moments"]
    assert all(total is None or done <= total for done, total, _ in moments)
    peaks = [moment[:2] for moment, after in pairwise(moments) if moment[0] > after[0]]
    assert peaks == [(55_000, 60_000), (40_000, 50_000)]
    assert (0, None, "retrying") in moments
    assert moments[-1] == (50_000, 50_000, "saved")
    assert {state for *_, state in moments} == {"waiting", "downloading", "retrying", "checking", "saved"}


# 7. The final file is absent or exact, whatever happens.


def swap_video(fault: Fault) -> Fault:
    """Return the same fault with another video at the same URL."""
    return lambda request, video: fault(request, OTHER)


OFFSETS = st.integers(0, 70_000)
FAULTS = st.one_of(
    st.builds(cut, OFFSETS, st.sampled_from(["close", "reset"])),
    st.builds(then_cut, st.sampled_from([whole, chunked, unmeasured]), OFFSETS),
    st.sampled_from(
        [
            page,
            chunked,
            unmeasured,
            whole,
            *(answers(status) for status in (403, 404, 416, 429, 500, 503)),
            answers(416, content_range="bytes */50000"),
            says(content_range="bytes 0-49999/50000"),
            says(content_range="bytes 1-60000/60001"),
            says(etag=None),
            says(etag='W/"one"'),
            says(content_length="40000"),
            says(content_length="70000"),
            says(content_length="5x"),
            says(content_length=None),
            says(content_encoding="gzip"),
        ]
    ),
)


@settings(max_examples=80, deadline=None)
@given(schedule=st.lists(st.one_of(FAULTS, FAULTS.map(swap_video)), max_size=16), is_other=st.booleans())
def test_final_file_is_exactly_one_served_version_or_absent(schedule: list[Fault], is_other: bool) -> None:  # noqa: FBT001  drawn
    with tempfile.TemporaryDirectory() as name, FaultServer(OTHER if is_other else VIDEO, *schedule) as server:
        folder = Path(name)
        while True:
            try:
                saved = save(server.url, in_folder(folder))
            except NotSaved:
                unproven = {f"jogg-a1.unproven-{number}.part" for number in (1, 2)}
                assert not set(names(folder)) - {"jogg-a1.part", "jogg-a1.part.json"} - unproven
            else:
                break
        assert saved.file.read_bytes() in {VIDEO.body, OTHER.body}
        assert saved.bytes == saved.file.stat().st_size
        assert [name for name in names(folder) if "unproven" not in name] == ["jogg-a1.mp4"]
        assert len(server.requests) <= len(schedule) + 2


def start_child(*arguments: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, faults.__file__, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(faults.__file__).parents[1])}
    return subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True, **options)  # type: ignore[call-overload, no-any-return]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("seed", range(3))
def test_next_run_resumes_a_killed_run(tmp_path: Path, seed: int) -> None:
    at = random.Random(seed).randrange(1, len(VIDEO.body))
    growing = tmp_path / "jogg-a1.part"
    with FaultServer(VIDEO, cut(at, "hang")) as server:
        victim = start_child(server.url, str(tmp_path))
        wait_until(lambda: growing.exists() and growing.stat().st_size == at)
        victim.kill()
        victim.communicate()
        assert names(tmp_path) == ["jogg-a1.part", "jogg-a1.part.json"]
        assert read_part(tmp_path) == VIDEO.body[:at]
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, at]
    assert saved.file.read_bytes() == VIDEO.body
    assert names(tmp_path) == ["jogg-a1.mp4"]


def test_two_processes_that_save_one_file_leave_it_whole(tmp_path: Path) -> None:
    release = threading.Event()

    def late(request: Request, video: Video) -> Answer:
        release.wait(10)
        return honest(request, video)

    with FaultServer(VIDEO, late) as server:
        first = start_child(server.url, str(tmp_path))
        wait_until(lambda: bool(server.requests))
        second = start_child(server.url, str(tmp_path))
        assert "another videostat process is saving it" in second.communicate()[1]
        release.set()
        assert first.communicate()[0] == "50000 0 False\n"
        assert start_child(server.url, str(tmp_path)).communicate()[0] == "50000 0 True\n"
    assert len(server.requests) == 1
    assert (tmp_path / "jogg-a1.mp4").read_bytes() == VIDEO.body


def test_file_size_limit_is_reported_and_the_part_is_kept(tmp_path: Path) -> None:
    with FaultServer(VIDEO) as server:
        out = start_child(server.url, str(tmp_path), "20000").communicate()[1]
        assert "NotSaved: not saved" in out
        assert "File too large" in out
        assert read_part(tmp_path) == VIDEO.body[:20_000]
        assert len(server.requests) == 1
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 20_000]
    assert (tmp_path / "jogg-a1.mp4").read_bytes() == VIDEO.body


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "Free some space"), (errno.EDQUOT, "Free some space"), (errno.EIO, None)]
)
def test_write_error_is_final_and_a_full_disk_gives_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str | None
) -> None:
    def full(fd: int, piece: bytes) -> int:
        raise OSError(number, os.strerror(number))

    with FaultServer(VIDEO) as server:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(NotSaved, match=os.strerror(number)) as caught:
            save(server.url, in_folder(tmp_path))
    assert len(server.requests) == 1
    assert (caught.value.hint or "").startswith(hint or "")
    assert names(tmp_path) == []


@contextmanager
def readonly_folder(*files: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for file in files:
            (Path(name) / file).write_bytes(VIDEO.body)
        Path(name).chmod(0o555)
        # Root may write everywhere, so become the user nobody.
        is_root = os.geteuid() == 0
        try:
            if is_root:
                os.seteuid(65534)
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)
            Path(name).chmod(0o755)


def test_unwritable_folder_is_reported_with_a_hint() -> None:
    with readonly_folder() as folder, FaultServer(VIDEO) as server:
        with pytest.raises(NotSaved, match="Permission denied") as caught:
            save(server.url, in_folder(folder))
        assert caught.value.hint == "Choose a folder you may write to with --output-dir."
        assert server.requests == []


def test_existing_video_is_skipped_in_a_read_only_folder() -> None:
    with readonly_folder("jogg-a1.mp4") as folder:
        assert save("http://127.0.0.1:9/", in_folder(folder)).skipped


@pytest.mark.parametrize("where", ["file/inside", "x" * 300])
def test_impossible_output_path_raises_not_saved(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotSaved, match="not saved"):
        save("http://127.0.0.1:9/", at_path(tmp_path / where))
    assert names(tmp_path) == ["file"]


def test_page_that_comes_byte_by_byte_is_named(tmp_path: Path) -> None:
    content = b"<!-- from a proxy --><html>Not here</html>"
    answer = Answer(body=content, headers={"Content-Length": str(len(content))})
    pieces = [content[at : at + 1] for at in range(len(content))]
    with pytest.raises(NotSaved, match="web page"):
        save("https://x", in_folder(tmp_path), open=lambda url, headers: ScriptedBody(pieces, answer))


def test_second_unreadable_answer_counts_anew_once_the_file_has_grown(tmp_path: Path) -> None:
    compressed = says(content_encoding="gzip")
    with FaultServer(VIDEO, compressed, cut(30_000), compressed) as server:
        assert save(server.url, in_folder(tmp_path), resolve=pytest.fail).bytes == 50_000


def test_new_url_is_not_requested_before_the_floor(tmp_path: Path) -> None:
    clock, asked = FakeClock(), []
    began = clock.time

    def resolve() -> Link:
        asked.append(clock.time - began)
        return Link(server.url)

    with FaultServer(VIDEO, answers(403)) as server:
        save(server.url, in_folder(tmp_path), resolve=resolve, clock=clock, floor=0.5)
    assert asked == [0.5]


def test_pauses_between_tries_grow_to_30_seconds(tmp_path: Path) -> None:
    def refuse(*_: object) -> NoReturn:
        raise Unreachable("no network")

    clock = FakeClock()
    with pytest.raises(NotSaved):
        save("https://x", in_folder(tmp_path), open=refuse, clock=clock, deadline=clock.time + 36_000)
    assert clock.pauses[0] <= 1
    assert 29.9 < max(clock.pauses) <= 30


def test_pauses_are_short_again_once_the_file_has_grown(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, answers(503), answers(503), cut(30_000)) as server:
        save(server.url, in_folder(tmp_path), clock=clock)
    assert [pause <= 1 for pause in clock.pauses] == [True, False, True]


def test_url_that_gives_no_video_counts_as_a_retry(tmp_path: Path) -> None:
    with FaultServer(VIDEO, answers(418)) as server:
        assert save(server.url, in_folder(tmp_path), others=(f"{server.url}?other",)).retries == 1
