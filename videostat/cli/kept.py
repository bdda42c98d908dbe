"""Keep texts in private files beside the history."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from videostat.history import locate_history
from videostat.private import is_without_home, write_private_file

if TYPE_CHECKING:
    from pathlib import Path


def keep_text(name: str, text: str, suffix: str) -> Path | None:
    """Write a text to a private file beside the history.

    Returns its path, or None if that fails. A hash follows the name: the same text uses the same file.
    """
    file = locate_history().with_name(f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}{suffix}")
    with suppress(OSError):
        if not is_without_home(file):
            write_private_file(file, text)
            return file
    return None
