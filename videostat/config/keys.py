"""Find keys once, from any thread, run key commands, and look for another key when one is refused."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from videostat.config.file import KEY, parse_value
from videostat.errors import ConfigError, KeyMissing, VideostatError

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_OUTPUT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """Hold a service's key, and where it was found, in words."""

    value: str = field(repr=False)
    source: str


class Keys:
    """Keep the key of each key group, or the error instead of it. `find` looks for one in what `read_anew` reads."""

    def __init__(self, find: Callable[[str], Key], read_anew: Callable[[], None]) -> None:
        self._find_key = find
        self._read_anew = read_anew
        self._keys: dict[str, Key | VideostatError] = {}
        self._renewed: set[str] = set()
        self._lock = threading.Lock()

    def find(self, group: str) -> Key:
        """Look for the key once, at the first call; raises KeyMissing or ConfigError."""
        # One lock for all accounts: two key commands must not ask for a passphrase at the same time.
        with self._lock:
            if group not in self._keys:
                try:
                    self._keys[group] = self._find_key(group)
                except VideostatError as error:
                    self._keys[group] = error
        found = self._keys[group]
        if isinstance(found, VideostatError):
            # A raise appends to the traceback, and every job of the account raises this one.
            raise found.with_traceback(None)
        return found

    def renew(self, group: str, refused: Key) -> bool:
        """Return whether another key than the refused one is in use now; read a file or a command anew to see that.

        A token may have expired during the wait. What was read anew is not read again until it has worked.
        """
        with self._lock:
            known = self._keys.get(group)
            if isinstance(known, Key) and known.value != refused.value:
                return True
            if group in self._renewed or refused.source.startswith("environment"):
                return False
            self._renewed.add(group)
            try:
                self._read_anew()
                found = self._find_key(group)
            except VideostatError:
                return False
            self._keys[group] = found
        return found.value != refused.value

    def confirm(self, group: str, key: Key) -> None:
        """Let a key that works be renewed again when it is refused later."""
        if group in self._renewed:
            with self._lock:
                if self._keys.get(group) == key:
                    self._renewed.discard(group)


def mask(key: str) -> str:
    """Write stars, and the last four characters of a key of sixteen or more."""
    is_long = len(key) >= 16  # noqa: PLR2004  # of a shorter one, four would be too many
    return "****" + (key[-4:] if is_long and key.isprintable() else "")


def ask_command(group: str, command: tuple[str, ...], timeout: float) -> str:
    """Return the key that the command prints; its stderr is ours, so that it can ask for a passphrase.

    Raises KeyMissing and ConfigError.
    """
    import subprocess
    from tempfile import TemporaryFile

    # Without a shell these are words like others.
    is_for_a_shell = any(re.match(r"[~$|<>&;`]", word) or "$(" in word for word in command)
    hint = "There is no shell here: no ~, |, $X. Write: sh -c '...'" if is_for_a_shell and command[0] != "sh" else None
    # A file, not a pipe: an agent that the command leaves running would hold a pipe open.
    with TemporaryFile() as printed:
        try:
            subprocess.run(  # noqa: S603  # the person's own command, without a shell
                command,
                # A key store may ask the person, but must not eat the jobs that are piped in.
                stdin=None if os.isatty(0) else subprocess.DEVNULL,
                stdout=printed,
                timeout=timeout,
                check=True,
            )
        except subprocess.TimeoutExpired:
            problem = f"took longer than {timeout:g} seconds"
        except subprocess.CalledProcessError as error:
            problem = f"failed with status {error.returncode}"
        except OSError as error:
            problem = f"could not be started: {error.strerror}"
        else:
            printed.seek(0)
            output = printed.read(_LONGEST_OUTPUT).decode("utf-8", "replace")
            if output.strip():
                try:
                    return str(parse_value(f"what api_key_command holds for {group}", output, KEY))
                except ConfigError as error:
                    raise ConfigError(str(error), hint=hint or error.hint) from None
            problem = "printed nothing"
    raise KeyMissing(
        f"the api_key_command of {group} {problem}",
        hint=hint or "It must print the key, and nothing else, and exit with 0.",
    )
