from __future__ import annotations

import os
import re
import signal
import sys
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fakes import EPOCH, FakeClock
from terminal import Terminal, rewrapped

from videostat.errors import NotFound, ServerError, TimedOut
from videostat.models import Job, JobRef, Saved, State
from videostat.render import live, rows
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
    """A live screen, drawn at every tick, and the terminal it is drawn on."""

    monkeypatch: pytest.MonkeyPatch
    clock: FakeClock = field(default_factory=FakeClock)
    transfers: dict[JobRef, Transfer] = field(default_factory=dict)

    def open(
        self, columns: int = 100, height: int = 24, *, count: int = 3, timeout: float = 600, encoding: str = "utf-8"
    ) -> None:
        self.terminal = Terminal(columns, height, encoding)
        self.monkeypatch.setattr(sys, "stderr", self.terminal.file)
        self.live = Live("waiting for", count, timeout, self.clock, self.transfers)
        self.live.__enter__()

    def show(self, *these: Job, after: float = 0) -> list[str]:
        """The lines of the screen, the spinner always the same."""
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


def test_rows_stand_in_columns_below_one_for_all(stage: Stage) -> None:
    stage.open()
    assert stage.show(
        job("jogg proj_1", progress=41.9, estimated_time=43, created_at=EPOCH - timedelta(seconds=100)),
        job("doubao task_0123", State.QUEUED),
        job("reelbot reel_7", State.UNKNOWN, status="dreaming", message="soon"),
        after=36,
    ) == [
        "waiting for 0/3              ────────────────────    0%     36s  of 10m",
        "* jogg proj_1       running  ━━━━━━━━────────────   41%   2m16s  about 43s left",
        "* doubao task_0123  queued                                  36s",
        "* reelbot reel_7    unknown                                 36s  dreaming: soon",
    ]


def test_without_a_timeout_there_is_no_end_to_tell(stage: Stage) -> None:
    stage.open(timeout=0, count=1234)
    assert stage.show() == ["waiting for 0/1,234  ────────────────────    0%      0s"]


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (100, "* jogg-product product_d754095e4  running  ━━━━━─────   50%     36s  Rendering the third of 200 fr…"),
        (80, "* product_d754095e4  running  ━━━━━─────   50%     36s  Rendering the third of…"),
        (60, "* product_d754095e4  running  ━━━━━─────   50%     36s"),
        (45, "* product_d7540…  running   50%     36s"),
        (40, "* product_d754…  running   50%     36s"),
        (30, "* product_…  running   50%"),
        (12, "* product…"),
        (5, "* p…"),
    ],
)
def test_a_narrow_window_keeps_name_state_percent_and_time(stage: Stage, columns: int, row: str) -> None:
    stage.open(columns)
    drawn = stage.show(
        job("jogg-product product_d754095e4", progress=50, message="Rendering the third of 200 frames"), after=36
    )
    assert drawn[1] == row
    assert len(drawn) == 2


@pytest.mark.parametrize(
    ("height", "count", "drawn"),
    [
        (24, 3, ["waiting", "* jogg proj_0", "* jogg proj_1", "* jogg proj_2"]),
        (5, 3, ["waiting", "* jogg proj_0", "* jogg proj_1", "* jogg proj_2"]),
        (5, 4, ["waiting", "* jogg proj_0", "* jogg proj_1", "  … and 2 more"]),
        (3, 12_000, ["waiting", "  … and 12,000 more"]),
        (2, 5, ["waiting"]),
        (1, 5, ["waiting"]),
    ],
)
def test_no_more_rows_are_drawn_than_fit(stage: Stage, height: int, count: int, drawn: list[str]) -> None:
    stage.open(height=height, count=count)
    lines = stage.show(*jobs(count)[: height + 2])
    stage.live._active.update({one.ref: one for one in jobs(count)})
    for _ in range(3):
        lines = stage.show()
    assert [line[: len(start)] for line, start in zip(lines, drawn, strict=True)] == drawn


def test_a_frame_looks_only_at_the_jobs_that_fit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.open(height=10)
    stage.live._active.update({one.ref: one for one in jobs(10_000)})
    looked: list[Job] = []
    row = Live._row

    def counted(self: Live, job: Job, moved: object) -> rows.Row:
        looked.append(job)
        return row(self, job, moved)  # type: ignore[arg-type]

    monkeypatch.setattr(Live, "_row", counted)
    stage.show()
    assert len(looked) == 7


