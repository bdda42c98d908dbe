"""Create folders and files that only their owner can read."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def user_folder(find: Callable[[str], Path]) -> Path:
    """Return this person's folder for videostat, as a function of platformdirs gives it; below `~` without a home."""
    try:
        return find("videostat")
    except RuntimeError:  # of pathlib: no HOME, and no entry in passwd
        return Path("~") / "videostat"


def is_without_home(path: Path) -> bool:
    """Tell whether the path begins in a home folder that is not known."""
    return path.parts[:1] == ("~",)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes out that lock the same folder, where the disk can; create it. Raises OSError."""
    make_private_folder(folder)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        import fcntl  # Windows has none, and imports this module for --help

        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def make_private_folder(folder: Path) -> None:
    """Create the folder and its missing parents with mode 0700; existing ones keep theirs. Raises OSError."""
    for each in reversed([folder, *folder.parents]):
        each.mkdir(mode=0o700, exist_ok=True)


def create_private_file(path: Path) -> None:
    """Create an empty file with mode 0600 in a private folder; an existing one stays as it is. Raises OSError."""
    make_private_folder(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def write_private_file(path: Path, text: str) -> None:
    """Put a file in place whole, with mode 0600, in a private folder, whatever the umask. Raises OSError.

    A symbolic link at the path stays, and the file that it leads to is written: people keep such files elsewhere.
    """
    path = Path(os.path.realpath(path))
    make_private_folder(path.parent)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise
