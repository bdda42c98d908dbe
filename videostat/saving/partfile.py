"""Keep the `.part` file of an unfinished download, and its side-car."""

from __future__ import annotations

import errno
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

from videostat.errors import NotSaved
from videostat.saving.container import NAMING_BYTES, may_be_result
from videostat.saving.destination import format_size, stat_regular_file
from videostat.saving.version import Version, restore_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from videostat.saving.destination import Destination

WRITE_OUT = 4 << 20  # bytes between two requests to write to the disk
UNPROVEN = 2  # files per job that are kept
RENAMES = 11  # tries, a tenth of a second apart: one second

# fsync errors that mean lost bytes. All others mean that the disk does not support fsync.
_LOST = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Busy(NotSaved):
    """Another process is writing the part file, which has `size` bytes now."""

    size: int


class Part:
    """The locked `.part` file of a download, with its side-car.

    The side-car records the version of the bytes. As a context manager, it removes what a later run cannot use. Disks
    without locks or fsync are used without them.
    `kept`: files with received bytes that are not provably a whole video.
    """

    def __init__(self, destination: Destination, sleep: Callable[[float], object] = time.sleep) -> None:
        self._destination = destination
        self._sleep = sleep
        self._path, self._sidecar = destination.part, destination.sidecar
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._is_published = False
        self._must_keep = False
        self.kept: list[Path] = []
        self._kept_now: list[Path] = []
        self.version = Version()
        self.fd = self._open_locked()
        try:
            self.size = self._written_out = os.fstat(self.fd).st_size
            self._take_over()
        except BaseException:
            os.close(self.fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Unlock only after the clean-up: before, another process may not use these names.
        try:
            is_worth_keeping = self._must_keep or (self.size and self.version.can_resume)
            if not self._is_published and not is_worth_keeping:
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)
                    self._sidecar.unlink(missing_ok=True)
        finally:
            # A network disk may report only now that it is full. A published file has been flushed before.
            with suppress(OSError):
                os.close(self.fd)

    def ensure_room(self, total: int) -> None:
        """Raise NotSaved if the disk has no room for `total` bytes."""
        try:
            disk = os.fstatvfs(self.fd)
        except OSError:
            return
        free = disk.f_bavail * disk.f_frsize
        # Some network and FUSE disks report no sizes.
        if disk.f_blocks and total - self.size > free:
            raise NotSaved(
                f"not saved: the video needs {format_size(total)}, but {self._path.parent} has only "
                f"{format_size(free + self.size)} free",
                hint="Free some space, then run the same command.",
            )

    def append(self, piece: bytes) -> None:
        """Write the next bytes."""
        while piece:
            written = os.write(self.fd, piece)
            self.size += written
            piece = piece[written:]
        if self.size - self._written_out >= WRITE_OUT and hasattr(os, "posix_fadvise"):
            # This makes Linux write the bytes to the disk now. Otherwise the fsync at the end of 1 GB takes longer,
            # and the whole download 1.5 s instead of 1.1 s.
            with suppress(OSError):
                os.posix_fadvise(self.fd, self._written_out, self.size - self._written_out, os.POSIX_FADV_DONTNEED)
            self._written_out = self.size

    def restart(self, version: Version | None = None) -> None:
        """Delete all bytes and start again, with a new version."""
        self._sidecar.unlink(missing_ok=True)
        if self.size:
            # Flush before the new side-car is written: after a power cut it must not belong to old bytes.
            os.ftruncate(self.fd, 0)
            with suppress(OSError):
                os.fsync(self.fd)
        self.size, self._written_out, self.version = 0, 0, version or Version()
        if version and not self._write_note(version):
            self.version = Version("", version.total, version.digest)

    def set_aside(self) -> bool:
        """Rename a file that is not provably whole, and start with an empty part.

        At most two files of different lengths are kept per job. Returns whether one of this length existed before.
        """
        files = [self._destination.name_unproven(number) for number in range(1, UNPROVEN + 1)]
        sizes = {file: os.lstat(file).st_size for file in files if os.path.lexists(file)}
        same = [file for file, size in sizes.items() if size == self.size]
        if same or len(sizes) == UNPROVEN:
            self.kept += [file for file in same or sizes if file not in self.kept]
            self.restart()
            return bool(same)
        target = next(file for file in files if file not in sizes)
        self._must_keep = True
        self._rename(target)
        self._must_keep = False
        self.kept.append(target)
        self._kept_now.append(target)
        self._sidecar.unlink(missing_ok=True)
        os.close(self.fd)
        self.fd = self._open_locked()
        self.size = os.fstat(self.fd).st_size
        self.restart()
        return False

    def publish(self, extension: str) -> Path:
        """Rename the checked part to its final name and return that."""
        file = self._destination.name_file(extension)
        stat_regular_file(file)
        try:
            os.fsync(self.fd)
        except OSError as error:
            if error.errno in _LOST:
                self.set_aside()
                raise
        self._rename(file)
        self._is_published = True
        # The video is saved now. Later errors of the disk do not change that.
        for orphan in (self._sidecar, *self._kept_now):
            with suppress(OSError):
                orphan.unlink(missing_ok=True)
        with suppress(OSError):
            _sync_folder(file.parent)
        return file

    def _rename(self, target: Path) -> None:
        """Rename the part. Retry for a second if the disk is busy."""
        for left in reversed(range(RENAMES)):
            try:
                self._path.replace(target)
                return
            except OSError:
                # A file server may have renamed it and lost the answer.
                if _is_at(target, self.fd):
                    return
                if not left:
                    raise
                self._sleep(0.1)

    def _open_locked(self) -> int:
        while True:
            stat_regular_file(self._path)
            # Do not follow a symbolic link, and do not wait for the other end of a FIFO.
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
            fd = os.open(self._path, flags, 0o666)
            try:
                # Some disks have no locks.
                with suppress(OSError):
                    _lock(fd)
                # The process that had the lock may have renamed or removed this file.
                if _is_at(self._path, fd):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _take_over(self) -> None:
        """Resume from an existing part of this job. A file that is not ours is kept."""
        note = self._read_note()
        ref = self._destination.ref
        is_ours = note is not None and (note.get("provider"), note.get("id")) == (ref.provider, ref.id)
        version = restore_version(note) if note and is_ours else Version()
        if version.total and 0 < self.size <= version.total:
            self.version = version
        elif self.size and not is_ours and may_be_result(os.pread(self.fd, NAMING_BYTES, 0)):
            self.set_aside()
            self.kept, self._kept_now = [], []
        elif self.size and note is None:
            raise NotSaved(
                f"{self._path} already exists and is not a partial download",
                hint="Move it away, or choose another name.",
            )
        else:
            self.restart()

    def _read_note(self) -> dict[str, object] | None:
        """Return the side-car's content: None if missing, {} if not valid."""
        try:
            fd = os.open(self._sidecar, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                note = json.loads(file.read(1 << 16))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError):
            return {}
        except OSError as error:
            # Do not trust a failing disk: the bytes in the part may be good.
            if error.errno not in {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO}:
                raise
            return {}
        return note if isinstance(note, dict) else {}

    def _write_note(self, version: Version) -> bool:
        """Write the side-car; return whether it worked. A later run needs it to resume."""
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
    """Remove a side-car that a killed process left beside a finished video."""
    with suppress(OSError):
        if not os.path.lexists(destination.part):
            destination.sidecar.unlink(missing_ok=True)


def _lock(fd: int) -> None:
    import fcntl  # Windows has none, and imports this module for --help

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        busy = Busy(
            "not saved: another videostat process is saving it",
            hint="Wait for it, or stop it; then run the same command.",
        )
        busy.size = os.fstat(fd).st_size
        raise busy from None


def _is_at(path: Path, fd: int) -> bool:
    status = stat_regular_file(path)
    return bool(status and os.path.samestat(status, os.fstat(fd)))


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
