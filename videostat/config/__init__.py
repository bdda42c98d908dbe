"""Load settings and accounts from the environment, key commands, credentials.toml and config.toml.

The first of these sources with a value is used, otherwise the service's default. The user writes config.toml;
videostat only reads it, and writes keys to credentials.toml in the same folder.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from videostat.config.file import (
    BASE_URL,
    KEY,
    SECRET,
    SECRETS,
    CannotOpen,
    ConfigFile,
    is_plain_and_public,
    lock_file,
    parse_value,
    read_config,
    read_credentials,
    write_file,
)
from videostat.config.keys import Key, Keys, ask_command, mask
from videostat.errors import ConfigError, KeyMissing, suggest
from videostat.models import DEFAULT_NAME
from videostat.private import find_user_folder, is_without_home
from videostat.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from videostat.providers.base import Provider

_CONFIG = "VIDEOSTAT_CONFIG"
_NO_HISTORY = "VIDEOSTAT_NO_HISTORY"
_FALSE_WORDS = {"", "0", "false", "no", "off", "n", "f"}


@dataclass(frozen=True, slots=True)
class Defaults:
    """The default values of options. Times are in seconds; None means the service's own recommendation."""

    timeout: float | None = None
    interval: float | None = None
    output_dir: Path = Path()
    name: str = DEFAULT_NAME
    parallel: int = 3
    history: bool = True
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What the user types for PROVIDER, with its service, base URL and key.

    `key_group`: the section with the key and the rate limit. Several services may share one.
    `find_key`: returns the key. The first call searches for it. Raises KeyMissing and ConfigError.
    `renew_key`: call it with a refused key. It returns whether another key is in use now.
    `confirm_key`: call it with a key that worked. The three functions may be called from any thread.
    `webhook_secret`: the secret with which the service signs deliveries, None if signatures are not checked.
    """

    name: str
    key_group: str
    provider: Provider
    base_url: str
    max_requests_per_second: float
    find_key: Callable[[], Key] = field(repr=False, compare=False)
    renew_key: Callable[[Key], bool] = field(repr=False, compare=False)
    confirm_key: Callable[[Key], None] = field(repr=False, compare=False)
    webhook_secret: str | None = field(repr=False)


class Setting(NamedTuple):
    """A setting to show to the user, with keys masked. `value` is None if nothing is set."""

    account: str
    key: str
    value: str | None
    source: str


def locate(path: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of config.toml, whether it exists or not."""
    if named := path or environ.get(_CONFIG):
        return Path(os.path.expanduser(named))  # noqa: PTH111 - Path.expanduser() raises without a home
    import platformdirs

    return find_user_folder(platformdirs.user_config_path) / "config.toml"


