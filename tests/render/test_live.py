from __future__ import annotations

import os
import re
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fakes import EPOCH, FakeClock
from terminal import Terminal, rewrap

from videostat.errors import NotFound, RateLimited, ServerError, TimedOut
from videostat.models import Job, JobRef, Saved, State
from videostat.render import board, live, rows
from videostat.render.board import Work
from videostat.render.live import Live, show_cursor
from videostat.sandbox import Sandbox
from videostat.saving import Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPINNER = re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]")


def job(name: str = "jogg proj_1", state: State = State.RUNNING, **known: object) -> Job:
    return replace(Job(ref=JobRef(*name.split())), state=state, **known)  # type: ignore[arg-type]


def jobs(count: int) -> list[Job]:
    return [job(f"jogg proj_{number}", progress=50) for number in range(count)]


@dataclass
class Stage:
    """A live view that draws at every tick, and its terminal."""

    monkeypatch: pytest.MonkeyPatch
    clock: FakeClock = field(default_factory=FakeClock)
    transfers: dict[JobRef, Transfer] = field(default_factory=dict)

    def open(
        self,
        columns: int = 100,
        height: int = 24,
        *these: Job,
        timeout: float = 600,
        encoding: str = "utf-8",
        usual: float = 0,
        delay: float = 0,
    ) -> None:
        self.terminal = Terminal(columns, height, encoding)
        self.monkeypatch.setattr(sys, "stderr", self.terminal.file)
        work = Work(
            activity="waiting for",
            usual=dict.fromkeys((one.ref for one in these or jobs(3)), usual),
            timeout=timeout,
            transfers=self.transfers,
        )
        self.live = Live(work, self.clock, delay=delay)
        self.live.__enter__()

    def show(self, *these: Job, after: float = 0) -> list[str]:
        """Update jobs, draw, and return the lines of the screen with `*` for the spinner."""
        self.clock.time += after
        for one in these:
            self.live.update(one)
        self.live.tick()
        return self.lines

    @property
    def lines(self) -> list[str]:
        return [SPINNER.sub("*", line) for line in self.terminal.lines]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(live, "FRAME", 0)
    monkeypatch.setattr(live, "BLINK", 0)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    made = Stage(monkeypatch)
    yield made
    made.terminal.file.close()


def test_rows_are_aligned_in_given_order_below_a_row_for_all_jobs(stage: Stage) -> None:
    known = [
        job("jogg proj_1", progress=41.9, estimated_time=43, created_at=EPOCH - timedelta(seconds=100)),
        job("doubao task_0123", State.QUEUED),
        job("reelbot reel_7", State.UNKNOWN, status="dreaming", message="soon"),
    ]
    stage.open(100, 24, *known, usual=180)
    assert stage.show(*reversed(known), after=36) == [
        f"0 of 3 done  {'━' * 74}  36s of 10m",
        "* jogg proj_1       running  ━━━━━━━━╺━━━━━━━━━━━   41%   2m16s  about 43s left",
        "* doubao task_0123  queued   ━━━━━━━━━━━━━━━━━━━━           36s  usually 3m",
        "* reelbot reel_7    unknown  ━━━━━━━━━━━━━━━━━━━━           36s  usually 3m  dreaming: soon",
    ]


def test_first_frame_has_a_row_for_every_job(stage: Stage) -> None:
    stage.open(80, 24, *jobs(3), usual=210)
    assert [line[:23] for line in stage.lines[1:]] == [f"* jogg proj_{n}  asking  " for n in range(3)]
    assert all(line.endswith("usually 3m30s") for line in stage.lines[1:])


def test_total_row_shows_no_end_without_a_timeout(stage: Stage) -> None:
    stage.open(60, 24, *jobs(1234), timeout=0)
    assert stage.show()[0] == f"0 of 1,234 done  {'━' * 38}  0s"


