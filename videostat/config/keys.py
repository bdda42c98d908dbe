"""Find API keys, run key commands, and replace refused keys."""

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
COMMAND_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Key:
    """An API key, and a description of its source."""

    value: str = field(repr=False)
    source: str


class Keys:
    """The keys that were found, or the errors, by key group. Any thread may use it.

    `find` looks for the key of a group. `read_again` reads the files of `find` again.
    """

    def __init__(self, find: Callable[[str], Key], read_again: Callable[[], None]) -> None:
        self._find_key = find
        self._read_again = read_again
        self._keys: dict[str, Key | VideostatError] = {}
        self._renewed: set[str] = set()
        self._lock = threading.Lock()

    def find(self, group: str) -> Key:
        """Return the key of a group. It is looked for at the first call only. Raises KeyMissing and ConfigError."""
        # One lock for all groups: two key commands must not ask for a passphrase at the same time.
        with self._lock:
            if group not in self._keys:
                try:
                    self._keys[group] = self._find_key(group)
                except VideostatError as error:
                    self._keys[group] = error
        found = self._keys[group]
        if isinstance(found, VideostatError):
            # Each raise would make the traceback longer, and every job of the account raises this error.
            raise found.with_traceback(None)
        return found

    def renew(self, group: str, refused: Key) -> bool:
        """Replace a refused key; return whether another one is in use now.

        Files are read and key commands are run again, because a token may have expired during the wait. A new key must
        work once before this is repeated.
        """
        with self._lock:
            known = self._keys.get(group)
            if isinstance(known, Key) and known.value != refused.value:
                return True
            if group in self._renewed or refused.source.startswith("environment"):
                return False
            self._renewed.add(group)
            try:
                self._read_again()
                found = self._find_key(group)
            except VideostatError:
                return False
            self._keys[group] = found
        return found.value != refused.value

    def confirm(self, group: str, key: Key) -> None:
        """Record that a key works. It can then be renewed again."""
        if group in self._renewed:
            with self._lock:
                if self._keys.get(group) == key:
                    self._renewed.discard(group)


def mask(key: str) -> str:
    """Return four stars, and the last four characters of a long key."""
    is_long = len(key) >= 16  # noqa: PLR2004  # four characters of a shorter key would be too many
    return "****" + (key[-4:] if is_long and key.isprintable() else "")


def ask_command(group: str, command: tuple[str, ...]) -> str:
    """Run a key command and return the key that it prints.

    Its stderr is inherited, so that it can ask for a passphrase. Raises KeyMissing and ConfigError.
    """
    import subprocess
    from tempfile import TemporaryFile

    # These have no special meaning without a shell.
    is_for_a_shell = any(re.match(r"[~$|<>&;`]", word) or "$(" in word for word in command)
    hint = (
        "The command runs without a shell: no ~, | or $X. Write: sh -c '...'"
        if is_for_a_shell and command[0] != "sh"
        else None
    )
    advice = "It must print only the key and exit with status 0."
    # A file, because a background process started by the command would keep a pipe open.
    with TemporaryFile() as printed:
        try:
            subprocess.run(  # noqa: S603  # the user's own command, without a shell
                command,
                # The command may ask the user, but it must not read the jobs from a pipe.
                stdin=None if os.isatty(0) else subprocess.DEVNULL,
                stdout=printed,
                timeout=COMMAND_SECONDS,
                check=True,
            )
        except subprocess.TimeoutExpired:
            problem = f"took longer than {COMMAND_SECONDS} seconds"
            advice = f"Run the command yourself: it must end within {COMMAND_SECONDS} seconds."
        except subprocess.CalledProcessError as error:
            problem = f"failed with status {error.returncode}"
        except OSError as error:
            problem = f"could not be started: {error.strerror}"
            advice = "Is the program installed? Write its full path in api_key_command."
        else:
            printed.seek(0)
            output = printed.read(_LONGEST_OUTPUT).decode("utf-8", "replace")
            if output.strip():
                try:
                    return str(parse_value(f"the output of api_key_command for {group}", output, KEY))
                except ConfigError as error:
                    raise ConfigError(str(error), hint=hint or error.hint) from None
            problem = "printed nothing"
    raise KeyMissing(f"the api_key_command of {group} {problem}", hint=hint or advice)
