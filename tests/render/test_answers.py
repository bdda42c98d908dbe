from __future__ import annotations

import io
import json
import math
import os
import re
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fakes import EPOCH
from hypothesis import given
from hypothesis import strategies as st
from terminal import Terminal

from videostat.errors import (
    Interrupted,
    KeyMissing,
    NotFound,
    NotSaved,
    OutputClosed,
    RateLimited,
    ServerError,
    TimedOut,
    UsageError,
)
from videostat.models import FIELDS, SAVING_FIELDS, Job, JobRef, Saved, State
from videostat.render.answers import Answers, format_json, format_state, format_tab_line, format_video
from videostat.render.columns import choose_columns
from videostat.render.summary import format_deletion, format_retention, format_summary
from videostat.render.tables import make_list_row
from videostat.render.text import format_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REF = JobRef("jogg", "proj_abc123")
URL = "https://cdn.example/" + "long/" * 120 + "waves.mp4?X-Amz-Signature=0123"
JOB = Job(ref=REF, state=State.SUCCEEDED, status="success", video_url=URL, duration=12.5, created_at=EPOCH, ended=True)
SAVED = replace(JOB, saved=Saved(file=Path("videos/jogg-proj_abc123.mp4"), bytes=37_700, resumed=10, retries=2))
RUNNING = Job(ref=REF, state=State.RUNNING, progress=41.4, message="Rendering")
FAILED = Job(ref=REF, state=State.FAILED, error="the prompt was refused", error_code="7", message="see error")

NAMES = [field.name for field in FIELDS]
SAVING_NAMES = [field.name for field in SAVING_FIELDS]

texts = st.text(st.characters(exclude_categories=()), max_size=20)
numbers = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf])
times = st.datetimes(timezones=st.just(EPOCH.tzinfo))
jobs = st.builds(
    Job,
    ref=st.just(REF),
    state=st.sampled_from(State),
    problem=st.none() | st.builds(NotFound, texts, code=texts),
    saved=st.none() | st.builds(Saved, file=texts.map(Path), bytes=st.integers(0)),
    **{name: st.none() | texts for name in ("status", "message", "title", "video_url", "error", "error_code")},
    **{name: st.none() | numbers for name in ("progress", "duration", "credits", "estimated_time")},
    **{name: st.none() | times for name in ("created_at", "completed_at", "expires_at")},
)


def answer(*these: Job, line: Callable[[Job], str | None] | None = None, refs: Sequence[JobRef] | None = None) -> None:
    answers = Answers(line, lambda: EPOCH + timedelta(hours=2), refs)
    for job in these:
        answers.show(job)
    answers.finish()


def show_on_terminal(
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    *these: Job,
    encoding: str = "utf-8",
    refs: Sequence[JobRef] | None = None,
) -> Terminal:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal(columns, 40, encoding)
    with monkeypatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys, "stdout", terminal.file)
        answer(*these, refs=refs)
    return terminal


@pytest.mark.parametrize(("saving", "names"), [(False, NAMES), (True, NAMES + SAVING_NAMES)])
def test_json_has_all_fields_in_order_and_null_for_unknown_values(saving: bool, names: list[str]) -> None:  # noqa: FBT001 - a parameter
    fields = json.loads(format_json(Job(ref=REF), saving=saving))
    assert list(fields) == names
    assert {name for name, value in fields.items() if value is not None} == {
        *("provider", "id", "state", "exit_code", "retryable", "terminal", "hint", "extra")
    }


