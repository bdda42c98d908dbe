"""When to believe an error: wrong keys, mistyped ids and addresses, firewalls, outages, bad jobs, new keys.

One key group at JoggAI's pace, answers after 0.3 s, jobs that finish at 120 s. In the ids, "never" means that the
account has never worked, and "history" that it has worked on an earlier day.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from fakes import JOGG, After, Scene, running, succeeded

from videostat.errors import (
    KeyChanged,
    KeyRefused,
    NoConnection,
    NotFound,
    OutOfCredit,
    RateLimited,
    Redirected,
    ServerError,
    Unreachable,
    Unreadable,
    VideostatError,
)
from videostat.models import Job, State
from videostat.polling.options import PollOptions

HISTORY = {"worked": True, "account_worked": True}
Behaviour = Callable[[float], Callable[[Job], Job] | Exception]


def sure(kind: type[VideostatError]) -> VideostatError:
    return kind("in the service's own words", sure=True)


def page(*, about_job: bool = True) -> Unreadable:
    error = Unreadable("text/html")
    error.about_job = about_job
    return error


def good(at: float) -> Any:
    return succeeded() if at >= 120 else running()


def always(error: Exception) -> Behaviour:
    return lambda at: error


def between(start: float, end: float, error: Exception) -> Behaviour:
    return lambda at: error if start <= at < end else good(at)


def until(end: float, error: Exception) -> Behaviour:
    return between(0, end, error)


def since(start: float, error: Exception) -> Behaviour:
    return between(start, math.inf, error)


WORD_OF_SHARED_TABLE = lambda job: Job(ref=job.ref, state=State.FAILED, status="fail", sure=False)  # noqa: E731
KEY, JSON_KEY = sure(KeyRefused), KeyRefused("JSON 401")
MISSING, JSON_404 = sure(NotFound), NotFound("JSON 404")
PAGE_200, PAGE_403 = page(), page(about_job=False)
UNKNOWN_CODE = page()
BROKEN, REDIRECT, REFUSED = ServerError("502"), Redirected("elsewhere"), NoConnection("refused")


def play(
    says: Behaviour,
    jobs: int = 1,
    *,
    past: dict[str, bool] | None = None,
    timeout: float = 600,
    special: dict[int, Behaviour] | None = None,
    delay: float = 0.3,
) -> Scene:
    random = Random(1)
    scene = Scene({}, JOGG, PollOptions(timeout=timeout), rate=10, jitter=random.random, past=past or {})

    def script(number: int) -> list[Any]:
        behave = (special or {}).get(number, says)

        def answer(job: Job) -> Any:
            outcome = behave(scene.clock.time)
            return outcome if isinstance(outcome, Exception) else outcome(job)

        return [After(delay, answer), ...]

    scene.scripts = {f"j{number}": script(number) for number in range(jobs)}
    return scene.play()


def summarize(scene: Scene) -> tuple[dict[int, int], int, float]:
    return dict(Counter(scene.codes.values())), len(scene.requests), max(scene.ended_at.values())


# The table's counts and times depend on jitter: a JoggAI look comes 10 to 15 s after the last.
SHARE, SPREAD = 0.12, 5


@pytest.mark.parametrize(
    ("scene", "codes", "requests", "end"),
    [
        pytest.param(lambda: play(always(KEY)), {3: 1}, 1, 0.3, id="wrong key 10105, never"),
        pytest.param(lambda: play(always(KEY), 2), {3: 2}, 2, 0.6, id="wrong key 10105, 2, never"),
        pytest.param(lambda: play(always(KEY), 3), {3: 3}, 3, 0.9, id="wrong key 10105, 3, never"),
        pytest.param(lambda: play(always(KEY), 120), {3: 120}, 4, 11.2, id="wrong key 10105, 120, never"),
        pytest.param(lambda: play(always(KEY), past=HISTORY), {3: 1}, 2, 10.6, id="wrong key 10105, history"),
        pytest.param(lambda: play(always(KEY), 2, past=HISTORY), {3: 2}, 4, 10.9, id="wrong key 10105, 2, history"),
        pytest.param(lambda: play(always(KEY), 3, past=HISTORY), {3: 3}, 4, 11.2, id="wrong key 10105, 3, history"),
        pytest.param(lambda: play(always(KEY), 120, past=HISTORY), {3: 120}, 4, 11.2, id="wrong key, 120, history"),
        pytest.param(lambda: play(always(JSON_KEY)), {3: 1}, 2, 10.6, id="wrong key, other JSON"),
        pytest.param(lambda: play(always(JSON_KEY), 2), {3: 2}, 4, 10.9, id="wrong key, other JSON, 2"),
        pytest.param(lambda: play(always(JSON_KEY), 120), {3: 120}, 4, 11.2, id="wrong key, other JSON, 120"),
        pytest.param(lambda: play(always(PAGE_403)), {6: 1}, 4, 120.3, id="wrong key, a page"),
        pytest.param(lambda: play(always(PAGE_403), 120), {6: 120}, 6, 120.3, id="wrong key, a page, 120"),
        pytest.param(lambda: play(always(UNKNOWN_CODE)), {6: 1}, 4, 120.3, id="wrong key, 200 + unknown code"),
        pytest.param(lambda: play(always(UNKNOWN_CODE), 40), {6: 40}, 6, 120.3, id="wrong key, unknown code, 40"),
        pytest.param(lambda: play(since(60, KEY), 40), {3: 40}, 203, 72, id="key revoked at 60 s"),
        pytest.param(lambda: play(since(60, JSON_KEY), 40), {124: 40}, 245, 600, id="key revoked, other JSON"),
        pytest.param(
            lambda: play(good, 40, special={7: always(KEY)}), {3: 1, 0: 39}, 417, 132.8, id="one 5003 among 40"
        ),
        pytest.param(
            lambda: play(good, 40, special={0: always(KEY)}), {3: 1, 0: 39}, 416, 133, id="a first 5003 among 40"
        ),
        pytest.param(
            lambda: play(good, 40, special=dict.fromkeys(range(3), always(KEY))),
            {3: 3, 0: 37}, 367, 131.3, id="three 5003 first of 40",
        ),
        pytest.param(lambda: play(always(sure(OutOfCredit)), 40), {4: 40}, 4, 11.2, id="18020 for all, never"),
        pytest.param(lambda: play(always(sure(OutOfCredit)), 40, past=HISTORY), {4: 40}, 4, 11.2, id="18020, history"),
        pytest.param(lambda: play(since(60, sure(OutOfCredit)), 40), {4: 40}, 203, 72, id="18020 from 60 s"),
        pytest.param(lambda: play(until(14, MISSING)), {0: 1}, 11, 125.2, id="fresh id unknown for 14 s"),
        pytest.param(lambda: play(until(14, JSON_404)), {0: 1}, 11, 125.2, id="fresh id, 404 in JSON"),
        pytest.param(lambda: play(always(MISSING)), {7: 1}, 3, 20.9, id="mistyped id 10104"),
        pytest.param(lambda: play(always(JSON_404)), {7: 1}, 3, 20.9, id="mistyped id, 404 in JSON"),
        pytest.param(lambda: play(always(MISSING), 40), {7: 40}, 120, 25.0, id="40 mistyped ids"),
        pytest.param(
            lambda: play(good, 40, special={0: always(MISSING)}), {7: 1, 0: 39}, 418, 132.8, id="a first mistyped id"
        ),
        pytest.param(lambda: play(always(PAGE_200)), {6: 1}, 4, 120.3, id="mistyped base_url: page"),
        pytest.param(lambda: play(always(REDIRECT)), {6: 1}, 1, 0.3, id="mistyped base_url: redirect"),
        pytest.param(lambda: play(always(REFUSED)), {6: 1}, 4, 120.3, id="mistyped base_url: refuses"),
        pytest.param(
            lambda: play(always(REFUSED), delay=60), {6: 1}, 3, 180.0, id="mistyped base_url: drops packets"
        ),
        pytest.param(lambda: play(always(PAGE_200), 120), {6: 120}, 6, 120.3, id="mistyped base_url: page, 120"),
        pytest.param(lambda: play(always(JSON_404), 120), {7: 120}, 4, 11.2, id="mistyped base_url: 404 JSON, 120"),
        pytest.param(lambda: play(always(REDIRECT), 120), {6: 120}, 1, 0.3, id="mistyped base_url: redirect, 120"),
        pytest.param(lambda: play(always(REFUSED), 120), {6: 120}, 6, 120.3, id="mistyped base_url: refuses, 120"),
        pytest.param(lambda: play(until(60, REFUSED), 3), {0: 3}, 20, 124.1, id="offline at the start 60 s"),
        pytest.param(lambda: play(until(180, REFUSED), 3), {6: 3}, 6, 120.3, id="offline at the start 180 s, never"),
        pytest.param(
            lambda: play(until(180, REFUSED), 3, past=HISTORY), {0: 3}, 10, 192.8, id="offline 180 s, history"
        ),
        pytest.param(
            lambda: play(between(60, 660, REFUSED), 3, timeout=1200), {0: 3}, 32, 680.8, id="offline in the middle"
        ),
        pytest.param(
            lambda: play(between(60, 660, REFUSED), 3), {124: 3}, 28, 600, id="offline in the middle, timeout 10m"
        ),
        pytest.param(
            lambda: play(between(60, 660, REFUSED), 40, timeout=1200), {0: 40}, 285, 686.4, id="offline, 40 jobs"
        ),
        pytest.param(lambda: play(between(60, 150, BROKEN), 40), {0: 40}, 277, 204, id="502 for 90 s mid-run"),
        pytest.param(lambda: play(until(90, BROKEN), 40), {0: 40}, 46, 136.2, id="502 for 90 s at start"),
        pytest.param(lambda: play(until(60, PAGE_403), 200), {0: 200}, 686, 140, id="firewall page at start"),
        pytest.param(lambda: play(between(60, 120, PAGE_403), 200), {0: 200}, 901, 161, id="firewall page mid-run"),
        pytest.param(lambda: play(between(60, 120, JSON_KEY), 200), {0: 200}, 901, 161, id="firewall JSON mid-run"),
        pytest.param(lambda: play(until(60, JSON_KEY), 200), {3: 200}, 4, 11.2, id="firewall JSON at start, never"),
        pytest.param(
            lambda: play(until(60, JSON_KEY), 200, past=HISTORY), {3: 200}, 4, 11.2, id="firewall JSON, history"
        ),
        pytest.param(
            lambda: play(good, 20, special={0: always(PAGE_200)}), {6: 1, 0: 19}, 208, 131.7, id="poison page, never"
        ),
        pytest.param(
            lambda: play(good, 20, special={0: always(PAGE_200)}, past=HISTORY),
            {6: 1, 0: 19}, 216, 600, id="poison page, history",
        ),
        pytest.param(
            lambda: play(good, 20, special={0: always(BROKEN)}), {6: 1, 0: 19}, 216, 600, id="poison 500 among 20"
        ),
        pytest.param(
            lambda: play(good, 20, special=dict.fromkeys(range(3), always(PAGE_200))),
            {6: 3, 0: 17}, 183, 132.9, id="3 poison pages first",
        ),
        pytest.param(lambda: play(always(MISSING), past=HISTORY), {7: 1}, 3, 20.9, id="yesterday's job dropped"),
        pytest.param(lambda: play(always(JSON_404), past=HISTORY), {7: 1}, 3, 20.9, id="yesterday's, 404 JSON"),
        pytest.param(
            lambda: play(good, 6, special={0: always(JSON_404)}, past=HISTORY),
            {7: 1, 0: 5}, 58, 131.9, id="yesterday's, 404 JSON, beside 5 good",
        ),
        pytest.param(
            lambda: play(always(MISSING), 40, special={39: good}), {7: 39, 0: 1}, 128, 129.9, id="all missing but last"
        ),
        pytest.param(
            lambda: play(good, 40, special=dict.fromkeys(range(3), always(JSON_404))),
            {7: 3, 0: 37}, 373, 131.3, id="3 JSON-404 first of 40",
        ),
    ],
)  # fmt: skip
def test_story_has_its_exit_codes_requests_and_end_time(
    scene: Callable[[], Scene], codes: dict[int, int], requests: int, end: float
) -> None:
    played = scene()
    found, asked, ended = summarize(played)
    assert found == codes
    assert asked == pytest.approx(requests, rel=SHARE)
    assert ended == pytest.approx(end, abs=SPREAD)


def test_firewall_page_causes_few_requests_in_20_s() -> None:
    scene = play(until(60, PAGE_403), 200)
    assert len([each for each in scene.requests if each.at <= 20]) < 60


@pytest.mark.parametrize(
    ("says", "past", "timeout", "jobs", "code"),
    [
        (always(KEY), HISTORY, 8, 1, 3),
        (always(KEY), HISTORY, 65, 1, 3),
        (always(JSON_KEY), {}, 8, 1, 6),
        (always(JSON_KEY), {}, 65, 1, 3),
        (always(MISSING), {}, 8, 1, 7),
        (always(MISSING), {}, 65, 1, 7),
        (always(JSON_404), {}, 8, 1, 6),
        (always(JSON_404), {}, 65, 1, 7),
        (always(BROKEN), {}, 8, 1, 6),
        (always(BROKEN), {}, 65, 1, 6),
        (always(PAGE_200), {}, 8, 3, 6),
        (always(PAGE_200), {}, 65, 3, 6),
        (always(RateLimited("x")), {}, 65, 3, 4),
        (lambda at: WORD_OF_SHARED_TABLE, {}, 8, 1, 5),
        (lambda at: WORD_OF_SHARED_TABLE, {}, 65, 1, 5),
        (lambda at: lambda job: Job(ref=job.ref, state=State.SUCCEEDED, status="ok", sure=False), {}, 8, 1, 9),
        (lambda at: lambda job: Job(ref=job.ref, state=State.SUCCEEDED, status="ok", sure=False), {}, 65, 1, 9),
        (since(60, BROKEN), {}, 70, 3, 124),
        (since(30, RateLimited("x")), {}, 70, 3, 124),
        (between(30, 31, KEY), {}, 65, 1, 124),
    ],
)
def test_all_jobs_of_a_story_end_with_one_code_by_the_deadline(
    says: Behaviour, past: dict[str, bool], timeout: float, jobs: int, code: int
) -> None:
    assert summarize(play(says, jobs, past=past, timeout=timeout))[0] == {code: jobs}


@pytest.mark.parametrize(("timeout", "sure"), [(8, False), (65, True)])
def test_failure_word_of_the_shared_table_is_sure_after_two_looks(timeout: float, *, sure: bool) -> None:
    ended = play(lambda at: WORD_OF_SHARED_TABLE, timeout=timeout).ended["j0"]
    assert (ended.state, ended.sure) == (State.FAILED, sure)


class TokenMint:
    """A key command that makes a new token each time, which is valid for `life` seconds."""

    def __init__(self, life: float) -> None:
        self.life, self.born, self.was_renewed = life, [0.0], False

    def make_answer(self, scene: Scene, error: Exception) -> Callable[[Job], Any]:
        def answer(job: Job) -> Any:
            at = scene.clock.time
            born_at = max(each for each in self.born if each <= at - 0.3 + 1e-6)
            if at - born_at < self.life:
                self.was_renewed = False
                return good(at)(job)
            if born_at != self.born[-1]:
                return KeyChanged("there is another key now")
            if self.was_renewed:
                return error
            self.was_renewed = True
            self.born.append(at)
            return KeyChanged("there is another key now")

        return answer


@pytest.mark.parametrize(
    ("life", "jobs", "codes", "requests", "end"),
    [
        (0, 1, {3: 1}, {KEY: 2, JSON_KEY: 3}, {KEY: 10.6, JSON_KEY: 20.9}),
        (0, 3, {3: 3}, {KEY: 4, JSON_KEY: 5}, {KEY: 10.6, JSON_KEY: 20.9}),
        (0, 40, {3: 40}, {KEY: 5, JSON_KEY: 5}, {KEY: 11.5, JSON_KEY: 11.5}),
        (50, 40, {0: 40}, {KEY: 428, JSON_KEY: 428}, {KEY: 133.9, JSON_KEY: 133.9}),
    ],
)
@pytest.mark.parametrize("error", [KEY, JSON_KEY], ids=["documented code", "other JSON"])
def test_expired_token_is_renewed_with_few_requests(
    life: float,
    jobs: int,
    *,
    codes: dict[int, int],
    requests: dict[Exception, int],
    end: dict[Exception, float],
    error: Exception,
) -> None:
    mint = TokenMint(life)
    scene = Scene({}, JOGG, PollOptions(timeout=600), rate=10, jitter=Random(1).random)
    answer = mint.make_answer(scene, error)
    scene.scripts = {f"j{number}": [After(0.3, answer), ...] for number in range(jobs)}
    found, asked, ended = summarize(scene.play())
    assert found == codes
    assert asked == pytest.approx(requests[error], rel=SHARE)
    assert ended == pytest.approx(end[error], abs=SPREAD)
    assert len(mint.born) == (3 if life else 2), "the first token, and each that was made anew"


def test_unreachable_job_does_not_delay_the_other_jobs() -> None:
    scene = play(good, 20, special={0: always(Unreachable("timed out"))})
    assert scene.codes == {f"j{number}": 6 if number == 0 else 0 for number in range(20)}
    # They finish at 120 s, and the look that finds it comes at most an interval of 15 s later.
    assert all(120 <= at <= 136 for name, at in scene.ended_at.items() if name != "j0")


def test_retry_after_during_an_outage_costs_few_requests() -> None:
    scene = play(between(60, 150, ServerError("502", retry_after=45)), 40)
    assert summarize(scene)[0] == {0: 40}
    assert summarize(scene)[1] < 400


@pytest.mark.parametrize("others", [BROKEN, None], ids=["outage of all jobs", "outage of one job"])
def test_retry_after_of_one_job_holds_back_that_job_alone(others: Exception | None) -> None:
    held = between(60, 150, ServerError("502", retry_after=300))
    scene = play(between(60, 150, others) if others else good, 6, special={0: held})
    *_, told, again = scene.times("j0")
    # The answer comes 0.3 s after its request.
    assert 60 <= told <= 75
    assert again - told == pytest.approx(300.3, abs=0.01)
    assert scene.codes == dict.fromkeys(scene.scripts, 0)
    assert all(at < (210 if others else 136) for name, at in scene.ended_at.items() if name != "j0")
