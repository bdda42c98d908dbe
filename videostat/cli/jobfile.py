"""Read jobs from a file or stdin: plain lines, tables or JSON."""

from __future__ import annotations

import codecs
import csv
import json
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from videostat.cli.kept import keep_text
from videostat.errors import UsageError, VideostatError, suggest
from videostat.models import JobRef

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    Created = Callable[[object], str | None]

LARGEST = 64 * 1024 * 1024  # bytes; a larger file is not a list of jobs, but perhaps a video

# The byte order marks. A mark that begins with another one comes before it.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_LINE_END = re.compile(r"\r\n|\r|\n")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
# Names of ids in answers of the services, and of columns in tables.
_ID_NAMES = ("id", "project_id", "projectid", "task_id", "taskid", "video_id", "videoid", "job_id", "jobid", "job")
_FORMS = (
    "Write one job on each line: jogg proj_abc123, or jogg:proj_abc123. "
    "For a file with ids only: videostat wait jogg --from FILE"
)
_PROVIDER_NAMES = ("provider", "service", "account")


class Columns(NamedTuple):
    """The positions of provider and id in a table; `provider` is None if there is no such column."""

    provider: int | None
    id: int


def read_jobs(
    source: Path, names: Collection[str], provider: str | None = None, created: Created | None = None
) -> Iterator[JobRef]:
    """Yield the jobs of a file, or of stdin if `source` is `-`.

    `names`: the known providers. `provider`: used for ids without a provider.
    `created`: reads the id from a service's answer that creates a job, or raises the error in that answer. An answer
    from a pipe that cannot be read is kept in a file, because the job may be paid for.

    Raises UsageError with the place. It quotes no line that does not begin with a known provider, because a wrong file
    may contain a key.
    """
    where = "stdin" if str(source) == "-" else str(source)
    columns: Columns | None = None
    text = _decode(_read(source, where), where)
    for position, (place, item) in enumerate(_split_items(text)):
        try:
            if not isinstance(item, str):
                yield _from_json(item, names, provider, created)
            elif position == 0 and (columns := _read_header(item, names)):
                pass
            elif columns:
                yield _from_columns(_split_cells(item), columns, names, provider)
            else:
                yield _from_line(item, names, provider)
        except VideostatError as error:
            is_lost = created and not isinstance(item, str) and not (source.is_file() or (error.sure and position == 0))
            file = keep_text("answer", text, ".json") if is_lost else None
            if file:
                error.hint = f"{error.hint or ''} The answer is kept in {file}".strip()
            if not isinstance(error, UsageError):
                raise
            raise UsageError(f"{place} of {where}: {error}", hint=error.hint) from error


def _read(source: Path, where: str) -> bytes:
    try:
        if str(source) != "-":
            with source.open("rb") as file:
                data = file.read(LARGEST + 1)
        elif sys.stdin is not None:
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            raise UsageError(
                "stdin is closed: there are no jobs to read", hint="Name the jobs, or a file: --from jobs.txt"
            )
    except OSError as error:
        raise UsageError(
            f"cannot read {where}: {error.strerror}",
            hint="--from takes a file with one job on each line, or - for stdin.",
        ) from error
    if len(data) > LARGEST:
        raise UsageError(
            f"{where} is too large to be a list of jobs (more than 64 MiB)",
            hint="Is this a video? --from takes a list: PROVIDER ID on each line.",
        )
    return data


def _decode(data: bytes, where: str) -> str:
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    # Latin letters in UTF-16 without a mark: every second byte is zero.
    if not mark and len(data) > 1 and data.count(0) * 2 >= len(data) - 1:
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        # Joined files also have a mark in the middle.
        return data[len(mark) :].decode(encoding).replace("\ufeff", "")
    except UnicodeDecodeError as error:
        name = encoding.upper().removesuffix("-LE").removesuffix("-BE")
        raise UsageError(f"{where} is not valid {name}", hint="Save the list of jobs as UTF-8.") from error


def _split_items(text: str) -> Iterator[tuple[str, str | list[object]]]:
    """Yield the place and content of each line and JSON value.

    A JSON value comes in a list of one, to tell it from a line; broken JSON is an empty list. Empty lines are skipped.
    """
    decoder, at, number = json.JSONDecoder(), 0, 1
    while at < len(text):
        end = _LINE_END.search(text, at)
        stop, following = (end.start(), end.end()) if end else (len(text), len(text))
        line = _COMMENT.sub("", text[at:stop]).strip()
        place = f"line {number}"
        if line[:1] in {"{", "["}:
            start = text.index(line[0], at)
            try:
                value, after = decoder.raw_decode(text, start)
            except (ValueError, RecursionError):
                yield place, [] if line[0] == "{" else line
            else:
                listed = value if isinstance(value, list) else [value]
                for position, item in enumerate(listed, 1):
                    yield f"item {position}" if len(listed) > 1 else place, [item]
                # Skip the comma between the items of a list without brackets.
                following = after + len(text[after:]) - len(text[after:].lstrip(" \t,"))
        elif line:
            yield place, line
        number += len(_LINE_END.findall(text, at, following))
        at = following


