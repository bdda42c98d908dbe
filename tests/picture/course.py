"""Draws the table of polling/course in .github/CONTRIBUTING.md: python tests/picture/course.py."""

from __future__ import annotations

import re
from pathlib import Path

from videostat.polling.course import COURSE, Past, Step

PAGE = Path(__file__).parents[2] / ".github" / "CONTRIBUTING.md"
BLOCK = re.compile(r"(?<=^```mermaid\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
FACTS = ("sure", *Past._fields)


def picture() -> str:
    """An arrow for each step, and on it what leads there, a line for each condition."""
    lines: dict[Step, dict[tuple[bool | None, ...], list[str]]] = {step: {} for step in Step}
    for meaning, *columns, step in COURSE:
        lines[step].setdefault(tuple(columns), []).append(meaning.name)
    drawn = ["stateDiagram-v2", "    [*] --> asked"]
    for step, conditions in lines.items():
        label = "<br/>".join(f"{', '.join(names)}{_words(columns)}" for columns, names in conditions.items())
        after = "[*]" if step in {Step.END, Step.END_ALL} else "asked"
        drawn += [f"    asked --> {step.name}: {label}", f"    {step.name} --> {after}: {step.value}"]
    return "\n".join([*drawn, ""])


def _words(columns: tuple[bool | None, ...]) -> str:
    words = [fact if is_so else f"not {fact}" for fact, is_so in zip(FACTS, columns, strict=True) if is_so is not None]
    return f" ({', '.join(words)})" if words else ""


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda _: picture(), page), encoding="utf-8")