def load(
    path: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    keys: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """Load the settings. Raises ConfigError, also if the file given by --config or VIDEOSTAT_CONFIG does not exist.

    `keys`: API keys by account, given by the calling program. They are used before all others.
    """
    settings = Settings(locate(path, environ), environ, must_exist=bool(path or environ.get(_CONFIG)))
    settings.use_keys(keys)
    return settings


class Settings:
    """The accounts and the defaults. `warnings`: messages to show to the user once."""

    def __init__(self, path: Path, environ: Mapping[str, str], *, must_exist: bool = False) -> None:
        self.path = path
        self.credentials_path = path.parent / "credentials.toml"
        self.warnings: list[str] = []
        if is_without_home(path):
            self.warnings.append("HOME is not set, so there is no configuration and no history: set HOME")
        config = self._read(partial(read_config, must_exist=must_exist), path, must_exist=must_exist)
        credentials = self._read(read_credentials, self.credentials_path, must_exist=must_exist)
        self._sections, self._stored = config.sections, credentials.sections
        self._default_sources = dict.fromkeys(config.defaults, path.name)
        if environ.get(_NO_HISTORY, "").strip().lower() not in _FALSE_WORDS:
            config.defaults["history"] = False
            self._default_sources["history"] = f"environment variable {_NO_HISTORY}"
        self.defaults = Defaults(**config.defaults)
        self.warnings += filter(None, (config.warning, credentials.warning))
        self._environ = environ
        self._given: dict[str, str] = {}
        self._keys = Keys(self._find_key, self._read_again)
        self.warnings += self._warn_of_plain_http()

    def _read(self, read: Callable[[Path], ConfigFile], path: Path, *, must_exist: bool) -> ConfigFile:
        """Read a file. One that cannot be opened is an error only if the user has named it."""
        try:
            return read(path)
        except CannotOpen as error:
            if must_exist:
                raise
            if not self.warnings:
                self.warnings.append(f"{error}; continuing without it")
            return ConfigFile(path, 0, {}, {})

    def list_names(self) -> list[str]:
        """Return the names of all services and accounts."""
        return [*PROVIDERS, *(name for name in self._sections if name not in PROVIDERS)]

    def get_provider(self, name: str) -> Provider:
        """Return the service of an account. Raises ConfigError for an unknown name."""
        if name not in self.list_names():
            raise ConfigError(
                f"unknown service or account {name!a} (accounts are in {self.path})",
                hint=suggest(name, self.list_names()),
            )
        return PROVIDERS[name if name in PROVIDERS else self._sections[name]["type"]]

    def get_key_group(self, name: str) -> str:
        """Return the section with the key of an account. Raises ConfigError for an unknown name."""
        provider = self.get_provider(name)
        return provider.key_group if name in PROVIDERS else name

    def get_base_url(self, name: str) -> str | None:
        """Return the base URL of an account, None if it is not set. Raises ConfigError for an unknown name."""
        found: str | None = _choose_first(self._list_sources(self.get_key_group(name))["base_url"])[1]
        return found

    def get_account(self, name: str) -> Account:
        """Return an account. Raises ConfigError for an unknown name or a missing base URL."""
        group = self.get_key_group(name)
        found = {key: _choose_first(sources)[1] for key, sources in self._list_sources(group).items()}
        base_url, limit = found["base_url"], found["max_requests_per_second"]
        if not base_url:
            raise ConfigError(
                f"{name} needs a base URL",
                hint=f"Set base_url under [providers.{group}] in {self.path}"
                f"{'' if self.path.exists() else ' (videostat config init writes that file)'}, "
                f"or {_name_variable(group, 'BASE_URL')}.",
            )
        return Account(
            name,
            group,
            self.get_provider(name),
            base_url,
            limit,
            find_key=partial(self._keys.find, group),
            renew_key=partial(self._keys.renew, group),
            confirm_key=partial(self._keys.confirm, group),
            webhook_secret=found.get("webhook_secret"),
        )

    def list_values(self) -> Iterator[Setting]:
        """Yield every setting with its source. Keys are masked, and key commands are not run."""
        for key in (each.name for each in fields(Defaults)):
            value = getattr(self.defaults, key)
            yield Setting("defaults", key, _format_value(key, value), self._default_sources.get(key, "default"))
        for group in dict.fromkeys(map(self.get_key_group, self.list_names())):
            for key, sources in self._list_sources(group).items():
                source, value = _choose_first(sources)
                yield Setting(group, key, _format_value(key, value), source)

    def set_key(self, name: str, key: str) -> None:
        """Save a key in credentials.toml. Raises ConfigError for an unknown name or a key that is not valid."""
        import tomli_w

        group = self.get_key_group(name)
        key = parse_value("the given text", key, KEY)
        comment = (
            "# Written by `videostat config set-key`. Comments in this file are lost: write them in config.toml.\n\n"
        )
        with lock_file(self.credentials_path):
            sections = read_credentials(self.credentials_path).sections | {group: {"api_key": key}}
            write_file(self.credentials_path, comment + tomli_w.dumps({"providers": sections}))

    def _warn_of_plain_http(self) -> Iterator[str]:
        for group in dict.fromkeys(map(self.get_key_group, self.list_names())):
            # An error in a variable is raised when the account is used.
            with suppress(ConfigError):
                base_url = self.get_base_url(group)
                if base_url and is_plain_and_public(base_url):
                    yield f"{group}: {base_url} is not encrypted, so others can read your key on the way; use https"

    def use_keys(self, keys: Mapping[str, str]) -> None:
        """Use these keys before all others. Raises ConfigError for an unknown account or a key that is not valid."""
        for name, key in keys.items():
            group = self.get_key_group(name)
            parse_value(f"the given key of {name}", key, KEY)
            if self._given.setdefault(group, key) != key:
                raise ConfigError(
                    f"{name} shares its key with {group}, but two keys were given", hint=f"Give one for {group}."
                )

    def _list_key_variables(self, group: str) -> list[str]:
        # The service's own variable is not used for other accounts: its key must not go to another server.
        own = [PROVIDERS[group].key_variable] if group in PROVIDERS else []
        return [_name_variable(group, "API_KEY"), *own]

    def _list_sources(self, group: str) -> dict[str, list[tuple[str, Any]]]:
        """Return the possible sources of each value, in order of precedence."""
        provider, section, stored = self.get_provider(group), self._sections.get(group, {}), self._stored.get(group, {})
        variable = f"environment variable {_name_variable(group, 'BASE_URL')}"
        base_url = self._environ.get(_name_variable(group, "BASE_URL"))
        paths = [path for each in PROVIDERS.values() if each.key_group == provider.key_group for path in each.paths]
        sources = {
            "api_key": [
                ("the program", self._given.get(group)),
                *(
                    (f"environment variable {name}", self._environ.get(name, "").strip())
                    for name in self._list_key_variables(group)
                ),
                ("api_key_command", section.get("api_key_command")),
                (self.credentials_path.name, stored.get("api_key")),
                (self.path.name, section.get("api_key")),
            ],
            "base_url": [
                (variable, base_url and _strip_paths(parse_value(variable, base_url, BASE_URL), paths)),
                (self.path.name, _strip_paths(section.get("base_url", ""), paths)),
                ("service default", provider.base_url),
            ],
            "max_requests_per_second": [
                (self.path.name, section.get("max_requests_per_second")),
                ("service default", provider.max_requests_per_second),
            ],
        }
        if provider.webhook and provider.webhook.signature:
            variable = f"environment variable {_name_variable(group, 'WEBHOOK_SECRET')}"
            secret = self._environ.get(_name_variable(group, "WEBHOOK_SECRET"))
            sources["webhook_secret"] = [
                (variable, secret and parse_value(variable, secret, SECRET)),
                (self.path.name, section.get("webhook_secret")),
            ]
        return sources

    def _read_again(self) -> None:
        self._sections = read_config(self.path, must_exist=False).sections
        self._stored = read_credentials(self.credentials_path).sections

    def _find_key(self, group: str) -> Key:
        source, value = _choose_first(self._list_sources(group)["api_key"])
        if not value:
            variables = self._list_key_variables(group)
            empty = next((f": {name} is set, but empty" for name in variables if name in self._environ), "")
            raise KeyMissing(
                f"no key is configured{empty}",
                hint=f"Get the key from {self.get_provider(group).key_source}. "
                f"Then run `videostat config set-key {group}`, or set {' or '.join(variables)}, "
                f"or api_key under [providers.{group}] in {self.path}.",
            )
        if isinstance(value, tuple):
            return Key(ask_command(group, value), source)
        return Key(parse_value(f"the value in {source} for {group}", value, KEY), source)


def _name_variable(group: str, key: str) -> str:
    return f"VIDEOSTAT_{group.upper().replace('-', '_')}_{key}"


def _strip_paths(base_url: str, paths: Iterable[str]) -> str:
    """Remove endpoint paths from a base URL. People paste `.../v1` or a whole endpoint."""
    scheme, _, rest = base_url.partition("://")
    host, *parts = rest.split("/")
    for path in paths:
        added = path.strip("/").split("/")
        for count in range(min(len(added), len(parts)), 0, -1):
            if all(mine in {"{id}", theirs} for mine, theirs in zip(added, parts[-count:], strict=False)):
                parts = parts[:-count]
                break
    return "/".join((f"{scheme}://{host}", *parts)) if base_url else ""


def _choose_first(sources: list[tuple[str, Any]]) -> tuple[str, Any]:
    """Return the first source that has a value, and the value. An empty variable does not count."""
    return next(((source, value) for source, value in sources if value), ("not set", None))


def _format_value(key: str, value: object) -> str | None:
    if value is None:
        return None
    if key in SECRETS:
        # A command is hidden completely, because its arguments may contain the key.
        return mask(value if isinstance(value, str) else "")
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)
