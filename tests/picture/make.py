"""Draw wait.svg, the picture in the README, as the program draws it; tests/renew.py writes it."""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from fakes import FakeClock
from rich.console import Console
from rich.text import Text

from videostat.models import Job, JobRef, Saved, State
from videostat.render.answers import Answers
from videostat.render.board import Work
from videostat.render.live import Live
from videostat.render.summary import format_summary
from videostat.saving import Transfer

WIDTH = 88
COMMAND = "$ videostat wait --from jobs.txt --download"

BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
LATER = 41  # seconds
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Screen(Live):
    """A live view that draws only when `draw` is called."""

    def tick(self) -> None:
        """Do nothing."""

    def draw(self) -> str:
        """Return the lines on the screen."""
        return "\n".join(self._draw_lines(WIDTH - 1, 24))


def make_job(provider: str, id_: str, state: State, *, age: float, **known: object) -> Job:
    """Make a job that was submitted `age` seconds ago."""
    begun = Job(ref=JobRef(provider, id_), state=state, created_at=BEGAN - timedelta(seconds=age))
    return replace(begun, **known)  # type: ignore[arg-type]


DONE = make_job("jogg", "proj_abc123", State.SUCCEEDED, age=40, completed_at=BEGAN + timedelta(seconds=152))
SAVING = make_job("reelbot", "reel_42", State.SUCCEEDED, age=5, completed_at=BEGAN + timedelta(seconds=149))
RUNNING = make_job("jogg-product", "product_77", State.RUNNING, age=21, progress=78, estimated_time=38)
BAD = make_job("doubao", "task_7", State.RUNNING, age=2, progress=64, message="rendering frame 154 of 240")


def end_job(seen: Job, size: int = 0, **known: object) -> Job:
    """End a job, with a saved file of `size` bytes if there is one."""
    saved = Saved(file=Path(f"{seen.ref.provider}-{seen.ref.id}.mp4"), bytes=size) if size else None
    return replace(seen, saved=saved, ended=True, **known)  # type: ignore[arg-type]


def draw_frames() -> tuple[str, str]:
    """Draw a frame during the wait and one at its end, with terminal codes."""
    clock = FakeClock(BEGAN)
    transfer = Transfer("reelbot-reel_42", state="downloading")
    jobs = [DONE, SAVING, BAD, RUNNING]
    work = Work(
        activity="waiting for",
        usual=dict.fromkeys((one.ref for one in jobs), 210),
        timeout=1800,
        transfers={SAVING.ref: transfer},
    )
    screen = Screen(work, clock, reports_ends=False)
    clock.time = 151
    for seen in (RUNNING, BAD, SAVING):
        screen.update(seen)
    transfer.set_progress(3_900_000, 18_200_000)
    screen.draw()
    clock.time = 153
    transfer.done = 11_600_000
    answers = Answers(None, clock.now, [one.ref for one in jobs])
    last = [end_job(DONE, 24_100_000)]
    with redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")) as table:
        answers.show(last[0])
        screen.update(last[0])
        middle = _read(table) + screen.draw()
        clock.time += LATER
        end = {"completed_at": clock.now(), "state": State.SUCCEEDED}
        last += [
            end_job(SAVING, 18_200_000),
            end_job(BAD, state=State.FAILED, error="the prompt was refused by moderation", error_code="1301"),
            end_job(RUNNING, 61_800_000, **end),
        ]
        for seen in last[1:]:
            answers.show(seen)
    return middle, _read(table) + format_summary(last, clock.time)


def _read(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def draw_picture() -> str:
    """Draw the picture as SVG. It is the same each time."""
    terminal = {"COLUMNS": str(WIDTH), "TERM": "xterm-256color", "FORCE_COLOR": "1", "NO_COLOR": ""}
    with patch.dict(os.environ, terminal), redirect_stderr(io.TextIOWrapper(io.BytesIO(), "utf-8")):
        middle, end = draw_frames()
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(COMMAND, style="bold", highlight=False)
    console.print(Text.from_ansi(middle))
    console.rule(f"{LATER} seconds later", style="dim")
    console.print(Text.from_ansi(end))
    # A picture in a web page cannot load a font.
    return FONTS.sub("", console.export_svg(title="videostat", unique_id="wait"))
