"""Test some hundred stories of tests/simulate.py, and that a broken invariant is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import simulate
from simulation.invariants import INVARIANTS
from simulation.play import play
from simulation.story import Event, Plan, Story, draw

from videostat.polling.task import Task

CONTRIBUTING = Path(__file__).parents[1] / ".github" / "CONTRIBUTING.md"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 300, 75))
def test_no_story_breaks_an_invariant(first: int) -> None:
    broken = simulate.try_seeds(range(first, first + 75))
    assert not broken, "\n".join(simulate.report(broken[0][0]))


def test_same_seed_plays_the_same_story() -> None:
    first, again = (play(draw(7)) for _ in range(2))
    assert first.world.heard == again.world.heard
    assert [record.films for record in first.records] == [record.films for record in again.records]


def test_broken_invariant_is_found_and_its_story_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "ready_at", property(lambda task: 0))
    jobs = (Plan("doubao", "b", "success", 5), Plan("jogg", "a", "success", 60))
    hint = Event("hint", 3, 4, "true", 1)
    story = Story(0, jobs, (Event("say", 3, 4, "502", 0), hint, Event("door", 9, 10, "open")), timeout=90)
    sentence, _ = simulate.try_story(story) or ("", "")
    assert sentence == "No two looks at a job are closer than the floor."
    assert simulate.shrink(story, sentence).events == (hint,)


@pytest.mark.parametrize("text", [CONTRIBUTING.read_text().partition("## Invariants")[2], simulate.__doc__ or ""])
def test_invariants_are_documented(text: str) -> None:
    written = re.findall(r"^\* (.*)$", text.partition("\n## ")[0], re.MULTILINE)
    assert written == [*INVARIANTS]
