"""A refused job among many: what is saved, under which name it is reported, and what the resume command names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from videostat.cli.heldjobs import Refusals
from videostat.errors import KeyRefused
from videostat.models import Job, JobRef
from videostat.sandbox.exchange import reply_json

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from conftest import Videostat

    from videostat.sandbox import Sandbox
    from videostat.sandbox.exchange import Reply, Request

pytestmark = pytest.mark.usefixtures("no_history")

JOBS = [f"proj_done_{number}" for number in range(40)]


@pytest.fixture
def refuse(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[Collection[str], int], None]:
    """Let the service answer for these jobs with that code, and for all others as usual."""
    server = sandbox._server
    usual = server.answer

    def refuse(jobs: Collection[str], code: int) -> None:
        def answer(request: Request) -> Reply:
            is_refused = request.path.rpartition("/")[2] in jobs
            return reply_json(200, {"code": code, "msg": "not this one"}) if is_refused else usual(request)

        monkeypatch.setattr(server, "answer", answer)

    return refuse


def find_refused_names(stderr: str) -> list[str]:
    """Return the names under which refusals are reported."""
    return re.findall(r"^videostat: (.*?): (?:the key was refused|the account is out of credit)", stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("refused", "code"),
    [([JOBS[17]], 5003), ([JOBS[0]], 5003), ([JOBS[39]], 18025), ([JOBS[5]], 18020), (JOBS[:3], 5003)],
)
def test_refused_job_does_not_stop_other_downloads(
    videostat: Videostat,
    tmp_path: Path,
    refuse: Callable[[Collection[str], int], None],
    refused: list[str],
    code: int,
) -> None:
    ends = 4 if code == 18020 else 3
    refuse(refused, code)
    got = videostat("download", "jogg", *JOBS, "--json")
    saved = {path.stem.removeprefix("jogg-") for path in tmp_path.glob("*.mp4")}
    assert saved == {*JOBS} - {*refused}
    assert got.code == ends
    assert {each["id"]: each["exit_code"] for each in got.objects} == {
        job: ends if job in refused else 0 for job in JOBS
    }
    assert sorted(find_refused_names(got.stderr)) == sorted(f"jogg {job}" for job in refused)
    command = got.stderr.splitlines()[-1]
    assert command.split()[:3] == ["videostat", "download", "jogg"]
    assert [word for word in command.split() if word.startswith("proj_")] == refused


@pytest.mark.parametrize("command", ["status", "wait", "download"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_refused_account_is_reported_under_the_account_name(
    videostat: Videostat, refuse: Callable[[Collection[str], int], None], command: str, count: int
) -> None:
    refuse(JOBS, 5003)
    got = videostat(command, "jogg", *JOBS[:count], "--json")
    assert (got.code, find_refused_names(got.stderr)) == (3, ["jogg"])


@pytest.mark.parametrize("command", ["status", "wait"])
def test_refused_job_is_reported_under_its_job_name(
    videostat: Videostat, refuse: Callable[[Collection[str], int], None], command: str
) -> None:
    refuse(JOBS[:1], 5003)
    got = videostat(command, "doubao:task_done", "jogg", *JOBS[:4])
    assert (got.code, find_refused_names(got.stderr)) == (3, [f"jogg {JOBS[0]}"])
    assert len(got.rows) == 5


def test_success_of_another_account_keeps_a_refusal_on_the_account(
    videostat: Videostat, refuse: Callable[[Collection[str], int], None]
) -> None:
    refuse(JOBS, 5003)
    got = videostat("wait", "doubao:task_done", f"jogg:{JOBS[0]}")
    assert (got.code, find_refused_names(got.stderr)) == (3, ["jogg"])


def test_refused_job_that_is_announced_again_is_reported_again() -> None:
    refused = Job(ref=JobRef("jogg", "proj_1"), problem=KeyRefused("no"), ended=True)
    refusals = Refusals({refused.ref: "jogg"})
    assert [*refusals.sort(refused)] == [refused]
    assert [*refusals.sort(refused)] == [refused]
