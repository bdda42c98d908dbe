"""Use the library as a typed program does: mypy reads this, and every type must be what is said here."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from videostat import Client, ExitCode, Job, JobRef, Link, Saved, State, VideostatError, save, wait
from videostat.errors import RateLimited


def collect(ids: list[str], folder: Path) -> list[Saved]:
    """Wait for jobs, and save the videos of those that have one."""
    videos = []
    with Client(keys={"jogg": "a-key"}) as client:
        assert_type(client, Client)
        for job in wait(client, [JobRef("jogg", each) for each in ids], timeout=60, on_change=show):
            assert_type(job, Job)
            assert_type(job.state, State)
            assert_type(job.video_url, str | None)
            assert_type(job.exit_code, ExitCode)
            assert_type(job.problem, VideostatError | None)
            if job.exit_code is ExitCode.OK:
                videos.append(save(job, folder, client=client))
    return videos


def show(job: Job) -> None:
    """Take a job as `on_change` gives it."""
    print(job.ref.provider, job.ref.id, job.progress or 0.0)  # noqa: T201


def look(name: str) -> Link | float | None:
    """Fetch one job, and say how long to wait where the service asks for that."""
    with Client() as client:
        try:
            job = client.job(name)
        except RateLimited as error:
            assert_type(error.retry_after, float | None)
            return error.retry_after
        one, several = wait(client, name), wait(client, [job, job.ref, name])
        assert_type(next(one), Job)
        assert_type(next(several), Job)
        assert_type(save(name, "clip.mp4").file, Path)
        return client.fetch_link(job)
