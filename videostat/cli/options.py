"""The options that several commands share."""

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer

from videostat.clock import parse_duration
from videostat.errors import UsageError, suggest
from videostat.models import State
from videostat.render.messages import mute_sentences
from videostat.render.views import ProgressMode

# The options that take a time; their number; and a unit that stands alone.
_TIMES = re.compile(r"--(?:timeout|interval|since|older-than)|-[jq]*t")
_WITH_NUMBER = re.compile(rf"(?:{_TIMES.pattern})=?(\d+(?:\.\d+)?)")
_UNITS = re.compile(r"(s|m|h|d)(?:ec|in|r|our|ay|econd|inute)?s?", re.IGNORECASE)


def refuse_lone_unit(words: Sequence[str]) -> None:
    """Refuse `--timeout 10 m`, which would wait for a job m; raises UsageError."""
    for before, number, word in zip(["", "", *words], ["", *words], words, strict=False):
        joined = _WITH_NUMBER.fullmatch(number)
        is_time = joined or (_TIMES.fullmatch(before) and re.fullmatch(r"\d+(?:\.\d+)?", number))
        if is_time and (unit := _UNITS.fullmatch(word)):
            written = f"{joined[1] if joined else number}{unit[1].lower()}"
            option = number[: joined.start(1)] if joined else f"{before} "
            raise UsageError(f"write {written} as one word, without a space", hint=f"For example: {option}{written}")


def expand_home(text: str) -> str:
    """Expand `~`, which shells do not after `=`; raises UsageError for an unknown user."""
    path = os.path.expanduser(text)  # noqa: PTH111 - a Path would lose a slash at the end
    if path.startswith("~"):
        raise UsageError(f"{text!a}: this home folder is not known", hint=f"For a file with this name, write ./{text}")
    return path


def _parse_file(text: str) -> Path:
    return Path(expand_home(text))


def _parse_local_path(text: str, hint: str) -> str:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise UsageError("a URL is not a place on this machine to save videos to", hint=hint)
    return expand_home(text)


def _parse_output(text: str) -> str:
    return _parse_local_path(text, "Give a file: -o clip.mp4")


def _parse_folder(text: str) -> Path:
    return Path(_parse_local_path(text, "Give a folder: --output-dir videos"))


WAITING, ANSWER, SOURCE, SAVING = "Waiting", "Answer", "Which jobs", "Saving"

Jobs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROVIDER ID...", help="A provider or account and its job ids; or PROVIDER:ID, for several."
    ),
]
Source = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        parser=_parse_file,
        help="Read jobs from a file, or - for stdin: PROVIDER ID, PROVIDER:ID or JSON lines.",
        rich_help_panel=SOURCE,
    ),
]
Unfinished = Annotated[
    bool, typer.Option("--unfinished", help="The jobs of the history that have not ended.", rich_help_panel=SOURCE)
]
OfProvider = Annotated[
    str | None,
    typer.Option("--provider", metavar="NAME", help="Only this provider or account.", rich_help_panel=SOURCE),
]
InState = Annotated[State | None, typer.Option("--state", help="Only jobs in this state.", rich_help_panel=SOURCE)]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only jobs submitted within this time, such as 7d or 12h.",
        rich_help_panel=SOURCE,
    ),
]
NoHistory = Annotated[bool, typer.Option("--no-history", help="Do not write these jobs to the history.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show requests and answers on stderr, without keys and signatures.")
]
AllowPrivate = Annotated[
    bool,
    typer.Option(
        "--allow-private", help="Allow videos from a private network, also unencrypted.", rich_help_panel=SAVING
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", parser=_parse_file, help="Use this config.toml.")
]
Json = Annotated[bool, typer.Option("--json", "-j", help="Print one JSON object per job.", rich_help_panel=ANSWER)]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print only the URL, path, state or id; only errors on stderr.", rich_help_panel=ANSWER
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout",
        "-t",
        metavar="TIME",
        help="How long to wait: 90, 45s, 10m, 1h30m; 0 for ever. The service's own advice if not given.",
        rich_help_panel=WAITING,
    ),
]
Interval = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Time between two requests for a job. The service's own advice if not given.",
        rich_help_panel=WAITING,
    ),
]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="[HOST:]PORT[/PATH]",
        help="Receive webhooks there: each one triggers a check of its job. A secret path is made if none is given.",
        rich_help_panel=WAITING,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="https://...",
        help="The public address of --listen. While it works, jobs are checked less often.",
        rich_help_panel=WAITING,
    ),
]


def _mute_for_json(chosen: ProgressMode) -> ProgressMode:
    """Leave stderr to JSON lines if they are chosen."""
    if chosen is ProgressMode.JSON:
        mute_sentences()
    return chosen


Progress = Annotated[
    ProgressMode,
    typer.Option(
        "--progress",
        envvar="VIDEOSTAT_PROGRESS",
        callback=_mute_for_json,
        help="Live bars, log lines, or a JSON object a line; auto: bars on a terminal in the foreground.",
        rich_help_panel=WAITING,
    ),
]
Fields = Annotated[
    str | None,
    typer.Option(
        "--fields", metavar="NAME,NAME...", help="Print only these JSON fields; implies --json.", rich_help_panel=ANSWER
    ),
]
OutputDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", parser=_parse_folder, help="The folder for videos; created if missing.", rich_help_panel=SAVING
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        parser=_parse_output,
        help="The file for one video, in --output-dir if given.",
        rich_help_panel=SAVING,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="TEMPLATE", help="Names in the folder: {provider}, {id}, {date}, {ext}.", rich_help_panel=SAVING
    ),
]
Parallel = Annotated[
    int | None,
    typer.Option(min=1, max=32, metavar="1-32", help="How many videos are saved at once.", rich_help_panel=SAVING),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Save again and replace existing files.", rich_help_panel=SAVING)
]
Exec = Annotated[
    str | None,
    typer.Option(
        "--exec",
        metavar="COMMAND",
        help="Run this for each job that succeeds: '{id}', '{video_url}', '{file}' and the other JSON fields are "
        "filled in, the JSON is on its stdin.",
    ),
]
Limit = Annotated[
    int, typer.Option("--limit", "-n", min=1, metavar="COUNT", help="How many jobs to show.", rich_help_panel=SOURCE)
]
All = Annotated[bool, typer.Option("--all", help="Show all jobs.", rich_help_panel=SOURCE)]


def read_duration(option: str, text: str) -> float:
    """Parse the time after an option into seconds; raises UsageError if it is invalid."""
    try:
        return parse_duration(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!a} is not a time", hint="Write 90 (seconds), 45s, 10m, 1h30m or 7d; at most ten years."
        ) from None


def choose_fields(text: str | None, known: Collection[str]) -> list[str] | None:
    """Return the JSON fields in --fields; raises UsageError for an unknown one."""
    if text is None:
        return None
    chosen = [name.strip() for name in text.split(",")]
    for name in chosen:
        if name not in known:
            raise UsageError(f"unknown field {name!a}", hint=suggest(name, known))
    return chosen
