"""A service repeats the key in what it complains of: it must reach neither the screen nor the history."""

from __future__ import annotations

import html
import json
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST_KEY = 4  # characters; less could be a word of the answer
REMOVED = "***"


def without_key(text: str, auth: Mapping[str, str]) -> str:
    """Return the text without the key, verbatim or escaped for JSON, a URL or HTML."""
    for spelling in _spellings(tuple(auth.values())):
        text = text.replace(spelling, REMOVED)
    return text


@lru_cache
def _spellings(values: tuple[str, ...]) -> list[str]:
    keys = [key for value in values if len(key := value.rpartition(" ")[2]) >= SHORTEST_KEY]
    spellings = {spell(key) for key in keys for spell in (str, _json, _php, _go, quote, _url, html.escape)}
    # The longest first: one may begin with another.
    return sorted(spellings, key=len, reverse=True)


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _php(text: str) -> str:
    return _json(text).replace("/", r"\/")


def _go(text: str) -> str:
    return _json(text).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _url(text: str) -> str:
    return quote(text, safe="")
