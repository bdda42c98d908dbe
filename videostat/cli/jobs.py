"""Find out which jobs a command line means."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import closing
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from videostat.errors import ConfigError, UsageError
from videostat.history import History, Which, default_path
from videostat.models import JobRef
from videostat.render.messages import say
from videostat.render.text import number_of_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from videostat.cli.session import Session
    from videostat.config import Settings

SILENT = timedelta(days=30)  # so long without an answer, and a job is not waited for unasked


def resolve_jobs(
    session: Session,
    words: list[str] | None,
    source: Path | None,
    *,
    unfinished: bool = False,
    missing: bool = False,
    saving: bool = False,
    quiet: bool = False,
) -> list[JobRef]:
    """Return the jobs of the words, the lines of `source` and the history, each once.

    With `saving`, `unfinished` also means what was to be saved and never was.

    Raises UsageError before any request: for a bad line, an unknown account, and where no jobs are given.
    """
    settings = session.settings
    given = [*_from_words(words or [], settings.names()), *(_from_file(str(source), settings) if source else ())]
    for name in dict.fromkeys(ref.provider for ref in given):
        settings.account(name)
    if unfinished or missing:
        tell = (lambda _: None) if quiet else say
        given += _drop_unconfigured(_from_history(session.clock.now(), tell, missing=missing, saving=saving), settings)
    elif not given:
        raise UsageError(
            f"{'stdin' if str(source) == '-' else source} names no job" if source else "no jobs given",
            hint="Name a provider and its job ids, for example: jogg proj_abc123",
        )
    return list(dict.fromkeys(given))


def _from_history(now: datetime, tell: Callable[[str], None], *, missing: bool, saving: bool) -> list[JobRef]:
    """Return the jobs that are unfinished, or those without a file; tell which are left aside."""
    # Not the session's history: what is not recorded now may have been before.
    with closing(History(default_path(), warn=say)) as history:
        if missing:
            refs = [job.ref for job, _ in history.jobs(which=Which.MISSING)]
            if not refs:
                tell("The history has no finished job without its file.")
            return refs
        wanted = [Which.UNFINISHED, Which.UNSAVED] if saving else [Which.UNFINISHED]
        everything = {job.ref for which in wanted for job, _ in history.jobs(which=which)}
        refs = [job.ref for which in wanted for job, _ in history.jobs(which=which, heard_since=now - SILENT)]
        aside = {job.ref for job, _ in history.jobs(which=Which.MISSING)} - everything if saving else set()
    if silent := sorted(everything - {*refs}, key=str):
        tell(f"videostat: left aside: {number_of_jobs(len(silent))}, not answered for {SILENT.days} days. To forget:")
        for name in dict.fromkeys(ref.provider for ref in silent):
            tell(f"  videostat history forget {name} {' '.join(ref.id for ref in silent if ref.provider == name)}")
    if aside:
        why = "finished and without a file here, which was not wanted or has been moved away"
        tell(f"videostat: left aside: {number_of_jobs(len(aside))}, {why}. To save:")
        tell("  videostat download --missing")
    if not refs:
        tell("The history has no unfinished job.")
    return refs


def _drop_unconfigured(refs: list[JobRef], settings: Settings) -> list[JobRef]:
    """Drop the jobs of accounts that are no longer configured, with a warning: they must not keep back the others."""
    refused = set()
    for name, count in Counter(ref.provider for ref in refs).items():
        try:
            settings.account(name)
        except ConfigError as error:
            refused.add(name)
            say(f"videostat: passed over {number_of_jobs(count)} of {name}: {error}")
    return [ref for ref in refs if ref.provider not in refused]


def _from_words(words: list[str], names: list[str]) -> Iterator[JobRef]:
    """Read `PROVIDER ID ID…`, and `PROVIDER:ID` anywhere."""
    provider, is_used = None, True
    for word in words:
        if ":" in word:
            yield JobRef.parse(word)
        elif provider is None:
            provider, is_used = word, False
        elif word in names:
            raise UsageError(f"{word} is a service, not a job id", hint=f"For several services in one call: {word}:ID")
        else:
            is_used = True
            yield JobRef(provider, word)
    if not is_used and provider in names:
        raise UsageError(f"which job of {provider}?", hint=f"Give its id too: {provider} ID")
    if not is_used:
        raise UsageError(
            f"{provider!a} is not a known service or account",
            hint=f"If it is a job, its service comes first, as in: {names[0]} ID. There are {', '.join(names)}.",
        )


def _from_file(source: str, settings: Settings) -> Iterator[JobRef]:
    where = "stdin" if source == "-" else source
    known = cache(settings.account)
    for number, line in enumerate(_lines(source, where), 1):
        # Windows editors put a byte order mark first.
        text = line.removeprefix("\ufeff").strip()
        if text and not text.startswith("#"):
            try:
                ref = _job(text)
                known(ref.provider)
            except UsageError as error:
                raise UsageError(f"line {number} of {where}: {error}", hint=error.hint) from error
            yield ref


def _lines(source: str, where: str) -> Iterator[str]:
    try:
        if source != "-":
            with Path(source).open(encoding="utf-8") as lines:
                yield from lines
        elif sys.stdin is not None:
            yield from sys.stdin
        else:
            raise UsageError("stdin is closed: there are no jobs to read")
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not valid UTF-8") from error


def _job(line: str) -> JobRef:
    """One line: what --json prints, what a pipe is given (provider, id and more, between tabs), or as typed."""
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        match found:
            case {"provider": str(provider), "id": str(job_id)}:
                return JobRef(provider, job_id)
        raise UsageError('not a job as --json prints it, with "provider" and "id"')
    words = line.split("\t")[:2] if "\t" in line else line.split()
    match words:
        case [provider, job_id]:
            return JobRef(provider, job_id)
        case [word] if ":" in word:
            return JobRef.parse(word)
    # Not what it says: the wrong file may well hold a key.
    raise UsageError("this is not PROVIDER ID", hint="One job a line: PROVIDER ID, PROVIDER:ID or JSON.")