def _split_cells(line: str) -> list[str]:
    """Split a line at tabs, semicolons, commas or else spaces; remove quotes."""
    separator = _find_separator(line)
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True)) if separator else line.split()
    except csv.Error:  # a field of more than 128 KiB
        return []
    return [cell.strip().strip(_QUOTES).strip() for cell in cells]


def _find_separator(line: str) -> str | None:
    return next((each for each in "\t;," if each in line), None)


def _read_header(line: str, names: Collection[str]) -> Columns | None:
    """Return the columns of a table header; None for any other line."""
    words = [cell.lower().replace(" ", "_") for cell in _split_cells(line)]
    job_id = next((words.index(name) for name in _ID_NAMES if name in words), None)
    provider = next((words.index(name) for name in _PROVIDER_NAMES if name in words), None)
    return None if job_id is None or not {*words}.isdisjoint(names) else Columns(provider, job_id)


def _from_columns(cells: list[str], columns: Columns, names: Collection[str], provider: str | None) -> JobRef:
    cells = cells + [""] * (max(columns.provider or 0, columns.id) + 1 - len(cells))
    if columns.provider is None:
        return _make_ref(provider, cells[columns.id], names, is_quoted=False)
    return _make_ref(cells[columns.provider] or provider, cells[columns.id], names)


def _from_line(line: str, names: Collection[str], provider: str | None) -> JobRef:
    cells = _split_cells(line)
    if _find_separator(line):
        first = [cell for cell in cells if cell][:1]
        # A table may have further columns; a comma at the end of a line does not start one.
        if first == [cell for cell in cells if cell]:
            cells = first[0].split() if first else []
        else:
            cells = cells[:2] if provider is None or cells[0] in names else cells[:1]
    match cells:
        case [word] if ":" in word and (provider is None or word.partition(":")[0] in names):
            named, _, job_id = word.partition(":")
            return _make_ref(named, job_id, names, which="the word before the colon")
        case [job_id] if provider is not None:
            return _make_ref(provider, job_id, names, is_quoted=False)
        case [named, job_id] if named in names or provider is None:
            return _make_ref(named, job_id, names, which="the first word")
    raise UsageError("expected PROVIDER ID", hint=_FORMS)


def _from_json(item: list[object], names: Collection[str], provider: str | None, created: Created | None) -> JobRef:
    match item:
        case [str(text)]:
            return _from_line(text, names, provider)
        case [int(number)] if not isinstance(number, bool):
            return _from_line(str(number), names, provider)
        case [dict(found)]:
            if provider and created and "provider" not in found and (made := created(found)):
                return JobRef(provider, made)
            lowered = {str(name).lower(): value for name, value in found.items()}
            job_id = next((lowered[name] for name in _ID_NAMES if name in lowered), None)
            named = lowered.get("provider", provider)
            if isinstance(named, str) and isinstance(job_id, str | int) and not isinstance(job_id, bool):
                return _make_ref(named, str(job_id), names)
    if created:
        raise UsageError(
            f"cannot find a job id of {provider} in this answer",
            hint=f"If you know the id, run `videostat wait {provider} ID`.",
        )
    problem = 'expected a JSON object with "provider" and "id"' if item else "this is not valid JSON"
    raise UsageError(problem, hint='For example: {"provider": "jogg", "id": "proj_abc123"}')


def _make_ref(
    provider: str | None,
    job_id: str,
    names: Collection[str],
    *,
    is_quoted: bool = True,
    which: str = "the provider",
) -> JobRef:
    """Check and make a job. `which`: where the provider is written, because a message must not quote it."""
    if provider is None:
        raise UsageError(
            "the provider is missing", hint="If all ids are of one service: videostat wait PROVIDER --from FILE"
        )
    if provider not in names:
        raise UsageError(f"{which} is not a known service or account", hint=suggest(provider, names))
    if not is_quoted and not JobRef.is_id(job_id):
        raise UsageError("this is not a job id", hint=_FORMS)
    return JobRef(provider, job_id)
