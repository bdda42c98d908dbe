"""Write all generated parts again: python tests/renew.py.

The services in README.md, the diagram of the course in .github/CONTRIBUTING.md, the completion scripts, and wait.svg.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from runpy import run_path

from videostat.clock import format_duration
from videostat.polling.course import COURSE, Past, Step
from videostat.providers import PROVIDERS

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "tests" / "picture" / "wait.svg"
COMPLETIONS = {
    shell: ROOT / "completions" / name
    for shell, name in (("bash", "videostat.bash"), ("zsh", "_videostat"), ("fish", "videostat.fish"))
}
FACTS = ("sure", *Past._fields)


def services() -> str:
    """Return the rows of the README's table, one per service."""
    rows = []
    for provider in PROVIDERS.values():
        polling, (low, high) = provider.polling, provider.polling.every
        cells = (
            f"`{provider.name}`",
            f"`{provider.job.path}`",
            f"{low:g}-{high:g} s" + (f", first after {polling.first:g} s" if polling.first else ""),
            format_duration(polling.timeout).replace("m", " min"),
            "yes" if provider.listing else "no",
            f"`{provider.key_variable}`" + ("" if provider.base_url else ", and a base URL"),
        )
        rows.append(f"| {' | '.join(cells)} |\n")
    return "".join(rows)


def course() -> str:
    """Return the diagram: an arrow for each step, with a line for each condition that leads to it."""
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


# For each page, a pattern for its generated part, and the function that writes that part.
PARTS = {
    ROOT / "README.md": (r"(?<=^\|---\|---\|---\|---\|---\|---\|\n)(?:\| `.*\n)+", services),
    ROOT / ".github" / "CONTRIBUTING.md": (r"(?<=^```mermaid\n)[^`]*", course),
}


def renew_page(page: Path) -> str:
    """Return the text of a page with its generated part written again."""
    pattern, make = PARTS[page]
    return re.sub(pattern, lambda _: make(), page.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)


def main() -> None:
    for page in PARTS:
        page.write_text(renew_page(page), encoding="utf-8")
    for shell, script in COMPLETIONS.items():
        script.write_bytes(subprocess.check_output([sys.executable, "-m", "videostat", "completion", shell]))
    PICTURE.write_text(run_path(str(PICTURE.with_name("make.py")))["draw_picture"](), encoding="utf-8")


if __name__ == "__main__":
    main()