def test_estimate_counts_down_from_the_time_of_its_answer(stage: Stage) -> None:
    estimated = job("jogg proj_1", progress=50, estimated_time=60)
    stage.open(100, 24, *jobs(3))
    assert stage.show(estimated)[2].endswith("about 1m left")
    assert stage.show(after=9)[2].endswith("about 51s left")
    trouble = replace(estimated, problem=ServerError("502"))
    assert stage.show(trouble, after=1)[2].endswith("502; asking again")
    assert stage.live._board._format_time_left(trouble) == "about 50s left"
    assert stage.show(replace(estimated, progress=55), after=10)[2].endswith("about 1m left")
    assert not stage.show(after=60)[2].endswith("left"), "nothing is invented"


def test_row_without_an_estimate_shows_the_time_of_the_next_check(stage: Stage) -> None:
    stage.open(100, 24, *jobs(3), usual=180)
    due = EPOCH + timedelta(seconds=8)
    assert stage.show(job("jogg proj_1", asked_again_at=due))[2].endswith("usually 3m  next check in 8s")
    assert stage.show(after=3)[2].endswith("usually 3m  next check in 5s")
    assert stage.show(after=6)[2].endswith("usually 3m")
    assert stage.show(job("jogg proj_1", asked_again_at=due, estimated_time=9))[2].endswith("about 9s left")


LONG = job(
    "jogg-product product_d754095e4", progress=50, estimated_time=51, message="Rendering the third of 200 frames"
)


@pytest.mark.parametrize(
    ("columns", "drawn"),
    [
        (100, ["* product_d754095e4  running  ━━━━━━━━━━╺━━━━━━━━━   50%      0s  about 51s left  Rendering the th…"]),
        (80, ["* product_d754095e4  running  ━━━━━╺━━━━   50%      0s  about 51s left"]),
        (60, ["* product_d7540954e  running  ━━╸━━   50%  about 51s left"]),
        (40, ["* product_d75…  running  ━━╸━━   50%", "  about 51s left  Rendering the third …"]),
        (30, ["* product_d75…  running", "  about 51s left  Rendering …"]),
        (12, ["* product_…", "  about 51…"]),
        (5, ["* p…", "  a…"]),
    ],
)
def test_row_keeps_the_important_columns_at_any_width(stage: Stage, columns: int, drawn: list[str]) -> None:
    shown = replace(LONG, ref=JobRef("jogg-product", "product_d7540954e")) if columns == 60 else LONG
    stage.open(columns, 24, shown, job("a b"))
    assert stage.show(shown, replace(job("a b"), ended=True, problem=TimedOut("late")))[1:] == drawn


def test_second_lines_of_rows_are_omitted_if_they_do_not_all_fit(stage: Stage) -> None:
    many = [job(f"jogg proj_{n}", progress=50, estimated_time=60) for n in range(4)]
    stage.open(40, 9, *many)
    assert len(stage.show(*many)) == 5
    stage.terminal.resize(40, 10)
    assert len(stage.show()) == 9


TROUBLE = ServerError("the service has an error: <html>Bad Gateway</html> (HTTP 502, request 0123456789)")


