"""Test how the jobs of a service are listed, page by page."""

from __future__ import annotations

from itertools import islice

import pytest

from videostat.client import BETWEEN_PAGES, PAGE_ATTEMPTS, Client
from videostat.errors import KeyRefused, NotFound, RateLimited, ServerError, ServiceError, VideostatError
from videostat.models import Job, JobRef
from videostat.providers.base import Page


class Service(Client):
    """A client that raises the given errors first and then returns the given pages; any other page fails."""

    def __init__(self, *pages: str, total: int | None = None, errors: tuple[VideostatError, ...] = ()) -> None:
        super().__init__()
        self._pages, self._total, self._errors = pages, total, list(errors)
        self.sizes: list[int | None] = []
        self.asked: list[int] = []
        self.slept: list[float] = []

    def fetch_page(self, name: str, number: int, size: int | None = None) -> Page:
        self.asked.append(number)
        self.sizes.append(size)
        if self._errors:
            raise self._errors.pop(0)
        jobs = tuple(Job(ref=JobRef("jogg", letter)) for letter in self._pages[number - 1])
        return Page(jobs, self._total, rows=len(jobs))

    def listed(self, limit: int | None = None, wanted: int | None = None) -> str:
        return "".join(job.ref.id for job, _ in islice(self.list_jobs("jogg", self.slept.append, wanted), limit))


@pytest.mark.parametrize(
    ("pages", "total", "found", "asked"),
    [
        (["abc", "de"], 5, "abcde", [1, 2]),
        (["abc", "de", ""], None, "abcde", [1, 2, 3]),
        (["abc"], 3, "abc", [1]),
        ([""], 0, "", [1]),
        ([""], None, "", [1]),
        # A total that is too large or too small.
        (["abc", ""], 99, "abc", [1, 2]),
        (["abc"], 1, "abc", [1]),
        # New jobs move the older ones to the next page.
        (["abc", "bcd", "e", ""], None, "abcde", [1, 2, 3, 4]),
        (["abc", "cde"], 5, "abcde", [1, 2]),
        # A service that answers every page with the first.
        (["abc", "abc"], None, "abc", [1, 2]),
        (["aab", ""], None, "ab", [1, 2]),
    ],
)
def test_each_job_is_listed_once_without_needless_requests(
    pages: list[str], total: int | None, found: str, asked: list[int]
) -> None:
    service = Service(*pages, total=total)
    assert (service.listed(), service.asked) == (found, asked)


@pytest.mark.parametrize(("limit", "asked"), [(0, []), (1, [1]), (3, [1]), (4, [1, 2])])
def test_pages_are_requested_only_when_needed(limit: int, asked: list[int]) -> None:
    service = Service("abc", "def", "ghi", total=9)
    assert len(service.listed(limit)) == limit
    assert service.asked == asked


def test_each_job_is_listed_with_the_total_of_the_service() -> None:
    service = Service("ab", total=2)
    assert [total for _, total in service.list_jobs("jogg", service.slept.append)] == [2, 2]


@pytest.mark.parametrize(
    ("errors", "slept"),
    [
        ([ServerError("oh")], [1]),
        ([ServerError("oh"), ServerError("oh")], [1, 2]),
        ([RateLimited("slow", retry_after=7)], [7]),
        ([RateLimited("slow", retry_after=0)], [0]),
        ([RateLimited("slow", retry_after=BETWEEN_PAGES.longest)], [BETWEEN_PAGES.longest]),
    ],
)
def test_page_is_requested_again_after_a_passing_error(errors: list[VideostatError], slept: list[float]) -> None:
    service = Service("ab", total=2, errors=tuple(errors))
    assert (service.listed(), service.slept) == ("ab", slept)


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (ServerError("oh"), PAGE_ATTEMPTS),
        (RateLimited("slow", retry_after=BETWEEN_PAGES.longest + 1), 1),
        (KeyRefused("no"), 1),
    ],
)
def test_lasting_or_final_error_is_raised(error: VideostatError, asked: int) -> None:
    service = Service("ab", errors=(error,) * PAGE_ATTEMPTS)
    with pytest.raises(type(error)):
        service.listed()
    assert len(service.asked) == asked


@pytest.mark.parametrize(("wanted", "size"), [(None, 100), (500, 100), (7, 7), (100, 100)])
def test_page_size_is_the_wanted_number_but_at_most_100(wanted: int | None, size: int) -> None:
    service = Service("ab", total=2)
    service.listed(wanted=wanted)
    assert service.sizes == [size]


@pytest.mark.parametrize("error", [ServiceError("too many"), NotFound("parameter error")])
def test_documented_page_size_is_used_once_if_the_longer_is_refused(error: VideostatError) -> None:
    service = Service("ab", total=2, errors=(error,))
    assert (service.listed(), service.sizes) == ("ab", [100, 20])
    service = Service("ab", total=2, errors=(error, error))
    with pytest.raises(type(error)):
        service.listed()
    service = Service("ab", total=2, errors=(error,))
    with pytest.raises(type(error)):
        service.listed(wanted=20)


def test_total_that_is_too_small_hides_no_jobs() -> None:
    service = Service("abc", "def", "g", total=3)
    assert (service.listed(wanted=3), service.asked) == ("abcdefg", [1, 2, 3])


def test_page_with_only_unreadable_rows_is_not_the_last() -> None:
    class Odd(Service):
        def fetch_page(self, name: str, number: int, size: int | None = None) -> Page:
            found = super().fetch_page(name, number, size)
            return Page(found.jobs, found.total, rows=3)

    service = Odd("ab", "", "c", "d", total=None)
    with pytest.raises(IndexError):
        service.listed(wanted=3)
    assert service.asked == [1, 2, 3, 4, 5]
