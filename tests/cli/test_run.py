"""A run of announced jobs, without the services."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from queue import SimpleQueue
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, cast

import pytest

from videostat import waiting
from videostat.cli.hearing import Newcomer
from videostat.cli.run import Run
from videostat.client import Client
from videostat.clock import Clock
from videostat.history import History
from videostat.models import Job, JobRef, State
from videostat.polling.options import Hint, PollOptions
from videostat.render.log import ErrorsOnly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from videostat.cli.hearing import Hearing
    from videostat.cli.session import Session

REF = JobRef("jogg", "proj_12345678")
ENDED = Job(
    ref=REF,
    state=State.SUCCEEDED,
    status="success",
    video_url="https://cdn.example/a.mp4",
    seen_at=datetime.now(UTC),
    ended=True,
)


class RepeatingReceiver:
    """A receiver that gets a delivery again while its job ends."""

    def __init__(self) -> None:
        self.inbox, self.addresses = SimpleQueue[Any](), set[str]()
        self.newcomers = [Newcomer(REF)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def tick(self) -> list[str]:
        return []

    def take_newcomers(self) -> list[Newcomer]:
        taken, self.newcomers = self.newcomers, []
        return taken


@pytest.fixture
def hearing() -> RepeatingReceiver:
    return RepeatingReceiver()


@pytest.fixture
def run(tmp_path: Path, hearing: RepeatingReceiver) -> Iterator[Callable[..., list[JobRef]]]:
    with closing(History(tmp_path / "history.db", warn=pytest.fail)) as history:
        session = SimpleNamespace(client=Client(keys={"jogg": "k" * 20}), history=history, clock=Clock())

        def run(*refs: JobRef) -> list[JobRef]:
            made = Run(
                session=cast("Session", session),
                refs=[*refs],
                options=PollOptions(stays=True),
                view=ErrorsOnly(),
                hearing=cast("Hearing", hearing),
            )
            return [job.ref for job in made]

        yield run


def test_delivery_repeated_while_its_job_ends_adds_no_job(
    run: Callable[..., list[JobRef]], hearing: RepeatingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "run", lambda *_, **__: iter([ENDED, None]))
    assert run() == [REF]
    assert hearing.inbox.empty()


def test_delivery_about_a_job_of_the_run_becomes_a_hint(
    run: Callable[..., list[JobRef]], hearing: RepeatingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The end of the job may be in the inbox already: adding the job would start it again.
    monkeypatch.setattr(waiting, "run", lambda *_, **__: iter([None, ENDED]))
    assert run(REF) == [REF]
    assert hearing.inbox.get() == Hint((REF,))
    assert hearing.inbox.empty()
