"""The step that saves the videos of a job: several videos, and files that are not there yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from fakes import FakeClock
from faults import (
    REF,
    FaultServer,
    Video,
    answers,
    at_path,
    connect,
    cut,
    in_folder,
    mp4,
    save,
)

from videostat.errors import KeyRefused, NotSaved
from videostat.history import History
from videostat.models import Job, JobRef, Link, State
from videostat.providers import PROVIDERS
from videostat.waiting import Saving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from videostat.client import Client
    from videostat.saving.attempt import Body
    from videostat.saving.destination import Destination

VIDEOS = [Video(mp4(seed=seed), f'"{seed}"') for seed in (1, 2, 3)]
OTHER = JobRef("jogg", "a1-2")


class Service:
    """A client without a network that returns the given addresses."""

    def __init__(self, *urls: str, provider: str = "jogg", problem: Exception | None = None) -> None:
        self.urls = urls
        self.asked: list[int] = []
        self._problem = problem
        self._account = SimpleNamespace(provider=PROVIDERS[provider])

    def get_account(self, name: str) -> SimpleNamespace:
        return self._account

    def fetch_link(self, job: Job, number: int, *, timeout: float) -> Link:
        self.asked.append(number)
        if self._problem:
            raise self._problem
        return Link(self.urls[number - 1])

    def open(self, ref: JobRef, url: str, headers: Mapping[str, str]) -> Body:
        return connect(url, headers)


def saving(where: Destination, service: Service, clock: FakeClock | None = None, *, overwrite: bool = False) -> Saving:
    return Saving(
        client=cast("Client", service),
        clock=clock or FakeClock(),
        destinations={where.ref: where},
        history=History(None, warn=pytest.fail),
        overwrite=overwrite,
        deadline=inf,
    )


def job(*urls: str) -> Job:
    first, *further = urls
    return Job(ref=REF, state=State.SUCCEEDED, video_url=first, further_urls=tuple(further))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (in_folder, ["jogg-a1 (2).mp4", "jogg-a1 (3).mp4", "jogg-a1.mp4"]),
        (lambda folder: at_path(folder / "clip.mp4"), ["clip (2).mp4", "clip (3).mp4", "clip.mp4"]),
        (lambda folder: at_path(folder / "clip"), ["clip", "clip (2)", "clip (3)"]),
    ],
)
def test_all_videos_of_a_job_are_saved(
    tmp_path: Path, place: Callable[[Path], Destination], expected: list[str]
) -> None:
    with FaultServer(VIDEOS[0]) as one, FaultServer(VIDEOS[1], cut(9_000)) as two, FaultServer(VIDEOS[2]) as three:
        urls = one.url, two.url, three.url
        saved = saving(place(tmp_path), Service(*urls)).save(job(*urls)).saved
    assert names(tmp_path) == expected
    assert saved
    assert [file.read_bytes() for file in saved.files] == [video.body for video in VIDEOS]
    assert (saved.bytes, saved.resumed, saved.retries, saved.skipped) == (150_000, 9_000, 1, False)
    assert saved.file.name == min(expected, key=len)


def test_next_run_finds_both_videos_of_a_job(tmp_path: Path) -> None:
    with FaultServer(VIDEOS[0]) as one, FaultServer(VIDEOS[1]) as two:
        saving(in_folder(tmp_path), Service(one.url, two.url)).save(job(one.url, two.url))
    (found,) = saving(in_folder(tmp_path), Service()).find_saved()
    assert found.saved
    assert [file.name for file in found.saved.files] == ["jogg-a1.mp4", "jogg-a1 (2).mp4"]
    assert (found.saved.bytes, found.saved.skipped) == (100_000, True)


def test_failed_video_stops_no_other_and_is_saved_by_the_next_run(tmp_path: Path) -> None:
    with (
        FaultServer(VIDEOS[0]) as one,
        FaultServer(VIDEOS[1], *[answers(404)] * 2) as two,
        FaultServer(VIDEOS[2]) as three,
    ):
        urls = one.url, two.url, three.url
        service = Service(*urls)
        with pytest.raises(NotSaved, match="video 2 of 3: not saved: the server answered 404"):
            saving(in_folder(tmp_path), service).save(job(*urls))
        assert service.asked == [2]
        assert names(tmp_path) == ["jogg-a1 (2).part", "jogg-a1 (3).mp4", "jogg-a1.mp4"]
        # The first file is there, but without the second the job is not saved.
        assert [*saving(in_folder(tmp_path), service).find_saved()] == []
        saved = saving(in_folder(tmp_path), service).save(job(*urls)).saved
    assert names(tmp_path) == ["jogg-a1 (2).mp4", "jogg-a1 (3).mp4", "jogg-a1.mp4"]
    assert saved
    assert len(saved.files) == 3
    assert (len(one.requests), len(two.requests), len(three.requests)) == (1, 3, 1)


def test_refused_key_leaves_part_files_for_the_missing_videos(tmp_path: Path) -> None:
    with FaultServer(VIDEOS[0]) as one, FaultServer(VIDEOS[1], answers(403)) as two:
        service = Service(problem=KeyRefused("no"))
        with pytest.raises(KeyRefused):
            saving(in_folder(tmp_path), service).save(job(one.url, two.url, one.url))
    assert names(tmp_path) == ["jogg-a1 (2).part", "jogg-a1 (3).part", "jogg-a1.mp4"]
    assert [*saving(in_folder(tmp_path), service).find_saved()] == []


def test_second_video_and_another_job_have_different_file_names(tmp_path: Path) -> None:
    second = in_folder(tmp_path).with_number(2)
    assert second.name_file("mp4").name == "jogg-a1 (2).mp4"
    assert not JobRef.is_id("a1 (2)")
    assert replace(in_folder(tmp_path), ref=OTHER).name_file("mp4") != second.name_file("mp4")


def test_job_with_one_video_leaves_no_part_file(tmp_path: Path) -> None:
    with FaultServer(VIDEOS[0]) as server:
        saved = saving(in_folder(tmp_path), Service()).save(job(server.url)).saved
    assert saved
    assert saved.files == (tmp_path / "jogg-a1.mp4",)
    assert names(tmp_path) == ["jogg-a1.mp4"]


def test_alternative_url_is_used_when_the_first_is_gone(tmp_path: Path) -> None:
    with FaultServer(VIDEOS[0], answers(410)) as page, FaultServer(VIDEOS[1]) as film:
        here = replace(job(page.url), alternative_urls=(film.url,))
        saving(in_folder(tmp_path), Service()).save(here)
    assert (tmp_path / "jogg-a1.mp4").read_bytes() == VIDEOS[1].body
    assert "signature" not in repr(replace(here, video_url=None))


@pytest.mark.parametrize(("provider", "asked"), [("reelbot", 1), ("jogg", 2)])
def test_service_with_a_quota_is_asked_only_once_for_a_new_url(tmp_path: Path, provider: str, asked: int) -> None:
    clock = FakeClock()
    with FaultServer(VIDEOS[0], *[answers(403)] * 9) as server:
        service = Service(server.url, provider=provider)
        with pytest.raises(NotSaved, match="403"):
            saving(in_folder(tmp_path), service, clock).save(job(server.url))
    assert service.asked == [1] * asked
    assert clock.pauses == [PROVIDERS[provider].polling.floor] * asked


NOW = FakeClock().now()


@pytest.mark.parametrize(
    ("completed", "created", "recent", "is_fresh"),
    [
        (14, None, False, True),
        (16, 20, True, False),
        (None, 59, False, True),
        (None, 61, True, False),
        (None, None, True, True),
        (None, None, False, False),
    ],
)
def test_missing_file_of_a_recent_job_is_retried(
    tmp_path: Path,
    completed: int | None,
    created: int | None,
    recent: bool,  # noqa: FBT001  a case
    is_fresh: bool,  # noqa: FBT001  a case
) -> None:
    clock = FakeClock()

    def ago(minutes: int | None) -> datetime | None:
        return None if minutes is None else clock.now() - timedelta(minutes=minutes)

    with FaultServer(VIDEOS[0], *[answers(404)] * 2) as server:
        service = Service(server.url)
        step = saving(in_folder(tmp_path), service, clock)
        step.recent = {REF} if recent else set()
        young = replace(job(server.url), completed_at=ago(completed), created_at=ago(created))
        if is_fresh:
            step.save(young)
            assert (clock.pauses, service.asked) == ([2, 5], [])
        else:
            with pytest.raises(NotSaved):
                step.save(young)
            assert service.asked == [1]


def test_recent_jobs_are_read_from_the_history(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db", warn=pytest.fail)
    history.add([REF], NOW - timedelta(minutes=61))
    history.add([OTHER], NOW - timedelta(minutes=59))
    step = saving(in_folder(tmp_path), Service())
    step.note_recent(history)
    assert step.recent == {OTHER}
    history.close()
    without = History(None, warn=pytest.fail)
    step.note_recent(without)
    assert step.recent == {REF}


def test_overwrite_downloads_each_video_again(tmp_path: Path) -> None:
    with FaultServer(VIDEOS[0]) as one, FaultServer(VIDEOS[1]) as two:
        for _ in range(2):
            step = saving(in_folder(tmp_path), Service(), overwrite=True)
            assert [*step.find_saved()] == []
            step.save(job(one.url, two.url))
    assert (len(one.requests), len(two.requests)) == (2, 2)


def test_saved_file_is_not_downloaded_again(tmp_path: Path) -> None:
    with FaultServer(VIDEOS[0]) as server:
        saved = save(server.url, in_folder(tmp_path))
    done = replace(job("http://127.0.0.1:9/"), saved=saved)
    assert saving(in_folder(tmp_path), Service()).save(done) == done
