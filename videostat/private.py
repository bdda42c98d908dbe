"""Create folders and files that only their owner can read."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def find_user_folder(find: Callable[[str], Path]) -> Path:
    """Find the user's videostat folder with a platformdirs function; `~/videostat` without a home."""
    try:
        return find("videostat")
    except RuntimeError:  # from pathlib: HOME is not set and passwd has no entry
        return Path("~") / "videostat"


def is_without_home(path: Path) -> bool:
    """Return whether the path begins with `~` because the home folder is unknown."""
    return path.parts[:1] == ("~",)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder against other videostat processes while the block runs.

    The folder is created if needed. A disk that has no locks is used without one. Raises OSError.
    """
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
    """Create a folder and its missing parents with mode 0700. Raises OSError."""
    for each in reversed([folder, *folder.parents]):
        each.mkdir(mode=0o700, exist_ok=True)


def create_private_file(path: Path) -> None:
    """Create an empty file with mode 0600, unless it exists. Raises OSError."""
    make_private_folder(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def write_private_file(path: Path, text: str) -> None:
    """Write a file atomically with mode 0600 in a private folder. Raises OSError.

    If the path is a symbolic link, the link stays and its target is written: people keep such files elsewhere.
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
