from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from fakes import targets

from videostat.clock import Clock
from videostat.models import Job, State
from videostat.polling import poll
from videostat.polling.options import Phase, PollOptions, Reply
from videostat.polling.pace import IN_FLIGHT
from videostat.polling.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 20  # seconds: only a broken test waits so long


class Pool(Workers):
    """Polls with real threads; `step` is what each job's look is."""

    def poll(self, count: int, step: Callable[[Job], Job]) -> list[Job]:
        inbox = SimpleQueue[Reply | int]()

        def submit(phase: Phase, job: Job) -> None:
            self.submit(lambda: inbox.put(Reply(job.ref, step(job))))

        jobs = poll(
            targets([f"a{number}" for number in range(count)]), submit, inbox, Clock(), PollOptions(timeout=TIMEOUT)
        )
        return [job for job in jobs if job and job.ended]


def failed(job: Job) -> Job:
    return replace(job, state=State.FAILED)


def test_work_is_done_at_the_same_time() -> None:
    workers, together, done = Workers(), threading.Barrier(5), SimpleQueue[int]()

    def work(number: int) -> None:
        together.wait(TIMEOUT)
        done.put(number)

    for number in range(5):
        workers.submit(partial(work, number))
    assert sorted(done.get(timeout=TIMEOUT) for _ in range(5)) == [0, 1, 2, 3, 4]


def test_an_idle_thread_is_used_again() -> None:
    workers, names = Workers(), SimpleQueue[str]()
    seen = set()
    for _ in range(50):
        workers.submit(lambda: names.put(threading.current_thread().name))
        seen.add(names.get(timeout=TIMEOUT))
        # It tells that it is idle only after it has put its name there.
        workers._idle.put(workers._idle.get(timeout=TIMEOUT))
    assert len(seen) == 1


def test_three_hundred_jobs_are_looked_at_side_by_side() -> None:
    # Thirty must come together before any goes on: whoever asks fewer at once never ends.
    together, threads = threading.Barrier(30), set[str]()

    def step(job: Job) -> Job:
        if job.ref.id == "a0":  # the first contact is made alone
            return failed(job)
        together.wait(TIMEOUT)
        threads.add(threading.current_thread().name)
        return failed(job)

    assert len(Pool().poll(301, step)) == 301
    assert 30 <= len(threads) <= IN_FLIGHT


def test_a_job_that_does_not_answer_delays_no_other() -> None:
    others_ended, ended = threading.Event(), []

    def step(job: Job) -> Job:
        if job.ref.id == "a0":
            assert others_ended.wait(TIMEOUT)
        else:
            ended.append(job.ref.id)
            if len(ended) == 99:
                others_ended.set()
        return failed(job)

    assert Pool().poll(100, step)[-1].ref.id == "a0"


def test_work_that_never_ends_does_not_keep_the_process() -> None:
    program = """if True:
        import threading
        from videostat.polling.workers import Workers
        begun = threading.Event()
        def work():
            begun.set()
            threading.Event().wait()
        Workers().submit(work)
        begun.wait()
        print("out")
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=TIMEOUT, text=True, check=True)
    assert (done.stdout, done.stderr) == ("out\n", "")
