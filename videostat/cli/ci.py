"""Report a run to the CI system it runs in."""

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
    """Print annotations and extend the step's summary, in GitHub Actions."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in format_annotations(jobs):
            say(line)
    if jobs and (path := os.environ.get("GITHUB_STEP_SUMMARY")):
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(format_step_summary(jobs))
        except OSError as error:
            say(f"videostat: cannot write the file in GITHUB_STEP_SUMMARY: {error.strerror}; the jobs are not affected")
