"""What the README promises about itself."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_ci_runs_the_very_line_the_readme_gives() -> None:
    readme = (ROOT / "README.md").read_text()
    line = next(line.strip() for line in readme.splitlines() if line.strip().endswith(".venv/bin/pytest"))
    assert line in (ROOT / ".ci" / "run").read_text().splitlines()
