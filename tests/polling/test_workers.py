from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest
from fakes import targets

from videostat.clock import Clock
from videostat.errors import Unreachable
from videostat.models import Job, State
from videostat.polling import poll
from videostat.polling.options import Message, Phase, PollOptions, Reply
from videostat.polling.pace import IN_FLIGHT
from videostat.polling.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = 20  # seconds: only a broken test waits so long


def poll_on_threads(count: int, step: Callable[[Job], Job], speed: float = 1) -> Iterator[Job]:
    """Poll with real threads; `step` is called for each look."""
    inbox = SimpleQueue[Message]()
    workers = Workers(inbox.put)

    def submit(phase: Phase, job: Job) -> None:
        workers.submit(lambda: Reply(job.ref, step(job)))

    jobs = targets([f"a{number}" for number in range(count)])
    options = PollOptions(timeout=TIMEOUT * speed)
    with closing(workers):
        yield from (job for job in poll(jobs, submit, inbox, Clock(speed), options) if job and job.ended)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def mark_failed(job: Job) -> Job:
    return replace(job, state=State.FAILED)


def test_steps_run_at_the_same_time() -> None:
    together, done = threading.Barrier(5), SimpleQueue[int]()
    workers = Workers(done.put)

    def step(number: int) -> int:
        together.wait(TIMEOUT)
        return number

    for number in range(5):
        workers.submit(partial(step, number))
    assert sorted(done.get(timeout=TIMEOUT) for _ in range(5)) == [0, 1, 2, 3, 4]


def test_idle_thread_is_used_again() -> None:
    names = SimpleQueue[str]()
    workers = Workers(names.put)
    seen = set()
    for _ in range(50):
        workers.submit(lambda: threading.current_thread().name)
        seen.add(names.get(timeout=TIMEOUT))
    assert len(seen) == 1


def test_three_hundred_jobs_are_looked_at_in_parallel() -> None:
    # Thirty looks must meet before any of them continues: with fewer at once the barrier breaks.
    together, threads = threading.Barrier(30), set[str]()

    def step(job: Job) -> Job:
        if job.ref.id == "a0":  # the first contact is made alone
            return mark_failed(job)
        together.wait(TIMEOUT)
        threads.add(threading.current_thread().name)
        return mark_failed(job)

    assert len([*poll_on_threads(301, step)]) == 301
    assert 30 <= len(threads) <= IN_FLIGHT


def test_job_without_an_answer_delays_no_other_job() -> None:
    others_ended, ended = threading.Event(), []

    def step(job: Job) -> Job:
        if job.ref.id == "a0":
            assert others_ended.wait(TIMEOUT)
        return mark_failed(job)

    for job in poll_on_threads(100, step, speed=50):
        ended.append(job.ref.id)
        if len(ended) == 99:
            others_ended.set()
    assert ended[-1] == "a0"


def test_endless_step_does_not_keep_the_process_alive() -> None:
    program = """if True:
        import threading
        from videostat.polling.workers import Workers
        begun = threading.Event()
        def step():
            begun.set()
            threading.Event().wait()
        Workers(print).submit(step)
        begun.wait()
        print("out")
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=TIMEOUT, text=True, check=True)
    assert (done.stdout, done.stderr) == ("out\n", "")


def test_close_ends_the_threads_and_drops_queued_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    before, begun, go_on, done = threading.active_count(), SimpleQueue[int](), threading.Event(), SimpleQueue[int]()
    workers = Workers(done.put)

    def step(number: int) -> int:
        begun.put(number)
        go_on.wait(TIMEOUT)
        return number

    for number in range(3):
        workers.submit(partial(step, number))
    assert sorted(begun.get(timeout=TIMEOUT) for _ in range(3)) == [0, 1, 2]
    refuse_new_threads(monkeypatch)
    workers.submit(partial(step, 4))
    workers.close()
    go_on.set()
    wait_until(lambda: threading.active_count() == before)
    assert sorted(done.get(timeout=TIMEOUT) for _ in range(3)) == [0, 1, 2]
    assert begun.empty()


def refuse_new_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_steps_wait_for_the_running_thread_if_no_other_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), SimpleQueue[int]()
    workers = Workers(done.put)

    def first() -> int:
        begun.set()
        go_on.wait(TIMEOUT)
        return -1

    workers.submit(first)
    assert begun.wait(TIMEOUT)
    with monkeypatch.context() as patched:
        refuse_new_threads(patched)
        for number in range(5):
            workers.submit(partial(int, number))
        go_on.set()
        assert [done.get(timeout=TIMEOUT) for _ in range(6)] == [-1, 0, 1, 2, 3, 4]
    # Only one thread is idle again, so two steps need a second one.
    together = threading.Barrier(2)
    for _ in range(2):
        workers.submit(lambda: together.wait(TIMEOUT))
    assert sorted(done.get(timeout=TIMEOUT) for _ in range(2)) == [0, 1]


def test_submit_raises_unreachable_if_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_new_threads(monkeypatch)
    with pytest.raises(Unreachable, match="no further thread"):
        Workers(print).submit(lambda: None)
