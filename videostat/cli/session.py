"""Open the settings, clock, client and history that a command works with."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from videostat.client import Client
from videostat.clock import Clock
from videostat.config import Settings, load
from videostat.history import History, locate_history
from videostat.render.messages import say
from videostat.render.text import clean_text
from videostat.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Session:
    """The parts that a command works with: settings, clock, client and history."""

    settings: Settings
    clock: Clock
    client: Client
    history: History


@contextmanager
def open_session(
    config: Path | None, *, keep: bool = True, debug: bool = False, allow_private: bool = False
) -> Iterator[Session]:
    """Open configuration, client and history; `keep` is False for --no-history."""
    settings = load(config)
    for warning in settings.warnings:
        _warn(warning)
    clock = Clock()
    history = History(locate_history() if keep and settings.defaults.history else None, warn=_warn)
    transport = Transport(
        clock.now, trace=_trace if debug else None, allow_private=allow_private or settings.defaults.allow_private
    )
    try:
        yield Session(settings, clock, Client(settings, transport, clock), history)
    finally:
        history.close()


def _trace(line: str) -> None:
    say(clean_text(line, longest=None))


def _warn(sentence: str) -> None:
    say(f"videostat: {sentence}")
