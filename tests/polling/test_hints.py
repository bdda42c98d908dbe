"""Hints wake looks, and looks decide: what they may change is the time, and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from fakes import (
    GATEWAY,
    JOGG,
    After,
    Answer,
    Scene,
    Script,
    Timeline,
    failed,
    ref,
    running,
    saved,
    succeeded,
    targets,
    url_elsewhere,
    url_given,
)
from hypothesis import given
from hypothesis import strategies as st

from videostat.errors import Interrupted, RateLimited, ServerError
from videostat.models import Job, State
from videostat.polling.groups import Group, Mode
from videostat.polling.hints import Announcements, SleepDetector
from videostat.polling.options import Door, Hint, Phase, PollOptions
from videostat.polling.task import Task
from videostat.providers.base import Polling

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY = PollOptions(timeout=86_400)


def hint(*names: str) -> Hint:
    return Hint(tuple(map(ref, names)))


def scene(
    script: Script | dict[str, Script],
    *hints: tuple[float, Hint | Door],
    polling: Polling = JOGG,
    options: PollOptions = DAY,
    clock: Timeline | None = None,
    steps: Mapping[Phase, Answer | After] | None = None,
) -> Scene:
    scripts = script if isinstance(script, dict) else {"a": script}
    made = Scene(scripts, polling=polling, options=options, clock=clock or Timeline(), steps=steps or {})
    for at, each in hints:
        made.clock.deliver(at, each)
    return made.play()


def until(end: float, answer: Answer | None = None, clock: Timeline | None = None) -> Script:
    """A job that runs until it ends at that time."""

    def say(job: Job) -> Job:
        given = (answer or succeeded()) if clock and clock.time >= end else running()
        assert callable(given)
        return given(job)

    return [say, ...]


def ending(
    end: float, *hints: tuple[float, Hint | Door], polling: Polling = JOGG, answer: Answer | None = None
) -> Scene:
    """One job that ends at that time."""
    clock = Timeline()
    return scene(until(end, answer, clock), *hints, polling=polling, clock=clock)


# --- one look earlier


def test_without_a_hint_nothing_has_changed() -> None:
    assert ending(33).times() == [0, 10, 20, 30, 40]


def test_a_hint_wakes_the_look_at_once() -> None:
    made = ending(93, (93, hint("a")), polling=Polling(every=(60, 60), floor=10, usual=240))
    assert made.times() == [0, 60, 93]
    assert made.codes == {"a": 0}


def test_a_hint_goes_never_under_the_floor() -> None:
    slow = Polling(every=(60, 60), floor=10, usual=240)
    assert scene([running(), succeeded()], (3, hint("a")), polling=slow).times() == [0, 10]
    # Which runs from the arrival of the last answer.
    assert scene([After(5, running()), succeeded()], (6, hint("a")), polling=slow).times() == [0, 15]


@pytest.mark.parametrize("times", [2, 500])
def test_many_hints_are_one_look_a_floor(times: int) -> None:
    slow = Polling(every=(60, 60), floor=10, usual=240)
    hints = [(1 + number * 40 / times, hint("a")) for number in range(times)]
    looks = scene([*[running()] * 4, succeeded()], *hints, polling=slow).times()
    assert all(later - earlier >= 10 for earlier, later in pairwise(looks))
    assert len(looks) == 5


def test_one_for_a_job_that_nobody_waits_for_changes_nothing() -> None:
    made = ending(33, (5, hint("b", "two:a")), (5, Hint(())))
    assert made.times() == [0, 10, 20, 30, 40]


def test_one_that_comes_while_the_job_is_asked_makes_one_more_look_at_the_floor() -> None:
    slow = Polling(every=(60, 60), floor=10, usual=240)
    # The answer may be older than what was announced.
    script = [After(20, running()), running(), running(), succeeded()]
    assert scene(script, (5, hint("a")), (6, hint("a")), polling=slow).times() == [0, 30, 90, 150]


def test_for_a_minute_after_a_hint_the_usual_pace_holds() -> None:
    # What a service says may lag behind what it announces.
    made = ending(108, (1, Door(is_open=True)), (100, hint("a")))
    assert made.times() == [0, 10, 70, 100, 110]


def test_a_look_that_waits_in_the_queue_is_sent_once() -> None:
    made = Scene({name: [succeeded()] for name in "abc"}, rate=0.1, options=DAY)
    made.clock.deliver(1, hint("a", "b", "c"))
    assert looks_of(made.play()) == {"a": 1, "b": 1, "c": 1}


def looks_of(made: Scene) -> dict[str, int]:
    return {name: len(made.times(name)) for name in made.scripts}


# --- what it does not shorten


@pytest.mark.parametrize("error", [ServerError("down", retry_after=50), RateLimited("slow down", retry_after=50)])
def test_no_pause_is_shortened(error: ServerError | RateLimited) -> None:
    hints = [(at, hint("a")) for at in (1, 11, 21, 41)]
    with_hints, without = (scene([error, succeeded()], *each) for each in (hints, []))
    assert with_hints.times() == without.times()
    assert with_hints.times()[1] >= 50


def test_a_pause_of_the_lane_is_not_shortened_for_others() -> None:
    made = scene(
        {"a": [running(), succeeded()], "b": [RateLimited("slow down", retry_after=50), succeeded()]},
        (12, hint("a")),
        polling=Polling(every=(60, 60), floor=10, usual=240),
    )
    assert made.times("a")[1] >= 50


def test_growing_pauses_grow_as_ever() -> None:
    script: Script = [ServerError("down"), ...]
    options = PollOptions(timeout=300)
    hints = [(at, hint("a")) for at in range(1, 300, 7)]
    assert scene(script, *hints, options=options).times() == scene(script, options=options).times()


def test_our_own_steps_are_not_hastened() -> None:
    steps = {Phase.SAVE: After(30, saved())}
    options = PollOptions(timeout=600, steps=(Phase.SAVE,))
    made = scene([succeeded()], (5, hint("a")), (6, hint("a")), options=options, steps=steps)
    assert (made.times(), made.times(phase=Phase.SAVE), made.codes) == ([0], [0], {"a": 0})


def test_a_url_that_is_asked_for_elsewhere_keeps_its_floor_too() -> None:
    made = scene([url_elsewhere(), After(30, url_given())], (5, hint("a")))
    assert (made.times(), made.times(phase=Phase.URL), made.codes) == ([0], [0], {"a": 0})


# --- fewer looks, where ends are announced


def test_where_hints_can_come_in_a_job_is_looked_at_every_minute() -> None:
    assert ending(200, (1, Door(is_open=True))).times() == [0, 10, 70, 130, 190, 200 + 50]


def test_once_an_end_was_announced_every_five_minutes_is_enough() -> None:
    clock = Timeline()
    made = scene(
        {"a": until(100, None, clock), "b": until(1000, failed(), clock)},
        (1, Door(is_open=True)),
        (100, hint("a")),
        (1000, hint("b")),
        clock=clock,
    )
    assert made.times("a") == [0, 10, 70, 100]
    # The look that was planned for 130 is put off.
    assert made.times("b") == [0, 10, 70, 370, 670, 970, 1000]
    assert made.codes == {"a": 0, "b": 5}


def test_of_accounts_each_is_judged_by_its_own_announcements() -> None:
    clock = Timeline()
    made = scene(
        {"a": until(100, None, clock), "two:a": until(1000, None, clock)},
        (1, Door(is_open=True)),
        (100, hint("a")),
        clock=clock,
    )
    assert {later - earlier for earlier, later in pairwise(made.times("two:a")[1:])} == {60}


def test_a_job_that_ends_unannounced_takes_its_account_back_to_the_usual_pace() -> None:
    clock = Timeline()
    made = scene(
        {"a": until(100, None, clock), "b": until(500, None, clock), "c": until(900, None, clock)},
        (1, Door(is_open=True)),
        (100, hint("a")),
        (900, hint("c")),
        clock=clock,
    )
    # b ended at 500, and is found by the look that is always made within five minutes.
    assert made.times("b") == [0, 10, 70, 370, 670]
    after = [at for at in made.times("c") if at > 670]
    assert len(after) > 10
    assert made.codes == {"a": 0, "b": 0, "c": 0}


def test_one_that_was_over_before_we_came_proves_nothing() -> None:
    clock = Timeline()
    made = scene({"a": [succeeded()], "b": until(300, None, clock)}, (0, Door(is_open=True)), clock=clock)
    assert made.times("b") == [0, 60, 120, 180, 240, 300]


def test_a_forged_hint_is_no_announcement() -> None:
    clock = Timeline()
    made = scene(
        {"a": until(150, None, clock), "b": until(400, None, clock)},
        (1, Door(is_open=True)),
        (20, hint("a")),
        clock=clock,
    )
    looks = [at for at in made.times("b") if at > 200]
    assert {later - earlier for earlier, later in pairwise(looks)} == {10}


def test_whoever_did_not_register_the_endpoint_waits_a_minute_longer_at_most() -> None:
    for end in range(1, 300, 7):
        told, plain = ending(end, (0.5, Door(is_open=True))), ending(end)
        assert told.ended_at["a"] - plain.ended_at["a"] <= 60


def test_an_interval_of_ones_own_wins() -> None:
    clock = Timeline()
    options = PollOptions(timeout=600, interval=20)
    made = scene(until(95, None, clock), (1, Door(is_open=True)), clock=clock, options=options)
    assert made.times() == [0, 20, 40, 60, 80, 100]


def test_when_the_door_closes_everything_is_looked_at_and_the_usual_pace_holds() -> None:
    clock = Timeline()
    made = scene(
        {"a": until(100, None, clock), "b": until(555, None, clock)},
        (1, Door(is_open=True)),
        (100, hint("a")),
        (500, Door(is_open=False)),
        clock=clock,
    )
    assert [at for at in made.times("b") if at > 430] == [500, 510, 520, 530, 540, 550, 560]


def test_a_door_that_opens_again_is_trusted_again() -> None:
    made = ending(400, (1, Door(is_open=True)), (100, Door(is_open=False)), (130, Door(is_open=True)))
    assert [at for at in made.times() if at >= 100] == [100, 110, 120, 130, 190, 250, 310, 370, 430]


class Sleeper(Timeline):
    """Its wall clock goes on while the machine is asleep; its monotonic one stands still."""

    asleep = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.asleep)


def test_after_the_machine_has_slept_everything_is_looked_at() -> None:
    clock = Sleeper()

    def fall_asleep() -> Hint:
        clock.asleep = 3600
        return Hint(())

    clock.deliver(100, fall_asleep)
    made = scene(until(100, None, clock), (1, Door(is_open=True)), clock=clock)
    assert made.times() == [0, 10, 70, 100]


def test_a_clock_that_is_set_back_or_by_a_little_is_no_sleep() -> None:
    detector = SleepDetector()
    assert [detector.was_asleep(wall, at) for wall, at in [(5, 0), (10, 5), (0, 6), (25, 7), (100, 8)]] == [
        *(False, False, False, False, True)
    ]


def test_when_an_end_is_announced_only_looks_at_running_jobs_are_put_off() -> None:
    clock = Timeline()
    (newcomer,) = targets(["e"], GATEWAY)
    made = Scene(
        {
            "a": until(60, None, clock),
            "b": [running(), *[lambda job: Job(ref=job.ref, state=State.FAILED, sure=False)] * 2],
            "c": until(1000, None, clock),
            "d": [running(), *[lambda job: Job(ref=job.ref, state=State.SUCCEEDED)] * 4],
            "e": [succeeded()],
        },
        polling=GATEWAY,
        options=DAY,
        clock=clock,
        groups={newcomer.key_group: Group(heard_at={newcomer.ref: 61})},
    )
    for at, message in [(0, Door(is_open=True)), (33, hint("a")), (60.5, hint("a")), (62, newcomer)]:
        clock.deliver(at, message)
    made.play(names="abcd")
    assert made.times("a")[-2:] == [58, 63]
    assert made.times("c")[:3] == [0, 60, 360]
    # The look after a failure that is in doubt, those for a video that is missing, and the first look at a newcomer.
    assert made.times("b") == [0, 60, 65]
    assert made.times("d") == [0, 60, 65, 70, 75]
    assert made.times("e") == [66]


@pytest.mark.parametrize(("number", "rate"), [(100, 5), (300, 50)])
def test_looks_that_are_put_off_find_what_was_not_announced_before_the_deadline(number: int, rate: float) -> None:
    clock, names = Timeline(), [f"job{at}" for at in range(number)]
    scripts = {name: until(50 if name == "job0" else 450, None, clock) for name in names}
    made = Scene(scripts, polling=JOGG, options=PollOptions(timeout=600), rate=rate, clock=clock)
    for at, message in [(0, Door(is_open=True)), (51, hint("job0"))]:
        clock.deliver(at, message)
    assert set(made.play().codes.values()) == {0}
    assert len(made.requests) < 6 * number


def test_what_is_known_of_an_account_only_counts_while_hints_can_come_in() -> None:
    announcements = Announcements()
    tasks = [
        Task(each, Group(), Job(ref=each.ref, state=State.RUNNING), answered=True)
        for name in ("one", "two")
        for each in [replace(target, key_group=name, announces=True) for target in targets(["a"])]
    ]

    def waits() -> list[float]:
        return [announcements.choose_longest_wait(task, None, 1000) for task in tasks]

    def end(*, was_told: bool) -> None:
        tasks[0].ran_at, tasks[0].hinted_at = 10, 20 if was_told else -math.inf
        announcements.learn_end(tasks[0])

    assert waits() == [0, 0]
    announcements.is_door_open = True
    assert waits() == [60, 60]
    end(was_told=True)
    assert waits() == [300, 60]
    end(was_told=False)
    assert waits() == [0, 60]


def test_no_look_is_put_off_beyond_the_deadline() -> None:
    clock = Timeline()
    scripts = {"a": until(100, None, clock), "b": until(2000, None, clock)}
    options = PollOptions(timeout=200)
    made = scene(scripts, (0, Door(is_open=True)), (100, hint("a")), clock=clock, options=options)
    assert made.times("b") == [0, 60, 198]


def test_no_look_of_an_account_in_trouble_is_brought_forward() -> None:
    group, (target,) = Group(), targets(["a"])
    task = Task(target, group, Job(ref=target.ref))
    announcements, tasks = Announcements(), {target.ref: task}
    assert announcements.receive(hint("a"), tasks, 1) == [task]
    group.mode = Mode.TROUBLE
    assert announcements.receive(hint("a"), tasks, 2) == []
    group.mode, task.trouble = Mode.OPEN, ServerError("down")
    assert announcements.receive(hint("a"), tasks, 3) == []
    assert task.hinted_at == 3


def test_a_success_without_its_video_is_looked_at_again_at_the_usual_pace() -> None:
    made = scene([running(), succeeded(None), succeeded()], (1, Door(is_open=True)))
    assert made.times() == [0, 10, 20]


# --- jobs that come later


def test_a_job_that_is_announced_is_looked_at_and_a_second_time_is_a_hint() -> None:
    clock = Timeline()
    made = Scene({"a": until(95, None, clock), "b": until(33, None, clock)}, options=DAY, clock=clock)
    (late,) = targets(["b"], Polling(every=(60, 60), floor=10, usual=240))
    made.clock.deliver(3, late)
    made.clock.deliver(34, late)
    made.play(names=["a"])
    assert made.times("b") == [3, 34]
    assert made.codes == {"a": 0, "b": 0}


def test_one_that_stays_goes_on_without_jobs_until_a_signal() -> None:
    made = Scene({"a": [succeeded()], "b": [succeeded()]}, options=PollOptions(stays=True))
    made.clock.deliver(1000, *targets(["b"]))
    made.clock.deliver(2000, 15)
    with pytest.raises(Interrupted) as raised:
        made.play(names=["a"])
    assert (raised.value.exit_code, made.clock.time) == (143, 2000)
    assert (made.times("a"), made.times("b"), made.codes) == ([0], [1000], {"a": 0, "b": 0})


# --- floods


def test_under_a_flood_the_screen_is_drawn_and_the_deadline_kept() -> None:
    made = Scene({"a": [running(), ...]}, options=PollOptions(timeout=10), polling=GATEWAY)
    for number in range(20_000):
        made.clock.deliver(number / 1000, hint("a"))
    ticks: list[float] = []
    made.play(lambda job: ticks.append(made.clock.time) if job is None else None)
    assert made.codes == {"a": 124}
    assert made.ended_at["a"] <= 11
    assert len([at for at in ticks if at < 10]) >= 19
    assert all(later - earlier >= 5 for earlier, later in pairwise(made.times()))


def test_an_answer_in_time_counts_although_hints_came_before_it() -> None:
    made = Scene({"a": [After(9.99, succeeded())]}, options=PollOptions(timeout=10))
    for _ in range(1000):
        made.clock.deliver(9.98, hint("a"))
    assert made.play().codes == {"a": 0}


moments = st.floats(0, 700, allow_nan=False)
messages = st.one_of(
    st.builds(hint, st.sampled_from(["a", "b", "two:a", "nobody"])),
    st.builds(lambda is_open: Door(is_open=is_open), st.booleans()),
)


@given(
    hints=st.lists(st.tuples(moments, messages), max_size=40),
    ends=st.tuples(*[st.floats(0, 900)] * 3),
    lateness=st.floats(0, 15),
)
def test_no_schedule_of_hints_breaks_floor_deadline_or_end(
    hints: list[tuple[float, Hint | Door]], ends: tuple[float, float, float], lateness: float
) -> None:
    clock, names = Timeline(), ("a", "b", "two:a")
    options = PollOptions(timeout=600)

    def script(end: float) -> Script:
        say = until(end, None, clock)[0]
        assert callable(say)
        return [After(lateness, say), ...]

    made = scene(
        {name: script(end) for name, end in zip(names, ends, strict=True)}, *hints, clock=clock, options=options
    )
    assert set(made.codes.values()) <= {0, 124}
    for name, end in zip(names, ends, strict=True):
        looks = made.times(name)
        assert all(later - earlier >= JOGG.floor + lateness - 1e-6 for earlier, later in pairwise(looks))
        assert max(looks) < 600
        assert made.ended_at[name] <= 601
        assert made.codes[name] == 0 or end > 600 - 300 - lateness - JOGG.floor
    assert math.isfinite(sum(made.told_at))


def test_look_that_a_hint_causes_needs_no_second_look() -> None:
    slow = Polling(every=(60, 60), floor=10, usual=240)
    assert scene([running(), running(), succeeded()], (30, hint("a")), polling=slow).times() == [0, 30, 90]


def test_job_that_ended_before_the_wait_puts_off_no_other_look() -> None:
    scripts: dict[str, Script] = {"a": [running(), running(), succeeded()], "b": [After(2, succeeded())]}
    assert scene(scripts, (1, Door(is_open=True))).times("a") == [0, 10, 70]


def test_nothing_is_drawn_for_hints_from_the_deadline_until_half_a_second_later() -> None:
    drawn = [Announcements().is_tick(hint("a"), at, deadline=10) for at in (9.9, 10, 10.4, 10.5)]
    assert drawn == [True, False, False, True]
