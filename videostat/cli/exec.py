"""Run a command of the person's own for each job that succeeded."""

from __future__ import annotations

import shlex
import string
import subprocess
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from threading import Lock
from typing import Self

from videostat.errors import ExecFailed, UsageError
from videostat.models import Job, JobRef
from videostat.render.answers import fields, json_line

# What a job is called in JSON is what it is called here.
FIELDS = fields(Job(ref=JobRef("provider", "id")), saving=True).keys()


@dataclass
class Execution:
    """Run a command without a shell, the job's JSON on its stdin; keep what it printed for `output`.

    As a context: a command that still runs at its end is told to end too.
    """

    words: list[str]
    output: dict[JobRef, bytes] = field(default_factory=dict)
    _running: subprocess.Popen[bytes] | None = None
    _starting: Lock = field(default_factory=Lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        # One that is being started runs before the thread that starts it knows it.
        with self._starting:
            if self._running:
                self._running.terminate()

    def execute(self, job: Job) -> Job:
        """Run the command for this job; raises ExecFailed."""
        line = json_line(job, saving=True)
        values = {name: "" if value is None else value for name, value in fields(job, saving=True).items()}
        argv = [word.format_map(values) for word in self.words]
        # Files, not pipes: what the command leaves running in the background would hold a pipe open. Its stdout is no
        # answer of ours; and both wait their turn, for the live rows may be on the screen.
        with TemporaryFile() as given, TemporaryFile() as printed:
            given.write(line.encode() + b"\n")
            given.seek(0)
            try:
                with self._starting:
                    self._running = subprocess.Popen(  # noqa: S603 - the person's own command, without a shell
                        argv, stdin=given, stdout=printed, stderr=subprocess.STDOUT
                    )
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                raise ExecFailed(f"{argv[0]} could not be started: {why}") from error
            code = self._running.wait()
            self._running = None
            printed.seek(0)
            self.output[job.ref] = printed.read()
        if code:
            raise ExecFailed(f"{argv[0]} failed with exit code {code}")
        return job


def parse_execution(template: str, *, saving: bool) -> Execution:
    """The command that a template with JSON fields in braces means; raises UsageError."""
    try:
        words = shlex.split(template)
        pieces = [piece for word in words for piece in string.Formatter().parse(word)]
    except ValueError as error:
        raise UsageError(f"the command of --exec cannot be read: {error}", hint=_HINT) from error
    if not words:
        raise UsageError("--exec is given no command", hint=_HINT)
    used = {name for _, name, _, _ in pieces if name is not None}
    if any(spec or conversion for _, _, spec, conversion in pieces):
        raise UsageError("--exec has a field with a format: they are filled in as they are", hint=_HINT)
    if unknown := sorted(used - FIELDS):
        raise UsageError(f"--exec has an unknown field {{{unknown[0]}}}", hint=_HINT)
    if "file" in used and not saving:
        raise UsageError("--exec has the field {file}, but nothing is saved", hint="Add --download.")
    return Execution(words)


_HINT = "For example: --exec 'notify-send {id}'. The fields are those of --json; write {{ and }} for braces."
