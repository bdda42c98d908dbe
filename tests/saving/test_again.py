"""Downloads that need more than one request: fresh files, several URLs, new URLs, dates, and other runs."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import FakeClock
from faults import (
    Answer,
    Fault,
    FaultServer,
    Service,
    Video,
    answers,
    box,
    connect,
    cut,
    honest,
    in_folder,
    mp4,
    page,
    save,
)

from videostat.errors import NotReady, NotSaved, RateLimited, Untrusted
from videostat.saving import FRESH_PAUSES, LOCK_PATIENCE
from videostat.saving.partfile import Busy, Part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loopback import Request

    from videostat.saving.attempt import Body

VIDEO = Video(mp4())
HALF = VIDEO.body[:25_000]


def serves(body: bytes) -> Fault:
    return lambda request, video: honest(request, Video(body))


# A fresh file.


@pytest.mark.parametrize(
    "fault", [answers(404), answers(400), answers(202), answers(204), page, answers(200), serves(HALF)]
)
def test_fresh_file_is_retried_at_the_same_url_for_three_minutes(tmp_path: Path, fault: Fault) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, *[fault] * len(FRESH_PAUSES)) as server:
        saved = save(server.url, in_folder(tmp_path), clock=clock, resolve=pytest.fail, is_fresh=True)
    assert saved.file.read_bytes() == VIDEO.body
    assert clock.pauses == [2, 5, 10, 20, 30, 30, 30, 30, 23]
    assert sum(clock.pauses) == 180
    assert [path.name for path in tmp_path.iterdir()] == ["jogg-a1.mp4"]


@pytest.mark.parametrize(
    ("is_fresh", "requests", "hint"), [(True, 11, "in a few minutes"), (False, 2, "may have expired")]
)
def test_one_new_url_is_requested_for_a_missing_file(tmp_path: Path, is_fresh: bool, requests: int, hint: str) -> None:  # noqa: FBT001  a case
    with FaultServer(VIDEO, *[answers(404)] * 99) as server:
        service = Service(server.url)
        with pytest.raises(NotSaved, match="404") as caught:
            save(server.url, in_folder(tmp_path), resolve=service, is_fresh=is_fresh)
    assert (service.asked, len(server.requests)) == (1, requests)
    assert hint in str(caught.value.hint)


def test_fresh_file_is_not_retried_after_the_deadline(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, *[answers(404)] * 99) as server, pytest.raises(NotSaved, match="no time is left"):
        save(server.url, in_folder(tmp_path), clock=clock, is_fresh=True, deadline=clock.time + 30)
    assert clock.pauses == [2, 5, 10]


# Several URLs in one answer.


def test_all_urls_are_tried_in_order_before_a_new_one_is_requested(tmp_path: Path) -> None:
    with FaultServer(VIDEO, page) as share, FaultServer(VIDEO, answers(403)) as old, FaultServer(VIDEO) as film:
        save(share.url, in_folder(tmp_path), resolve=pytest.fail, others=(old.url, film.url))
    assert [len(each.requests) for each in (share, old, film)] == [1, 1, 1]


def test_next_url_is_tried_at_once_if_the_server_is_unreachable(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO) as film:
        save("http://127.0.0.1:9/", in_folder(tmp_path), clock=clock, resolve=pytest.fail, others=(film.url,))
    assert clock.pauses == []


def test_partial_download_continues_only_at_the_same_url(tmp_path: Path) -> None:
    with FaultServer(VIDEO, cut(10_000), answers(503)) as film, FaultServer(VIDEO) as other:
        save(film.url, in_folder(tmp_path), resolve=pytest.fail, others=(other.url,))
    assert (film.offsets, other.offsets) == ([None, 10_000, 10_000], [])


def test_url_that_serves_a_gif_is_not_requested_again(tmp_path: Path) -> None:
    with FaultServer(Video(b"GIF89a" + bytes(99))) as preview, FaultServer(VIDEO, answers(404)) as film:
        saved = save(preview.url, in_folder(tmp_path), resolve=pytest.fail, others=(film.url,), is_fresh=True)
    assert (len(preview.requests), len(film.requests)) == (1, 2)
    assert saved.file.read_bytes() == VIDEO.body


def test_error_of_the_new_link_is_reported_and_not_the_earlier_gif(tmp_path: Path) -> None:
    with FaultServer(Video(b"GIF89a" + bytes(99))) as gif, FaultServer(VIDEO, *[page] * 9) as share:
        with pytest.raises(NotSaved, match="web page"):
            save(gif.url, in_folder(tmp_path), resolve=Service(share.url), others=(share.url,))
        assert (len(gif.requests), len(share.requests)) == (1, 2)


# New URLs.


def test_new_url_is_not_requested_sooner_than_the_floor(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, answers(403), answers(403)) as server:
        save(server.url, in_folder(tmp_path), clock=clock, floor=10)
    assert clock.pauses == [10, 10]


def test_rate_limit_on_a_new_url_pauses_for_its_retry_after(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO, answers(403)) as server:
        service = Service(RateLimited("slow down", retry_after=1800), server.url)
        save(server.url, in_folder(tmp_path), clock=clock, resolve=service, most_links=2)
    assert (service.asked, clock.pauses) == (2, [1800])


def test_new_url_is_requested_again_while_the_job_is_not_ready(tmp_path: Path) -> None:
    with FaultServer(VIDEO, answers(403)) as server:
        service = Service(NotReady("not ready"), NotReady("not ready"), server.url)
        save(server.url, in_folder(tmp_path), resolve=service)
    assert service.asked == 3


def test_expired_url_counts_towards_the_limit_of_links(tmp_path: Path) -> None:
    clock = FakeClock()
    with FaultServer(VIDEO) as server, pytest.raises(NotSaved, match="has expired"):
        save(server.url, in_folder(tmp_path), clock=clock, expires_at=clock.now(), resolve=pytest.fail, most_links=1)
    assert server.requests == []


@pytest.mark.parametrize("worked", [True, False])
def test_bad_certificate_is_final_unless_the_host_answered_before(tmp_path: Path, worked: bool) -> None:  # noqa: FBT001  a case
    calls: list[str] = []
    with FaultServer(VIDEO, cut(100 if worked else 0)) as server:

        def portal(url: str, headers: Mapping[str, str]) -> Body:
            calls.append(url)
            if len(calls) == 1 + worked:
                raise Untrusted("the certificate is not valid")
            return connect(url, headers)

        if worked:
            save(server.url, in_folder(tmp_path), open=portal)
        else:
            with pytest.raises(NotSaved, match="certificate"):
                save(server.url, in_folder(tmp_path), open=portal)
    assert len(calls) == (3 if worked else 1)


# Dates of the last modification.

OLD = {"last_modified": "Tue, 31 Dec 2024 00:00:00 GMT", "date": "Wed, 01 Jan 2025 00:00:00 GMT", "etag": None}


def answer_by_date(request: Request, video: Video) -> Answer:
    headers = {**request.headers}
    if headers.get("if-range") == OLD["last_modified"]:
        headers["if-range"] = '"one"'
    return honest(replace(request, headers=headers), video).saying(**OLD)


def answer_without_date(request: Request, video: Video) -> Answer:
    return answer_by_date(request, video).saying(last_modified=None)


@pytest.mark.parametrize("etag", [None, 'W/"one"', "one"])
@pytest.mark.parametrize("answer", [answer_by_date, answer_without_date])
def test_download_resumes_with_a_strong_last_modified_date(tmp_path: Path, etag: str | None, answer: Fault) -> None:
    def begin(request: Request, video: Video) -> Answer:
        return cut(20_000)(request, video).saying(**{**OLD, "etag": etag})

    with FaultServer(VIDEO, begin, answer) as server:
        saved = save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 20_000]
    assert server.requests[1].headers["if-range"] == OLD["last_modified"]
    assert saved.file.read_bytes() == VIDEO.body


@pytest.mark.parametrize(
    "changes",
    [
        {"date": None},
        {"date": "Tue, 31 Dec 2024 00:00:59 GMT"},
        {"date": "Mon, 30 Dec 2024 00:00:00 GMT"},
        {"last_modified": None},
        {"last_modified": "yesterday"},
        {"last_modified": "31 Dec 2024 00:00:00 +0000"},
        {"last_modified": "Tue, 31 Dec 2024 00:00:00"},
    ],
)
def test_download_restarts_without_a_strong_last_modified_date(tmp_path: Path, changes: dict[str, str | None]) -> None:
    def begin(request: Request, video: Video) -> Answer:
        return cut(20_000)(request, video).saying(**{**OLD, **changes})

    with FaultServer(VIDEO, begin) as server:
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, None]


def test_part_with_another_last_modified_date_is_discarded(tmp_path: Path) -> None:
    def begin(request: Request, video: Video) -> Answer:
        return cut(20_000)(request, video).saying(**OLD)

    def changed(request: Request, video: Video) -> Answer:
        return answer_by_date(request, video).saying(last_modified="Wed, 01 Jan 2025 00:00:00 GMT")

    with FaultServer(VIDEO, begin, changed) as server:
        save(server.url, in_folder(tmp_path))
    assert server.offsets == [None, 20_000, None]


# Another run.


def test_a_second_run_waits_for_the_first_and_finds_the_video(tmp_path: Path) -> None:
    waits = threading.Event()

    class Waiting(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            waits.set()
            finished.wait(10)

    finished = threading.Event()
    outcome: list[object] = []

    def second() -> None:
        outcome.append(save("http://127.0.0.1:9/unused", in_folder(tmp_path), clock=Waiting()))

    def meanwhile(request: Request, video: Video) -> Answer:
        thread.start()
        assert waits.wait(10)
        return honest(request, video)

    thread = threading.Thread(target=second)
    with FaultServer(VIDEO, meanwhile) as server:
        first = save(server.url, in_folder(tmp_path))
        finished.set()
        thread.join(10)
    (found,) = outcome
    assert getattr(found, "skipped", False)
    assert getattr(found, "file", None) == first.file


def test_waiting_for_another_run_ends_two_minutes_after_its_last_byte(tmp_path: Path) -> None:
    clock = FakeClock()
    began = clock.time
    grown: list[int] = []

    def sleep(seconds: float) -> None:
        clock.time += seconds
        if clock.time - began < 60:
            part.append(b"1")
            grown.append(1)

    clock.sleep = sleep  # type: ignore[method-assign]
    with Part(in_folder(tmp_path)) as part:
        part.append(box(b"ftyp"))
        with pytest.raises(NotSaved, match="another videostat process is saving it"):
            save("http://127.0.0.1:9/", in_folder(tmp_path), clock=clock)
    assert grown
    assert 60 + LOCK_PATIENCE - 5 < clock.time - began < 60 + LOCK_PATIENCE + 5


def test_waiting_for_another_run_ends_before_the_deadline(tmp_path: Path) -> None:
    clock = FakeClock()
    with Part(in_folder(tmp_path)), pytest.raises(Busy):
        save("http://127.0.0.1:9/", in_folder(tmp_path), clock=clock, deadline=clock.time + 10)
    assert sum(clock.pauses) < 10
