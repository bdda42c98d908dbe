"""Read, check and write config.toml and credentials.toml.

No message shows a value, because a user may have pasted a key in the wrong place.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from videostat.clock import parse_duration
from videostat.errors import ConfigError, suggest
from videostat.private import is_without_home, lock_folder, write_private_file
from videostat.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Settings that are never shown.
SECRETS = {"api_key", "webhook_secret"}

_WRITERS = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = _WRITERS | stat.S_IRGRP | stat.S_IROTH

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_KEY = re.compile(r"[!#-&(-~]+")
_BEARER = re.compile(r"(?:authorization:\s*)?bearer\s+", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?:export\s+)?[A-Z][A-Z0-9_]*=.*[^=].*", re.DOTALL)
_HEADER = re.compile(r"[A-Za-z][A-Za-z-]*:\s.*", re.DOTALL)
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]\w*\}?", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]+")
_BASE_URL = re.compile(
    r"(?P<origin>https?://(?:[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>\d{1,5}))?)"
    r"(?P<prefix>(?:/[\w.~%!$&'()*+,;=:@-]+)*)/*",
    re.ASCII | re.IGNORECASE,
)


class CannotOpen(ConfigError):
    """The file cannot be opened."""


class ConfigFile(NamedTuple):
    """A file's content: the `sections` of accounts by name, and the `defaults`."""

    path: Path
    mode: int
    sections: dict[str, dict[str, Any]]
    defaults: dict[str, Any]

    @property
    def warning(self) -> str | None:
        """A warning about the permissions of this file, None if they are safe."""
        held = {key for section in self.sections.values() for key in section}
        cure = f"chmod 600 {shlex.quote(str(self.path))}"
        if self.mode & _OTHERS and SECRETS & held:
            return f"{self.path} holds a key, and others can read or change it: {cure}"
        if self.mode & _WRITERS and "api_key_command" in held:
            return f"{self.path} can be changed by others, who could run commands as you: {cure}"
        if self.mode & _WRITERS and "base_url" in held:
            return f"{self.path} can be changed by others, who could have your key sent elsewhere: {cure}"
        return None


class Rule(NamedTuple):
    """A rule for one setting. `parse` converts a value or raises; `means` completes the message "must be ...".

    `parse` raises TypeError, ValueError or RuntimeError.
    """

    parse: Callable[[Any], Any]
    means: str


def _check_between(low: float, high: float, value: float) -> float:
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError
    return value


def _check_type(kind: type, value: object) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _check_pattern(pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError
    return value


def _parse_service(value: str) -> str:
    if value not in PROVIDERS:
        raise ValueError
    return value


def _parse_command(value: str) -> tuple[str, ...]:
    words = tuple(shlex.split(_check_pattern(_TEXT, value)))
    if not words:
        raise ValueError
    return words


def _parse_folder(value: str) -> Path:
    if _ADDRESS.match(_check_pattern(_TEXT, value)):
        raise ValueError
    return Path(value).expanduser()


def _parse_base_url(value: str) -> str:
    match = _BASE_URL.fullmatch(value)
    if not match:
        raise ValueError
    _check_between(1, 65535, int(match["port"] or 1))
    if match["ipv6"]:
        IPv6Address(match["ipv6"])
    return match["origin"].lower() + match["prefix"]


# Domains of private networks: https://www.iana.org/assignments/special-use-domain-names, and those that companies use.
_INNER = (".local", ".localhost", ".internal", ".intranet", ".lan", ".corp", ".home", ".home.arpa", ".test", ".example")


def is_plain_and_public(base_url: str) -> bool:
    """Tell whether a base URL is plain http to a public host, judged by its name."""
    match = _BASE_URL.fullmatch(base_url)
    if not match or not base_url.startswith("http://"):
        return False
    host = match["ipv6"] or match["origin"].removeprefix("http://").partition(":")[0]
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_INNER)


class _Unfit(ValueError):
    """A value is not valid. The message does not show the value."""