@pytest.mark.parametrize(
    ("problem", "progress", "columns", "drawn"),
    [
        (ServerError("HTTP 502"), None, 80, ["* jogg proj_1  running  HTTP 502; asking again"]),
        (ServerError("HTTP 502"), 50, 80, ["* jogg proj_1  running  ━━━━━╺━━━━   50%      0s  HTTP 502; asking again"]),
        (
            TROUBLE,
            None,
            120,
            [
                "* jogg proj_1  running  "  # noqa: ISC004 - one line
                "the service has an error: <html>Bad Gateway</html> (HTTP 502, request 0123456789); asking again"
            ],
        ),
        (
            TROUBLE,
            50,
            60,
            [
                "* jogg proj_1  running  ━━━━━╺━━━━   50%",
                "  the service has an error: <html>Bad Gateway</html> (HTTP",
                "  502, request 0123456789); asking again",
            ],
        ),
        (
            TROUBLE,
            None,
            40,
            [
                "* jogg proj_1  running  ━━━━━",
                "  the service has an error: <html>Bad",
                "  Gateway</html> (HTTP 502, request",
                "  0123456789); asking again",
            ],
        ),
        (
            RateLimited("rate limited: slow down", retry_after=240),
            None,
            80,
            ["* jogg proj_1  running  rate limited: slow down, until {:%H:%M} (in 4m)"],
        ),
        (
            RateLimited("rate limited: slow down", retry_after=240),
            None,
            40,
            ["* jogg proj_1  running  ━━━━━", "  rate limited: slow down, until {:%H:%M}", "  (in 4m)"],
        ),
    ],
)
def test_trouble_is_shown_in_full_at_any_width(
    stage: Stage, problem: ServerError, progress: float | None, columns: int, drawn: list[str]
) -> None:
    again = EPOCH + timedelta(seconds=240)
    stage.open(columns, 24, job(), job("a b"))
    shown = stage.show(
        job(problem=problem, progress=progress, asked_again_at=again), job("a b", ended=True, problem=TimedOut("late"))
    )
    assert shown[1:] == [line.format(again.astimezone()) for line in drawn]


def test_rate_limit_ending_within_a_minute_is_shown_with_seconds(stage: Stage) -> None:
    again = EPOCH + timedelta(seconds=25)
    stage.open()
    shown = stage.show(job("jogg proj_0", problem=RateLimited("slow down"), asked_again_at=again))
    assert shown[1].endswith(f"slow down, until {again.astimezone():%H:%M:%S} (in 25s)")


def test_rate_limit_is_shown_for_each_waiting_job_of_the_account(stage: Stage) -> None:
    known = [job("jogg a"), job("jogg b"), job("doubao c"), job("jogg d", asked_again_at=EPOCH + timedelta(seconds=9))]
    stage.open(100, 24, *known)
    again = EPOCH + timedelta(seconds=240)
    limited = job("jogg a", problem=RateLimited("slow down"), asked_again_at=again)
    rows = stage.show(*known, limited)[1:]
    assert [f"slow down, until {again.astimezone():%H:%M} (in 4m)" in row for row in rows] == [True, True, False, False]
    assert "slow down" in stage.show(after=10)[4]
    assert not any("until" in row for row in stage.show(after=230))


@pytest.mark.parametrize("columns", [120, 80, 60, 40, 20, 9])
@pytest.mark.parametrize("progress", [41, None])
def test_single_job_has_one_bar_across_the_whole_width(stage: Stage, columns: int, progress: float | None) -> None:
    stage.open(columns, 24, job())
    first, bar, *below = stage.show(job(progress=progress, estimated_time=43))
    assert first.startswith("* jogg p"[: min(columns, 9) - 3])
    assert bar.startswith("━━━") or columns < 10
    assert len(bar) == columns - 1
    assert bar.endswith("41%") is (progress is not None)
    assert "about 43s left" in (first if columns > 40 else "".join(below)) or columns < 40
    assert not any("done" in line for line in (first, *below))


def test_long_trouble_of_a_single_job_is_shown_below_its_bar(stage: Stage) -> None:
    stage.open(60, 24, job())
    assert stage.show(job(problem=TROUBLE))[2:] == [
        "  the service has an error: <html>Bad Gateway</html> (HTTP",
        "  502, request 0123456789); asking again",
    ]
    assert stage.show(job(problem=ServerError("502")))[0] == "* jogg proj_1  running  0s of 10m  502; asking again"


@pytest.mark.parametrize(
    ("height", "count", "drawn"),
    [
        (24, 3, ["0 of 3 done", "* jogg proj_0", "* jogg proj_1", "* jogg proj_2"]),
        (5, 3, ["0 of 3 done", "* jogg proj_0", "* jogg proj_1", "* jogg proj_2"]),
        (5, 4, ["0 of 4 done", "* jogg proj_0", "* jogg proj_1", "… 2 more: 1 asking, 1 running"]),
        (3, 12_000, ["0 of 12,000 done", "… 12,000 more: 11,995 asking, 5 running"]),
        (2, 5, ["0 of 5 done"]),
        (1, 5, ["0 of 5 done"]),
    ],
)
def test_only_rows_that_fit_are_drawn_and_the_others_are_counted(
    stage: Stage, height: int, count: int, drawn: list[str]
) -> None:
    stage.open(100, height, *jobs(count))
    stage.show(*jobs(count)[: min(5, count - 1)])
    for _ in range(3):
        lines = stage.show()
    assert [line[: len(start)] for line, start in zip(lines, drawn, strict=True)] == drawn


