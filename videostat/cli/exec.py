"""Run the user's own command for each job that succeeded."""

from __future__ import annotations

import shlex
import signal
import string
import subprocess
from dataclasses import dataclass, field
from shutil import which
from tempfile import TemporaryFile
from threading import Lock
from typing import Self

from videostat.cli.resume import as_arguments
from videostat.errors import ExecFailed, UsageError
from videostat.models import Job, JobRef
from videostat.render.answers import collect_fields, format_json

# A template uses the names of the JSON fields.
FIELDS = collect_fields(Job(ref=JobRef("provider", "id")), saving=True).keys()


@dataclass
class Execution:
    """A command to run for each job, without a shell.

    The JSON of the job is on its stdin.
    `output`: what it printed for each job. Leaving the context terminates a command that still runs.
    """

    words: list[str]
    output: dict[JobRef, bytes] = field(default_factory=dict)
    _running: subprocess.Popen[bytes] | None = None
    _starting: Lock = field(default_factory=Lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        # A command that is just starting must end too.
        with self._starting:
            if self._running:
                self._running.terminate()

    def execute(self, job: Job) -> Job:
        """Run the command for this job; raises ExecFailed if it fails."""
        line = format_json(job, saving=True)
        values = {name: "" if value is None else value for name, value in collect_fields(job, saving=True).items()}
        argv = [word.format_map(values) for word in self.words]
        # Files, not pipes: a process that the command leaves in the background would keep a pipe open. The output is
        # shown later, because live rows may be on the screen now.
        with TemporaryFile() as given, TemporaryFile() as printed:
            given.write(line.encode() + b"\n")
            given.seek(0)
            try:
                with self._starting:
                    self._running = subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
                        argv, stdin=given, stdout=printed, stderr=subprocess.STDOUT
                    )
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                raise ExecFailed(
                    f"{argv[0]} could not be started: {why}",
                    hint="Is the program installed? Write its full path after --exec.",
                ) from error
            code = self._running.wait()
            self._running = None
            printed.seek(0)
            self.output[job.ref] = printed.read()
        if code:
            again = f"videostat {'download' if job.saved else 'wait'} {as_arguments([job.ref])} --exec COMMAND"
            raise ExecFailed(
                f"{argv[0]} {_describe_exit(code)}", hint=f"To run it again, with the same options: {again}"
            )
        return job


def _describe_exit(code: int) -> str:
    """Describe the exit code of a process; a negative one is a signal."""
    if code > 0:
        return f"failed with exit code {code}"
    return f"was ended by {signal.Signals(-code).name if -code in {*signal.Signals} else f'signal {-code}'}"


def parse_execution(template: str, *, saving: bool) -> Execution:
    """Parse a command template with JSON fields in braces; raises UsageError."""
    try:
        words = shlex.split(template)
        pieces = [piece for word in words for piece in string.Formatter().parse(word)]
    except ValueError as error:
        raise UsageError(f"cannot parse the command of --exec: {error}", hint=_HINT) from error
    if not words:
        raise UsageError("--exec has no command", hint=_HINT)
    used = {name for _, name, _, _ in pieces if name is not None}
    if any(spec or conversion for _, _, spec, conversion in pieces):
        raise UsageError("--exec: write a field as {id}, without : or ! inside the braces", hint=_HINT)
    if unknown := sorted(used - FIELDS):
        raise UsageError(f"--exec has an unknown field {{{unknown[0]}}}", hint=_HINT)
    if "file" in used and not saving:
        raise UsageError("--exec uses {file}, but nothing is saved", hint="Add --download.")
    # A program whose name depends on the job is looked for when it runs.
    if "{" not in words[0] and not which(words[0]):
        raise UsageError(f"--exec: there is no program {words[0]!a}", hint="Is it installed? Write its full path.")
    return Execution(words)


_HINT = "For example: --exec 'notify-send {id}'. Use the fields of --json; write {{ and }} for braces."