def _parse_key(value: str) -> str:
    """Clean and check a key. Spaces around it and a prefix such as "Bearer" are removed."""
    key = _BEARER.sub("", _check_pattern(_ANY, value).strip().removeprefix("\ufeff"), count=1)
    # The order matters: the first reason that applies is shown.
    reasons = {
        "is empty": not key,
        "is JSON, not a bare key": key.startswith(("{", "[")) and key.endswith(("}", "]")),
        "is a private key or a certificate, not an API key": key.startswith("-----BEGIN"),
        f"has {len(key.splitlines())} lines instead of one": len(key.splitlines()) > 1,
        "is NAME=KEY: remove the name and the =": _ASSIGNMENT.fullmatch(key),
        "is a whole header: remove the name of the header": _HEADER.fullmatch(key),
        "is in quotes: remove them": key[:1] in _QUOTES and key[-1:] in _QUOTES,
        "is the name of a variable that no shell has replaced": _VARIABLE.fullmatch(key),
        "contains a space": any(each.isspace() for each in key),
        "contains a quote": any(each in "'\"" for each in key),
        "contains a control character": any(ord(each) < ord(" ") or each == "\x7f" for each in key),
        "contains a non-ASCII character": not key.isascii(),
    }
    if reason := next((reason for reason, holds in reasons.items() if holds), None):
        raise _Unfit(reason)
    return _check_pattern(_KEY, key)


_ANY = re.compile(r".*", re.DOTALL)
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_WITHOUT = "without spaces, quotes, line breaks, control or non-ASCII characters"
KEY = Rule(_parse_key, f"a key {_WITHOUT}")
SECRET = Rule(_parse_key, f"a secret {_WITHOUT}")
BASE_URL = Rule(_parse_base_url, "an address like https://gateway.example.com/prefix, without user, password or query")

_TABLE = Rule(partial(_check_type, dict), "a section, such as [defaults] or [providers.jogg]")
DURATION = Rule(
    lambda value: parse_duration(str(value)), "a duration: 90 (seconds), 45s, 10m, 1h30m or 7d, ten years at most"
)
_FILE = {"defaults": _TABLE, "providers": _TABLE}
_DEFAULTS = {
    "timeout": DURATION,
    "interval": DURATION,
    "output_dir": Rule(_parse_folder, "the path of a folder"),
    "name": Rule(partial(_check_pattern, _TEXT), "a template like {provider}-{id}.{ext}"),
    "parallel": Rule(lambda value: _check_between(1, 32, _check_type(int, value)), "a whole number from 1 to 32"),
    "history": Rule(partial(_check_type, bool), "true or false"),
    "allow_private": Rule(partial(_check_type, bool), "true or false"),
}
_SECTION = {
    "type": Rule(_parse_service, f"one of {', '.join(PROVIDERS)}"),
    "base_url": BASE_URL,
    "api_key": KEY,
    "api_key_command": Rule(_parse_command, "a command and its arguments"),
    "webhook_secret": SECRET,
    "max_requests_per_second": Rule(partial(_check_between, 0.001, 1000), "a number from 0.001 to 1000"),
}


def parse_value(where: str, value: object, rule: Rule) -> Any:
    """Convert a value by its rule. `where` names it in errors. Raises ConfigError, which does not show the value."""
    try:
        return rule.parse(value)
    except _Unfit as error:
        raise ConfigError(f"{where} {error}", hint=f"It must be {rule.means}.") from None
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"{where} must be {rule.means}") from None


def read_config(path: Path, *, must_exist: bool) -> ConfigFile:
    """Read config.toml. Raises ConfigError."""
    tables, mode = _read(path, must_exist=must_exist)
    tables = _parse_table(path, "", tables, _FILE)
    sections = _parse_sections(path, tables, _SECTION)
    for name, section in sections.items():
        _check_name(path, name, section.get("type"))
        provider = PROVIDERS[section.get("type", name)]
        if "webhook_secret" in section and not (provider.webhook and provider.webhook.signature):
            raise ConfigError(
                f"{path}: providers.{name}.webhook_secret cannot be used: {name} has no signed webhooks",
                hint=f"Remove this line. For a secret path: videostat wait {name} ID --listen 8080",
            )
    defaults = _parse_table(path, "defaults.", tables.get("defaults", {}), _DEFAULTS)
    return ConfigFile(path, mode, sections, defaults)


