"""The live rows' place on the screen: where the cursor rests between two frames, and how they are taken away.

Not rich.live.Live: it remembers how many lines it drew and goes up that many, so in a window that got narrower (tmux,
VTE and kitty wrap its lines anew) it leaves pieces of old rows behind; and 20 rows of it take 8 % of a core. Here the
cursor rests where the rows begin, and they are erased from there to the end of the screen. Terminals that wrap lines
anew take the cursor along, and those that cut them (xterm) leave it: it is right in both, with no lines to count.
"""

from __future__ import annotations

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
# A row is never wrapped, not even one that the terminal finds wider than rich does, as it may an emoji.
CUT, WRAP = "\x1b[?7l", "\x1b[?7h"
TO_LINE_END, TO_SCREEN_END = "\x1b[K", "\x1b[J"
# tmux moves to its history what is erased from the very first cell on: hence from the second.
ERASE = f"\r {TO_SCREEN_END}\r"
LEAVE = ERASE + WRAP + SHOW


def frame(lines: list[str], above: str) -> str:
    """Draw the lines over the last ones, or below `above`, which stays; the cursor ends where the first line begins."""
    before = ERASE + above if above else "\r"
    back = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
    return HIDE + before + CUT + f"{TO_LINE_END}\n".join(lines) + TO_SCREEN_END + "\r" + back + WRAP
