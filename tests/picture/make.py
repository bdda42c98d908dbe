"""Draws wait.svg, the picture in the README, by the program's own rendering; tests/renew.py writes it."""

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
from videostat.render.ending import summary
from videostat.render.live import Live
from videostat.saving import Transfer

WIDTH = 88
COMMAND = "$ videostat wait --from jobs.txt --download"

BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
LATER = 41  # seconds
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Screen(Live):
    """Kept instead of written."""

    def tick(self) -> None:
        pass

    def drawn(self) -> str:
        return "\n".join(self._lines(WIDTH - 1, 24))


def job(provider: str, id_: str, state: State, *, age: float, **known: object) -> Job:
    begun = Job(ref=JobRef(provider, id_), state=state, created_at=BEGAN - timedelta(seconds=age))
    return replace(begun, **known)  # type: ignore[arg-type]


DONE = job("jogg", "proj_abc123", State.SUCCEEDED, age=40, completed_at=BEGAN + timedelta(seconds=152))
SAVING = job("reelbot", "reel_42", State.SUCCEEDED, age=5, completed_at=BEGAN + timedelta(seconds=149))
RUNNING = job("jogg-product", "product_77", State.RUNNING, age=21, progress=78, estimated_time=38)
BAD = job("doubao", "task_7", State.RUNNING, age=2, progress=64, message="rendering frame 154 of 240")


def ended(seen: Job, size: int = 0, **known: object) -> Job:
    saved = Saved(file=Path(f"{seen.ref.provider}-{seen.ref.id}.mp4"), bytes=size) if size else None
    return replace(seen, saved=saved, ended=True, **known)  # type: ignore[arg-type]


def frames() -> tuple[str, str]:
    """In the middle, and at the end, as a terminal is sent them."""
    clock = FakeClock(BEGAN)
    transfer = Transfer("reelbot-reel_42", state="downloading")
    jobs = [DONE, SAVING, BAD, RUNNING]
    work = Work(
        doing="waiting for",
        usual=dict.fromkeys((one.ref for one in jobs), 210),
        timeout=1800,
        transfers={SAVING.ref: transfer},
    )
    screen = Screen(work, clock, tells_ends=False)
    clock.time = 151
    for seen in (RUNNING, BAD, SAVING):
        screen.update(seen)
    transfer.show(3_900_000, 18_200_000)
    screen.drawn()
    clock.time = 153
    transfer.done = 11_600_000
    answers = Answers(None, clock.now, [one.ref for one in jobs])
    last = [ended(DONE, 24_100_000)]
    with redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")) as table:
        answers.show(last[0])
        screen.update(last[0])
        middle = _written(table) + screen.drawn()
        clock.time += LATER
        end = {"completed_at": clock.now(), "state": State.SUCCEEDED}
        last += [
            ended(SAVING, 18_200_000),
            ended(BAD, state=State.FAILED, error="the prompt was refused by moderation", error_code="1301"),
            ended(RUNNING, 61_800_000, **end),
        ]
        for seen in last[1:]:
            answers.show(seen)
    return middle, _written(table) + summary(last, clock.time)


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def picture() -> str:
    """The SVG, always the same."""
    terminal = {"COLUMNS": str(WIDTH), "TERM": "xterm-256color", "FORCE_COLOR": "1", "NO_COLOR": ""}
    with patch.dict(os.environ, terminal), redirect_stderr(io.TextIOWrapper(io.BytesIO(), "utf-8")):
        middle, end = frames()
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(COMMAND, style="bold", highlight=False)
    console.print(Text.from_ansi(middle))
    console.rule(f"{LATER} seconds later", style="dim")
    console.print(Text.from_ansi(end))
    # A picture in a page may load nothing, so neither a font.
    return FONTS.sub("", console.export_svg(title="videostat", unique_id="wait"))