def read_credentials(path: Path) -> ConfigFile:
    """Read credentials.toml. Raises ConfigError."""
    tables, mode = _read(path, must_exist=False)
    tables = _parse_table(path, "", tables, {"providers": _TABLE})
    return ConfigFile(path, mode, _parse_sections(path, tables, {"api_key": KEY}), {})


def write_file(path: Path, text: str) -> None:
    """Write a private file atomically. A symbolic link is followed. Raises ConfigError."""
    _ensure_home(path)
    try:
        write_private_file(path, text)
    except OSError as error:
        raise _make_write_error(path, error) from None


def _make_write_error(path: Path, error: OSError) -> ConfigError:
    hint = f"Check that {path.parent} is a folder to which you may write, and that the disk is not full."
    return ConfigError(f"cannot write {path}: {error.strerror}", hint=hint)


def _ensure_home(path: Path) -> None:
    if is_without_home(path):
        raise ConfigError("there is no home folder to write to", hint="Set HOME, or name a file with --config.")


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Lock a file against other videostat processes while the block runs. Raises ConfigError."""
    _ensure_home(path)
    try:
        with lock_folder(path.parent):
            yield
    except OSError as error:
        raise _make_write_error(path, error) from None


def _parse_table(path: Path, prefix: str, table: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    for key in table:
        if key not in rules:
            raise ConfigError(f"{path}: unknown setting {prefix}{key}", hint=suggest(key, rules))
    return {key: parse_value(f"{path}: {prefix}{key}", value, rules[key]) for key, value in table.items()}


def _parse_sections(path: Path, tables: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, dict[str, Any]]:
    return {
        name: _parse_table(path, f"providers.{name}.", parse_value(f"{path}: providers.{name}", section, _TABLE), rules)
        for name, section in tables.get("providers", {}).items()
    }


def _check_name(path: Path, name: str, service: str | None) -> None:
    where = f"{path}: providers.{name}"
    if name not in PROVIDERS:
        parse_value(
            where,
            name,
            Rule(partial(_check_pattern, _NAME), "named with lower-case letters, digits and hyphens, at most 64"),
        )
        if not service:
            raise ConfigError(
                f"{where} is not a service, so it needs a type",
                hint=f'{suggest(name, PROVIDERS)} For an account of your own, add a line such as: type = "doubao"',
            )
    elif (group := PROVIDERS[name].key_group) != name:
        raise ConfigError(
            f"{where} cannot be set: it uses the settings of {group}",
            hint=f"Write the settings under [providers.{group}].",
        )
    elif service not in {None, name}:
        raise ConfigError(
            f"{where} has type {service}, but {name} is the name of another service",
            hint=f"Use another name, such as [providers.my-{service}].",
        )


_CORRECT = "Correct the file, then run the command again."


def _read(path: Path, *, must_exist: bool) -> tuple[dict[str, Any], int]:
    """Read the tables of a TOML file, and its mode. A missing file counts as empty unless it must exist."""
    import tomllib

    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            # Windows editors write a byte order mark, which tomllib refuses.
            return tomllib.loads(file.read().decode("utf-8-sig")), mode
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not must_exist:
            return {}, 0
        is_missing = isinstance(error, FileNotFoundError)
        hint = f"To write one: videostat config init --config {shlex.quote(str(path))}" if is_missing else None
        raise CannotOpen(f"cannot read {path}: {error.strerror}", hint=hint) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not valid UTF-8", hint="Save it as UTF-8.") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint=_CORRECT) from None
    except RecursionError:
        raise ConfigError(f"{path} cannot be parsed: it is nested too deeply", hint=_CORRECT) from None
