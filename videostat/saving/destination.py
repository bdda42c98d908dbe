"""Choose a video's file, check that it is free, and translate disk errors."""

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
from videostat.models import DEFAULT_NAME, DOWNLOAD_AGAIN, Saved
from videostat.saving import container
from videostat.saving.container import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from videostat.models import JobRef

# Letters of any script, but no separator, quote, control character or wildcard, and no blank or hyphen at the start.
_NAME = re.compile(r"(?![ -])[\w .,~=+()@-]+")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved with any extension.
_WINDOWS = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]) *(?:\.|\Z)", re.IGNORECASE)
# Nearly all file systems allow 255 bytes. The text is the longest ending that videostat adds.
_LONGEST = 255 - len(" (99).unproven-2.part")

_HINTS = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        "Free some space, then run the same command: it continues where it stopped.",
    ),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Choose a folder you may write to with {option}."),
    **dict.fromkeys(
        (errno.ENOENT, errno.ENOTDIR),
        "Is the folder still there? Create it again, or choose another with {option}; then run the same command.",
    ),
    errno.ENAMETOOLONG: "Choose a shorter path with {option}.",
}
REPLACE = "Move it away, choose another name, or replace it: wait and download have --overwrite."


@dataclass(frozen=True, slots=True)
class Destination:
    """The place where a job's video is saved. `path` has no extension unless `is_exact`.

    `is_known`: a video that exists there belongs to this job, by its name or by the history.
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
        """Name a job's file in a folder from a template such as `{provider}-{id}.{ext}`.

        `moment`: the time for {date}, which is written in UTC. `known`: the file to which the job's video was saved
        before. It is needed for a name without {provider}, because two services can use the same id.
        Raises UsageError for a template that is not a portable file name.
        """
        path = folder / _fill_template(ref, template, f"{(moment or datetime.now(UTC)).astimezone(UTC):%Y-%m-%d}")
        is_known = "{provider}" in template or known in {Path(f"{path.absolute()}.{each}") for each in EXTENSIONS}
        return cls(ref, path, is_known=is_known)

    @classmethod
    def from_path(cls, ref: JobRef, file: str | Path, *, known: Path | None = None) -> Self:
        """Use exactly this file. `known`: the file to which the job's video was saved before.

        Raises UsageError for a folder and for "-".
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

    @property
    def option(self) -> str:
        """The option that chooses another folder: --output-dir does not change an absolute -o."""
        return "-o" if self.is_exact else "--output-dir"

    def name_file(self, extension: str) -> Path:
        """Name the final file."""
        return self.path if self.is_exact else Path(f"{self.path}.{extension}")

    @property
    def part(self) -> Path:
        """The file for the bytes of an unfinished download."""
        return Path(f"{self.path}.part")

    @property
    def sidecar(self) -> Path:
        """The file that records to which version of the video the part belongs."""
        return Path(f"{self.path}.part.json")

    def name_unproven(self, number: int) -> Path:
        """Name a file for received bytes that are not provably a whole video."""
        return Path(f"{self.path}.unproven-{number}.part")

    def with_number(self, number: int) -> Self:
        """Return the destination of the job's second or later video.

        The name cannot be that of another job, because an id has no blanks and no brackets.
        """
        ending = self.path.suffix if self.is_exact else ""
        return replace(self, path=self.path.with_name(f"{self.path.name.removesuffix(ending)} ({number}){ending}"))

    def reserve(self) -> None:
        """Create an empty part if there is no video yet. It tells a later run that this one did not finish."""
        with suppress(OSError):
            if not any(os.path.lexists(self.name_file(extension)) for extension in EXTENSIONS):
                os.close(os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666))

    def find_all_saved(self) -> Saved | None:
        """Return all saved videos of the job, None if one is missing. Raises NotSaved as `find_saved` does."""
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
        """Find the saved video, None if there is none or `overwrite` is set.

        Raises NotSaved if another file, or a broken one, has its name.
        """
        with translate_disk_errors(self):
            for file in map(self.name_file, EXTENSIONS):
                status = stat_regular_file(file)
                # An empty file is a placeholder, such as mktemp makes.
                if overwrite or not status or not status.st_size:
                    continue
                if not self.is_known:
                    raise NotSaved(f"{file} already exists", hint=REPLACE)
                if not container.is_video(file):
                    raise NotSaved(f"{file} already exists and is not a whole video", hint=REPLACE)
                return Saved(file=file, bytes=status.st_size, skipped=True)
        return None


