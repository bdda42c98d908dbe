"""Remove the API key from answers: services repeat it in error messages."""

from __future__ import annotations

import html
import json
from functools import lru_cache, partial
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST_KEY = 4  # characters; a shorter key could be a normal word of the answer
REMOVED = "***"


def redact_key(text: str, auth: Mapping[str, str]) -> str:
    """Remove the key from a text, also escaped for JSON, URLs or HTML."""
    for spelling in _list_spellings(tuple(auth.values())):
        text = text.replace(spelling, REMOVED)
    return text


@lru_cache
def _list_spellings(values: tuple[str, ...]) -> list[str]:
    keys = [key for value in values if len(key := value.rpartition(" ")[2]) >= SHORTEST_KEY]
    spellings = {
        escape(key)
        for key in keys
        for escape in (str, _escape_json, _escape_php, _escape_go, quote, partial(quote, safe=""), html.escape)
    }
    # The longest first, because one spelling may begin with another.
    return sorted(spellings, key=len, reverse=True)


def _escape_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _escape_php(text: str) -> str:
    return _escape_json(text).replace("/", r"\/")


def _escape_go(text: str) -> str:
    return _escape_json(text).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