def test_json_holds_all_known_values() -> None:
    job = replace(
        SAVED, title="Wellen 🌊", progress=100.0, thumbnail_url="https://t", resolution="1920x1080", credits=1.5
    )
    assert json.loads(format_json(job, saving=True)) == {
        **dict.fromkeys(NAMES),
        "provider": "jogg",
        "id": "proj_abc123",
        "state": "succeeded",
        "status": "success",
        "progress": 100,
        "title": "Wellen 🌊",
        "video_url": URL,
        "thumbnail_url": "https://t",
        "duration": 12.5,
        "resolution": "1920x1080",
        "credits": 1.5,
        "created_at": "2025-01-01T00:00:00.000Z",
        "file": "videos/jogg-proj_abc123.mp4",
        "files": ["videos/jogg-proj_abc123.mp4"],
        "exit_code": 0,
        "terminal": True,
        "extra": {},
        "bytes": 37_700,
        "resumed": 10,
        "skipped": False,
        "retries": 2,
    }


@pytest.mark.parametrize(
    ("job", "error", "code", "exit_code"),
    [
        (FAILED, "the prompt was refused", "7", 5),
        (replace(FAILED, problem=NotFound("no such job", code="5001")), "no such job", "5001", 7),
        (Job(ref=REF, problem=KeyMissing("no key for jogg")), "no key for jogg", None, 3),
        (replace(RUNNING, problem=TimedOut("not finished at the deadline")), "not finished at the deadline", None, 124),
        (replace(JOB, video_url=None), None, None, 9),
        (RUNNING, None, None, 8),
    ],
)
def test_json_has_the_error_its_code_and_the_exit_code(
    job: Job, error: str | None, code: str | None, exit_code: int
) -> None:
    fields = json.loads(format_json(job))
    assert (fields["error"], fields["error_code"], fields["exit_code"]) == (error, code, exit_code)


@given(jobs)
def test_any_job_is_one_ascii_line_of_json(job: Job) -> None:
    line = format_json(job, saving=True)
    assert line.isascii()
    assert line.isprintable()

    def never(constant: str) -> None:
        raise AssertionError(constant)

    fields = json.loads(line, parse_constant=never)
    assert list(fields) == NAMES + SAVING_NAMES
    assert fields["title"] == job.title
    assert fields["credits"] == (job.credits if job.credits is not None and math.isfinite(job.credits) else None)


@pytest.mark.parametrize(
    ("job", "tabbed", "video", "state"),
    [
        (JOB, URL, URL, "succeeded"),
        (SAVED, "videos/jogg-proj_abc123.mp4", "videos/jogg-proj_abc123.mp4", "succeeded"),
        (RUNNING, "", None, "running"),
        (replace(JOB, video_url="https://x/\t\x1b"), "https://x/\\t\\x1b", "https://x/\\t\\x1b", "succeeded"),
    ],
    ids=["a URL", "a file", "no video", "a hostile URL"],
)
def test_line_formats_show_the_state_and_the_video_of_a_job(
    job: Job, tabbed: str, video: str | None, state: str
) -> None:
    assert format_tab_line(job) == f"jogg\tproj_abc123\t{state}\t{tabbed}"
    assert format_video(job) == video
    assert format_state(job) == state


def test_lines_are_written_immediately(capsys: pytest.CaptureFixture[str]) -> None:
    answers = Answers(format_video, lambda: EPOCH)
    answers.show(JOB)
    assert capsys.readouterr().out == f"{URL}\n"
    answers.show(RUNNING)
    answers.finish()
    assert capsys.readouterr() == ("", "")


def test_nothing_is_written_without_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    answer()
    assert capsys.readouterr() == ("", "")


OTHER = Job(ref=JobRef("doubao", "task_1"), state=State.QUEUED)
LINK = re.compile(r"\x1b\]8;[^\x1b]*\x1b\\")


