"""Jobs that end and are added again, waits that share a key, and machines that stop."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest
from fakes import JOGG, VIDEO, After, Scene, Timeline, executed, ref, running, saved, succeeded, targets

from videostat.errors import Interrupted, KeyMissing
from videostat.models import Job, State
from videostat.polling import poll
from videostat.polling.keygroups import Group, Mode
from videostat.polling.options import Message, Phase, PollOptions, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from videostat.polling.options import Target

SIGTERM = 15


def listen(
    given: list[Target], clock: Timeline, answer: Callable[[Phase, Job], tuple[float, Job | Exception]], **options: Any
) -> Iterator[Job]:
    """Poll until a signal; `answer` gives the seconds that an outcome takes, and the outcome."""
    inbox, groups = SimpleQueue[Message](), options.pop("groups", {})

    def submit(phase: Phase, job: Job) -> None:
        seconds, outcome = answer(phase, job)
        clock.deliver(clock.time + seconds, Reply(job.ref, outcome))

    with suppress(Interrupted):
        polled = poll(given, submit, inbox, clock, PollOptions(stays=True, **options), groups=groups, jitter=lambda: 0)
        yield from (job for job in polled if job and job.ended)


def test_job_that_ended_in_the_queue_is_sent_once_when_added_again() -> None:
    clock, groups = Timeline(), dict[str, Group]()
    looks: list[float] = []

    def answer(_: Phase, job: Job) -> tuple[float, Job | Exception]:
        if job.ref == ref("a"):
            return 1, KeyMissing("gone")
        looks.append(clock.time)
        return 1, Job(ref=job.ref, state=State.RUNNING)

    # One look every two seconds: b is in the queue when the key of both is missing.
    (_, again) = both = targets(["a", "b"], rate=1 / 2)
    clock.deliver(1.5, again)
    clock.deliver(30, SIGTERM)
    list(listen(both, clock, answer, groups=groups))
    assert len(looks) > 1
    assert all(later - earlier >= JOGG.floor for earlier, later in pairwise(looks))
    assert groups["one"].gates[Phase.LOOK].in_flight == 0


def test_late_answer_is_not_the_outcome_of_a_later_step() -> None:
    clock, looks = Timeline(), 0
    (a, b) = targets(["a", "b"])

    def answer(phase: Phase, job: Job) -> tuple[float, Job | Exception]:
        nonlocal looks
        if job.ref == b.ref:
            return 1, KeyMissing("gone")
        if phase is Phase.LOOK:
            looks += 1
            # The first answer comes while the video is being saved.
            return 50 if looks == 1 else 1, Job(ref=job.ref, state=State.SUCCEEDED, video_url=VIDEO)
        given = saved() if phase is Phase.SAVE else executed()
        assert callable(given)
        return 30 if phase is Phase.SAVE else 0, given(job)

    clock.deliver(40, a)
    clock.deliver(150, SIGTERM)
    last = [*listen([a, b], clock, answer, steps=(Phase.SAVE, Phase.EXEC))][-1]
    assert (last.ref, bool(last.saved), looks) == (a.ref, True, 2)


class SharedClock(Timeline):
    """A clock that moves only when the test sets it."""

    def wait(self, inbox: SimpleQueue[Any], seconds: float) -> Any:
        return None if inbox.empty() else inbox.get()


def test_two_waits_of_one_client_keep_the_floor_of_a_job() -> None:
    clock, groups, looks = SharedClock(), dict[str, Group](), list[float]()

    def begin() -> Iterator[Job | None]:
        inbox = SimpleQueue[Message]()

        def submit(_: Phase, job: Job) -> None:
            looks.append(clock.time)
            inbox.put(Reply(job.ref, Job(ref=job.ref, state=State.RUNNING)))

        options = PollOptions(timeout=100)
        return poll(targets(["a"]), submit, inbox, clock, options, groups=groups, jitter=lambda: 0)

    waits = [begin(), begin()]
    for tick in range(600):
        clock.time = tick / 10
        for wait in waits * 3:
            next(wait)
    assert len(looks) >= 5
    assert all(later - earlier >= JOGG.floor for earlier, later in pairwise(looks))


def test_one_thread_can_read_a_group_while_another_changes_it() -> None:
    group, is_over = Group(), threading.Event()
    broken: list[Exception] = []

    def read() -> None:
        try:
            while not is_over.is_set():
                assert group.opens_at
        except Exception as error:  # noqa: BLE001 - whatever it is
            broken.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(20_000):
            with group.lock:
                group.on_sent(ref("a"), 0)
                group.on_given_up(ref("a"), 0)
    finally:
        is_over.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert broken == []


class StoppingClock(Timeline):
    """A machine that stops for ten seconds in each wait."""

    def wait(self, inbox: SimpleQueue[Any], seconds: float) -> Any:
        assert self.time < 200, "it waits for ever"
        if (item := super().wait(inbox, seconds)) is None:
            self.time += 10
        return item


def test_deadline_is_extended_only_once_if_the_machine_stops_often() -> None:
    scene = Scene({"a": [After(1, running()), ...]}, options=PollOptions(timeout=60), clock=StoppingClock())
    assert scene.play().ended_at["a"] <= 60 + 10 + 3 + 10


@pytest.mark.parametrize(("left", "first_look"), [(0, 0), (1, 5)])
def test_wait_forgets_the_trouble_of_an_earlier_one_only_if_that_has_ended(left: int, first_look: float) -> None:
    group = Group(mode=Mode.TROUBLE, left=left, _turn_at=5)
    assert Scene({"a": [succeeded()]}, groups={"one": group}).play().times() == [first_look]


def test_a_verdict_ends_no_job_that_joins_after_it() -> None:
    clock = Timeline()
    # A job of another wait keeps the group as it is.
    groups = {"one": Group(left=1, verdict=(-1, KeyMissing("gone")))}
    clock.deliver(30, SIGTERM)

    def answer(_: Phase, job: Job) -> tuple[float, Job | Exception]:
        is_over = clock.time > 5
        return 1, replace(job, state=State.SUCCEEDED if is_over else State.RUNNING, video_url=VIDEO)

    (ended,) = listen(targets(["a"]), clock, answer, groups=groups)
    assert ended.exit_code == 0
