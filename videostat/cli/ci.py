"""What a run leaves for the CI system around it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from videostat.render.github import format_annotations, format_step_summary
from videostat.render.messages import say

if TYPE_CHECKING:
    from collections.abc import Collection

    from videostat.models import Job


def report_to_ci(jobs: Collection[Job]) -> None:
    """Annotations and a table in the step's summary, where GitHub Actions asks for them."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in format_annotations(jobs):
            say(line)
    if jobs and (path := os.environ.get("GITHUB_STEP_SUMMARY")):
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(format_step_summary(jobs))
        except OSError as error:
            say(f"videostat: the summary of this step could not be written: {error.strerror}")
