"""Build the control codes that draw and erase the live rows.

Between two frames the cursor stays where the rows begin, so they can be erased from there to the end of the screen
without counting lines. After a resize this position is still right: terminals that rewrap lines (tmux, VTE, kitty) move
the cursor with them, and terminals that cut lines (xterm) do not move it.

rich.live.Live is not used: it counts the lines it drew and moves up by that number, so it leaves parts of old rows
behind in a window that became narrower. It also needs 8 % of a core for 20 rows.
"""

from __future__ import annotations

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
# Turn line wrapping off while rows are drawn: the terminal may take a row, such as one with an emoji, for wider than
# rich does.
CUT, WRAP = "\x1b[?7l", "\x1b[?7h"
TO_LINE_END, TO_SCREEN_END = "\x1b[K", "\x1b[J"
# Erase from the second cell on: tmux moves a screen that is erased from its first cell into its history.
ERASE = f"\r {TO_SCREEN_END}\r"
LEAVE = ERASE + WRAP + SHOW


def build_frame(lines: list[str], above: str) -> str:
    """Build the text that draws `lines` over the last frame.

    The finished lines of `above` stay on the screen above them. The cursor ends where the first of `lines` begins.
    """
    before = ERASE + above if above else "\r"
    back = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
    return HIDE + before + CUT + f"{TO_LINE_END}\n".join(lines) + TO_SCREEN_END + "\r" + back + WRAP
