"""A real pseudo-terminal, with an emulator that shows what was written to it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from threading import Condition, Thread
from typing import TYPE_CHECKING, Self

import pyte

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

SECONDS = 10  # the longest wait
# A window title, which is not shown. When it arrives, all that was written before it has arrived.
MARK = b"\x1b]0;mark\x07"


class Terminal:
    """A terminal. Write to `file` as to stdout or stderr; `text` is all that was written, with the codes."""

    def __init__(self, columns: int = 80, rows: int = 24, encoding: str = "utf-8") -> None:
        self._master, slave = pty.openpty()
        self.file = os.fdopen(slave, "w", encoding=encoding, errors="backslashreplace")
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self._encoding = encoding
        self._came, self._shown = bytearray(), 0
        self._news = Condition()
        self.resize(columns, rows)
        Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def resize(self, columns: int, rows: int) -> None:
        """Change the size as xterm does: cut off what no longer fits."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 1 << 16)
            except OSError:
                os.close(self._master)
                return
            with self._news:
                self._came += piece
                self._news.notify_all()

    @property
    def text(self) -> str:
        """All that was written, with the codes."""
        self.file.flush()
        os.write(self.file.fileno(), MARK)
        with self._news:
            assert self._news.wait_for(lambda: MARK in self._came, SECONDS), "the terminal has hung up"
            at = self._came.index(MARK)
            del self._came[at : at + len(MARK)]
            text = self._came[:at].decode(self._encoding)
        self._stream.feed(text[self._shown :])
        self._shown = len(text)
        return text

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without blank lines at the end."""
        assert self.text is not None
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    @property
    def cursor(self) -> tuple[int, int]:
        """The column and the row of the cursor, from 0."""
        assert self.text is not None
        return self.screen.cursor.x, self.screen.cursor.y

    def run(self, *command: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process in this terminal. A typed Ctrl-C reaches it as a signal."""
        # The first process of a session gets the terminal by opening it, so no code has to run after the fork.
        opening = 'exec "$@" <>"$0" >&0 2>&0'
        shell = ("sh", "-c", opening, os.ttyname(self.file.fileno()))
        return subprocess.Popen([*shell, *command], env=env, start_new_session=True)

    def type(self, keys: str) -> None:
        """Type text on the keyboard."""
        os.write(self._master, keys.encode())

    def wait_until(self, text: str) -> None:
        """Wait until the screen shows a text. Raises AssertionError after SECONDS."""
        until = time.monotonic() + SECONDS
        while text not in "\n".join(self.lines):
            assert time.monotonic() < until, self.lines
            with self._news:
                self._news.wait(0.1)


def rewrap(terminal: Terminal, columns: int) -> Terminal:
    """Show the same screen in a narrower window that wraps the lines again."""
    lines, (column, row) = terminal.lines, terminal.cursor
    narrow = Terminal(columns, terminal.screen.lines)
    narrow.file.write("\n".join(lines[:row]) + "\n" * bool(row))
    narrow.file.flush()
    _, at = narrow.cursor
    narrow.file.write("\n".join(lines[row:]) + f"\x1b[{at + 1};{column + 1}H")
    return narrow