def test_frame_makes_rows_only_for_the_jobs_that_fit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.open(100, 10, *jobs(10_000))
    looked: list[Job] = []
    row = board.Board.make_row

    def counted(self: board.Board, job: Job) -> board.Row:
        looked.append(job)
        return row(self, job)

    monkeypatch.setattr(board.Board, "make_row", counted)
    stage.show()
    assert len(looked) == 8


def test_changes_are_drawn_only_when_the_next_frame_is_due(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FRAME", 1000)
    stage.open(100, 24, *jobs(500))
    stage.show(*jobs(500))
    assert "50%" not in stage.terminal.text
    monkeypatch.setattr(live, "FRAME", 0)
    assert "50%" in stage.show()[1]


def test_ended_job_moves_above_the_rows_and_is_shown_in_full(stage: Stage) -> None:
    stage.open(40)
    stage.show(*jobs(3))
    saved = Saved(file=Path("videostat-demo/jogg-proj_1.mp4"), bytes=37_700)
    done = job(
        "jogg proj_1",
        State.SUCCEEDED,
        saved=saved,
        ended=True,
        created_at=EPOCH,
        completed_at=EPOCH + timedelta(seconds=192),
    )
    assert stage.show(done)[:4] == [
        "✓ jogg proj_1  succeeded after 3m12s  vi",
        "deostat-demo/jogg-proj_1.mp4 (37.7 kB)",
        "1 of 3 done  ━━━━━╺━━━━━━━━━  0s of 10m",
        "* jogg proj_0  running  ━━╸━━   50%",
    ]
    line = "✓ jogg proj_1  succeeded after 3m12s  videostat-demo/jogg-proj_1.mp4 (37.7 kB)\r\n"
    assert line in re.sub(r"\x1b\[\d*m", "", stage.terminal.text)
    assert len(stage.lines) == 5


@pytest.mark.parametrize(
    ("end", "lines"),
    [
        (job(state=State.FAILED, error="refused"), ["✗ jogg proj_1  failed: refused"]),
        (job(problem=NotFound("no such job", hint="Look.")), ["✗ jogg proj_1  no such job", "  Look."]),
        (job(problem=TimedOut("late")), []),
        (job(state=State.SUCCEEDED, video_url="https://v", created_at=EPOCH), ["✓ jogg proj_1  succeeded after 5s"]),
        (job(state=State.SUCCEEDED, video_url="https://v"), ["✓ jogg proj_1  succeeded"]),
    ],
)
def test_line_above_the_rows_says_how_a_job_ended(stage: Stage, end: Job, lines: list[str]) -> None:
    stage.open()
    stage.show(job())
    drawn = stage.show(replace(end, ended=True), after=5)
    assert drawn[: len(lines)] == lines
    assert drawn[len(lines)].startswith("1 of 3 done")


def test_job_already_ended_at_the_first_look_shows_no_duration(stage: Stage) -> None:
    stage.open()
    old = job(state=State.SUCCEEDED, video_url="https://v", created_at=EPOCH - timedelta(days=1791), ended=True)
    assert stage.show(old)[0] == "✓ jogg proj_1  succeeded"


def test_end_is_not_shown_above_if_reports_ends_is_off(stage: Stage) -> None:
    stage.open()
    stage.live._reports_ends = False
    assert stage.show(job(state=State.FAILED, error="refused", ended=True))[0].startswith("1 of 3 done")


@pytest.mark.parametrize("width", [39, 40, 41, 80, 81, 200])
def test_note_is_shown_in_full_and_rows_stay_unchanged(stage: Stage, width: int) -> None:
    stage.open(40)
    before = stage.show(*jobs(3))
    stage.live.note("n" * width)
    assert stage.show() == ["n" * min(40, width - at) for at in range(0, width, 40)] + before


def test_notes_scroll_out_above_the_rows(stage: Stage) -> None:
    stage.open(100, 6)
    rows = stage.show(*jobs(3))
    for number in range(30):
        stage.live.note(f"note {number}")
        drawn = stage.show()
        assert drawn[-4:] == rows
    assert drawn == ["note 28", "note 29", *rows]


def test_cursor_is_hidden_and_stays_at_the_first_row(stage: Stage) -> None:
    stage.open(100, 5, *jobs(7))
    stage.live.note("note")
    for _ in range(5):
        stage.show(*jobs(7))
        assert stage.terminal.cursor == (0, 1)
    assert stage.terminal.screen.cursor.hidden


@pytest.mark.parametrize("columns", [70, 44, 25, 8])
def test_no_old_rows_remain_in_a_narrower_window(stage: Stage, columns: int) -> None:
    stage.open(100)
    stage.live.note("note")
    stage.show(*jobs(3))
    stage.terminal.resize(columns, 24)
    drawn = stage.show()
    assert drawn[0] == "note"
    assert len(drawn) == 5
    assert drawn[1].startswith("0 of 3 done"[: min(columns, 7) - 1])


@pytest.mark.parametrize("columns", [70, 44, 25])
def test_no_old_rows_remain_in_a_narrower_window_that_rewraps_lines(stage: Stage, columns: int) -> None:
    stage.open(100)
    stage.live.note("note")
    stage.show(*jobs(3)[:2], job("jogg proj_2", estimated_time=9))
    stage.terminal = rewrap(stage.terminal, columns)
    stage.monkeypatch.setattr(sys, "stderr", stage.terminal.file)
    assert len(stage.lines) > 5, "the rows are wrapped now"
    drawn = stage.show()
    assert drawn[0] == "note"
    assert drawn[1].startswith("0 of 3 done")
    assert len(drawn) == (5 if columns > 44 else 6), "the estimate stands below its row in a narrow window"


def test_rows_use_the_whole_width_of_a_wider_window(stage: Stage) -> None:
    stage.open(60)
    narrow = stage.show(*jobs(3))
    stage.terminal.resize(120, 24)
    assert len(stage.show()[1]) > len(narrow[1])


def test_terminal_without_a_size_gets_the_default_size(stage: Stage) -> None:
    stage.open(0, 0, *jobs(30))
    assert " 9 more" in stage.terminal.text


def test_text_wider_than_measured_does_not_break_a_row(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.cells.cell_len", len)
    monkeypatch.setattr(rows, "cell_len", len)
    monkeypatch.setattr(rows, "set_cell_size", lambda text, cells: text[:cells].ljust(cells))
    stage.open(60)
    for _ in range(3):
        drawn = stage.show(job("jogg proj_1", message="海浪" * 30), job("jogg proj_2"))
    assert len(drawn) == 4


def test_wide_characters_are_cut_at_the_cell_width(stage: Stage) -> None:
    stage.open(60)
    drawn = stage.show(job("jogg proj_1", message="海浪日出请重试再一次吧朋友一"))
    assert drawn[2].endswith("海浪日出请重试再…")


def test_view_writes_lines_in_background_and_draws_rows_in_foreground(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.open()
    rows = stage.show(*jobs(3))
    stage.terminal.file.write("\x1b[2J\x1b[H$ \n")
    before = len(stage.terminal.text)
    with monkeypatch.context() as background:
        background.setattr("os.tcgetpgrp", lambda _: 1)
        assert not stage.live.is_watched()
        stage.live.note("a note")
        stage.show(job("jogg proj_1", progress=80), after=1)
        with stage.live.release_screen():
            pass
        assert stage.terminal.text[before:] == "a note\r\njogg proj_1: running 80%\r\n"
    assert stage.show()[2:4] == ["jogg proj_1: running 80%", rows[0].replace("━  0s of", "━  1s of")]
    assert stage.live.is_watched()


def test_pending_note_is_written_when_the_process_is_in_background(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.open()
    stage.live.note("a note")
    monkeypatch.setattr("os.tcgetpgrp", lambda _: 1)
    stage.live.tick()
    assert stage.terminal.text.endswith("a note\r\n")
    with Live(stage.live._board.work, stage.clock):
        assert stage.terminal.text.endswith("waiting for 3 jobs, until " + f"{_format_local_time(600)} (10m)\r\n")
    assert not stage.terminal.text.endswith("\x1b[?25h")


def _format_local_time(seconds: float) -> str:
    return f"{(EPOCH + timedelta(seconds=seconds)).astimezone():%H:%M}"


def test_nothing_is_drawn_during_the_delay(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FRAME", 0.25)
    stage.open(delay=1)
    stage.show(*jobs(3))
    stage.live.__exit__(None, None, None)
    assert stage.terminal.text == ""
    stage.live._drawn_at -= 1
    assert len(stage.show()) == 4


HOSTILE = "[red]a[/red] :b: \x1b[2J\x9b2J\x1b]0;owned\x07\u202e\u200b\ud800\r\n\x08"
SHOWN = "[red]a[/red] :b: \\x1b[2J\\x9b2J\\x1b]0;owned\\x07\\u202e\\u200b\\ud800\\r\\n\\x08"


@pytest.mark.parametrize(
    "hostile",
    [
        job(message=HOSTILE),
        job(state=State.UNKNOWN, status=HOSTILE),
        job(problem=ServerError(HOSTILE)),
        job(state=State.FAILED, error=HOSTILE, ended=True),
        job(state=State.FAILED, error_code=HOSTILE, ended=True),
        job(problem=NotFound(HOSTILE), ended=True),
        job(problem=NotFound("gone", hint=HOSTILE), ended=True),
        job(state=State.SUCCEEDED, saved=Saved(file=Path(HOSTILE), bytes=1), ended=True),
    ],
)
def test_service_text_is_escaped_and_has_no_effect(stage: Stage, hostile: Job) -> None:
    stage.open(280)
    lines = stage.show(job("jogg proj_2"), hostile)
    assert SHOWN in "\n".join(lines)
    assert SHOWN in stage.terminal.text
    ours = re.sub(r"\x1b\[(\?25l|\?7[hl]|[JK]|\d*A|[\d;]*m)|[\r\n]", "", stage.terminal.text)
    assert ours.isprintable()
    assert stage.terminal.screen.title == ""


def test_signs_are_ascii_on_a_terminal_without_utf8(stage: Stage) -> None:
    stage.open(encoding="ascii")
    lines = stage.show(
        job("jogg proj_1", progress=50, message="m" * 100),
        job("jogg proj_2", state=State.SUCCEEDED, video_url="https://v", ended=True),
        job("jogg proj_0", state=State.FAILED, ended=True),
    )
    assert stage.terminal.text.isascii()
    assert "\\u" not in stage.terminal.text
    assert [line[:3] for line in lines[:2]] == ["+ j", "x j"]
    assert "----------" in lines[3]
    assert lines[3].endswith("m...")


@pytest.mark.parametrize(("value", "is_coloured"), [("", True), ("1", False)])
def test_colours_are_off_if_no_color_is_set(stage: Stage, value: str, is_coloured: bool) -> None:  # noqa: FBT001 - a parameter
    stage.monkeypatch.setenv("NO_COLOR", value)
    stage.open()
    stage.show(job(progress=5), job(problem=NotFound("gone"), ended=True))
    assert bool(re.search(r"\x1b\[[\d;]*3\dm", stage.terminal.text)) is is_coloured


# Transfers


def make_saving_jobs(count: int = 1) -> list[Job]:
    return [job(f"jogg proj_{n}", State.SUCCEEDED, video_url="https://v", progress=100) for n in range(count)]


def test_transfer_row_shows_time_rate_time_left_and_bytes(stage: Stage) -> None:
    stage.open()
    (one,) = make_saving_jobs()
    assert stage.show(one, after=60)[1] == "* jogg proj_0  saving  ━━━━━━━━━━━━━━━━━━━━    0%      1m"
    transfer = stage.transfers[one.ref] = Transfer("clip.mp4", state="downloading")
    transfer.set_progress(1_000_000, 9_000_000)
    bar = "━━╸━━━━━━━━━━━━━━━━━"
    assert stage.show()[1].replace(stage.lines[1][23:43], bar) == (
        f"* jogg proj_0  saving  {bar}   11%      0s  1.0 MB of 9.0 MB"
    )
    transfer.done = 3_000_000
    assert stage.show(after=2)[1].endswith("33%      2s  1.0 MB/s  6s left  3.0 MB of 9.0 MB")
    transfer.state = "checking"
    assert stage.show()[1].endswith("33%      2s  checking  3.0 MB of 9.0 MB")


def test_rate_is_of_the_last_seconds_and_restarts_with_the_transfer(stage: Stage) -> None:
    stage.open()
    (one,) = make_saving_jobs()
    transfer = stage.transfers[one.ref] = Transfer("x", state="downloading")
    stage.show(one)
    for _ in range(40):
        transfer.done += 1_000
        stage.show(after=0.25)
    assert "  4.0 kB/s  40.0 kB" in stage.lines[1]
    for _ in range(20):
        stage.show(after=0.25)
    assert "/s" not in stage.lines[1]
    transfer.set_progress(0, 100)
    assert stage.show(after=0.25)[1].endswith("0%     15s  0 B of 100 B")
    transfer.done = 50
    assert stage.show(after=0.25)[1].endswith("200 B/s  <1s left  50 B of 100 B")


def test_a_transfer_never_passes_100_percent(stage: Stage) -> None:
    stage.open()
    (one,) = make_saving_jobs()
    stage.transfers[one.ref] = Transfer("x", total=100, done=900, state="downloading")
    assert "100%      0s  100 B of 100 B" in stage.show(one)[1]


def test_several_transfers_have_a_total_row(stage: Stage) -> None:
    stage.open(100, 24, *make_saving_jobs(3), job("doubao task_1"))
    for one in make_saving_jobs(3):
        stage.transfers[one.ref] = Transfer(f"jogg-{one.ref.id}", total=1000, done=500, state="downloading")
    drawn = stage.show(job("doubao task_1"), *make_saving_jobs(3))
    assert [line.split("  ")[0] for line in drawn] == [
        "0 of 4 done",
        "* all files",
        "* jogg proj_0",
        "* jogg proj_1",
        "* jogg proj_2",
        "* doubao task_1",
    ]
    assert drawn[1].endswith("50%      0s  1.5 kB of 3.0 kB")
    done = replace(make_saving_jobs()[0], saved=Saved(file=Path("x.mp4"), bytes=1000), ended=True)
    stage.transfers[make_saving_jobs(3)[1].ref].total = None
    assert stage.show(done)[2].endswith("0s  2.0 kB")
    stage.transfers[make_saving_jobs(3)[1].ref].total = 1000
    assert stage.show()[2].endswith("66%      0s  2.0 kB of 3.0 kB")


def test_transfer_without_a_row_counts_in_the_total_row(stage: Stage) -> None:
    stage.open(100, 5, *jobs(100))
    last = job("jogg proj_99", State.SUCCEEDED, video_url="https://v")
    stage.transfers[last.ref] = Transfer("x", total=1000, done=500, state="downloading")
    assert [line[:34].rstrip() for line in stage.show(*jobs(99), last)] == [
        "0 of 100 done  ━━━━━━━━━━━━━━━━━━━",
        "* all files    saving   ━━━━━━━━━━",
        "* jogg proj_0  running  ━━━━━━━━━━",
        "… 99 more: 98 running, 1 saving",
    ]


def test_saved_job_is_no_longer_shown_as_a_transfer(stage: Stage) -> None:
    stage.open()
    (one,) = make_saving_jobs()
    stage.transfers[one.ref] = Transfer("x", total=1000, done=1000, state="saved")
    stage.show(one)
    assert "  succeeded " in stage.show(replace(one, saved=Saved(file=Path("x.mp4"), bytes=1000)))[1]


# Clearing and leaving the screen


def test_rows_are_cleared_for_an_answer_on_the_same_screen(stage: Stage) -> None:
    stage.open()
    rows = stage.show(*jobs(2))
    stage.live.note("note")
    with stage.live.release_screen():
        assert stage.lines == ["note"]
        stage.terminal.file.write("answer\n")
    assert stage.lines == ["note", "answer", *rows]


def test_rows_stay_cleared_until_the_next_tick_for_a_piped_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    stage.open()
    rows = stage.show(*jobs(2))
    with stage.live.release_screen():
        pass
    stage.terminal.file.write("what cat writes\n")
    assert stage.show() == ["what cat writes", *rows]


def test_rows_stay_cleared_while_many_answers_follow_quickly(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.open()
    rows = stage.show(*jobs(2))
    monkeypatch.setattr(live, "BLINK", 1000)
    for _ in range(1000):
        with stage.live.release_screen():
            pass
    assert stage.lines == [""]
    monkeypatch.setattr(live, "BLINK", 0)
    assert stage.show() == rows


@pytest.mark.parametrize("leave", [lambda live: live.__exit__(None, None, None), lambda _: show_cursor()])
def test_every_exit_clears_the_rows_and_shows_the_cursor(stage: Stage, leave: Callable[[Live], None]) -> None:
    stage.open()
    stage.live.note("note")
    stage.show(*jobs(2))
    leave(stage.live)
    assert stage.lines == ["note"]
    assert stage.terminal.cursor == (0, 1)
    assert not stage.terminal.screen.cursor.hidden


def test_pending_note_is_written_at_the_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.open()
    monkeypatch.setattr(live, "FRAME", 1000)
    stage.live.note("note")
    stage.live.__exit__(None, None, None)
    assert stage.lines == ["note"]


def test_show_cursor_writes_nothing_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    show_cursor()
    assert capfd.readouterr() == ("", "")


# A real process on a real terminal


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    with Sandbox() as sandbox:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "PYTHONPATH", "COVERAGE_PROCESS_START")
            if name in os.environ
        }
        yield kept | sandbox.environment | {"HOME": str(tmp_path), "TERM": "xterm-256color", "PYTHONUTF8": "1"}


@pytest.mark.parametrize(
    ("key", "signum"), [("\x03", signal.SIGINT), (None, signal.SIGTERM)], ids=["Ctrl-C", "SIGTERM"]
)
def test_interrupted_wait_leaves_a_clean_screen_and_a_resume_command(
    environment: dict[str, str], key: str | None, signum: signal.Signals
) -> None:
    wait = ("-m", "videostat", "wait", "jogg", "demo-stuck-1", "demo-stuck-2")
    with Terminal(90) as terminal, terminal.run(sys.executable, *wait, env=environment) as process:
        terminal.wait_until("jogg demo-stuck-2")
        until = time.monotonic() + 10
        while "asking" in "".join(terminal.lines):
            assert time.monotonic() < until
        assert terminal.screen.cursor.hidden
        assert terminal.lines[terminal.cursor[1]].startswith("0 of 2 done")
        if key:
            terminal.type(key)
        else:
            process.send_signal(signum)
        assert process.wait(10) == -signum
        shown = "\n".join(terminal.lines)
        assert "2 jobs continue at the service" in shown
        assert "videostat wait jogg demo-stuck-1 demo-stuck-2" in shown
        assert " done" not in shown
        assert not SPINNER.search(shown)
        assert not terminal.screen.cursor.hidden
