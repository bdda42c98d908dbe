"""Each reader takes any value and gives ours, or None."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
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
from videostat.providers import reading

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
def test_dig_finds_what_lies_at_a_path_and_none_beside_it(value: object, path: tuple[Any, ...], found: object) -> None:
    assert reading.dig(value, *path) == found


def test_first_takes_the_first_place_that_holds_something_readable() -> None:
    paths = (("a",), ("b", "c"), ("d",))
    assert reading.first(reading.text, {"a": "", "b": {"c": "x"}, "d": "y"}, paths) == "x"
    assert reading.first(reading.number, {"a": "no", "b": 3, "d": 0}, paths) == 0
    assert reading.first(reading.text, {"e": "z"}, paths) is None


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
def test_a_text_has_something_in_it_and_may_be_a_whole_number(value: object, read: str | None) -> None:
    assert reading.text(value) == read


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
def test_a_number_is_finite(value: object, read: float | None) -> None:
    found = reading.number(value)
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
def test_a_percentage_comes_as_number_or_text_and_stays_within_0_and_100(value: object, read: float | None) -> None:
    assert reading.percent(value) == read


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
def test_a_time_comes_as_iso_8601_unix_seconds_or_milliseconds(value: object) -> None:
    read = reading.time(value)
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
def test_a_time_without_a_zone_is_utc_wherever_one_is() -> None:
    assert reading.time("2025-01-21T12:00:00") == NOON


def test_milliseconds_begin_where_seconds_would_be_five_thousand_years_ahead() -> None:
    assert reading.time(99_999_999_999) is None
    assert reading.time(100_000_000_001) == datetime(1973, 3, 3, 9, 46, 40, 1000, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", 7_300_000_000, -1]
)
def test_a_time_that_no_job_can_have_is_none(value: object) -> None:
    assert reading.time(value) is None


@pytest.mark.parametrize(("value", "read"), [(3, 3), ("2.5", 2.5), (0, 0), (-5, None), ("x", None)])
def test_a_length_is_not_negative(value: object, read: float | None) -> None:
    assert reading.length(value) == read


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
def test_zero_is_not_yet_and_what_is_no_time_is_none(value: object) -> None:
    assert reading.time(value) is None


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
def test_a_url_is_kept_as_it_came(value: str) -> None:
    assert reading.url(value) == value


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "content policy violation", "users/abc/output/video.mp4", "//cdn.example.com/a.mp4", "/v1/videos/a"),
        *("ftp://cdn.example.com/a.mp4", "file:///etc/passwd", "data:video/mp4;base64,AAAA", "javascript:alert(1)"),
        *("https://", "https:///a.mp4", "http://[::1", "http://[zz]/a", "https://a.example/a b.mp4"),
        *(
            " https://a.example/a.mp4",
            "https://a.example/a.mp4\n",
            "https://a.example/\x1b[2J",
            "https://a.example/\x85",
        ),
        *("https://a.example/\ud800", None, 7, True, ["https://a.example/a.mp4"], {"url": "https://a.example/a.mp4"}),
    ],
)
def test_what_is_no_http_url_is_none(value: object) -> None:
    assert reading.url(value) is None


WORDS = {"in_progress": State.RUNNING, "success": State.SUCCEEDED}


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("success", State.SUCCEEDED),
        ("SUCCESS", State.SUCCEEDED),
        (" In_Progress ", State.RUNNING),
        ("moderating", State.UNKNOWN),
    ],
)
def test_a_word_is_compared_without_case_and_an_unknown_one_is_a_state(word: str, state: State) -> None:
    assert reading.state(word, WORDS) is state


@pytest.mark.parametrize("word", ["", "  ", None, 3, True, ["success"], {"success": 1}])
def test_without_a_word_the_answer_is_unreadable(word: object) -> None:
    with pytest.raises(Unreadable, match="no status"):
        reading.state(word, WORDS)


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
def test_a_failure_comes_as_text_or_object(error: object, read: tuple[str | None, str | None]) -> None:
    assert reading.failure(error) == read


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((401, KeyRefused), (402, OutOfCredit), (403, KeyRefused), (404, NotFound), (410, Gone), (429, RateLimited)),
        *((408, ServerError), (425, ServerError), (500, ServerError), (502, ServerError), (504, ServerError)),
        *((524, ServerError), (599, ServerError), (400, ServiceError), (405, ServiceError), (499, ServiceError)),
        (200, Unreadable),
    ],
)
def test_without_a_code_the_http_status_says_what_it_is(status: int, kind: type[VideostatError]) -> None:
    error = reading.refusal(answer(status), {})
    assert type(error) is kind
    assert error.code is None


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_a_code_that_is_known_says_more_than_the_http_status(status: int) -> None:
    error = reading.refusal(answer(status), {"E1": Gone}, code="E1")
    assert type(error) is Gone
    assert error.code == "E1"


@pytest.mark.parametrize(
    ("status", "kind"), [(200, ServiceError), (400, ServiceError), (401, KeyRefused), (500, ServerError)]
)
def test_a_code_that_is_not_known_is_told(status: int, kind: type[VideostatError]) -> None:
    error = reading.refusal(answer(status), {"E1": Gone}, code="E2", message="it broke")
    assert type(error) is kind
    assert error.code == "E2"
    assert str(error).endswith(f": it broke (E2, HTTP {status})")


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (answer(502, content_type="text/html; charset=utf-8"), "text/html (HTTP 502)"),
        (answer(502), "an empty answer (HTTP 502)"),
        (answer(502, []), "JSON of type list (HTTP 502)"),
        (answer(200, {}), "JSON of type dict (HTTP 200)"),
    ],
)
def test_without_a_message_the_kind_of_answer_is_told(got: Answer, words: str) -> None:
    assert str(reading.refusal(got, {})).endswith(f": {words}")


def test_the_request_id_is_told() -> None:
    assert str(reading.refusal(answer(404), {}, code="7", request_id="r-1")).endswith("(7, HTTP 404, request r-1)")


@pytest.mark.parametrize("status", [404, 429])
def test_a_hint_names_the_job(status: int) -> None:
    hints = dict.fromkeys([NotFound, RateLimited], "ask for {id}") | {Gone: "no"}
    assert reading.refusal(answer(status), {}, job_id="abc", hints=hints).hint == "ask for abc"
    assert reading.refusal(answer(status), {}, hints=hints).hint == "ask for ID"


def seconds(got: Answer, *, code: str | None = None, reset_at: object = None) -> float | None:
    error = reading.refusal(got, {"not-ready": NotReady}, code=code, reset_at=reset_at)
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
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_seconds_or_a_date_and_ignored_when_malformed(
    status: int, header: str, wait: float | None
) -> None:
    assert seconds(answer(status, retry_after=header)) == wait


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
def test_a_rate_limit_takes_the_first_hint_that_is_not_past(
    headers: dict[str, str], reset_at: object, wait: float | None
) -> None:
    assert seconds(answer(429, **headers), reset_at=reset_at) == wait


@pytest.mark.parametrize(("status", "code"), [(500, None), (400, "not-ready"), (200, None)])
def test_the_end_of_a_window_is_no_advice_where_the_limit_is_not_reached(status: int, code: str | None) -> None:
    got = answer(status, x_ratelimit_reset="2025-01-21T13:00:00Z")
    assert seconds(got, code=code, reset_at="2025-01-21T13:00:00Z") is None