def join_saved(videos: Sequence[Saved]) -> Saved:
    """Combine the results of a job's videos into one."""
    return Saved(
        file=videos[0].file,
        more=tuple(each.file for each in videos[1:]),
        bytes=sum(each.bytes for each in videos),
        resumed=sum(each.resumed for each in videos),
        skipped=all(each.skipped for each in videos),
        retries=sum(each.retries for each in videos),
    )


def ensure_writable(destinations: Iterable[Destination], *, overwrite: bool) -> None:
    """Raise UsageError if a folder cannot be written to. Call this before the downloads."""
    find_obstacle = cache(_find_obstacle)
    for destination in destinations:
        folder = destination.path.absolute().parent
        if (found := find_obstacle(folder)) and not _is_saved(destination, overwrite=overwrite):
            raise UsageError(
                f"cannot save in {folder}: {found} is not a folder that you may write to",
                hint=f"Choose another with {destination.option}.",
            )


def _find_obstacle(folder: Path) -> Path | None:
    """Return the path that prevents writing: the folder or its nearest existing parent."""
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    return None if os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK) else there  # noqa: PTH112  as above


def _is_saved(destination: Destination, *, overwrite: bool) -> bool:
    with suppress(NotSaved):
        return destination.find_saved(overwrite=overwrite) is not None
    return False


def ensure_distinct(destinations: Iterable[Destination]) -> None:
    """Raise UsageError if two jobs would use the same file. Some disks ignore case and Unicode forms."""
    seen: dict[str, Destination] = {}
    for each in destinations:
        key = unicodedata.normalize("NFC", str(each.path).casefold())
        other = seen.setdefault(key, each)
        if other.ref != each.ref:
            raise UsageError(
                f"{other.ref} and {each.ref} would be saved to the same file, {each.path.name}",
                hint=f"Use two folders, or a --name like '{DEFAULT_NAME}' that differs for each job.",
            )


def _fill_template(ref: JobRef, template: str, date: str) -> str:
    def make_error(why: str) -> UsageError:
        return UsageError(f"the name {template!a} {why}", hint=f"Use a file name like --name '{DEFAULT_NAME}'.")

    if "/" in template or "\\" in template:
        raise make_error("contains a folder; choose the folder with --output-dir")
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise make_error(f"is not valid: {error}") from None
    fields = [field for _, field, _, _ in pieces if field is not None]
    if unknown := [field for field in fields if field not in {"provider", "id", "date", "ext"}]:
        raise make_error(f"has an unknown field {{{unknown[0]}}}; use {{provider}}, {{id}}, {{date}} and {{ext}}")
    if any(spec or conversion for _, _, spec, conversion in pieces):
        raise make_error("has a field with a format; use {provider}, {id}, {date} and {ext} without one")
    if "id" not in fields:
        raise make_error("has no {id}: every job would be saved to the same file")
    if not template.endswith(".{ext}") or fields.count("ext") > 1:
        raise make_error("does not end in .{ext}; the extension depends on the content")
    # Windows allows no colon. The hash distinguishes a:b from a_b.
    job_id = f"{ref.id.replace(':', '_')}-{_hash(ref.id)}" if ":" in ref.id else ref.id
    name = template.removesuffix(".{ext}").format(provider=ref.provider, id=job_id, date=date)
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name):
        raise make_error(f"becomes {name!a}, which is not a valid file name on all systems")
    if _WINDOWS.match(name):
        raise make_error(f"becomes {name!a}, which is a reserved name on Windows")
    return _shorten(name)


def _shorten(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    digest = f"-{_hash(name)}"
    return encoded[: _LONGEST - len(digest)].decode(errors="ignore") + digest


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def translate_disk_errors(destination: Destination) -> Iterator[None]:
    """Re-raise an OSError as NotSaved with the file and the reason."""
    try:
        yield
    except OSError as error:
        where = error.filename or destination.path
        hint = _HINTS.get(error.errno or 0, DOWNLOAD_AGAIN).format(option=destination.option)
        raise NotSaved(f"not saved: {where}: {error.strerror or error}", hint=hint) from error


def stat_regular_file(path: Path) -> os.stat_result | None:
    """Return the status of a file, None if there is no file. Raises NotSaved if it is not a regular file."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise NotSaved(f"{path} is not a regular file", hint="Move it away, or choose another name.")
    return status


def format_size(size: int) -> str:
    """Format a number of bytes: 26.7 kB, 3.4 GB."""
    amount, units = float(size), ["bytes", "kB", "MB", "GB"]
    while amount >= 1000 and len(units) > 1:  # noqa: PLR2004  SI
        amount, units = amount / 1000, units[1:]
    return f"{amount:.1f} {units[0]}" if units[0] != "bytes" else f"{size} bytes"
