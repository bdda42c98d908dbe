"""Hints change when a job is looked at, and nothing else. Only looks decide."""

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
    REELBOT,
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

from videostat.errors import Interrupted, NotReady, RateLimited, ServerError
from videostat.models import Job, State
from videostat.polling.hints import Announcements, SleepDetector
from videostat.polling.keygroups import Group, Mode
from videostat.polling.options import Door, Hint, Phase, PollOptions
from videostat.polling.task import Task
from videostat.providers.base import Polling

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY = PollOptions(timeout=86_400)


def hint(*names: str) -> Hint:
    return Hint(tuple(map(ref, names)))


def play_scene(
    script: Script | dict[str, Script],
    *hints: tuple[float, Hint | Door],
    polling: Polling = JOGG,
    options: PollOptions = DAY,
    clock: Timeline | None = None,
    steps: Mapping[Phase, Answer | After] | None = None,
) -> Scene:
    scripts = script if isinstance(script, dict) else {"a": script}
    scene = Scene(scripts, polling=polling, options=options, clock=clock or Timeline(), steps=steps or {})
    for at, each in hints:
        scene.clock.deliver(at, each)
    return scene.play()


def run_until(end: float, answer: Answer | None = None, clock: Timeline | None = None) -> Script:
    """Script a job that runs until `end`, in seconds, and then gives `answer`."""

    def say(job: Job) -> Job:
        given = (answer or succeeded()) if clock and clock.time >= end else running()
        assert callable(given)
        return given(job)

    return [say, ...]


def play_one_job(
    end: float, *hints: tuple[float, Hint | Door], polling: Polling = JOGG, answer: Answer | None = None
) -> Scene:
    """Play a wait for one job that ends at `end`, in seconds."""
    clock = Timeline()
    return play_scene(run_until(end, answer, clock), *hints, polling=polling, clock=clock)


# --- a hint brings one look forward


def test_looks_keep_the_usual_pace_without_hints() -> None:
    assert play_one_job(33).times() == [0, 10, 20, 30, 40]


def test_hint_causes_a_look_at_once() -> None:
    scene = play_one_job(93, (93, hint("a")), polling=Polling(every=(60, 60), floor=10, usual=240))
    assert scene.times() == [0, 60, 93]
    assert scene.codes == {"a": 0}


def test_look_after_a_hint_waits_for_the_floor() -> None:
    slow = Polling(every=(60, 60), floor=10, usual=240)
    assert play_scene([running(), succeeded()], (3, hint("a")), polling=slow).times() == [0, 10]
    # The floor counts from the arrival of the last answer.
    assert play_scene([After(5, running()), succeeded()], (6, hint("a")), polling=slow).times() == [0, 15]


@pytest.mark.parametrize("times", [2, 500])
def test_many_hints_cause_at_most_one_look_per_floor(times: int) -> None:
    slow = Polling(every=(60, 60), floor=10, usual=240)
    hints = [(1 + number * 40 / times, hint("a")) for number in range(times)]
    looks = play_scene([*[running()] * 4, succeeded()], *hints, polling=slow).times()
    assert all(later - earlier >= 10 for earlier, later in pairwise(looks))
    assert len(looks) == 5


def test_hint_for_an_unknown_job_changes_nothing() -> None:
    scene = play_one_job(33, (5, hint("b", "two:a")), (5, Hint(())))
    assert scene.times() == [0, 10, 20, 30, 40]


def test_hint_during_a_look_causes_one_more_look_at_the_floor() -> None:
    slow = Polling(every=(60, 60), floor=10, usual=240)
    # The answer may be older than the hint.
    script = [After(20, running()), running(), running(), succeeded()]
    assert play_scene(script, (5, hint("a")), (6, hint("a")), polling=slow).times() == [0, 30, 90, 150]


def test_usual_pace_holds_for_a_minute_after_a_hint() -> None:
    # A service's answers may lag behind its webhooks.
    scene = play_one_job(108, (1, Door(is_open=True)), (100, hint("a")))
    assert scene.times() == [0, 10, 70, 100, 110]


