"""Test what is written for GitHub Actions: the table in the step's summary, and the annotations."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from videostat.errors import KeyRefused, NotFound, NotSaved, ServerError, TimedOut
from videostat.models import Job, JobRef, Saved, State
from videostat.render.github import ROWS, format_annotations, format_command, format_step_summary

if TYPE_CHECKING:
    from conftest import Videostat

HOSTILE = "a|b\n::error::c <img src=x> [l](http://e) `d` \\| @me #1 \x1b[2J\u202e :x: %0A ![i](https://e/i)"
# The end of a table cell in GitHub Markdown.
BORDER = re.compile(r"(?<!\\)(?:\\\\)*\|")


def job(name: str = "jogg proj_1", state: State = State.SUCCEEDED, **known: object) -> Job:
    return replace(Job(ref=JobRef(*name.split()), ended=True), state=state, **known)  # type: ignore[arg-type]


def rows(markdown: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", line) for line in markdown.splitlines()[4:] if line.startswith("| ")]


@pytest.mark.parametrize(
    ("ended", "row"),
    [
        (job(video_url="https://v.example/a.mp4"), "| jogg proj_1 | succeeded | https://v.example/a.mp4 |  |"),
        (job(video_url="https://me:pw@v.example/a?sig=x#y"), "| jogg proj_1 | succeeded | https://v.example/a |  |"),
        (
            job(video_url="https://v/a?sig=x", message="well done", saved=Saved(file=Path("videos/a.mp4"), bytes=1)),
            "| jogg proj_1 | succeeded | videos/a.mp4 |  |",
        ),
        (job(state=State.FAILED, error="refused"), "| jogg proj_1 | failed |  | refused |"),
        (
            job(video_url="https://v/a?sig=x", problem=NotSaved("HTTPS://v/a?sig=x is gone")),
            "| jogg proj_1 | succeeded | https://v/a | HTTPS://v/a is gone |",
        ),
        (job(state=State.RUNNING, problem=TimedOut("too late")), "| jogg proj_1 | running |  | too late |"),
    ],
)
def test_summary_has_a_row_per_job_without_url_signatures(ended: Job, row: str) -> None:
    assert rows(format_step_summary([ended])) == [row]


def test_summary_starts_with_the_count_and_the_jobs_without_video() -> None:
    jobs = [job("jogg a", video_url="https://v"), job("jogg b", State.FAILED), job("jogg c", video_url="https://v")]
    markdown = format_step_summary(jobs)
    assert markdown.splitlines()[0] == "### videostat: 2 of 3 succeeded"
    assert [row.split()[2] for row in rows(markdown)] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "hostile",
    [
        job(state=State.FAILED, error=HOSTILE),
        job(problem=NotFound(HOSTILE)),
        job(video_url=HOSTILE),
        job(saved=Saved(file=Path(HOSTILE), bytes=1)),
    ],
)
def test_service_text_stays_in_its_cell_and_is_not_markup(hostile: Job) -> None:
    line = next(line for line in format_step_summary([hostile]).splitlines() if "proj" in line)
    assert line.isprintable()
    assert len(BORDER.findall(line)) == 5
    assert not re.search(r"(?<!\\)(?:\\\\)*[<\[`@#:!]", line)


def test_summary_of_ten_thousand_jobs_is_within_githubs_limit() -> None:
    failed = job(state=State.FAILED, error="|" * 1000)
    markdown = format_step_summary([failed, *[job(video_url="https://v.example/" + "/" * 1000)] * 9999])
    assert len(rows(markdown)) == ROWS
    assert markdown.endswith("\nand 9,500 more\n\n")
    assert len(markdown.encode()) < 1 << 20


@pytest.mark.parametrize(
    ("ended", "line"),
    [
        (job(video_url="https://v"), None),
        (
            job(state=State.RUNNING, problem=TimedOut("late")),
            "::warning title=videostat::not finished at the deadline: jogg proj_1",
        ),
        (
            job(state=State.FAILED, error="100% wrong, it is: https://v/a?sig=x"),
            "::error title=videostat%3A jogg::jogg proj_1 failed: 100%25 wrong, it is: https://v/a",
        ),
        (
            job(problem=ServerError("no", hint="Look.")),
            "::error title=videostat%3A jogg::jogg proj_1: no%0A  Look.",
        ),
    ],
)
def test_failed_job_gives_an_error_annotation_and_timeout_a_warning(ended: Job, line: str | None) -> None:
    assert list(format_annotations([ended])) == ([line] if line else [])


def test_refused_key_of_several_jobs_gives_one_annotation() -> None:
    refused = KeyRefused("the key is refused")
    assert len(list(format_annotations([job(f"jogg proj_{n}", problem=refused) for n in range(5)]))) == 1


def test_workflow_command_is_escaped_into_one_line() -> None:
    assert format_command("error", "a:b,c%\r\n::d", title="a:b,c%\r\n") == (
        "::error title=a%3Ab%2Cc%25%0D%0A::a:b,c%25%0D%0A::d"
    )


@pytest.fixture
def speed() -> float:
    return 500


@pytest.mark.usefixtures("no_history")
@pytest.mark.parametrize("argv", [["wait"], ["download"], ["wait", "--download"]])
def test_wait_and_download_append_to_the_summary_file(
    videostat: Videostat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    got = videostat(*argv, "jogg:proj_done", "reelbot:reel_done_fail", "--quiet")
    assert got.code == 5
    written = file.read_text()
    assert written.startswith("before\n### videostat: 1 of 2 succeeded\n\n| Job ")
    assert len(rows(written.removeprefix("before\n"))) == 2
    assert [line[:36] for line in got.stderr.splitlines() if line.startswith("::")] == [
        "::error title=videostat%3A reelbot::"
    ]


@pytest.mark.usefixtures("no_history")
@pytest.mark.parametrize("value", ["", "false"])
def test_no_annotations_are_written_outside_github_actions(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "")
    monkeypatch.setenv("GITHUB_ACTIONS", value)
    got = videostat("wait", "jogg", "proj_done_fail")
    assert got.code == 5
    assert "::" not in got.stderr


@pytest.mark.usefixtures("no_history")
def test_unwritable_summary_is_reported_and_keeps_the_exit_code(
    videostat: Videostat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    got = videostat("wait", "jogg", "proj_done", "--quiet")
    assert (got.code, len(got.lines)) == (0, 1)
    assert (
        got.stderr
        == "videostat: cannot write the file in GITHUB_STEP_SUMMARY: Is a directory; the jobs are not affected\n"
    )
