"""videostat in a program of one's own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import videostat
from videostat import Client, ExitCode, JobRef, State, VideostatError, wait
from videostat.errors import ConfigError, KeyMissing, TimedOut, UsageError

if TYPE_CHECKING:
    from videostat.clock import Clock
    from videostat.sandbox import Sandbox


@pytest.fixture
def speed() -> float:
    return 500


@pytest.fixture(autouse=True)
def _time_of_the_sandbox(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videostat.client.Clock", lambda: clock)


@pytest.mark.usefixtures("sandbox")
def test_wait_gives_each_job_once_it_has_ended() -> None:
    jobs = {job.ref: job for job in wait(Client(), ["jogg:demo-1", JobRef("reelbot", "demo-2"), "doubao:demo-fail"])}
    assert {ref: job.state for ref, job in jobs.items()} == {
        JobRef("jogg", "demo-1"): State.SUCCEEDED,
        JobRef("reelbot", "demo-2"): State.SUCCEEDED,
        JobRef("doubao", "demo-fail"): State.FAILED,
    }
    assert jobs[JobRef("reelbot", "demo-2")].video_url
    assert jobs[JobRef("doubao", "demo-fail")].exit_code is ExitCode.FAILED
    assert all(job.ended for job in jobs.values())


@pytest.mark.usefixtures("sandbox")
def test_a_job_that_outlasts_the_timeout_says_so() -> None:
    (job,) = wait(Client(), ["jogg:demo-stuck"], timeout=60)
    assert isinstance(job.problem, TimedOut)
    assert job.state in {State.QUEUED, State.RUNNING}


def test_a_missing_key_is_the_problem_of_its_job() -> None:
    (job,) = wait(Client(), ["jogg:proj_1"])
    assert isinstance(job.problem, KeyMissing)


@pytest.mark.parametrize(("job", "error"), [("jogg", UsageError), ("nowhere:1", ConfigError), ("jogg:a/b", UsageError)])
def test_what_is_no_job_is_refused(job: str, error: type[VideostatError]) -> None:
    with pytest.raises(error):
        list(wait(Client(), [job]))


@pytest.mark.usefixtures("sandbox")
def test_a_link_is_asked_anew(sandbox: Sandbox) -> None:
    client = Client()
    (job,) = wait(client, ["reelbot:demo-done"])
    before = len(sandbox.requests)
    assert client.link(job).url.startswith("http")
    assert [request.path for request in sandbox.requests][before:] == ["/reelbot/api/v1/video/download/demo-done"]


def test_no_jobs_end_at_once() -> None:
    assert list(wait(Client(), [])) == []


def test_every_public_name_is_there() -> None:
    assert {getattr(videostat, name).__name__ for name in videostat.__all__} == set(videostat.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = videostat.nothing_like_it


def test_importing_videostat_imports_none_of_it() -> None:
    code = "import sys, videostat; print([name for name in sys.modules if name.startswith('videostat.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