def test_frames_are_drawn_four_times_a_second_however_often_jobs_change(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FRAME", 1000)
    stage.open(count=500)
    stage.show(*jobs(500))
    assert "proj_" not in stage.terminal.text
    monkeypatch.setattr(live, "FRAME", 0)
    assert "proj_" in stage.show()[1]


def test_what_has_ended_stands_above_whole_and_no_longer_below(stage: Stage) -> None:
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
        "waiting for 1/3          33%      0s",
        "* jogg proj_0  running   50%      0s",
    ]
    line = "✓ jogg proj_1  succeeded after 3m12s  videostat-demo/jogg-proj_1.mp4 (37.7 kB)\r\n"
    assert line in re.sub(r"\x1b\[\d*m", "", stage.terminal.text)
    assert len(stage.lines) == 5


@pytest.mark.parametrize(
    ("end", "lines"),
    [
        (job(state=State.FAILED, error="refused"), ["videostat: jogg proj_1 failed: refused"]),
        (job(problem=NotFound("no such job", hint="Look.")), ["videostat: jogg proj_1: no such job", "  Look."]),
        (job(problem=TimedOut("late")), []),
        (job(state=State.SUCCEEDED, video_url="https://v"), ["✓ jogg proj_1  succeeded after 5s"]),
    ],
)
def test_above_it_says_how_each_job_ended(stage: Stage, end: Job, lines: list[str]) -> None:
    stage.open(count=1)
    stage.show(job())
    drawn = stage.show(replace(end, ended=True), after=5)
    assert drawn[:-1] == lines
    assert drawn[-1].startswith("waiting for 1/1")


@pytest.mark.parametrize("width", [39, 40, 41, 80, 81, 200])
def test_a_note_is_never_cut_and_leaves_the_rows_as_they_were(stage: Stage, width: int) -> None:
    stage.open(40)
    before = stage.show(*jobs(3))
    stage.live.note("n" * width)
    assert stage.show() == ["n" * min(40, width - at) for at in range(0, width, 40)] + before


def test_notes_scroll_out_above_the_rows(stage: Stage) -> None:
    stage.open(height=6)
    rows = stage.show(*jobs(3))
    for number in range(30):
        stage.live.note(f"note {number}")
        drawn = stage.show()
        assert drawn[-4:] == rows
    assert drawn == ["note 28", "note 29", *rows]


def test_the_cursor_rests_hidden_where_the_rows_begin(stage: Stage) -> None:
    stage.open(height=5)
    stage.live.note("note")
    for _ in range(5):
        stage.show(*jobs(7))
        assert stage.terminal.cursor == (0, 1)
    assert stage.terminal.screen.cursor.hidden


@pytest.mark.parametrize("columns", [70, 44, 25, 8])
def test_a_window_made_narrower_keeps_no_stale_rows(stage: Stage, columns: int) -> None:
    stage.open(100)
    stage.live.note("note")
    stage.show(*jobs(3))
    stage.terminal.resize(columns, 24)
    drawn = stage.show()
    assert drawn[0] == "note"
    assert len(drawn) == 5
    assert drawn[1].startswith("waiting for"[: columns - 2])


@pytest.mark.parametrize("columns", [70, 44, 25])
def test_nor_does_one_that_wraps_its_lines_anew(stage: Stage, columns: int) -> None:
    stage.open(100)
    stage.live.note("note")
    stage.show(*jobs(3)[:2], job("jogg proj_3", message="m" * 100))
    stage.terminal = rewrapped(stage.terminal, columns)
    stage.monkeypatch.setattr(sys, "stderr", stage.terminal.file)
    assert len(stage.lines) > 5, "the rows are wrapped now"
    drawn = stage.show()
    assert drawn[0] == "note"
    assert len(drawn) == 5


def test_a_window_made_wider_is_used(stage: Stage) -> None:
    stage.open(60)
    narrow = stage.show(*jobs(1))
    stage.terminal.resize(120, 24)
    assert len(stage.show()[1]) > len(narrow[1])


def test_a_terminal_without_a_size_is_taken_for_a_usual_one(stage: Stage) -> None:
    stage.open(0, 0)
    stage.show(*jobs(30))
    assert " 7 more" in stage.terminal.text or " 8 more" in stage.terminal.text


def test_a_text_that_the_terminal_finds_wider_than_we_do_breaks_no_row(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "cell_len", len)
    monkeypatch.setattr(rows, "set_cell_size", lambda text, cells: text[:cells].ljust(cells))
    stage.open(60)
    for _ in range(3):
        drawn = stage.show(job("jogg proj_1", message="海浪" * 30), job("jogg proj_2"))
    assert len(drawn) == 3