def test_hint_for_a_queued_look_causes_no_second_look() -> None:
    scene = Scene({name: [succeeded()] for name in "abc"}, rate=0.1, options=DAY)
    scene.clock.deliver(1, hint("a", "b", "c"))
    assert count_looks(scene.play()) == {"a": 1, "b": 1, "c": 1}


def count_looks(scene: Scene) -> dict[str, int]:
    return {name: len(scene.times(name)) for name in scene.scripts}


# --- what a hint does not change


@pytest.mark.parametrize("error", [ServerError("down", retry_after=50), RateLimited("slow down", retry_after=50)])
def test_hint_does_not_shorten_a_pause(error: ServerError | RateLimited) -> None:
    hints = [(at, hint("a")) for at in (1, 11, 21, 41)]
    with_hints, without = (play_scene([error, succeeded()], *each) for each in (hints, []))
    assert with_hints.times() == without.times()
    assert with_hints.times()[1] >= 50


def test_hint_does_not_shorten_a_pause_caused_by_another_job() -> None:
    scene = play_scene(
        {"a": [running(), succeeded()], "b": [RateLimited("slow down", retry_after=50), succeeded()]},
        (12, hint("a")),
        polling=Polling(every=(60, 60), floor=10, usual=240),
    )
    assert scene.times("a")[1] >= 50


def test_hints_do_not_change_growing_pauses() -> None:
    script: Script = [ServerError("down"), ...]
    options = PollOptions(timeout=300)
    hints = [(at, hint("a")) for at in range(1, 300, 7)]
    assert play_scene(script, *hints, options=options).times() == play_scene(script, options=options).times()


def test_hint_during_saving_changes_nothing() -> None:
    steps = {Phase.SAVE: After(30, saved())}
    options = PollOptions(timeout=600, steps=(Phase.SAVE,))
    scene = play_scene([succeeded()], (5, hint("a")), (6, hint("a")), options=options, steps=steps)
    assert (scene.times(), scene.times(phase=Phase.SAVE), scene.codes) == ([0], [0], {"a": 0})


def test_hint_during_a_url_request_causes_no_second_request() -> None:
    scene = play_scene([url_elsewhere(), After(30, url_given())], (5, hint("a")))
    assert (scene.times(), scene.times(phase=Phase.URL), scene.codes) == ([0], [0], {"a": 0})


def test_hint_does_not_shorten_the_floor_between_url_requests() -> None:
    script: Script = [url_elsewhere(), NotReady("not yet"), NotReady("not yet"), url_given()]
    scene = play_scene(script, *[(at, hint("a")) for at in (1, 2, 4, 5)], polling=REELBOT)
    assert (scene.times(), scene.times(phase=Phase.URL), scene.codes) == ([0], [0, 3, 6], {"a": 0})


# --- fewer looks while ends are announced


def test_open_door_slows_looks_to_one_per_minute() -> None:
    assert play_one_job(200, (1, Door(is_open=True))).times() == [0, 10, 70, 130, 190, 200 + 50]


def test_announced_end_slows_looks_to_one_per_five_minutes() -> None:
    clock = Timeline()
    scene = play_scene(
        {"a": run_until(100, None, clock), "b": run_until(1000, failed(), clock)},
        (1, Door(is_open=True)),
        (100, hint("a")),
        (1000, hint("b")),
        clock=clock,
    )
    assert scene.times("a") == [0, 10, 70, 100]
    # The look that was planned for 130 is put off.
    assert scene.times("b") == [0, 10, 70, 370, 670, 970, 1000]
    assert scene.codes == {"a": 0, "b": 5}


def test_announced_end_does_not_slow_looks_of_another_account() -> None:
    clock = Timeline()
    scene = play_scene(
        {"a": run_until(100, None, clock), "two:a": run_until(1000, None, clock)},
        (1, Door(is_open=True)),
        (100, hint("a")),
        clock=clock,
    )
    assert {later - earlier for earlier, later in pairwise(scene.times("two:a")[1:])} == {60}


