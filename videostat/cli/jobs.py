"""Find out which jobs a command line means."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl, urlsplit

from videostat.cli.created import read_created
from videostat.cli.jobfile import read_jobs
from videostat.cli.options import read_duration
from videostat.cli.resume import as_arguments, get_typed_command
from videostat.errors import ConfigError, UsageError, VideostatError
from videostat.history import History, Which, locate_history
from videostat.models import JobRef, State
from videostat.render.messages import format_error, say
from videostat.render.text import format_job_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import typer

    from videostat.cli.session import Session
    from videostat.config import Settings
    from videostat.models import Job

T = TypeVar("T")

# A list is only roughly sorted: after this many older jobs in a row, no newer one is expected.
OLDER = 100

# File name endings after the id in a pasted URL.
_ENDING = re.compile(r"\.(?:mp4|webm|mov|mkv|m4v|jpe?g|png|json|html?)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """The options that choose jobs of the history. `since`: the text after --since, such as 7d."""

    unfinished: bool = False
    missing: bool = False
    provider: str | None = None
    state: State | None = None
    since: str | None = None

    @property
    def is_made(self) -> bool:
        """Return whether jobs of the history are chosen at all."""
        return self.unfinished or self.missing

    @property
    def after(self) -> datetime | None:
        """Return when `since` begins; raises UsageError if it is no duration."""
        return (
            None if self.since is None else datetime.now(UTC) - timedelta(seconds=read_duration("--since", self.since))
        )

    def check(self, option: str) -> None:
        """Raise UsageError for a filter without `option`, which chooses the jobs to filter."""
        narrowing = {"--provider": self.provider, "--state": self.state, "--since": self.since}
        given = next((name for name, value in narrowing.items() if value is not None), None)
        if given and not self.is_made:
            raise UsageError(f"{given} works only with {option}", hint=f"Add {option}, or leave {given} out.")


_SEE_ALL = "All jobs: videostat history --all"
SILENT = timedelta(days=30)  # --unfinished skips a job that had no answer for so long


def resolve_jobs(
    session: Session,
    context: typer.Context,
    words: list[str] | None,
    source: Path | None,
    choice: Choice,
    *,
    saving: bool = False,
    quiet: bool,
) -> list[JobRef]:
    """Return the jobs of words, `source` and history, each once.

    With `saving`, `unfinished` includes jobs that should have been saved and were not.
    Raises UsageError for a bad line, an unknown account, or if there are no jobs; no request has been sent then.
    """
    settings, words = session.settings, words or []
    choice.check(_get_history_option(context))
    if source and len(words) == 1 and words[0] in settings.list_names():
        given = [
            *read_jobs(source, settings.list_names(), words[0], partial(read_created, settings.get_provider(words[0]))),
        ]
    else:
        typed = _from_words(words, settings, get_typed_command(context))
        given = [*typed, *(read_jobs(source, settings.list_names()) if source else ())]
    for name in dict.fromkeys(ref.provider for ref in given):
        settings.get_account(name)
    if choice.is_made:
        tell = (lambda _: None) if quiet else say
        if choice.provider is not None:
            settings.get_provider(choice.provider)
        given += _drop_unconfigured(_from_history(session.clock.now(), tell, choice, saving=saving), settings)
    elif not given:
        raise UsageError(
            f"{'stdin' if str(source) == '-' else source} has no jobs" if source else "no jobs given",
            hint="Write one job on each line: jogg proj_abc123" if source else _suggest_jobs(context),
        )
    return list(dict.fromkeys(given))


def parse_jobs(context: typer.Context, words: list[str], settings: Settings) -> list[JobRef]:
    """Parse words into jobs without duplicates. Accounts need not be configured.

    Raises UsageError for words that are not jobs.
    """
    return list(dict.fromkeys(_from_words(words, settings, get_typed_command(context))))


def keep_newer(jobs: Iterable[tuple[Job, T]], after: datetime | None) -> Iterator[tuple[Job, T]]:
    """Yield the jobs submitted since `after`. Stop after OLDER older ones in a row.

    `jobs` is sorted newest first.
    """
    older = 0
    for job, total in jobs:
        if after is None or job.created_at is None or job.created_at >= after:
            older = 0
            yield job, total
        elif (older := older + 1) >= OLDER:
            return


def _get_history_option(context: typer.Context) -> str:
    """Return the option with which this command takes jobs of the history."""
    return "--unfinished" if "unfinished" in context.params else "--missing"


def _suggest_jobs(context: typer.Context) -> str:
    """Build the hint on how to name jobs."""
    example = f"Name a provider and its job ids: {get_typed_command(context)} jogg proj_abc123"
    option, count = _get_history_option(context), 0
    with suppress(VideostatError), closing(History(locate_history(), warn=say)) as history:
        count = sum(1 for _ in history.find_jobs(which=Which[option.strip("-").upper()]))
    if not count:
        return example
    has = "has" if count == 1 else "have"
    what = f"that {has} not ended" if option == "--unfinished" else f"that succeeded and {has} no file here"
    return f"{example}; or for the {format_job_count(count)} {what}: {get_typed_command(context)} {option}"


def _from_history(now: datetime, tell: Callable[[str], None], choice: Choice, *, saving: bool) -> list[JobRef]:
    """Return the chosen jobs of the history: the unfinished ones, or those whose file is missing."""
    # Not the session's history: --no-history keeps this run out, but jobs of earlier runs may be in the file.
    with closing(History(locate_history(), warn=say)) as history:

        def list_refs(which: Which, heard_since: datetime | None = None) -> list[JobRef]:
            jobs = history.find_jobs(
                which=which,
                provider=choice.provider,
                state=choice.state,
                since=choice.after,
                heard_since=heard_since,
            )
            return [job.ref for job, _ in jobs]

        narrowed = "matching " if choice.provider or choice.state or choice.since else ""
        if choice.missing:
            refs = list_refs(Which.MISSING)
            if not refs:
                tell(f"Nothing to save: the history has no {narrowed}job whose file is missing. {_SEE_ALL}")
            return refs
        wanted = [Which.UNFINISHED, Which.UNSAVED] if saving else [Which.UNFINISHED]
        everything = {ref for which in wanted for ref in list_refs(which)}
        refs = [ref for which in wanted for ref in list_refs(which, now - SILENT)]
        without_file = {*list_refs(Which.MISSING)} - everything if saving else set()
    if silent := sorted(everything - {*refs}, key=str):
        skipped = f"skipped {format_job_count(len(silent))}: no answer for {SILENT.days} days"
        tell(f"videostat: {skipped}. To include a job, name it. To forget them:")
        for name in dict.fromkeys(ref.provider for ref in silent):
            tell(f"  videostat history forget {as_arguments(ref for ref in silent if ref.provider == name)}")
    if without_file:
        tell(f"videostat: skipped {format_job_count(len(without_file))}: succeeded, but not saved here. To save them:")
        tell("  videostat download --missing")
    if not everything:
        tell(f"Nothing to do: the history has no {narrowed}unfinished job. {_SEE_ALL}")
    return refs


def _drop_unconfigured(refs: list[JobRef], settings: Settings) -> list[JobRef]:
    """Drop the jobs of accounts that are no longer configured, with a warning."""
    refused = set()
    for name, count in Counter(ref.provider for ref in refs).items():
        try:
            settings.get_account(name)
        except ConfigError as error:
            refused.add(name)
            for line in format_error(error, f"skipped {format_job_count(count)} of {name}"):
                say(line)
    return [ref for ref in refs if ref.provider not in refused]


def _from_words(words: list[str], settings: Settings, command: str) -> Iterator[JobRef]:
    """Parse PROVIDER:ID ... and then PROVIDER ID ID ...

    `command` is what was typed before them. Raises UsageError.
    """
    names = settings.list_names()
    provider, is_used = None, True
    for word in words:
        if mistake := _find_mistake(word, provider, words, settings, command):
            raise mistake
        if provider is not None:
            is_used = True
            yield JobRef(provider, word)
        elif ":" in word:
            yield JobRef.parse(word)
        else:
            provider, is_used = word, False
    if not is_used and provider in names:
        raise UsageError(f"no job id after {provider}", hint=f"Add the job's id: {command} {provider} ID")
    if not is_used:
        raise UsageError(
            f"unknown service or account {provider!a}",
            hint=f"A job id comes after its service: {command} {names[0]} ID. Known: {', '.join(names)}",
        )


def _find_mistake(
    word: str, provider: str | None, words: list[str], settings: Settings, command: str
) -> UsageError | None:
    """Return the error for a word that cannot be a job; None if it can be one.

    `provider`: the service or account typed before it, None if there is none.
    """
    names = settings.list_names()
    before, colon, job_id = word.partition(":")
    if "/" in word:
        return _make_address_error(word, provider, settings, command)
    if provider is None:
        is_swapped = colon and before not in names and job_id in names
        return _make_order_error(f"{command} {job_id} {before}") if is_swapped else None
    if colon and before in names:
        return UsageError(
            f"{word} may be a job of {before}, or an id of {provider} that contains a colon",
            hint=f"For the job of {before}: write {word} before {provider}. "
            f"For the id of {provider}: write {provider}:{word}",
        )
    if word not in names:
        return None
    if provider not in names:
        return _make_order_error(f"{command} {word} {' '.join(each for each in words if each != word)}")
    return UsageError(
        f"{word} is a service or account, not a job id", hint=f"For several in one command: {provider}:ID {word}:ID"
    )


def _make_order_error(command: str) -> UsageError:
    return UsageError("the service comes first, then its job ids", hint=f"Did you mean: {command}")


def _make_address_error(word: str, provider: str | None, settings: Settings, command: str) -> UsageError:
    """Return the error for a URL or path, with the job it may mean.

    The query of the URL is not shown.
    """
    names, first = settings.list_names(), word.partition("/")[0]
    named = next((each for each in (provider, first) if each in names), None) or _find_account(word, settings)
    found = _find_id(word)
    example = f"Give the service and the job's id: {command} {named or names[0]} proj_abc123"
    return UsageError(
        "a URL is not a job id" if "://" in word else f"{word.partition('?')[0][:60]!a} is not a job id",
        hint=f"Did you mean: {command} {named or 'PROVIDER'} {found}" if found else example,
    )


def _find_id(address: str) -> str | None:
    parts = urlsplit(address if "://" in address else f"//{address}")
    route, _, query = parts.fragment.partition("?")  # as single-page web applications write it
    named = [value for name, value in parse_qsl(f"{parts.query}&{query}") if name.lower().endswith("id")]
    pieces = [_ENDING.sub("", piece) for piece in (route if "/" in route else parts.path).split("/") if piece]
    return next((each for each in (*named, *reversed(pieces)) if JobRef.is_id(each)), None)


def _find_account(address: str, settings: Settings) -> str | None:
    """Find the account of a URL, by its path or else by its host."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    for name in settings.list_names():
        if settings.get_provider(name).job.path.partition("{id}")[0] in parts.path:
            return name
    for name in settings.list_names():
        services = filter(None, (settings.get_base_url(name), settings.get_provider(name).base_url))
        if parts.hostname and _read_site(parts.hostname) in {_read_site(urlsplit(each).hostname) for each in services}:
            return name
    return None


def _read_site(host: str | None) -> str:
    """Return the two labels of a host that a service and its web pages share."""
    return ".".join((host or "").split(".")[-2:])