def test_wide_letters_are_cut_to_the_cell(stage: Stage) -> None:
    stage.open(60)
    drawn = stage.show(job("jogg proj_1", message="海浪日出请重试再一次吧朋友"))
    assert drawn[1].endswith("s  海浪日出…")


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
def test_foreign_text_is_shown_as_it_is_and_does_nothing(stage: Stage, hostile: Job) -> None:
    stage.open(180)
    lines = stage.show(job("jogg proj_2"), hostile)
    assert SHOWN in "\n".join(lines)
    assert SHOWN in stage.terminal.text
    ours = re.sub(r"\x1b\[(\?25l|\?7[hl]|[JK]|\d*A|\d*m)|[\r\n]", "", stage.terminal.text)
    assert ours.isprintable()
    assert stage.terminal.screen.title == ""


def test_elsewhere_than_in_utf8_the_signs_are_ascii(stage: Stage) -> None:
    stage.open(encoding="ascii")
    lines = stage.show(
        job("jogg proj_1", progress=50, message="m" * 100),
        job("jogg proj_2", state=State.SUCCEEDED, video_url="https://v", ended=True),
    )
    assert stage.terminal.text.isascii()
    assert "\\u" not in stage.terminal.text
    assert lines[0] == "+ jogg proj_2  succeeded after 0s"
    assert "##########----------" in lines[2]
    assert lines[2].endswith("m...")


@pytest.mark.parametrize(("value", "is_coloured"), [("", True), ("1", False)])
def test_colour_is_left_out_where_it_is_not_wanted(stage: Stage, value: str, is_coloured: bool) -> None:  # noqa: FBT001 - a parameter
    stage.monkeypatch.setenv("NO_COLOR", value)
    stage.open()
    stage.show(job(progress=5), job(problem=NotFound("gone"), ended=True))
    assert bool(re.search(r"\x1b\[\d*m", stage.terminal.text)) is is_coloured


# Transfers


def test_a_transfer_has_its_rate_its_end_and_its_bytes(stage: Stage) -> None:
    stage.open(count=1)
    saving = job(state=State.SUCCEEDED, video_url="https://v", progress=100)
    transfer = stage.transfers[saving.ref] = Transfer("clip.mp4", state="downloading")
    transfer.show(1_000_000, 9_000_000)
    assert stage.show(saving)[1] == "* clip.mp4  saving  ━━──────────────────   11%      0s  1.0 MB of 9.0 MB"
    transfer.done = 3_000_000
    assert stage.show(after=2)[1].endswith("33%      2s  1.0 MB/s  6s left  3.0 MB of 9.0 MB")
    transfer.state = "checking"
    assert stage.show()[1].endswith("checking  3.0 MB of 9.0 MB")


def test_a_file_with_any_name_does_nothing_to_the_screen(stage: Stage) -> None:
    stage.open(180, count=1)
    saving = job(state=State.SUCCEEDED, video_url="https://v")
    stage.transfers[saving.ref] = Transfer("a\x1b[2J\udcff.mp4", state="downloading")
    assert stage.show(saving)[1].startswith("* a\\x1b[2J\\udcff.mp4  saving")


def test_a_rate_is_that_of_the_last_seconds_and_begins_anew_when_bytes_are_discarded(stage: Stage) -> None:
    stage.open(count=1)
    saving = job(state=State.SUCCEEDED, video_url="https://v")
    transfer = stage.transfers[saving.ref] = Transfer("x", state="downloading")
    stage.show(saving)
    for _ in range(40):
        transfer.done += 1_000
        stage.show(after=0.25)
    assert "  4.0 kB/s  40.0 kB" in stage.lines[1]
    for _ in range(20):
        stage.show(after=0.25)
    assert "/s" not in stage.lines[1]
    transfer.show(0, 100)
    assert stage.show(after=0.25)[1].endswith("0%     15s  0 B of 100 B")
    transfer.done = 50
    assert stage.show(after=0.25)[1].endswith("200 B/s  <1s left  50 B of 100 B")


def test_a_transfer_never_passes_100_percent(stage: Stage) -> None:
    stage.open(count=1)
    saving = job(state=State.SUCCEEDED, video_url="https://v")
    stage.transfers[saving.ref] = Transfer("x", total=100, done=900, state="downloading")
    assert "100%      0s  100 B of 100 B" in stage.show(saving)[1]


def test_several_transfers_have_one_row_over_all(stage: Stage) -> None:
    stage.open(count=4)
    saving = [job(f"jogg proj_{number}", State.SUCCEEDED, video_url="https://v") for number in range(3)]
    for one in saving:
        stage.transfers[one.ref] = Transfer(f"jogg-{one.ref.id}", total=1000, done=500, state="downloading")
    drawn = stage.show(job("doubao task_1"), *saving)
    assert [line.split("  ")[0] for line in drawn] == [
        "waiting for 0/4",
        "* all files",
        "* jogg-proj_0",
        "* jogg-proj_1",
        "* jogg-proj_2",
        "* doubao task_1",
    ]
    assert drawn[1].endswith("50%      0s  1.5 kB of 3.0 kB")
    done = replace(saving[0], saved=Saved(file=Path("x.mp4"), bytes=1000), ended=True)
    stage.transfers[saving[1].ref].total = None
    assert stage.show(done)[2].endswith("0s  2.0 kB")
    stage.transfers[saving[1].ref].total = 1000
    assert stage.show()[2].endswith("66%      0s  2.0 kB of 3.0 kB")