def test_unannounced_end_returns_the_account_to_the_usual_pace() -> None:
    clock = Timeline()
    scene = play_scene(
        {"a": run_until(100, None, clock), "b": run_until(500, None, clock), "c": run_until(900, None, clock)},
        (1, Door(is_open=True)),
        (100, hint("a")),
        (900, hint("c")),
        clock=clock,
    )
    # b ended at 500. A look within five minutes finds this without a hint.
    assert scene.times("b") == [0, 10, 70, 370, 670]
    after = [at for at in scene.times("c") if at > 670]
    assert len(after) > 10
    assert scene.codes == {"a": 0, "b": 0, "c": 0}


def test_job_that_ended_before_the_wait_changes_no_pace() -> None:
    clock = Timeline()
    scene = play_scene({"a": [succeeded()], "b": run_until(300, None, clock)}, (0, Door(is_open=True)), clock=clock)
    assert scene.times("b") == [0, 60, 120, 180, 240, 300]


def test_false_hint_does_not_count_as_an_announced_end() -> None:
    clock = Timeline()
    scene = play_scene(
        {"a": run_until(150, None, clock), "b": run_until(400, None, clock)},
        (1, Door(is_open=True)),
        (20, hint("a")),
        clock=clock,
    )
    looks = [at for at in scene.times("b") if at > 200]
    assert {later - earlier for earlier, later in pairwise(looks)} == {10}


def test_open_door_without_hints_delays_the_end_by_60_s_at_most() -> None:
    for end in range(1, 300, 7):
        with_door, without_door = play_one_job(end, (0.5, Door(is_open=True))), play_one_job(end)
        assert with_door.ended_at["a"] - without_door.ended_at["a"] <= 60


def test_users_interval_wins_over_an_open_door() -> None:
    clock = Timeline()
    options = PollOptions(timeout=600, interval=20)
    scene = play_scene(run_until(95, None, clock), (1, Door(is_open=True)), clock=clock, options=options)
    assert scene.times() == [0, 20, 40, 60, 80, 100]


def test_closing_door_causes_a_look_and_restores_the_usual_pace() -> None:
    clock = Timeline()
    scene = play_scene(
        {"a": run_until(100, None, clock), "b": run_until(555, None, clock)},
        (1, Door(is_open=True)),
        (100, hint("a")),
        (500, Door(is_open=False)),
        clock=clock,
    )
    assert [at for at in scene.times("b") if at > 430] == [500, 510, 520, 530, 540, 550, 560]


def test_door_that_opens_again_slows_looks_again() -> None:
    scene = play_one_job(400, (1, Door(is_open=True)), (100, Door(is_open=False)), (130, Door(is_open=True)))
    assert [at for at in scene.times() if at >= 100] == [100, 110, 120, 130, 190, 250, 310, 370, 430]


class Sleeper(Timeline):
    """A machine that can sleep: its wall clock continues meanwhile, its monotonic clock stands still."""

    asleep = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.asleep)


def test_every_job_is_looked_at_after_the_machine_was_asleep() -> None:
    clock = Sleeper()

    def fall_asleep() -> Hint:
        clock.asleep = 3600
        return Hint(())

    clock.deliver(100, fall_asleep)
    scripts = {name: run_until(100, None, clock) for name in ("a", "b", "two:c")}
    scene = play_scene(scripts, (1, Door(is_open=True)), clock=clock)
    assert {name: scene.times(name) for name in scripts} == {name: [0, 10, 70, 100] for name in scripts}


def test_small_or_backward_clock_changes_are_not_taken_for_sleep() -> None:
    detector = SleepDetector()
    assert [detector.was_asleep(wall, at) for wall, at in [(5, 0), (10, 5), (0, 6), (25, 7), (100, 8)]] == [
        *(False, False, False, False, True)
    ]


