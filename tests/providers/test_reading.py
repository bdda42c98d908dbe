"""Test the readers: each takes any JSON value and returns a value of the right type, or None."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fakes import api_answer

from videostat.errors import (
    Gone,
    KeyRefused,
    NotFound,
    NotReady,
    OutOfCredit,
    RateLimited,
    Retryable,
    ServerError,
    ServiceError,
    Unreadable,
    VideostatError,
)
from videostat.models import State
from videostat.providers import reading, refusals
from videostat.providers.base import Meaning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from videostat.providers.base import Answer

NOON = datetime(2025, 1, 21, 12, tzinfo=UTC)
UNIX_NOON = 1737460800


def answer(status: int = 200, body: object = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api_answer(status, named, body, NOON)


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a": {"b": 1}}, ("a", "b"), 1),
        ({"a": [{"b": 1}]}, ("a", 0, "b"), 1),
        ({"a": None}, ("a", "b"), None),
        ({"a": "text"}, ("a", "b"), None),
        ({"a": "text"}, ("a", 0), None),
        ({"a": [1]}, ("a", 1), None),
        ({"a": [1]}, ("a", "b"), None),
        ({"a": {"b": 1}}, ("a", 0), None),
        (None, ("a",), None),
        (7, (), 7),
    ],
)
def test_dig_returns_the_value_at_a_path_or_none(value: object, path: tuple[Any, ...], found: object) -> None:
    assert reading.dig(value, *path) == found


def test_read_first_returns_the_first_readable_value() -> None:
    paths = (("a",), ("b", "c"), ("d",))
    assert reading.read_first(reading.read_text, {"a": "", "b": {"c": "x"}, "d": "y"}, paths) == "x"
    assert reading.read_first(reading.read_number, {"a": "no", "b": 3, "d": 0}, paths) == 0
    assert reading.read_first(reading.read_text, {"e": "z"}, paths) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("words", "words"),
        ("  words\n", "words"),
        (5001, "5001"),
        (-1, "-1"),
        (0, "0"),
        ("0", "0"),
        ("", None),
        (" \t", None),
        (None, None),
        (True, None),
        (False, None),
        (50.0, None),
        ([], None),
        ({"message": "words"}, None),
        (10**4299, None),
    ],
)
def test_text_is_a_string_with_content_or_a_whole_number(value: object, read: str | None) -> None:
    assert reading.read_text(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0, 0),
        (30.5, 30.5),
        ("30.5", 30.5),
        (" 7 ", 7),
        ("1e3", 1000),
        (-2, -2),
        ("", None),
        ("30s", None),
        ("NaN", None),
        ("-Infinity", None),
        ("1e999", None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        (True, None),
        (None, None),
        ([1], None),
        ({}, None),
    ],
)
def test_number_is_finite_and_may_come_as_text(value: object, read: float | None) -> None:
    found = reading.read_number(value)
    assert found == read
    assert found is None or isinstance(found, float)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (45, 45),
        (45.5, 45.5),
        ("45", 45),
        ("45%", 45),
        (" 45 % ", 45),
        ("0%", 0),
        ("100%", 100),
        (250, 100),
        ("-3%", 0),
        ("", None),
        ("%", None),
        ("45%%", None),
        ("NaN%", None),
        ("almost", None),
        (None, None),
        (True, None),
        (["45%"], None),
    ],
)
def test_percentage_is_a_number_or_text_and_limited_to_0_to_100(value: object, read: float | None) -> None:
    assert reading.read_percent(value) == read


@pytest.mark.parametrize(
    "value",
    [
        "2025-01-21T12:00:00Z",
        "2025-01-21T12:00:00.000Z",
        "2025-01-21T12:00:00",
        "2025-01-21 12:00:00+00:00",
        "2025-01-21T20:00:00+08:00",
        UNIX_NOON,
        float(UNIX_NOON),
        str(UNIX_NOON),
        UNIX_NOON * 1000,
        str(UNIX_NOON * 1000),
    ],
)
def test_time_is_read_from_iso_8601_unix_seconds_or_milliseconds(value: object) -> None:
    read = reading.read_time(value)
    assert read == NOON
    assert read.tzinfo is UTC


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_tokyo")
def test_time_without_a_zone_is_utc_in_any_local_zone() -> None:
    assert reading.read_time("2025-01-21T12:00:00") == NOON


def test_number_above_a_hundred_billion_is_in_milliseconds() -> None:
    assert reading.read_time(99_999_999_999) is None
    assert reading.read_time(100_000_000_001) == datetime(1973, 3, 3, 9, 46, 40, 1000, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", 7_300_000_000, -1]
)
def test_time_outside_the_plausible_range_is_ignored(value: object) -> None:
    assert reading.read_time(value) is None


@pytest.mark.parametrize(("value", "read"), [(3, 3), ("2.5", 2.5), (0, 0), (-5, None), ("x", None)])
def test_negative_length_is_ignored(value: object, read: float | None) -> None:
    assert reading.read_seconds(value) == read


@pytest.mark.parametrize(
    "value",
    [
        *(
            0,
            0.0,
            "0",
            -1,
            "",
            None,
            True,
            [],
            {},
            [UNIX_NOON],
            "soon",
            "2025-13-01T00:00:00Z",
            "\ud800",
            "2025\ud800-01",
        ),
        *(math.nan, math.inf, 1e300, 10**400, "1e999", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
    ],
)
def test_zero_or_invalid_time_is_ignored(value: object) -> None:
    assert reading.read_time(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "https://cdn.example.com/a.mp4?X-Amz-Signature=0a%2Fb&n=1#t",
        "http://127.0.0.1:8080/a.mp4",
        "https://[2001:db8::1]/a.mp4",
        "HTTPS://CDN.example.com/a.mp4",
        "https://\u4f8b\u5b50.example/a.mp4",
    ],
)
def test_http_url_is_kept_unchanged(value: str) -> None:
    assert reading.read_url(value) == value


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "content policy violation", "users/abc/output/video.mp4", "/", "//"),
        *("ftp://cdn.example.com/a.mp4", "file:///etc/passwd", "data:video/mp4;base64,AAAA", "javascript:alert(1)"),
        *("https://", "https:///a.mp4", "http://[::1", "http://[zz]/a", "https://a.example/a b.mp4"),
        *(
            "https://a.example/\x1b[2J",
            "https://a.example/\x85",
        ),
        *("https://a.example/\ud800", None, 7, True, ["https://a.example/a.mp4"], {"url": "https://a.example/a.mp4"}),
    ],
)
def test_text_that_is_not_an_http_url_is_ignored(value: object) -> None:
    assert reading.read_url(value) is None


OWN = {"in_progress": State.RUNNING, "success": State.SUCCEEDED, "expired": State.RUNNING}


@pytest.mark.parametrize(
    ("word", "state", "sure"),
    [
        ("success", State.SUCCEEDED, True),
        ("SUCCESS", State.SUCCEEDED, True),
        (" In_Progress ", State.RUNNING, True),
        ("In Progress", State.RUNNING, True),
        ("expired", State.RUNNING, True),
        ("succeed", State.SUCCEEDED, False),
        ("Fail", State.FAILED, False),
        ("canceled", State.FAILED, False),
        ("moderating", State.UNKNOWN, True),
    ],
)
def test_state_word_ignores_case_and_the_services_table_comes_first(word: str, state: State, *, sure: bool) -> None:
    assert reading.read_state(word, OWN) == (state, sure)


@pytest.mark.parametrize("word", ["", "  ", None, 3, True, ["success"], {"success": 1}])
def test_body_without_a_status_word_has_no_task(word: object) -> None:
    assert reading.read_status_word({"status": word}) is None
    assert reading.find_task({"status": word}) is None


@pytest.mark.parametrize(
    ("task", "urls"),
    [
        ({"video_url": "https://a/v"}, [["https://a/v"]]),
        ({"video_url": {"url": "https://a/v"}}, [["https://a/v"]]),
        ({"video_url": ["https://a/v"]}, [["https://a/v"]]),
        ({"metadata": {"url": " https://a/v\n"}}, [["https://a/v"]]),
        ({"task_result": {"videos": [{"url": "https://a/v"}]}}, [["https://a/v"]]),
        ({"data": {"content": {"video_url": "https://a/v"}}}, [["https://a/v"]]),
        ({"resultJson": '{"resultUrls": ["https://a/v", "https://a/w"]}'}, [["https://a/v"], ["https://a/w"]]),
        ({"output": ["https://a/v", "https://a/w"]}, [["https://a/v"], ["https://a/w"]]),
        ({"videos": [{"url": "https://a/v"}, {"url": "https://a/w"}]}, [["https://a/v"], ["https://a/w"]]),
        ({"video_url": "https://a/v", "url": "https://b/v"}, [["https://a/v", "https://b/v"]]),
        ({"video_url": "/v1/videos/x"}, [["/v1/videos/x"]]),
        ({"video_url": "//cdn/v"}, [["//cdn/v"]]),
        ({"fail_reason": "InputTextSensitiveContentDetected"}, []),
        ({"url": "gs://bucket/v"}, []),
        ({}, []),
        (None, []),
    ],
)
def test_video_urls_are_found_in_each_known_place(task: object, urls: list[list[str]]) -> None:
    assert [list(each) for each in reading.find_video_urls(task)] == urls


def test_url_with_a_foreign_scheme_is_found() -> None:
    assert reading.find_foreign_url({"a": [{"b": "gs://bucket/v"}]}) == "gs://bucket/v"
    assert reading.find_foreign_url({"a": "words"}) is None


@pytest.mark.parametrize(
    ("error", "read"),
    [
        ("no credit", ("no credit", None)),
        ({"code": 50000, "message": "no credit"}, ("no credit", "50000")),
        ({"code": "50000", "message": "no credit"}, ("no credit", "50000")),
        ({"code": "", "message": ""}, (None, None)),
        ({"message": ["no credit"]}, (None, None)),
        ({}, (None, None)),
        ("", (None, None)),
        (None, (None, None)),
        ([], (None, None)),
    ],
)
def test_failure_is_read_from_text_or_object(error: object, read: tuple[str | None, str | None]) -> None:
    assert reading.read_failure(error) == read


@pytest.mark.parametrize(
    ("meaning", "kind"),
    [
        (Meaning.KEY, KeyRefused),
        (Meaning.CREDIT, OutOfCredit),
        (Meaning.MISSING, NotFound),
        (Meaning.GONE, Gone),
        (Meaning.LIMIT, RateLimited),
        (Meaning.BUSY, ServerError),
        (Meaning.BROKEN, ServiceError),
        (Meaning.RUNNING, NotReady),
        (Meaning.FOREIGN, Unreadable),
    ],
)
def test_each_refused_meaning_has_its_error_class(meaning: Meaning, kind: type[VideostatError]) -> None:
    error = refusals.make_refusal(answer(400, {"code": "E2", "message": "it broke"}), meaning, sure=True)
    assert (type(error), error.code, error.sure) == (kind, "E2", True)
    assert str(error).endswith(": it broke (E2, HTTP 400)")


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (answer(502, content_type="text/html; charset=utf-8"), "text/html (HTTP 502)"),
        (answer(502), "an empty answer (HTTP 502)"),
        (answer(502, []), "JSON of type list (HTTP 502)"),
        (answer(200, {}), "it has no job status (HTTP 200)"),
    ],
)
def test_error_without_a_message_names_the_kind_of_answer(got: Answer, words: str) -> None:
    assert str(refusals.make_refusal(got, Meaning.FOREIGN, sure=False)).endswith(f": {words}")


def test_error_contains_the_request_id() -> None:
    error = refusals.make_refusal(answer(404, {"code": 7, "rid": "r-1"}), Meaning.MISSING, sure=True)
    assert str(error).endswith("(7, HTTP 404, request r-1)")


def test_a_hint_names_the_job() -> None:
    hints = dict.fromkeys([Meaning.MISSING, Meaning.LIMIT], "ask for {id}")
    assert (
        refusals.make_refusal(answer(404), Meaning.MISSING, sure=True, job_id="abc", hints=hints).hint == "ask for abc"
    )
    assert refusals.make_refusal(answer(404), Meaning.LIMIT, sure=True, hints=hints).hint == "ask for ID"


def test_hint_of_a_rate_limit_says_when_it_ends() -> None:
    hint = refusals.make_refusal(answer(429, retry_after="600"), Meaning.LIMIT, sure=True).hint
    ends_at = (NOON + timedelta(seconds=600)).astimezone()
    assert hint == f"The limit ends at {ends_at:%H:%M:%S}, in 10m: ask again then."
    assert refusals.make_refusal(answer(429), Meaning.LIMIT, sure=True).hint is None


def read_retry_after(got: Answer, meaning: Meaning = Meaning.LIMIT) -> float | None:
    error = refusals.make_refusal(got, meaning, sure=False)
    assert isinstance(error, Retryable)
    return error.retry_after


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0", 0),
        ("20", 20),
        (" 20 ", 20),
        ("1.5", 1.5),
        ("1847", 1847),
        ("Tue, 21 Jan 2025 12:00:30 GMT", 30),
        ("Tuesday, 21-Jan-25 12:00:30 GMT", 30),
        ("Tue Jan 21 12:00:30 2025", 30),
        ("Tue, 21 Jan 2025 20:00:30 +0800", 30),
        ("Tue, 21 Jan 2025 12:00:00 GMT", 0),
        ("Tue, 21 Jan 2025 11:59:59 GMT", None),
        ("Tue, 99 Jan 2025 12:00:30 GMT", None),
        ("99999999999 Jan 0 16.00", None),
        ("-20", None),
        ("NaN", None),
        ("1e999", None),
        ("20s", None),
        ("", None),
        (str(UNIX_NOON + 30), 30),
        (str((UNIX_NOON + 30) * 1000), 30),
        (str(UNIX_NOON - 30), None),
        ("86401", None),
    ],
)
@pytest.mark.parametrize("meaning", [Meaning.LIMIT, Meaning.BUSY])
def test_retry_after_is_seconds_or_a_date_and_ignored_if_malformed(
    meaning: Meaning, header: str, wait: float | None
) -> None:
    assert read_retry_after(answer(429, retry_after=header), meaning) == wait


def test_retry_after_counts_from_the_date_of_the_answer() -> None:
    late = {"date": "Tue, 21 Jan 2025 11:00:00 GMT"}
    assert read_retry_after(answer(429, retry_after="Tue, 21 Jan 2025 11:00:30 GMT", **late)) == 30
    assert read_retry_after(answer(429, x_ratelimit_reset="2025-01-21T11:00:30Z", **late)) == 30
    assert read_retry_after(answer(429, x_ratelimit_reset="2025-01-21T12:00:30Z", date="yesterday")) == 30


@pytest.mark.parametrize(
    ("headers", "reset_at", "wait"),
    [
        ({}, None, None),
        ({}, "2025-01-21T12:00:12.500Z", 12.5),
        ({}, UNIX_NOON + 5, 5),
        ({}, "2025-01-21T11:00:00Z", None),
        ({}, ["2025-01-21T12:00:12Z"], None),
        ({"x_ratelimit_reset": "2025-01-21T12:01:00.000Z"}, None, 60),
        ({"x_ratelimit_reset": str(UNIX_NOON + 60)}, None, 60),
        ({"x_ratelimit_reset": "60"}, None, None),
        ({"x_ratelimit_reset": "2025-01-21T12:01:00Z"}, "2025-01-21T12:00:12Z", 12),
        ({"x_ratelimit_reset": "2025-01-21T12:01:00Z"}, "2025-01-21T11:00:00Z", 60),
        ({"retry_after": "7", "x_ratelimit_reset": "2025-01-21T12:01:00Z"}, "2025-01-21T12:00:12Z", 7),
        ({"retry_after": "-7", "x_ratelimit_reset": "2025-01-21T12:01:00Z"}, "soon", 60),
    ],
)
def test_rate_limit_uses_the_first_end_that_is_not_in_the_past(
    headers: dict[str, str], reset_at: object, wait: float | None
) -> None:
    assert read_retry_after(answer(429, {"details": {"resetAt": reset_at}}, **headers)) == wait


@pytest.mark.parametrize("meaning", [Meaning.BUSY, Meaning.FOREIGN, Meaning.RUNNING])
def test_end_of_a_window_is_ignored_if_the_limit_is_not_reached(meaning: Meaning) -> None:
    body = {"details": {"resetAt": "2025-01-21T13:00:00Z"}}
    assert read_retry_after(answer(500, body, x_ratelimit_reset="2025-01-21T13:00:00Z"), meaning) is None


@pytest.mark.parametrize("text", ['{"status": "done"', "[" * 100_000])
def test_a_text_that_only_begins_as_json_holds_nothing(text: str) -> None:
    assert reading.unwrap(text) is None
