"""Keep the `.part` file of an unfinished download, and the side-car that lets it resume."""

from __future__ import annotations

import errno
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

from videostat.errors import NotSaved
from videostat.saving.container import NAMING, may_be_paid_for
from videostat.saving.destination import format_size, regular_file
from videostat.saving.version import Version, restore_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from videostat.saving.destination import Destination

WRITE_OUT = 4 << 20  # bytes
UNPROVEN = 2  # files of one job
RENAMES = 11  # tries, a tenth of a second apart: one second

# What fsync says of bytes that are lost; all else is a disk that cannot do it.
_LOST = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Busy(NotSaved):
    """Another process has the file; `size` in bytes, as it is now."""

    size = 0


class Part:
    """The bytes of a video on its way, locked, and the version they are of, in a side-car.

    As a context manager it leaves on disk only what a later run can use. `kept`: the files that hold what came and
    cannot be proven whole. Locks and fsync are best effort: where a disk cannot, it is done without.
    """

    def __init__(self, destination: Destination, sleep: Callable[[float], object] = time.sleep) -> None:
        self._destination = destination
        self._sleep = sleep
        self._path, self._sidecar = destination.part, destination.sidecar
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._is_published = False
        self._is_precious = False
        self.kept: list[Path] = []
        self._kept_now: list[Path] = []
        self.version = Version()
        self.fd = self._locked()
        try:
            self.size = self._written_out = os.fstat(self.fd).st_size
            self._take_over()
        except BaseException:
            os.close(self.fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Unlocked only after the clean-up, so that nobody has begun to use these names by then.
        try:
            is_worth_keeping = self._is_precious or (self.size and self.version.can_resume)
            if not self._is_published and not is_worth_keeping:
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)
                    self._sidecar.unlink(missing_ok=True)
        finally:
            # A disk in the network may only now say that it is full: what is published has been flushed before.
            with suppress(OSError):
                os.close(self.fd)

    def ensure_room(self, total: int) -> None:
        """Raise NotSaved where the disk has no room for the rest of so many bytes."""
        try:
            disk = os.fstatvfs(self.fd)
        except OSError:
            return
        free = disk.f_bavail * disk.f_frsize
        # Some disks in the network or in user space count nothing.
        if disk.f_blocks and total - self.size > free:
            raise NotSaved(
                f"not saved: the video has {format_size(total)}, and {self._path.parent} has room for "
                f"{format_size(free + self.size)}",
                hint="Make room, then run the same command.",
            )

    def append(self, piece: bytes) -> None:
        while piece:
            written = os.write(self.fd, piece)
            self.size += written
            piece = piece[written:]
        if self.size - self._written_out >= WRITE_OUT and hasattr(os, "posix_fadvise"):
            # Linux begins to write what one no longer needs: else the fsync at the end waits for all of a gigabyte,
            # 1.5 s in place of 1.1.
            with suppress(OSError):
                os.posix_fadvise(self.fd, self._written_out, self.size - self._written_out, os.POSIX_FADV_DONTNEED)
            self._written_out = self.size

    def restart(self, version: Version | None = None) -> None:
        """Forget the bytes: what comes now is of this version."""
        self._sidecar.unlink(missing_ok=True)
        if self.size:
            # On the disk before the new side-car is, lest a power cut joins it to the old bytes.
            os.ftruncate(self.fd, 0)
            with suppress(OSError):
                os.fsync(self.fd)
        self.size, self._written_out, self.version = 0, 0, version or Version()
        if version and not self._note(version):
            self.version = Version("", version.total, version.digest)

    def set_aside(self) -> bool:
        """Rename what came and cannot be proven whole, so that no run opens it again.

        At most two files of a job, of different lengths; returns whether one of this length was there already.
        """
        files = [self._destination.unproven(number) for number in range(1, UNPROVEN + 1)]
        sizes = {file: os.lstat(file).st_size for file in files if os.path.lexists(file)}
        same = [file for file, size in sizes.items() if size == self.size]
        if same or len(sizes) == UNPROVEN:
            self.kept += [file for file in same or sizes if file not in self.kept]
            self.restart()
            return bool(same)
        target = next(file for file in files if file not in sizes)
        self._is_precious = True
        self._rename(target)
        self._is_precious = False
        self.kept.append(target)
        self._kept_now.append(target)
        self._sidecar.unlink(missing_ok=True)
        os.close(self.fd)
        self.fd = self._locked()
        self.size = os.fstat(self.fd).st_size
        self.restart()
        return False

    def publish(self, extension: str) -> Path:
        """Give it its final name; it has been checked."""
        file = self._destination.file(extension)
        regular_file(file)
        try:
            os.fsync(self.fd)
        except OSError as error:
            if error.errno in _LOST:
                self.set_aside()
                raise
        self._rename(file)
        self._is_published = True
        # From here on it is saved, whatever else a disk cannot do.
        for orphan in (self._sidecar, *self._kept_now):
            with suppress(OSError):
                orphan.unlink(missing_ok=True)
        with suppress(OSError):
            _sync_folder(file.parent)
        return file

    def _rename(self, target: Path) -> None:
        """Rename the part; a disk that is busy is asked again for a second."""
        for left in reversed(range(RENAMES)):
            try:
                self._path.replace(target)
            except OSError:
                # A server of files may have done it, and its answer was lost.
                if _is_at(target, self.fd):
                    return
                if not left:
                    raise
                self._sleep(0.1)
            else:
                return

    def _locked(self) -> int:
        while True:
            regular_file(self._path)
            # Never through a link, and never waiting for the other end of a FIFO.
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
            fd = os.open(self._path, flags, 0o666)
            try:
                # Not every disk has locks.
                with suppress(OSError):
                    _lock(fd)
                # The process that held the lock may have renamed or removed the file we had opened.
                if _is_at(self._path, fd):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _take_over(self) -> None:
        """Go on with what is there, if that is of this job; what belongs to somebody else is kept."""
        note = self._read_note()
        ref = self._destination.ref
        is_ours = note is not None and (note.get("provider"), note.get("id")) == (ref.provider, ref.id)
        version = restore_version(note) if note and is_ours else Version()
        if version.total and 0 < self.size <= version.total:
            self.version = version
        elif self.size and not is_ours and may_be_paid_for(os.pread(self.fd, NAMING, 0)):
            self.set_aside()
            self.kept, self._kept_now = [], []
        elif self.size and note is None:
            raise NotSaved(
                f"{self._path} is there already, and is not the beginning of a video",
                hint="Move it away, or choose another name.",
            )
        else:
            self.restart()

    def _read_note(self) -> dict[str, object] | None:
        """Return what the side-car says: None without one, nothing of one that cannot be understood."""
        try:
            fd = os.open(self._sidecar, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                note = json.loads(file.read(1 << 16))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError):
            return {}
        except OSError as error:
            # Of a disk in trouble nothing is believed: the loaded bytes may well be good.
            if error.errno not in {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO}:
                raise
            return {}
        return note if isinstance(note, dict) else {}

    def _note(self, version: Version) -> bool:
        """Write the side-car; without one, a later run cannot go on."""
        ref = self._destination.ref
        note = {"provider": ref.provider, "id": ref.id, **asdict(version)}
        try:
            fd = os.open(self._sidecar, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(note, file)
        except OSError:
            return False
        return True


def remove_orphan(destination: Destination) -> None:
    """Remove the side-car that a kill has left beside a finished video."""
    with suppress(OSError):
        if not os.path.lexists(destination.part):
            destination.sidecar.unlink(missing_ok=True)


def _lock(fd: int) -> None:
    import fcntl  # Windows has none, and imports this module for --help

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        busy = Busy("not saved: another videostat is saving it", hint="Let it finish, or stop it.")
        busy.size = os.fstat(fd).st_size
        raise busy from None


def _is_at(path: Path, fd: int) -> bool:
    status = regular_file(path)
    return bool(status and os.path.samestat(status, os.fstat(fd)))


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