def test_table_shows_known_values_and_omits_empty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = show_on_terminal(
        monkeypatch,
        100,
        replace(JOB, title="Waves", message="done", progress=100),
        replace(RUNNING, ref=JobRef("reelbot", "reel_7"), created_at=EPOCH + timedelta(minutes=90)),
        replace(FAILED, ref=JobRef("doubao", "task_9")),
    )
    assert terminal.lines[:4] == [
        "PROVIDER  ID           STATE      PROGRESS  LENGTH  CREATED  TITLE  MESSAGE",
        "jogg      proj_abc123  succeeded            12.5s   2h ago   Waves",
        "reelbot   reel_7       running    41%               30m ago         Rendering",
        "doubao    task_9       failed                                       the prompt was refused (code 7)",
    ]
    assert (
        show_on_terminal(monkeypatch, 100, JOB, OTHER).lines[0] == "PROVIDER  ID           STATE      LENGTH  CREATED"
    )


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (replace(JOB, message="done"), ""),
        (RUNNING, "Rendering"),
        (FAILED, "the prompt was refused (code 7)"),
        (replace(JOB, message="done", problem=NotSaved("the disk is full")), "the disk is full"),
        (replace(RUNNING, problem=TimedOut("not finished at the deadline")), "Rendering"),
        (replace(JOB, problem=Interrupted(2)), "not saved: interrupted by Ctrl-C"),
        (replace(JOB, video_url=None), "the service returned no video URL"),
        (Job(ref=REF, problem=NotFound("no such job")), "no such job"),
    ],
)
def test_message_column_says_why_a_job_is_not_done(monkeypatch: pytest.MonkeyPatch, job: Job, message: str) -> None:
    header, row, *_ = show_on_terminal(monkeypatch, 100, job, OTHER).lines
    assert ("MESSAGE" in header) is bool(message)
    assert row.endswith(message or "2h ago")


LONG = replace(
    RUNNING,
    ref=JobRef("jogg-product", "product_d754095e48de"),
    title="A film about the sea and all that lives in it",
    message="Frames are being rendered one by one, which takes its time",
    created_at=EPOCH,
    duration=30,
)


@pytest.mark.parametrize(
    ("columns", "headers"),
    [
        (143, ["PROVIDER", "ID", "STATE", "PROGRESS", "LENGTH", "CREATED", "TITLE", "MESSAGE"]),
        (142, ["PROVIDER", "ID", "STATE", "PROGRESS", "LENGTH", "CREATED", "MESSAGE"]),
        (95, ["PROVIDER", "ID", "STATE", "PROGRESS", "LENGTH", "MESSAGE"]),
        (86, ["PROVIDER", "ID", "STATE", "PROGRESS", "MESSAGE"]),
        (78, ["PROVIDER", "ID", "STATE", "MESSAGE"]),
    ],
)
def test_narrow_window_drops_the_least_important_columns(
    monkeypatch: pytest.MonkeyPatch, columns: int, headers: list[str]
) -> None:
    terminal = show_on_terminal(monkeypatch, columns, LONG, OTHER)
    header, long, other = LINK.sub("", re.sub(r"\x1b\[[\d;]*m", "", terminal.text)).splitlines()
    assert header.split() == headers
    assert long.startswith("jogg-product  product_d754095e48de  running  ")
    assert other == "doubao        task_1                queued"
    assert long.index("Frames are") == header.index("MESSAGE")


def test_header_does_not_wrap_in_a_narrow_window(monkeypatch: pytest.MonkeyPatch) -> None:
    refs = [LONG.ref, JobRef("doubao", "task_1")]
    for jobs, of in ((refs, None), (refs, refs)):
        lines = show_on_terminal(monkeypatch, 40, *(replace(LONG, ref=ref, ended=True) for ref in jobs), refs=of).lines
        assert lines[0].split() == ["PROVIDER", "ID"]
        assert lines[1].startswith("jogg-product")