def test_jobs_that_wait_to_be_saved_leave_the_first_rows_to_the_transfers(stage: Stage) -> None:
    stage.open(height=5, count=100)
    saving = [job(f"jogg proj_{number}", State.SUCCEEDED, video_url="https://v") for number in range(50)]
    stage.show(*jobs(100))
    for one in saving[:2]:
        stage.transfers[one.ref] = Transfer(f"jogg-{one.ref.id}", total=1000, done=500, state="downloading")
    assert [line[:15].strip() for line in stage.show(*saving)] == [
        "waiting for 0/1",
        "* all files",
        "* jogg-proj_0",
        "… and 99 more",
    ]


def test_what_is_saved_and_print_resume_hint_to_a_command_is_no_transfer_any_more(stage: Stage) -> None:
    stage.open()
    saving = job(state=State.SUCCEEDED, video_url="https://v")
    stage.transfers[saving.ref] = Transfer("x", total=1000, done=1000, state="saved")
    stage.show(saving)
    assert "  succeeded " in stage.show(replace(saving, saved=Saved(file=Path("x.mp4"), bytes=1000)))[1]


# Ways out


def test_the_rows_make_way_for_an_answer_on_the_same_screen(stage: Stage) -> None:
    stage.open()
    rows = stage.show(*jobs(2))
    stage.live.note("note")
    with stage.live.aside():
        assert stage.lines == ["note"]
        stage.terminal.file.write("answer\n")
    assert stage.lines == ["note", "answer", *rows]


def test_a_piped_answer_has_the_screen_until_the_next_tick(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    stage.open()
    rows = stage.show(*jobs(2))
    with stage.live.aside():
        pass
    stage.terminal.file.write("what cat writes\n")
    assert stage.show() == ["what cat writes", *rows]


def test_rows_that_had_to_make_way_stay_away_while_jobs_end_by_the_thousand(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.open(count=1000)
    rows = stage.show(*jobs(2))
    monkeypatch.setattr(live, "BLINK", 1000)
    for _ in range(1000):
        with stage.live.aside():
            pass
    assert stage.lines == [""]
    monkeypatch.setattr(live, "BLINK", 0)
    assert stage.show() == rows


@pytest.mark.parametrize("leave", [lambda live: live.__exit__(None, None, None), lambda _: show_cursor()])
def test_every_way_out_takes_the_rows_away_and_shows_the_cursor(stage: Stage, leave: Callable[[Live], None]) -> None:
    stage.open()
    stage.live.note("note")
    stage.show(*jobs(2))
    leave(stage.live)
    assert stage.lines == ["note"]
    assert stage.terminal.cursor == (0, 1)
    assert not stage.terminal.screen.cursor.hidden


def test_a_note_that_has_not_been_drawn_is_not_lost_at_the_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.open()
    monkeypatch.setattr(live, "FRAME", 1000)
    stage.live.note("note")
    stage.live.__exit__(None, None, None)
    assert stage.lines == ["note"]


def test_no_cursor_codes_go_where_no_screen_is(
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
        yield kept | sandbox.environment() | {"HOME": str(tmp_path), "TERM": "xterm-256color", "PYTHONUTF8": "1"}


@pytest.mark.parametrize(
    ("key", "signum"), [("\x03", signal.SIGINT), (None, signal.SIGTERM)], ids=["Ctrl-C", "SIGTERM"]
)
def test_an_interrupted_wait_leaves_a_clean_screen_and_the_command_that_resumes_it(
    environment: dict[str, str], key: str | None, signum: signal.Signals
) -> None:
    wait = ("-m", "videostat", "wait", "jogg", "demo-stuck-1", "demo-stuck-2")
    with Terminal(90) as terminal, terminal.run(sys.executable, *wait, env=environment) as process:
        terminal.wait_until("jogg demo-stuck-2")
        assert terminal.screen.cursor.hidden
        assert terminal.lines[terminal.cursor[1]].startswith("waiting for 0/2")
        if key:
            terminal.type(key)
        else:
            process.send_signal(signum)
        assert process.wait(10) == -signum
        shown = "\n".join(terminal.lines)
        assert "2 jobs go on at the service" in shown
        assert "videostat wait jogg demo-stuck-1 demo-stuck-2" in shown
        assert "waiting for" not in shown
        assert not SPINNER.search(shown)
        assert not terminal.screen.cursor.hidden
