"""Choose a video's file name, check that it is free, and turn disk errors into messages."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
import stat
import string
import unicodedata
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

from videostat.errors import NotSaved, UsageError
from videostat.models import DEFAULT_NAME, Saved
from videostat.saving import container
from videostat.saving.container import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from videostat.models import JobRef

# No separator, quote, control character or wildcard, in any script; not an option, not a blank to begin with.
_NAME = re.compile(r"(?![ -])[\w .,~=+()@-]+")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved whatever follows the first dot.
_WINDOWS = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]) *(?:\.|\Z)", re.IGNORECASE)
# 255 bytes is what nearly every file system grants a name; this is the longest ending of ours.
_LONGEST = 255 - len(" (99).unproven-2.part")

_HINTS = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Make room, then run the same command: it goes on where it stopped."
    ),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Choose a folder you may write to with --output-dir."),
}
REPLACE = "--overwrite replaces it, or choose another name."


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one job's video goes; `path` lacks the extension, which its content decides, unless `is_exact`.

    `is_known`: a video that is there is this job's, as its name or the history says.
    """

    ref: JobRef
    path: Path
    is_exact: bool = False
    is_known: bool = False

    @classmethod
    def from_template(
        cls,
        ref: JobRef,
        folder: Path,
        template: str = DEFAULT_NAME,
        moment: datetime | None = None,
        *,
        known: Path | None = None,
    ) -> Self:
        """Name a job's file in the folder; UsageError for a template that is not a portable file name.

        `moment`: for the date in the name, which is that of UTC. `known`: where the job's video was saved before; two
        services can give the same id, so that a name without the provider says nothing of whose video it is.
        """
        path = folder / _stem(ref, template, f"{(moment or datetime.now(UTC)).astimezone(UTC):%Y-%m-%d}")
        is_known = "{provider}" in template or known in {Path(f"{path.absolute()}.{each}") for each in EXTENSIONS}
        return cls(ref, path, is_known=is_known)

    @classmethod
    def from_path(cls, ref: JobRef, file: str | Path, *, known: Path | None = None) -> Self:
        """Take the very file that was typed. `known`: where the job's video was saved before.

        Raises UsageError for a folder, and for what cannot be a file.
        """
        typed, file = os.fspath(file), Path(file)
        if typed == "-":
            raise UsageError("a video is saved to a file, not written to stdout", hint="Name the file: -o clip.mp4")
        if not file.name or typed.endswith("/") or os.path.isdir(file):  # noqa: PTH112  is_dir() raises for a name too long
            raise UsageError(
                f"{typed!a} is a folder, not a file",
                hint=f"For a folder: --output-dir {shlex.quote(typed)}; for a file: -o clip.mp4",
            )
        return cls(ref, file, is_exact=True, is_known=file.absolute() == known)

    def name_file(self, extension: str) -> Path:
        return self.path if self.is_exact else Path(f"{self.path}.{extension}")

    @property
    def part(self) -> Path:
        """Name the file that the video grows in."""
        return Path(f"{self.path}.part")

    @property
    def sidecar(self) -> Path:
        """Name the file that says which version of the video the part is of."""
        return Path(f"{self.path}.part.json")

    def unproven(self, number: int) -> Path:
        """Name a file for what came and cannot be proven whole."""
        return Path(f"{self.path}.unproven-{number}.part")

    def with_number(self, number: int) -> Self:
        """Return where the job's second, third ... video goes: an id has neither blanks nor brackets."""
        ending = self.path.suffix if self.is_exact else ""
        return replace(self, path=self.path.with_name(f"{self.path.name.removesuffix(ending)} ({number}){ending}"))

    def reserve(self) -> None:
        """Leave an empty part where there is no video yet: a later run sees by it that this one was not finished."""
        with suppress(OSError):
            if not any(os.path.lexists(self.name_file(extension)) for extension in EXTENSIONS):
                os.close(os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666))

    def find_all_saved(self) -> Saved | None:
        """Return the job's videos that are there, all of them; raises NotSaved as `saved` does."""
        found = [self.find_saved()]
        for number in count(2):
            place = self.with_number(number)
            if os.path.lexists(place.part):
                return None
            if not (saved := place.find_saved()):
                break
            found.append(saved)
        return join_saved([saved for saved in found if saved]) if found[0] else None

    def find_saved(self, *, overwrite: bool = False) -> Saved | None:
        """The whole video that is already there and is to stay; NotSaved if anything else has its name."""
        with translate_disk_errors(self):
            for file in map(self.name_file, EXTENSIONS):
                status = regular_file(file)
                # An empty one is a placeholder, such as mktemp leaves.
                if overwrite or not status or not status.st_size:
                    continue
                if not self.is_known:
                    raise NotSaved(f"{file} is there already", hint=REPLACE)
                if not container.is_film(file):
                    raise NotSaved(f"{file} is there already, and is not a whole video", hint=REPLACE)
                return Saved(file=file, bytes=status.st_size, skipped=True)
        return None