@pytest.mark.parametrize(
    ("widths", "room", "shown"),
    [
        ({"ID": 10, "LENGTH": 6, "MESSAGE": 90}, 80, ["ID", "LENGTH", "MESSAGE"]),
        ({"ID": 10, "LENGTH": 6, "MESSAGE": 90}, 44, ["ID", "LENGTH", "MESSAGE"]),
        ({"ID": 10, "LENGTH": 6, "MESSAGE": 90}, 43, ["ID", "MESSAGE"]),
        ({"ID": 10, "LENGTH": 6}, 17, ["ID"]),
        ({"ID": 10}, 1, ["ID"]),
    ],
)
def test_columns_are_chosen_by_the_available_width(widths: dict[str, int], room: int, shown: list[str]) -> None:
    assert choose_columns(widths, room) == shown


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_urls_are_uncut_on_their_own_lines_and_clickable(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    other = replace(JOB, ref=JobRef("doubao", "task_1"))
    expected = f"\r\njogg proj_abc123  {URL}\r\ndoubao task_1  {URL}\r\n"
    text = show_on_terminal(monkeypatch, columns, JOB, RUNNING, other).text
    assert expected in LINK.sub("", text)
    assert re.search(rf"\x1b\]8;id=\d+;{re.escape(URL)}\x1b\\{re.escape(URL)}\x1b", text)
    assert f"  {URL}\r\n" in LINK.sub("", show_on_terminal(monkeypatch, columns, JOB).text)


def test_no_link_is_written_in_ci_or_for_a_non_ascii_url(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b]8" not in show_on_terminal(monkeypatch, 100, replace(JOB, video_url="https://x/\x1b\\é")).text
    monkeypatch.setenv("CI", "1")
    assert "\x1b]8" not in show_on_terminal(monkeypatch, 100, JOB, SAVED).text


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_saved_file_is_shown_uncut_and_once_in_place_of_its_url(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    for refs in (None, [REF, OTHER.ref]):
        shown = LINK.sub("", show_on_terminal(monkeypatch, columns, SAVED, refs=refs).text)
        assert shown.count("videos/jogg-proj_abc123.mp4 (37.7 kB)") == 1
        assert URL not in shown


def test_one_job_is_shown_as_a_card_with_a_line_per_known_field(monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(
        JOB,
        video_url="https://v/a.mp4",
        thumbnail_url="https://t/a.jpg",
        title="Waves",
        duration=32.5,
        resolution="1080p",
        credits=1.5,
        completed_at=EPOCH + timedelta(minutes=60),
        kept_until=EPOCH + timedelta(days=30),
    )
    at = f"{EPOCH.astimezone():%Y-%m-%d %H:%M}"
    assert show_on_terminal(monkeypatch, 80, job).lines == [
        "jogg proj_abc123",
        "  state       succeeded (success)",
        "  title       Waves",
        "  length      32.5s",
        "  resolution  1080p",
        "  credits     1.5",
        f"  created     {at} (2h ago)",
        f"  completed   {(EPOCH + timedelta(minutes=60)).astimezone():%Y-%m-%d %H:%M} (1h ago)",
        f"  kept until  {(EPOCH + timedelta(days=30)).astimezone():%Y-%m-%d %H:%M}",
        "  thumbnail   https://t/a.jpg",
        "  URL         https://v/a.mp4",
    ]
    assert show_on_terminal(monkeypatch, 80, Job(ref=REF, state=State.RUNNING)).lines == [
        "jogg proj_abc123",
        "  state  running",
    ]
    assert show_on_terminal(monkeypatch, 80, replace(FAILED, ended=True)).lines == [
        "jogg proj_abc123",
        "  state  failed",
        "  error  the prompt was refused",
        "  code   7",
    ]
    assert show_on_terminal(monkeypatch, 80, Job(ref=REF, problem=NotFound("no such job", hint="Look."))).lines[
        -2:
    ] == [
        "  error  no such job",
        "  Look.",
    ]


def test_card_shows_extra_fields_under_the_names_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(RUNNING, extra={"updatedAt": "2025-01-21T16:30:45.000Z", "n": 3})
    assert show_on_terminal(monkeypatch, 80, job).lines[-2:] == [
        "  updatedAt  2025-01-21T16:30:45.000Z",
        "  n          3",
    ]


def test_table_has_a_time_left_column_for_running_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = show_on_terminal(
        monkeypatch, 100, replace(RUNNING, estimated_time=95), replace(JOB, estimated_time=0)
    ).lines
    assert lines[0].split()[3:6] == ["PROGRESS", "TIME", "LEFT"]
    assert "41%       1m35s" in lines[1]
    assert "0s" not in lines[2]


def test_table_of_a_wait_has_a_row_for_each_job_with_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = KeyMissing("no key for jogg", hint="Run config set-key")
    refs = [REF, JobRef("jogg-product", "p_1"), OTHER.ref, JobRef("jogg", "a"), JobRef("jogg", "b")]
    done = replace(SAVED, completed_at=EPOCH + timedelta(seconds=252))
    terminal = show_on_terminal(
        monkeypatch,
        100,
        done,
        replace(FAILED, ref=refs[1]),
        replace(OTHER, problem=Interrupted(2), video_url="https://unfinished"),
        Job(ref=refs[3], problem=refused),
        Job(ref=refs[4], problem=refused),
        refs=refs,
    )
    assert terminal.lines == [
        "PROVIDER      ID           STATE        TOOK    LENGTH  RESULT",
        "jogg          proj_abc123  ✓ succeeded  4m12s   12.5s   videos/jogg-proj_abc123.mp4 (37.7 kB)",
        "jogg-product  p_1          ✗ failed                     the prompt was refused (code 7)",
        "doubao        task_1         queued",
        "jogg          a            ✗ unknown                    no key for jogg",
        "  Run config set-key",
        "jogg          b            ✗ unknown                    no key for jogg",
    ]


def test_path_is_written_relative_to_the_folder_or_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert format_path(tmp_path / "videos" / "a.mp4") == "videos/a.mp4"
    assert format_path(Path.home() / "a.mp4") == "~/a.mp4"
    assert format_path(Path("/etc/a\x1b.mp4")) == "/etc/a\\x1b.mp4"
    assert format_path(Path("b.mp4")) == "b.mp4"


@pytest.mark.parametrize(
    ("these", "sentence"),
    [
        ([SAVED] * 4 + [FAILED] + [replace(JOB, problem=NotSaved("full"))] * 2, "4 saved, 1 failed, 2 not saved"),
        ([JOB, replace(RUNNING, problem=TimedOut("late"))], "1 succeeded, 1 not finished"),
        ([replace(JOB, problem=Interrupted(2)), RUNNING], "1 not saved, 1 not finished"),
        (
            [Job(ref=REF, problem=KeyMissing("no")), Job(ref=REF, problem=NotFound("no"))],
            "1 not found, 1 without a valid key",
        ),
        ([Job(ref=REF, problem=ServerError("502")), SAVED], "1 saved, 1 without an answer"),
    ],
)
def test_summary_counts_jobs_by_their_end_and_adds_up_credits(these: list[Job], sentence: str) -> None:
    assert format_summary(these, 252) == f"{sentence}, in 4m12s"
    assert format_summary([replace(these[0], credits=10.5), replace(these[1], credits=1.5), *these[2:]], 252).endswith(
        "; 12 credits"
    )


def test_retention_says_until_when_the_video_is_available() -> None:
    soon = replace(JOB, expires_at=EPOCH + timedelta(hours=1))
    later = replace(OTHER, kept_until=EPOCH + timedelta(days=30))
    assert format_retention([later], EPOCH).startswith("The service keeps the video until 20")
    both = replace(soon, kept_until=EPOCH + timedelta(days=7))
    assert format_retention([later, both], EPOCH).startswith("The service keeps the videos until 20")
    assert format_retention([later, soon], EPOCH).startswith("The URL works until 20")
    assert format_retention([later, JOB], EPOCH) == "The URL may work for a short time only. To save the videos:"
    assert format_retention([soon], EPOCH).startswith("The URL works until 20")
    over = replace(soon, kept_until=EPOCH - timedelta(days=1), expires_at=EPOCH)
    for job in (JOB, over):
        assert format_retention([job], EPOCH) == "The URL may work for a short time only. To save the video:"


def test_deletion_says_when_a_queued_job_is_deleted() -> None:
    queued = replace(RUNNING, state=State.QUEUED, kept_until=EPOCH + timedelta(days=1))
    at = f"{(EPOCH + timedelta(days=1)).astimezone():%Y-%m-%d %H:%M}"
    assert format_deletion([queued], EPOCH) == f"The service deletes it if it is still queued at {at}."
    assert format_deletion([queued, RUNNING], EPOCH).startswith(
        "The service deletes a job that is still queued, the first of"
    )
    assert format_deletion([RUNNING], EPOCH) == format_deletion([queued], EPOCH + timedelta(days=2)) == ""


HOSTILE = "[red]a[/red] :smile: 'b' 42 \x1b[2J\x9b2J\u202e\n"
SHOWN = "[red]a[/red] :smile: 'b' 42 \\x1b[2J\\x9b2J\\u202e\\n"


@pytest.mark.parametrize(
    "job",
    [
        replace(JOB, title=HOSTILE),
        replace(RUNNING, message=HOSTILE),
        replace(FAILED, error=HOSTILE),
        replace(FAILED, problem=RateLimited(HOSTILE)),
        replace(JOB, video_url=HOSTILE),
        replace(SAVED, saved=Saved(file=Path(HOSTILE), bytes=1)),
    ],
)
def test_service_text_is_escaped_and_has_no_effect(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    for others, refs in (((), None), ((OTHER,), None), ((), [REF, OTHER.ref])):
        terminal = show_on_terminal(monkeypatch, 180, job, *others, refs=refs)
        text = LINK.sub("", terminal.text)
        if not (refs and job.title) and not (others and job.saved):
            assert SHOWN in "\n".join(terminal.lines)
            assert SHOWN in text, "there must be no highlighting inside it either"
        assert not set(text.replace("\x1b[", "")) & set("\x1b\x9b\u202e")


def test_state_is_coloured_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[32msucceeded" in show_on_terminal(monkeypatch, 100, JOB).text
    with Terminal(100) as terminal:
        monkeypatch.setattr(sys, "stdout", terminal.file)
        monkeypatch.setenv("NO_COLOR", "1")
        answer(JOB)
        assert "\x1b[3" not in terminal.text


def test_characters_outside_the_terminal_encoding_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    with Terminal(100, encoding="latin-1") as terminal:
        terminal.file.reconfigure(errors="strict")
        monkeypatch.setattr(sys, "stdout", terminal.file)
        answer(replace(JOB, title="é海"))
        assert "é\\u6d77" in terminal.text


def test_closed_pipe_raises_output_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(OutputClosed):
            answer(JOB, line=format_tab_line)
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), writing)


def test_full_disk_under_stdout_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(UsageError, match="cannot be written to stdout: No space left on device"):
            answer(JOB, line=format_tab_line)
        answer(JOB, line=format_tab_line)


def test_json_and_quiet_lines_list_all_files_of_a_job() -> None:
    assert SAVED.saved
    job = replace(SAVED, saved=replace(SAVED.saved, more=(Path("videos/jogg-proj_abc123 (2).mp4"),)))
    files = ["videos/jogg-proj_abc123.mp4", "videos/jogg-proj_abc123 (2).mp4"]
    assert json.loads(format_json(job))["files"] == files
    assert (format_video(job) or "").splitlines() == files
    assert format_tab_line(job).split("\t")[3] == files[0]


def test_the_hint_of_a_failed_job_is_its_services_advice() -> None:
    assert replace(FAILED, advice="Submit it again.").hint == "Submit it again."


def test_a_path_is_whole_where_the_current_folder_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", refuse)
    assert format_path(Path("/videos/clip.mp4")) == "/videos/clip.mp4"


def test_a_program_may_replace_stdout_by_any_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream := io.StringIO())
    Answers(format_state, lambda: EPOCH).show(RUNNING)
    assert stream.getvalue() == "running\n"


def test_a_listed_job_without_a_retention_has_no_days_left() -> None:
    assert make_list_row(RUNNING, {}, EPOCH)[6] == ""
