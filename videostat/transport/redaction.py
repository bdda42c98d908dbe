"""A service repeats the key in what it complains of: it must reach neither the screen nor the history."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST_KEY = 4  # characters; less could be a word of the answer
REMOVED = "***"


def without_key(text: str, auth: Mapping[str, str]) -> str:
    """The text with each spelling of the key removed: as it is, escaped for JSON, HTML or a URL, in any case."""
    plain, spelling = _key(tuple(auth.values()))
    # Looking for what all spellings share takes a ninth of the time that looking for them does.
    return spelling.sub(REMOVED, text) if _has_any(plain, text) else text


def without_key_inside(value: object, text: str, auth: Mapping[str, str]) -> object:
    """Decoded JSON with the key removed from its strings and names; `text` is what it was decoded of."""
    plain, spelling = _key(tuple(auth.values()))
    # Only an escape can spell in the text what is another thing in the value.
    return _removed(value, spelling) if "\\" in text or _has_any(plain, text) else value


def _has_any(plain: tuple[str, ...], text: str) -> bool:
    lowered = text.lower() if plain else ""
    return any(each in lowered for each in plain)


@lru_cache
def _key(values: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """What every spelling of a key contains, and a pattern of all the spellings."""
    keys = [key for value in values if len(key := value.rpartition(" ")[2]) >= SHORTEST_KEY]
    plain = tuple(max(re.findall(r"[a-z0-9]*", key.lower()), key=len) for key in keys)
    spellings = ("".join(map(_spelling, key)) for key in keys)
    return plain, re.compile("|".join(spellings) or "(?!)", re.IGNORECASE)


def _spelling(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    url = "".join(f"%{byte:02x}" for byte in character.encode())
    spellings = (html.escape(character), character, "\\" + character, f"\\u{ord(character):04x}", url)
    return f"(?:{'|'.join(map(re.escape, spellings))})"


def _removed(value: object, spelling: re.Pattern[str]) -> object:
    match value:
        case str():
            return spelling.sub(REMOVED, value)
        case list():
            return [_removed(inner, spelling) for inner in value]
        case dict():
            return {spelling.sub(REMOVED, name): _removed(inner, spelling) for name, inner in value.items()}
    return value
