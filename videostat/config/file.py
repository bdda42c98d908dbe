"""What config.toml and credentials.toml may hold: read, checked and written.

No message shows a value: a key pasted into the wrong place must not reach the screen.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from videostat.clock import parse_duration
from videostat.errors import ConfigError, suggest
from videostat.private import write_private_file
from videostat.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_KEY = re.compile(r"[!#-&(-~]+")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]+")
_BASE_URL = re.compile(
    r"(?P<origin>https?://(?:[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>\d{1,5}))?)"
    r"(?P<prefix>(?:/[\w.~%!$&'()*+,;=:@-]+)*)/*",
    re.ASCII | re.IGNORECASE,
)


class ConfigFile(NamedTuple):
    """A file as it was read, without defaults: the accounts' `sections` by name, and the `defaults`."""

    path: Path
    mode: int
    sections: dict[str, dict[str, Any]]
    defaults: dict[str, Any]

    @property
    def is_exposed(self) -> bool:
        """It holds a key, and others can read or change it."""
        return bool(self.mode & _OTHERS) and any("api_key" in section for section in self.sections.values())


class Kind(NamedTuple):
    """What a value may be; `parse` raises TypeError, ValueError or RuntimeError for all but what it `means`."""

    parse: Callable[[Any], Any]
    means: str


def _between(low: float, high: float, value: float) -> float:
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError
    return value


def _instance(kind: type, value: object) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _matching(pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError
    return value


def _service(value: str) -> str:
    if value not in PROVIDERS:
        raise ValueError
    return value


def _command(value: str) -> tuple[str, ...]:
    words = tuple(shlex.split(_matching(_TEXT, value)))
    if not words:
        raise ValueError
    return words


def _base_url(value: str) -> str:
    match = _BASE_URL.fullmatch(value)
    if not match:
        raise ValueError
    _between(1, 65535, int(match["port"] or 1))
    if match["ipv6"]:
        IPv6Address(match["ipv6"])
    return match["origin"].lower() + match["prefix"]


KEY = Kind(partial(_matching, _KEY), "a key without spaces, quotes, line breaks, control or non-ASCII characters")
BASE_URL = Kind(_base_url, "an address like https://gateway.example.com/prefix, without user, password or query")

_TABLE = Kind(partial(_instance, dict), "a table")
DURATION = Kind(
    lambda value: parse_duration(str(value)), "a duration: 90 (seconds), 45s, 10m, 1h30m or 7d, ten years at most"
)
_FILE = {"defaults": _TABLE, "providers": _TABLE}
_DEFAULTS = {
    "timeout": DURATION,
    "interval": DURATION,
    "output_dir": Kind(lambda value: Path(_matching(_TEXT, value)).expanduser(), "the path of a folder"),
    "name": Kind(partial(_matching, _TEXT), "a template like {provider}-{id}.{ext}"),
    "parallel": Kind(lambda value: _between(1, 32, _instance(int, value)), "a whole number from 1 to 32"),
    "history": Kind(partial(_instance, bool), "true or false"),
}
_SECTION = {
    "type": Kind(_service, f"one of {', '.join(PROVIDERS)}"),
    "base_url": BASE_URL,
    "api_key": KEY,
    "api_key_command": Kind(_command, "a command and its arguments"),
    "max_requests_per_second": Kind(partial(_between, 0.001, 1000), "a number from 0.001 to 1000"),
}


def parse(where: str, value: object, kind: Kind) -> Any:
    """What the value means; raises ConfigError, which says where it stands and never what it is."""
    try:
        return kind.parse(value)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"{where} must be {kind.means}") from None


def read_config(path: Path, *, must_exist: bool) -> ConfigFile:
    """What the person has written; raises ConfigError."""
    tables, mode = _read(path, must_exist=must_exist)
    tables = _parse_table(path, "", tables, _FILE)
    sections = _parse_sections(path, tables, _SECTION)
    for name, section in sections.items():
        _check_name(path, name, section.get("type"))
    defaults = _parse_table(path, "defaults.", tables.get("defaults", {}), _DEFAULTS)
    return ConfigFile(path, mode, sections, defaults)


def read_credentials(path: Path) -> ConfigFile:
    """The keys the program has kept; raises ConfigError."""
    tables, mode = _read(path, must_exist=False)
    tables = _parse_table(path, "", tables, {"providers": _TABLE})
    return ConfigFile(path, mode, _parse_sections(path, tables, {"api_key": KEY}), {})


def write_file(path: Path, text: str) -> None:
    """Write a private file whole; raises ConfigError."""
    try:
        write_private_file(path, text)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None


def _parse_table(path: Path, prefix: str, table: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any]:
    for key in table:
        if key not in kinds:
            raise ConfigError(f"{path}: {prefix}{key} is not known", hint=suggest(key, kinds))
    return {key: parse(f"{path}: {prefix}{key}", value, kinds[key]) for key, value in table.items()}


def _parse_sections(path: Path, tables: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, dict[str, Any]]:
    return {
        name: _parse_table(path, f"providers.{name}.", parse(f"{path}: providers.{name}", section, _TABLE), kinds)
        for name, section in tables.get("providers", {}).items()
    }


def _check_name(path: Path, name: str, service: str | None) -> None:
    where = f"{path}: providers.{name}"
    if name not in PROVIDERS:
        parse(
            where,
            name,
            Kind(partial(_matching, _NAME), "named with lower-case letters, digits and hyphens, at most 64"),
        )
        if not service:
            raise ConfigError(
                f"{where} is no service, and has no type",
                hint=f"{suggest(name, PROVIDERS)} An account with a name of your own needs the type of its service.",
            )
    elif (group := PROVIDERS[name].key_group) != name:
        raise ConfigError(f"{where} shares its key with {group}", hint=f"Write it under [providers.{group}].")
    elif service not in {None, name}:
        raise ConfigError(f"{where} is named after one service and has the type of another", hint="Rename the section.")


def _read(path: Path, *, must_exist: bool) -> tuple[dict[str, Any], int]:
    """The tables of a TOML file and its mode; an absent file is empty."""
    import tomllib

    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            # Windows editors put a byte order mark first, which tomllib refuses.
            return tomllib.loads(file.read().decode("utf-8-sig")), mode
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not must_exist:
            return {}, 0
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path} is not TOML that one can read: it is nested too deeply") from None