def test_announced_end_puts_off_only_looks_at_running_jobs() -> None:
    clock = Timeline()
    (newcomer,) = targets(["e"], GATEWAY)
    scene = Scene(
        {
            "a": run_until(60, None, clock),
            "b": [running(), *[lambda job: Job(ref=job.ref, state=State.FAILED, sure=False)] * 2],
            "c": run_until(1000, None, clock),
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
    scene.play(names="abcd")
    assert scene.times("a")[-2:] == [58, 63]
    assert scene.times("c")[:3] == [0, 60, 360]
    # Not put off: the look after an unsure failure, looks for a missing video, and the first look at an added job.
    assert scene.times("b") == [0, 60, 65]
    assert scene.times("d") == [0, 60, 65, 70, 75]
    assert scene.times("e") == [66]


@pytest.mark.parametrize(("number", "rate"), [(100, 5), (300, 50)])
def test_put_off_looks_find_unannounced_ends_before_the_deadline(number: int, rate: float) -> None:
    clock, names = Timeline(), [f"job{at}" for at in range(number)]
    scripts = {name: run_until(50 if name == "job0" else 450, None, clock) for name in names}
    scene = Scene(scripts, polling=JOGG, options=PollOptions(timeout=600), rate=rate, clock=clock)
    for at, message in [(0, Door(is_open=True)), (51, hint("job0"))]:
        clock.deliver(at, message)
    assert set(scene.play().codes.values()) == {0}
    assert len(scene.requests) < 6 * number


def test_longest_wait_depends_on_the_door_and_the_last_end() -> None:
    announcements = Announcements()
    tasks = [
        Task(each, Group(), Job(ref=each.ref, state=State.RUNNING), answered=True)
        for name in ("one", "two")
        for each in [replace(target, key_group=name, announces=True) for target in targets(["a"])]
    ]

    def waits() -> list[float]:
        return [announcements.choose_longest_wait(task, None, 1000) for task in tasks]

    def end(*, was_announced: bool) -> None:
        tasks[0].ran_at, tasks[0].hinted_at = 10, 20 if was_announced else -math.inf
        announcements.learn_end(tasks[0])

    assert waits() == [0, 0]
    announcements.is_door_open = True
    assert waits() == [60, 60]
    end(was_announced=True)
    assert waits() == [300, 60]
    end(was_announced=False)
    assert waits() == [0, 60]


def test_no_look_is_put_off_beyond_the_deadline() -> None:
    clock = Timeline()
    scripts = {"a": run_until(100, None, clock), "b": run_until(2000, None, clock)}
    options = PollOptions(timeout=200)
    scene = play_scene(scripts, (0, Door(is_open=True)), (100, hint("a")), clock=clock, options=options)
    assert scene.times("b") == [0, 60, 198]


def test_hint_brings_forward_no_look_of_a_group_or_job_in_trouble() -> None:
    group, (target,) = Group(), targets(["a"])
    task = Task(target, group, Job(ref=target.ref))
    announcements, tasks = Announcements(), {target.ref: task}
    assert announcements.receive(hint("a"), tasks, 1) == [task]
    group.mode = Mode.TROUBLE
    assert announcements.receive(hint("a"), tasks, 2) == []
    group.mode, task.trouble = Mode.OPEN, ServerError("down")
    assert announcements.receive(hint("a"), tasks, 3) == []
    assert task.hinted_at == 3


def test_looks_at_a_success_without_a_video_keep_the_usual_pace() -> None:
    scene = play_scene([running(), succeeded(None), succeeded()], (1, Door(is_open=True)))
    assert scene.times() == [0, 10, 20]


# --- jobs that are added during the wait


def test_added_job_is_looked_at_and_adding_it_again_is_a_hint() -> None:
    clock = Timeline()
    scene = Scene({"a": run_until(95, None, clock), "b": run_until(33, None, clock)}, options=DAY, clock=clock)
    (late,) = targets(["b"], Polling(every=(60, 60), floor=10, usual=240))
    scene.clock.deliver(3, late)
    scene.clock.deliver(34, late)
    scene.play(names=["a"])
    assert scene.times("b") == [3, 34]
    assert scene.codes == {"a": 0, "b": 0}


def test_poll_with_stays_continues_without_jobs_until_a_signal() -> None:
    scene = Scene({"a": [succeeded()], "b": [succeeded()]}, options=PollOptions(stays=True))
    scene.clock.deliver(1000, *targets(["b"]))
    scene.clock.deliver(2000, 15)
    with pytest.raises(Interrupted) as raised:
        scene.play(names=["a"])
    assert (raised.value.exit_code, scene.clock.time) == (143, 2000)
    assert (scene.times("a"), scene.times("b"), scene.codes) == ([0], [1000], {"a": 0, "b": 0})


# --- many hints at once


def test_flood_of_hints_delays_neither_drawing_nor_the_deadline() -> None:
    scene = Scene({"a": [running(), ...]}, options=PollOptions(timeout=10), polling=GATEWAY)
    for number in range(20_000):
        scene.clock.deliver(number / 1000, hint("a"))
    ticks: list[float] = []
    scene.play(lambda job: ticks.append(scene.clock.time) if job is None else None)
    assert scene.codes == {"a": 124}
    assert scene.ended_at["a"] <= 11
    assert len([at for at in ticks if at < 10]) >= 19
    assert all(later - earlier >= 5 for earlier, later in pairwise(scene.times()))


def test_answer_before_the_deadline_counts_after_many_hints() -> None:
    scene = Scene({"a": [After(9.99, succeeded())]}, options=PollOptions(timeout=10))
    for _ in range(1000):
        scene.clock.deliver(9.98, hint("a"))
    assert scene.play().codes == {"a": 0}


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
def test_random_hints_break_no_floor_deadline_or_end(
    hints: list[tuple[float, Hint | Door]], ends: tuple[float, float, float], lateness: float
) -> None:
    clock, names = Timeline(), ("a", "b", "two:a")
    options = PollOptions(timeout=600)

    def script(end: float) -> Script:
        say = run_until(end, None, clock)[0]
        assert callable(say)
        return [After(lateness, say), ...]

    scene = play_scene(
        {name: script(end) for name, end in zip(names, ends, strict=True)}, *hints, clock=clock, options=options
    )
    assert set(scene.codes.values()) <= {0, 124}
    for name, end in zip(names, ends, strict=True):
        looks = scene.times(name)
        assert all(later - earlier >= JOGG.floor + lateness - 1e-6 for earlier, later in pairwise(looks))
        assert max(looks) < 600
        assert scene.ended_at[name] <= 601
        assert scene.codes[name] == 0 or end > 600 - 300 - lateness - JOGG.floor


def test_look_that_a_hint_causes_needs_no_second_look() -> None:
    slow = Polling(every=(60, 60), floor=10, usual=240)
    assert play_scene([running(), running(), succeeded()], (30, hint("a")), polling=slow).times() == [0, 30, 90]


def test_job_that_ended_before_the_wait_puts_off_no_other_look() -> None:
    scripts: dict[str, Script] = {"a": [running(), running(), succeeded()], "b": [After(2, succeeded())]}
    assert play_scene(scripts, (1, Door(is_open=True))).times("a") == [0, 10, 70]


def test_nothing_is_drawn_for_hints_from_the_deadline_until_half_a_second_later() -> None:
    drawn = [Announcements().is_tick(hint("a"), at, deadline=10) for at in (9.9, 10, 10.4, 10.5)]
    assert drawn == [True, False, False, True]


def test_end_after_a_look_that_a_hint_caused_is_not_announced() -> None:
    target = replace(targets(["a"])[0], announces=True)
    task = Task(target, Group(), Job(ref=target.ref), ran_at=30, hinted_at=30)
    assert not Announcements(is_door_open=True).learn_end(task)
    task.hinted_at = 31
    assert Announcements(is_door_open=True).learn_end(task)
