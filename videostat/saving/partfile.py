"""The file that a video grows in until it is whole, and its side-car."""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from videostat.errors import NotSaved
from videostat.saving.destination import regular_file

if TYPE_CHECKING:
    from videostat.saving.destination import Destination

WRITE_OUT = 4 << 20  # bytes

# RFC 9110, 8.8.3: no W/ before it; printable ASCII alone, because it goes back into a header.
STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')


@dataclass(frozen=True, slots=True)
class Version:
    """Which of the contents a URL has had: only bytes of one version make a video; `total` in bytes."""

    etag: str
    total: int


class Part:
    """The bytes of a video on its way, locked, and the version they are of, in a side-car.

    `version` is None where the server offers nothing that a later request could ask to go on from.
    As a context manager it leaves on disk only what a later run can use.
    """

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._path = Path(f"{destination.path}.part")
        self._sidecar = Path(f"{destination.path}.part.json")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._is_published = False
        self.fd = self._locked()
        self.size = self._written_out = os.fstat(self.fd).st_size
        self.version = self._remembered()
        try:
            if not self.version:
                self.restart(None)
        except OSError:
            os.close(self.fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Unlocked only after the clean-up, so that nobody has begun to use these names by then.
        try:
            if not self._is_published and not (self.version and self.size):
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)
                    self._sidecar.unlink(missing_ok=True)
        finally:
            os.close(self.fd)

    def append(self, piece: bytes) -> None:
        while piece:
            written = os.write(self.fd, piece)
            self.size += written
            piece = piece[written:]
        if self.size - self._written_out >= WRITE_OUT and hasattr(os, "posix_fadvise"):
            # Linux begins to write what one no longer needs: else the fsync at the end waits for all of a gigabyte,
            # 1.5 s in place of 1.1.
            os.posix_fadvise(self.fd, self._written_out, self.size - self._written_out, os.POSIX_FADV_DONTNEED)
            self._written_out = self.size

    def restart(self, version: Version | None) -> None:
        """Forget the bytes: what comes now is of this version."""
        self._sidecar.unlink(missing_ok=True)
        if self.size:
            # On the disk before the new side-car is, lest a power cut joins it to the old bytes.
            os.ftruncate(self.fd, 0)
            os.fsync(self.fd)
        self.size, self._written_out, self.version = 0, 0, version
        if version:
            ref = self._destination.ref
            note = {"provider": ref.provider, "id": ref.id, "etag": version.etag, "total": version.total}
            fd = os.open(self._sidecar, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(note, file)

    def publish(self, extension: str) -> Path:
        """Give it its final name, durably; it has been checked."""
        file = self._destination.file(extension)
        regular_file(file)
        os.fsync(self.fd)
        # First, so that a kill between the two leaves no orphan beside a finished video.
        self._sidecar.unlink(missing_ok=True)
        self._path.replace(file)
        self._is_published = True
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return file

    def _locked(self) -> int:
        while True:
            regular_file(self._path)
            # Never through a link, and never waiting for the other end of a FIFO.
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
            fd = os.open(self._path, flags, 0o666)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever held the lock may have renamed or removed the file we had opened.
                status = regular_file(self._path)
                if status and os.path.samestat(status, os.fstat(fd)):
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise NotSaved("not saved: another videostat is saving it", hint="Let it finish, or stop it.") from None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _remembered(self) -> Version | None:
        ref = self._destination.ref
        try:
            fd = os.open(self._sidecar, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                note = json.loads(file.read(1 << 16))
        except (OSError, ValueError, RecursionError):
            return None
        match note:
            case {"provider": ref.provider, "id": ref.id, "etag": str(etag), "total": int(total)} if (
                STRONG_ETAG.fullmatch(etag) and 0 < self.size <= total
            ):
                return Version(etag, total)
        return None