def join_saved(videos: Sequence[Saved]) -> Saved:
    """Sum up a job's videos."""
    return Saved(
        file=videos[0].file,
        more=tuple(each.file for each in videos[1:]),
        bytes=sum(each.bytes for each in videos),
        resumed=sum(each.resumed for each in videos),
        skipped=all(each.skipped for each in videos),
        retries=sum(each.retries for each in videos),
    )


def ensure_writable(destinations: Iterable[Destination], *, overwrite: bool) -> None:
    """UsageError where a video that is not there yet cannot be saved: better now than when it has come."""
    obstacle = cache(_obstacle)
    for destination in destinations:
        folder = destination.path.absolute().parent
        if (found := obstacle(folder)) and not _is_saved(destination, overwrite=overwrite):
            raise UsageError(
                f"nothing can be saved in {folder}: {found} is no folder that you may write to",
                hint="Choose another with --output-dir.",
            )


def _obstacle(folder: Path) -> Path | None:
    """What keeps a file from being made there: the folder, or what it would have to be made in."""
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    return None if os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK) else there  # noqa: PTH112  as above


def _is_saved(destination: Destination, *, overwrite: bool) -> bool:
    with suppress(NotSaved):
        return destination.find_saved(overwrite=overwrite) is not None
    return False


def ensure_distinct(destinations: Iterable[Destination]) -> None:
    """UsageError where two jobs would share a file, also on a disk that ignores case or Unicode forms."""
    seen: dict[str, Destination] = {}
    for each in destinations:
        key = unicodedata.normalize("NFC", str(each.path).casefold())
        other = seen.setdefault(key, each)
        if other.ref != each.ref:
            raise UsageError(
                f"{other.ref} and {each.ref} would be saved to the same file, {each.path.name}",
                hint=f"Save them to two folders, or by a --name like '{DEFAULT_NAME}' that tells them apart.",
            )


def _stem(ref: JobRef, template: str, date: str) -> str:
    def refused(why: str) -> UsageError:
        return UsageError(f"the name {template!a} {why}", hint=f"Use a file name like --name '{DEFAULT_NAME}'.")

    if "/" in template or "\\" in template:
        raise refused("would leave the folder: it is a file name, the folder is --output-dir")
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise refused(f"cannot be read: {error}") from None
    fields = [field for _, field, _, _ in pieces if field is not None]
    if unknown := [field for field in fields if field not in {"provider", "id", "date", "ext"}]:
        raise refused(f"has an unknown field, {{{unknown[0]}}}; there are {{provider}}, {{id}}, {{date}} and {{ext}}")
    if any(spec or conversion for _, _, spec, conversion in pieces):
        raise refused("has a field with a format; there are {provider}, {id}, {date} and {ext}, as they are")
    if "id" not in fields:
        raise refused("has no {id}: every job would be saved to the same file")
    if not template.endswith(".{ext}") or fields.count("ext") > 1:
        raise refused("does not end in .{ext}, which the content decides")
    # Windows takes no colon. The hash keeps a:b apart from a_b.
    job_id = f"{ref.id.replace(':', '_')}-{_digest(ref.id)}" if ":" in ref.id else ref.id
    name = template.removesuffix(".{ext}").format(provider=ref.provider, id=job_id, date=date)
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name):
        raise refused(f"becomes {name!a}, which is not a file name on every disk")
    if _WINDOWS.match(name):
        raise refused(f"becomes {name!a}, which Windows keeps for a device")
    return _shortened(name)


def _shortened(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    digest = f"-{_digest(name)}"
    return encoded[: _LONGEST - len(digest)].decode(errors="ignore") + digest


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def translate_disk_errors(destination: Destination) -> Iterator[None]:
    """Turn an OSError into NotSaved, in a sentence."""
    try:
        yield
    except OSError as error:
        where = error.filename or destination.path
        raise NotSaved(f"not saved: {where}: {error.strerror or error}", hint=_HINTS.get(error.errno or 0)) from error


def regular_file(path: Path) -> os.stat_result | None:
    """What is there, None if nothing is; NotSaved if it is no plain file."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise NotSaved(f"{path} is in the way: it is no plain file", hint="Move it away, or choose another name.")
    return status


def format_size(size: int) -> str:
    """Write bytes as a person reads them: 26.7 kB, 3.4 GB."""
    amount, units = float(size), ["bytes", "kB", "MB", "GB"]
    while amount >= 1000 and len(units) > 1:  # noqa: PLR2004  SI
        amount, units = amount / 1000, units[1:]
    return f"{amount:.1f} {units[0]}" if units[0] != "bytes" else f"{size} bytes"
