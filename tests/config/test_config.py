"""Settings: which source wins, what is refused, how keys are stored, and which warnings are given."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
import time
import tomllib
import traceback
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from videostat import config
from videostat.config import Defaults, load
from videostat.config.file import _DEFAULTS, _SECTION, lock_file, write_file
from videostat.config.keys import Key, Keys, mask
from videostat.errors import ConfigError, ExitCode, KeyMissing, VideostatError
from videostat.providers import PROVIDERS
from videostat.sandbox.services import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from videostat.config import Settings

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
CANARY = "canary-0123456789-yellow"
GATEWAY = 'type = "doubao"\nbase_url = "https://eu.example.com"\n'


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Return a function that loads settings from the texts of the two files and the environment."""

    def configure(text: str = "", stored: str = "", *, timeout: float = 30, **environ: str) -> Settings:
        for name, content in (("config.toml", text), ("credentials.toml", stored)):
            (tmp_path / name).write_text(content)
            (tmp_path / name).chmod(0o600)
        monkeypatch.setattr("videostat.config.keys.COMMAND_SECONDS", timeout)
        return load(tmp_path / "config.toml", environ)

    return configure


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def format_error(error: VideostatError) -> str:
    """Return all text of an error that a user, a log or a traceback could show."""
    return "".join(traceback.format_exception(error)) + str(error.hint)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# --- which value wins

KEY_SOURCES = {
    "environment variable VIDEOSTAT_REELBOT_API_KEY": "key-of-ours",
    "environment variable REELBOT_API_KEY": "key-of-theirs",
    "api_key_command": "key-of-command",
    "credentials.toml": "credential-key",
    "config.toml": "key-of-config",
}


@pytest.mark.parametrize("sources", [pair for n in (1, 2, 5) for pair in combinations(KEY_SOURCES, n)])
def test_the_strongest_source_of_a_key_wins(configure: Callable[..., Settings], sources: tuple[str, ...]) -> None:
    keys = {source: KEY_SOURCES[source] for source in sources}
    environ = {source.split()[-1]: key for source, key in keys.items() if source.startswith("environment")}
    command = f'api_key_command = "echo {keys["api_key_command"]}"\n' if "api_key_command" in keys else ""
    plain = f'api_key = "{keys["config.toml"]}"\n' if "config.toml" in keys else ""
    stored = f'[providers.reelbot]\napi_key = "{keys["credentials.toml"]}"' if "credentials.toml" in keys else ""
    settings = configure(f"[providers.reelbot]\n{command}{plain}", stored, **environ)
    assert settings.get_account("reelbot").find_key() == Key(KEY_SOURCES[sources[0]], sources[0])
    assert find_value(settings, "reelbot", "api_key") == ("****", sources[0])


URL_SOURCES = {
    "environment variable VIDEOSTAT_JOGG_BASE_URL": "http://127.0.0.1:8080",
    "config.toml": "https://proxy.example.com/jogg",
    "service default": "https://api.jogg.ai",
}


@pytest.mark.parametrize("sources", [pair for n in (0, 1, 2) for pair in combinations(list(URL_SOURCES)[:2], n)])
@pytest.mark.parametrize("name", ["jogg", "jogg-avatar", "jogg-product"])
def test_the_strongest_source_of_a_base_url_wins(
    configure: Callable[..., Settings], name: str, sources: tuple[str, ...]
) -> None:
    environ = {source.split()[-1]: URL_SOURCES[source] for source in sources if source.startswith("environment")}
    written = f'base_url = "{URL_SOURCES["config.toml"]}"' if "config.toml" in sources else ""
    settings = configure(f"[providers.jogg]\n{written}", **environ)
    winner = next(iter([*sources, "service default"]))
    assert settings.get_account(name).base_url == URL_SOURCES[winner]
    assert find_value(settings, "jogg", "base_url") == (URL_SOURCES[winner], winner)


def find_value(settings: Settings, account: str, key: str) -> tuple[str | None, str]:
    (row,) = [row for row in settings.list_values() if (row.account, row.key) == (account, key)]
    return row.value, row.source


def test_empty_variable_counts_as_unset(configure: Callable[..., Settings]) -> None:
    empty = dict.fromkeys(
        ["VIDEOSTAT_JOGG_API_KEY", "JOGG_API_KEY", "VIDEOSTAT_JOGG_BASE_URL", "VIDEOSTAT_NO_HISTORY"], ""
    )
    settings = configure('[providers.jogg]\napi_key = "from-file"', **empty)
    assert settings.get_account("jogg").find_key().source == "config.toml"
    assert settings.get_account("jogg").base_url == "https://api.jogg.ai"
    assert settings.defaults.history


def test_services_of_one_account_share_its_key_and_its_limit(configure: Callable[..., Settings]) -> None:
    settings = configure('[providers.jogg]\napi_key = "shared"\nmax_requests_per_second = 2.5')
    accounts = [settings.get_account(name) for name in ("jogg", "jogg-avatar", "jogg-product")]
    assert [account.name for account in accounts] == ["jogg", "jogg-avatar", "jogg-product"]
    assert {account.key_group for account in accounts} == {"jogg"}
    assert {account.find_key().value for account in accounts} == {"shared"}
    assert {account.max_requests_per_second for account in accounts} == {2.5}
    assert [account.provider for account in accounts] == [PROVIDERS[account.name] for account in accounts]


def test_account_without_a_section_has_the_service_defaults(configure: Callable[..., Settings]) -> None:
    account = configure().get_account("reelbot")
    assert (account.key_group, account.base_url) == ("reelbot", "https://reelbot.space")
    assert account.max_requests_per_second == PROVIDERS["reelbot"].max_requests_per_second


# --- custom accounts: sections with a name chosen by the user


def test_custom_account_is_separate_from_its_service(configure: Callable[..., Settings]) -> None:
    settings = configure(
        f'[providers.doubao]\nbase_url = "https://a.example.com"\napi_key = "a"\n[providers.eu-gateway]\n{GATEWAY}'
        f'api_key = "b"\nmax_requests_per_second = 20'
    )
    account = settings.get_account("eu-gateway")
    assert (account.name, account.key_group, account.provider) == ("eu-gateway", "eu-gateway", PROVIDERS["doubao"])
    assert (account.base_url, account.max_requests_per_second) == ("https://eu.example.com", 20)
    assert account.find_key().value == "b"
    assert settings.get_account("doubao").find_key().value == "a"
    assert settings.list_names() == [*PROVIDERS, "eu-gateway"]


def test_custom_account_ignores_the_variables_of_its_service(configure: Callable[..., Settings]) -> None:
    text = f'[providers.doubao]\nbase_url = "https://a.example.com"\napi_key = "of-doubao"\n[providers.eu]\n{GATEWAY}'
    theirs = {"DOUBAO_API_KEY": CANARY, "VIDEOSTAT_DOUBAO_API_KEY": CANARY, "VIDEOSTAT_DOUBAO_BASE_URL": "http://x"}
    account = configure(text, '[providers.doubao]\napi_key = "stored"', **theirs).get_account("eu")
    assert account.base_url == "https://eu.example.com"
    with pytest.raises(KeyMissing) as caught:
        account.find_key()
    assert "VIDEOSTAT_EU_API_KEY" in format_error(caught.value)
    assert "DOUBAO_API_KEY" not in format_error(caught.value)


def test_custom_account_has_its_own_variables(configure: Callable[..., Settings]) -> None:
    ours = {"VIDEOSTAT_EU_GATEWAY_API_KEY": "mine", "VIDEOSTAT_EU_GATEWAY_BASE_URL": "http://eu.local:3000/"}
    account = configure('[providers.eu-gateway]\ntype = "doubao"', **ours).get_account("eu-gateway")
    assert (account.base_url, account.find_key().value) == ("http://eu.local:3000", "mine")


# --- what is missing or unknown


def test_missing_key_hint_names_variables_setting_and_command(
    configure: Callable[..., Settings], tmp_path: Path
) -> None:
    account = configure().get_account("jogg-avatar")
    with pytest.raises(KeyMissing, match="no key is configured") as caught:
        account.find_key()
    assert caught.value.exit_code is ExitCode.KEY
    for words in (
        "videostat config set-key jogg`",
        "VIDEOSTAT_JOGG_API_KEY or JOGG_API_KEY",
        "api_key under [providers.jogg]",
        str(tmp_path / "config.toml"),
    ):
        assert words in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "name", "variable"),
    [
        ("", "doubao", "VIDEOSTAT_DOUBAO_BASE_URL"),
        ('[providers.eu-gateway]\ntype = "doubao"', "eu-gateway", "VIDEOSTAT_EU_GATEWAY_BASE_URL"),
    ],
)
def test_missing_base_url_hint_names_setting_and_variable(
    configure: Callable[..., Settings], text: str, name: str, variable: str
) -> None:
    settings = configure(text)
    with pytest.raises(ConfigError, match=f"{name} needs a base URL") as caught:
        settings.get_account(name)
    assert f"base_url under [providers.{name}]" in str(caught.value.hint)
    assert variable in str(caught.value.hint)
    assert find_value(settings, name, "base_url") == (None, "not set")


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("jog", "jogg"),
        ("JOGG", "jogg"),
        ("reelbit", "reelbot"),
        ("eu-gatway", "eu-gateway"),
        ("jogg-avatr", "jogg-avatar"),
    ],
)
def test_unknown_name_suggests_the_nearest_one(configure: Callable[..., Settings], typed: str, nearest: str) -> None:
    settings = configure(f"[providers.eu-gateway]\n{GATEWAY}")
    with pytest.raises(ConfigError, match=f"unknown service or account '{typed}'") as caught:
        settings.get_account(typed)
    assert caught.value.hint == f"Did you mean {nearest}?"
    assert caught.value.exit_code is ExitCode.USAGE


def test_unknown_name_without_a_near_one_lists_all_names(configure: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError, match=r"'\\x1b\[2J'") as caught:
        configure().get_key_group("\x1b[2J")
    assert caught.value.hint == f"Known are {', '.join(PROVIDERS)}."


# --- the key command


def write_counting_command(path: Path, then: str) -> str:
    return f"""[providers.jogg]\napi_key_command = "sh -c 'echo run >> {path}; {then}'"\n"""


@pytest.mark.parametrize("then", ["echo the-key", "exit 7"])
def test_a_key_command_runs_once_for_many_threads_even_if_it_fails(
    configure: Callable[..., Settings], tmp_path: Path, then: str
) -> None:
    settings = configure(write_counting_command(tmp_path / "runs", then))
    accounts = [settings.get_account(name) for name in ("jogg", "jogg-avatar", "jogg-product")] * 4
    assert not (tmp_path / "runs").exists()
    at_once = threading.Barrier(len(accounts))
    answers: list[str] = []

    def ask(key: Callable[[], Key]) -> None:
        at_once.wait()
        try:
            answers.append(key().value)
        except KeyMissing as error:
            answers.append(str(error))

    threads = [threading.Thread(target=ask, args=[account.find_key]) for account in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "runs").read_text() == "run\n"
    assert len(answers) == len(accounts)
    assert set(answers) == {"the-key" if then == "echo the-key" else "the api_key_command of jogg failed with status 7"}


def test_showing_the_settings_runs_no_key_command(configure: Callable[..., Settings], tmp_path: Path) -> None:
    settings = configure(write_counting_command(tmp_path / "runs", f"echo {CANARY}"))
    assert find_value(settings, "jogg", "api_key") == ("****", "api_key_command")
    assert not (tmp_path / "runs").exists()


def test_traceback_of_a_repeated_key_error_does_not_grow(configure: Callable[..., Settings]) -> None:
    key = configure('[providers.jogg]\napi_key_command = "false"').get_account("jogg").find_key
    lengths = set()
    for _ in range(3):
        with pytest.raises(KeyMissing) as caught:
            key()
        lengths.add(len(list(traceback.walk_tb(caught.value.__traceback__))))
    assert len(lengths) <= 2  # the first one is raised at a deeper level


@pytest.mark.parametrize(
    ("command", "problem", "hint"),
    [
        (f"sh -c 'echo {CANARY}; echo {CANARY} >&2; exit 3'", "failed with status 3", "print only the key"),
        (f"sh -c 'echo {CANARY}; kill -9 $$'", "failed with status -9", "print only the key"),
        (f"/nonexistent/{CANARY}", "could not be started: No such file or directory", "Is the program installed?"),
        (f"sh -c 'echo {CANARY}; exec sleep 60'", "took longer than 0.2 seconds", "must end within 0.2 seconds"),
        ("true", "printed nothing", "print only the key"),
        ("echo", "printed nothing", "print only the key"),
    ],
)
def test_failed_key_command_is_reported_without_its_output(
    configure: Callable[..., Settings], command: str, problem: str, hint: str
) -> None:
    account = configure(f'[providers.jogg]\napi_key_command = "{command}"', timeout=0.2).get_account("jogg")
    with pytest.raises(KeyMissing, match=problem) as caught:
        account.find_key()
    assert hint in str(caught.value.hint)
    assert CANARY not in format_error(caught.value)


@pytest.mark.parametrize(("output", "key"), [(r"a-key\n", "a-key"), ("a-key", "a-key"), (r"a-key\r\n", "a-key")])
def test_line_end_of_key_command_output_is_removed(configure: Callable[..., Settings], output: str, key: str) -> None:
    account = configure(f"""[providers.jogg]\napi_key_command = 'printf "{output}"'""").get_account("jogg")
    assert account.find_key().value == key


def test_a_key_command_runs_without_a_shell(configure: Callable[..., Settings]) -> None:
    account = configure('[providers.jogg]\napi_key_command = "echo a;echo&&$HOME|*"').get_account("jogg")
    assert account.find_key().value == "a;echo&&$HOME|*"


def test_key_command_does_not_read_the_piped_jobs(configure: Callable[..., Settings]) -> None:
    key = configure('[providers.jogg]\napi_key_command = "cat"').get_account("jogg").find_key
    reader, writer = os.pipe()
    os.write(writer, b"jogg:job1\n")
    os.close(writer)
    stdin = os.dup(0)
    os.dup2(reader, 0)
    try:
        with pytest.raises(KeyMissing, match="the api_key_command of jogg printed nothing"):
            key()
        assert os.read(reader, 100) == b"jogg:job1\n"
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)
        os.close(reader)


# --- unusable keys

UNUSABLE = {
    f"{CANARY} {CANARY}": "contains a space",
    f"{CANARY}\n{CANARY}": "has 2 lines",
    f"{CANARY}\r\n\nuser: me\n": "has 3 lines",
    f"'{CANARY}'": "is in quotes",
    f'"{CANARY}"': "is in quotes",
    f"\u201c{CANARY}\u201d": "is in quotes",
    f"it's-{CANARY}": "contains a quote",
    f"{CANARY}\x1b[2J": "contains a control character",
    f"{CANARY}\x7f": "contains a control character",
    f"{CANARY}é": "contains a non-ASCII character",
    f"{CANARY}\u200b": "contains a non-ASCII character",
    f"JOGG_API_KEY={CANARY}": "is NAME=KEY",
    f"export JOGG_API_KEY={CANARY}": "is NAME=KEY",
    f"x-api-key: {CANARY}": "is a whole header",
    f'{{"key": "{CANARY}"}}': "is JSON",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}": "is a private key or a certificate",
    "$JOGG_API_KEY": "is the name of a variable",
    "${JOGG_API_KEY}": "is the name of a variable",
}
# A key as users copy it and as commands print it.
KEY_FORMATS = [
    "{} ",
    " {}",
    "{}\n",
    "{}\r\n\n",
    "{}\t",
    "\ufeff{}",
    "Bearer {}",
    "bearer  {}\n",
    "Authorization: Bearer {}",
]


def quote(key: str) -> str:
    """Write a TOML string of any characters."""
    return '"' + "".join(f"\\U{ord(c):08x}" for c in key) + '"'


@pytest.mark.parametrize("dress", KEY_FORMATS)
def test_spaces_and_header_words_around_a_key_are_removed(
    configure: Callable[..., Settings], tmp_path: Path, dress: str
) -> None:
    given = dress.format(CANARY)
    (tmp_path / "key").write_text(given)
    (tmp_path / "config").mkdir()
    for settings in (
        configure(f"[providers.jogg]\napi_key = {quote(given)}"),
        configure(stored=f"[providers.jogg]\napi_key = {quote(given)}"),
        configure(JOGG_API_KEY=given),
        configure(f'[providers.jogg]\napi_key_command = "cat {tmp_path}/key"'),
    ):
        assert settings.get_account("jogg").find_key().value == CANARY
    settings = configure()
    settings.set_key("jogg", given)
    assert CANARY + '"' in settings.credentials_path.read_text()


@pytest.mark.parametrize("key", ["", *UNUSABLE])
@pytest.mark.parametrize("source", ["config.toml", "credentials.toml"])
def test_unusable_key_in_a_file_is_refused_without_showing_it(
    configure: Callable[..., Settings], source: str, key: str
) -> None:
    text = f"[providers.jogg]\napi_key = {quote(key)}"
    with pytest.raises(ConfigError, match=rf"{source}: providers\.jogg\.api_key ") as caught:
        configure(**{"text" if source == "config.toml" else "stored": text})
    assert f".api_key {UNUSABLE.get(key, 'is empty')}" in str(caught.value)
    assert str(caught.value.hint).startswith("It must be a key without spaces")
    assert CANARY not in format_error(caught.value)


@pytest.mark.parametrize("key", UNUSABLE)
@pytest.mark.parametrize("variable", ["VIDEOSTAT_JOGG_API_KEY", "JOGG_API_KEY"])
def test_unusable_key_in_a_variable_is_refused_without_showing_it(
    configure: Callable[..., Settings], variable: str, key: str
) -> None:
    settings = configure(**{variable: key})
    with pytest.raises(
        ConfigError, match=f"in environment variable {variable} for jogg {re.escape(UNUSABLE[key])}"
    ) as caught:
        settings.get_account("jogg").find_key()
    assert CANARY not in format_error(caught.value)
    assert str(find_value(settings, "jogg", "api_key")[0]).isprintable()


@pytest.mark.parametrize("key", UNUSABLE)
def test_unusable_key_from_a_command_is_refused_without_showing_it(
    configure: Callable[..., Settings], tmp_path: Path, key: str
) -> None:
    (tmp_path / "key").write_bytes(key.encode())
    account = configure(f'[providers.jogg]\napi_key_command = "cat {tmp_path}/key"').get_account("jogg")
    with pytest.raises(ConfigError, match="the output of api_key_command for jogg ") as caught:
        account.find_key()
    assert CANARY not in format_error(caught.value)


@pytest.mark.parametrize("key", ["", *UNUSABLE])
def test_unusable_key_is_not_stored(configure: Callable[..., Settings], key: str) -> None:
    settings = configure()
    with pytest.raises(ConfigError, match=f"the given text {re.escape(UNUSABLE.get(key, 'is empty'))}") as caught:
        settings.set_key("jogg", key)
    assert CANARY not in format_error(caught.value)
    assert settings.credentials_path.read_text() == ""


@pytest.mark.parametrize("key", ["k", "sk-" + "a" * 5000, "rb_live_AZaz09._~+/=-", "!#$%&()*,:;<>?@[]^`{|}\\"])
def test_key_of_printable_ascii_is_accepted(configure: Callable[..., Settings], key: str) -> None:
    settings = configure()
    settings.set_key("jogg", key)
    assert load(settings.path, {}).get_account("jogg").find_key() == Key(key, "credentials.toml")


# --- listed values


@pytest.mark.parametrize(
    ("key", "masked"),
    [
        ("", "****"),
        ("a" * 15, "****"),
        ("a" * 12 + "wxyz", "****wxyz"),
        (CANARY, "****llow"),
        ("a" * 16 + "\x1b[2J", "****"),
    ],
)
def test_a_masked_key_shows_four_characters_or_none(key: str, masked: str) -> None:
    assert mask(key) == masked


def test_every_setting_is_listed_with_its_source(configure: Callable[..., Settings]) -> None:
    settings = configure(
        f'[defaults]\ntimeout = "1h30m"\nparallel = 3\nhistory = false\n[providers.jogg]\napi_key = "{CANARY}"\n'
        f'max_requests_per_second = 0.5\n[providers.eu]\n{GATEWAY}api_key_command = "echo {CANARY}"'
    )
    file, default, service = "config.toml", "default", "service default"
    values = list(map(tuple, settings.list_values()))
    services = dict.fromkeys(provider.key_group for provider in PROVIDERS.values())
    assert [*dict.fromkeys(section for section, *_ in values)] == ["defaults", *services, "eu"]
    assert [value for value in values if value[0] in {"defaults", "jogg", "doubao", "eu"}] == [
        ("defaults", "timeout", "5400", file),
        ("defaults", "interval", None, default),
        ("defaults", "output_dir", ".", default),
        ("defaults", "name", "{provider}-{id}.{ext}", default),
        ("defaults", "parallel", "3", file),
        ("defaults", "history", "false", file),
        ("defaults", "allow_private", "false", default),
        ("jogg", "api_key", "****llow", file),
        ("jogg", "base_url", "https://api.jogg.ai", service),
        ("jogg", "max_requests_per_second", "0.5", file),
        ("jogg", "webhook_secret", None, "not set"),
        ("doubao", "api_key", None, "not set"),
        ("doubao", "base_url", None, "not set"),
        ("doubao", "max_requests_per_second", "50", service),
        ("eu", "api_key", "****", "api_key_command"),
        ("eu", "base_url", "https://eu.example.com", file),
        ("eu", "max_requests_per_second", "50", service),
    ]


def test_repr_does_not_show_a_key(configure: Callable[..., Settings]) -> None:
    settings = configure(f'[providers.jogg]\napi_key = "{CANARY}"', REELBOT_API_KEY=CANARY)
    account = settings.get_account("jogg")
    assert CANARY not in f"{settings!r}{account!r}{account.find_key()!r}{list(settings.list_values())}"


# --- webhook secrets

SECRET_SOURCES = {
    "environment variable VIDEOSTAT_JOGG_WEBHOOK_SECRET": "secret-of-variable",
    "config.toml": CANARY,
}


@pytest.mark.parametrize("sources", [pair for n in (0, 1, 2) for pair in combinations(SECRET_SOURCES, n)])
@pytest.mark.parametrize("name", ["jogg", "jogg-avatar", "jogg-product"])
def test_the_strongest_source_of_a_webhook_secret_wins(
    configure: Callable[..., Settings], name: str, sources: tuple[str, ...]
) -> None:
    environ = {source.split()[-1]: SECRET_SOURCES[source] for source in sources if source.startswith("environment")}
    written = f'webhook_secret = "{CANARY}"' if "config.toml" in sources else ""
    settings = configure(f"[providers.jogg]\n{written}", **environ)
    secret = SECRET_SOURCES[sources[0]] if sources else None
    account = settings.get_account(name)
    assert account.webhook_secret == secret
    masked = mask(secret) if secret else None
    assert find_value(settings, "jogg", "webhook_secret") == (masked, sources[0] if sources else "not set")
    assert secret is None or secret not in f"{settings!r}{account!r}{list(settings.list_values())}"


@pytest.mark.parametrize("secret", UNUSABLE)
def test_unusable_webhook_secret_is_refused_without_showing_it(configure: Callable[..., Settings], secret: str) -> None:
    settings = configure(VIDEOSTAT_JOGG_WEBHOOK_SECRET=secret)
    with pytest.raises(ConfigError, match="VIDEOSTAT_JOGG_WEBHOOK_SECRET ") as caught:
        settings.get_account("jogg")
    assert CANARY not in format_error(caught.value)


def test_custom_account_has_its_own_webhook_secret(configure: Callable[..., Settings]) -> None:
    text = '[providers.jogg]\nwebhook_secret = "of-jogg"\n[providers.second]\ntype = "jogg"'
    settings = configure(text, VIDEOSTAT_SECOND_WEBHOOK_SECRET="of-second")
    assert [settings.get_account(name).webhook_secret for name in ("jogg", "second")] == ["of-jogg", "of-second"]
    assert configure(text).get_account("second").webhook_secret is None


# --- defaults


def test_defaults_are_read(configure: Callable[..., Settings]) -> None:
    text = """[defaults]
        timeout = "10m"
        interval = 12
        output_dir = "~/videos"
        name = "{id}.{ext}"
        parallel = 8
        history = false"""
    assert configure(text).defaults == Defaults(600, 12, Path.home() / "videos", "{id}.{ext}", 8, history=False)


def test_the_environment_turns_the_history_off(configure: Callable[..., Settings]) -> None:
    settings = configure("[defaults]\nhistory = true", VIDEOSTAT_NO_HISTORY="1")
    assert not settings.defaults.history
    assert find_value(settings, "defaults", "history") == ("false", "environment variable VIDEOSTAT_NO_HISTORY")


# --- base URLs


@pytest.mark.parametrize(
    ("group", "written", "base_url"),
    [
        ("doubao", "https://gw.example/v1", "https://gw.example"),
        ("doubao", "https://gw.example:3000/v1/", "https://gw.example:3000"),
        ("doubao", "https://gw.example/v1/video", "https://gw.example"),
        ("doubao", "https://gw.example/v1/video/generations", "https://gw.example"),
        ("doubao", "https://gw.example/v1/video/generations/task_1", "https://gw.example"),
        ("doubao", "https://gw.example/relay/v1", "https://gw.example/relay"),
        ("doubao", "https://gw.example/relay/v10", "https://gw.example/relay/v10"),
        ("doubao", "https://gw.example/video", "https://gw.example/video"),
        ("doubao", "https://gw.example/v2", "https://gw.example/v2"),
        ("doubao", "https://v1/", "https://v1"),
        ("jogg", "https://api.jogg.ai/v2", "https://api.jogg.ai"),
        ("jogg", "https://api.jogg.ai/v2/avatar_video", "https://api.jogg.ai"),
        ("jogg", "https://api.jogg.ai/v2/projects", "https://api.jogg.ai"),
        ("reelbot", "https://reelbot.space/api/v1", "https://reelbot.space"),
        ("reelbot", "https://reelbot.space/api/v1/video/download", "https://reelbot.space"),
    ],
)
def test_only_the_api_path_is_removed_from_the_end_of_a_base_url(
    configure: Callable[..., Settings], group: str, written: str, base_url: str
) -> None:
    assert configure(f'[providers.{group}]\nbase_url = "{written}"').get_account(group).base_url == base_url
    assert configure(**{f"VIDEOSTAT_{group.upper()}_BASE_URL": written}).get_account(group).base_url == base_url


@pytest.mark.parametrize(
    ("written", "base_url"),
    [
        ("https://gateway.example.com", "https://gateway.example.com"),
        ("https://gateway.example.com/", "https://gateway.example.com"),
        ("HTTPS://Gateway.Example.com/Prefix/v2//", "https://gateway.example.com/Prefix/v2"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:65535/x", "http://[::1]:65535/x"),
        ("http://new_api:3000", "http://new_api:3000"),
    ],
)
def test_base_url_keeps_scheme_host_and_prefix(configure: Callable[..., Settings], written: str, base_url: str) -> None:
    assert configure(f'[providers.doubao]\nbase_url = "{written}"').get_account("doubao").base_url == base_url
    assert configure(VIDEOSTAT_DOUBAO_BASE_URL=written).get_account("doubao").base_url == base_url


BAD_BASE_URLS = [
    "gateway.example.com",
    "ftp://gateway.example.com",
    "https://",
    "https:///v1",
    f"https://user:{CANARY}@gateway.example.com",
    f"https://{CANARY}@gateway.example.com",
    f"https://gateway.example.com?key={CANARY}",
    "https://gateway.example.com?",
    "https://gateway.example.com#",
    f"https://gateway.example.com/#{CANARY}",
    "https://gateway.example.com:0",
    "https://gateway.example.com:65536",
    "https://gateway.example.com:port",
    "https://gateway..example.com",
    "https://.example.com",
    f"https://{'a' * 64}.example.com",
    "https://gateway.example.com//v1",
    "https://gateway.example.com\\@evil.example",
    "https://gateway.example.com/{id}",
    "https://gateway.example.com/a b",
    "https://gateway.example.com\n",
    "https://gätewäy.example.com",
    "http://[::1",
    "http://[1:2]",
    "http://::1",
]


@pytest.mark.parametrize("written", BAD_BASE_URLS)
def test_invalid_base_url_is_refused_without_showing_its_secret(
    configure: Callable[..., Settings], written: str
) -> None:
    with pytest.raises(ConfigError, match=r"providers\.doubao\.base_url must be an address like https://") as caught:
        configure(f"[providers.doubao]\nbase_url = {quote(written)}")
    assert CANARY not in format_error(caught.value)
    with pytest.raises(ConfigError, match="VIDEOSTAT_DOUBAO_BASE_URL must be an address like https://") as caught:
        configure(VIDEOSTAT_DOUBAO_BASE_URL=written).get_account("doubao")
    assert CANARY not in format_error(caught.value)


def test_invalid_variable_of_one_account_does_not_stop_another(configure: Callable[..., Settings]) -> None:
    settings = configure(VIDEOSTAT_DOUBAO_BASE_URL="nonsense", DOUBAO_API_KEY="no key", JOGG_API_KEY="a-key")
    assert settings.get_account("jogg").find_key().value == "a-key"


# --- invalid files


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[default]", "unknown setting default", "Did you mean defaults?"),
        ('[defaults]\n"" = 1', "unknown setting defaults.", "Known are"),
        ("[jogg]", "unknown setting jogg", "Known are defaults, providers."),
        ("[defaults]\ntime_out = 1", "unknown setting defaults.time_out", "Did you mean timeout?"),
        ("[providers.jogg]\napi_kye = 1", "unknown setting providers.jogg.api_kye", "Did you mean api_key?"),
        ("[providers.jogg]\nbase_ulr = 1", "unknown setting providers.jogg.base_ulr", "Did you mean base_url?"),
        ("defaults = 1", "defaults must be a section, such as", None),
        ("providers = []", "providers must be a section, such as", None),
        ("[[providers.jogg]]", "providers.jogg must be a section, such as", None),
        ("[providers]\njogg = 'key'", "providers.jogg must be a section, such as", None),
        *(
            (f"[defaults]\n{key} = {value}", f"defaults.{key} must be {means}", None)
            for key, means, values in (
                ("timeout", "a duration: 90", ("true", "-1", "nan", "inf", "'soon'", "[]", "{}", "0x" + "f" * 5000)),
                ("interval", "a duration: 90", ("false", "'-5s'", "07:32:00", "1979-05-27")),
                (
                    "output_dir",
                    "the path of a folder",
                    ("'s3://bucket'", "1", "true", "''", "[]", r'"\u0000b"', "'~nobody-x/x'"),
                ),
                ("name", "a template", ("1", "''", r'"a\nb"', "[]")),
                ("parallel", "a whole number from 1 to 32", ("0", "33", "-1", "2.5", "'3'", "true", "1" + "0" * 400)),
                ("history", "true or false", ("1", "'yes'", "0")),
            )
            for value in values
        ),
        *(
            (f"[providers.jogg]\n{key} = {value}", f"providers.jogg.{key} must be {means}", None)
            for key, means, values in (
                ("api_key", "a key without spaces", ("1", "true", "[]", "{}")),
                (
                    "api_key_command",
                    "a command",
                    ("1", "''", "'  '", '"pass \'show"', "['pass', 'show']", r'"a\u0000"'),
                ),
                (
                    "max_requests_per_second",
                    "a number from 0.001 to 1000",
                    ("0", "-1", "nan", "inf", "'5'", "true", "[]"),
                ),
                ("base_url", "an address", ("1", "true", "[]", "''")),
                ("webhook_secret", "a secret without spaces", ("1", "true", "[]")),
                ("type", "one of jogg, ", ("'sora'", "1", "[]", "{}", "''")),
            )
            for value in values
        ),
        ("[providers.jog]", "providers.jog is not a service, so it needs a type", "Did you mean jogg?"),
        ("[providers.Jogg]\ntype='jogg'", "providers.Jogg must be named with lower-case letters", None),
        ("[providers.-x]\ntype='jogg'", "providers.-x must be named with", None),
        ("[providers.'a.b']\ntype='jogg'", "providers.a.b must be named with", None),
        ("[providers.'']\ntype='jogg'", "must be named with", None),
        ("[providers.x_y]\ntype='jogg'", "providers.x_y must be named with", None),
        (f"[providers.{'x' * 65}]\ntype='jogg'", "must be named with", None),
        (
            "[providers.jogg-avatar]",
            "providers.jogg-avatar cannot be set: it uses the settings of jogg",
            "[providers.jogg]",
        ),
        ("[providers.jogg-avatar]\ntype='doubao'", "providers.jogg-avatar cannot be set: ", None),
        (
            "[providers.jogg]\ntype='doubao'",
            "providers.jogg has type doubao, but jogg is the name of another service",
            "my-doubao",
        ),
        ("[providers.doubao]\nwebhook_secret='x'", "doubao.webhook_secret cannot be used: ", "--listen"),
        (
            f"[providers.x]\nwebhook_secret='x'\n{GATEWAY}",
            "x.webhook_secret cannot be used: ",
            "wait x ID --listen 8080",
        ),
        ("[providers.jogg]\nwebhook_secret = 'a b'", "webhook_secret contains a space", "a secret without spaces"),
        ("[defaults]\ntimeout = 10m", "is not valid TOML: .*line 2", None),
        ("[defaults]\n[defaults]", "is not valid TOML: .*line 2", None),
        (f"\n\n[providers.jogg]\napi_key = {CANARY}", "is not valid TOML: .*line 4", None),
        (f'[providers.jogg]\napi_key = "{CANARY}\n', "is not valid TOML: .*line 2", None),
        ("a = " + "9" * 5000, "is not valid TOML: ", "Correct the file"),
        ("a = " + "[" * 100_000, "nested too deeply", "Correct the file"),
    ],
)
def test_invalid_config_file_is_named_with_setting_and_suggestion(
    configure: Callable[..., Settings], tmp_path: Path, text: str, message: str, hint: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(text)
    assert str(tmp_path / "config.toml") in str(caught.value)
    assert re.search(message if "is not valid TOML" in message else re.escape(message), str(caught.value))
    assert "\n" not in str(caught.value)
    assert hint is None or hint in str(caught.value.hint)
    assert CANARY not in format_error(caught.value)
    assert caught.value.exit_code is ExitCode.USAGE


def test_section_of_a_service_may_repeat_its_type(configure: Callable[..., Settings]) -> None:
    assert configure('[providers.jogg]\ntype = "jogg"').get_account("jogg").provider is PROVIDERS["jogg"]


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("[defaults]", "unknown setting defaults"),
        ('[providers.jogg]\nbase_url = "http://x"', "unknown setting providers.jogg.base_url"),
        ("[providers.jogg]\napi_key = 1", "providers.jogg.api_key must be a key"),
        ("nonsense", "is not valid TOML"),
    ],
)
def test_invalid_credentials_file_is_named(
    configure: Callable[..., Settings], tmp_path: Path, stored: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        configure(stored=stored)
    assert str(tmp_path / "credentials.toml") in str(caught.value)


def test_stored_key_without_a_section_makes_no_account(configure: Callable[..., Settings]) -> None:
    assert "old" not in configure(stored='[providers.old]\napi_key = "k"').list_names()


def test_config_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b'[defaults]\nname = "\xff"')
    with pytest.raises(ConfigError, match=r"config\.toml is not valid UTF-8") as caught:
        load(tmp_path / "config.toml", {})
    assert caught.value.hint == "Save it as UTF-8."


def test_byte_order_mark_and_carriage_returns_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbf[defaults]\r\nparallel = 5\r\n")
    assert load(tmp_path / "config.toml", {}).defaults.parallel == 5


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "reason"), [(Path.mkdir, "Is a directory"), (loop, "symbolic links"), (lambda path: None, "No such file")]
)
def test_unreadable_file_given_by_name_is_refused_with_the_reason(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "named.toml"
    make(path)
    for option, environ in ((path, {}), (None, {"VIDEOSTAT_CONFIG": str(path)})):
        with pytest.raises(ConfigError, match=re.escape(f"cannot read {path}: ") + f".*{reason}") as caught:
            load(option, environ)
        is_missing = not os.path.lexists(path)
        assert caught.value.hint == (f"To write one: videostat config init --config {path}" if is_missing else None)


@pytest.mark.parametrize("path", ["", "/", ".", ".."])
def test_folder_as_config_file_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        load(Path(path), {})


# --- where the file is


def test_option_wins_over_variable_and_variable_over_user_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_config_path", lambda app: tmp_path / app)
    for name, parallel in (("option", 1), ("variable", 2), ("videostat", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(f"[defaults]\nparallel = {parallel}")
    option, environ = tmp_path / "option/config.toml", {"VIDEOSTAT_CONFIG": str(tmp_path / "variable/config.toml")}
    assert load(option, environ).defaults.parallel == 1
    assert load(None, environ).defaults.parallel == 2
    assert load(None, {"VIDEOSTAT_CONFIG": ""}).defaults.parallel == 3
    assert config.locate(None, environ) == load(None, environ).path


def test_tilde_in_the_config_variable_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.locate(None, {"VIDEOSTAT_CONFIG": "~/my.toml"}) == tmp_path / "my.toml"


def test_missing_config_file_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_config_path", lambda app: tmp_path / app)
    settings = load(None, {})
    assert settings.defaults == Defaults()
    assert settings.path == tmp_path / "videostat/config.toml"
    assert not settings.path.parent.exists()


# --- storing a key


def test_stored_key_is_private_whatever_the_umask(
    tmp_path: Path, open_umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "home" / ".config" / "videostat" / "config.toml"
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.extend(map(mode, path.parent.iterdir())))
    monkeypatch.setattr("platformdirs.user_config_path", lambda app: path.parent)
    load(None, {}).set_key("jogg", CANARY)
    assert synced == [0o600]
    assert mode(path.parent / "credentials.toml") == 0o600
    assert [mode(folder) for folder in (path.parent, *path.parent.parents[:2])] == [0o700] * 3
    settings = load(None, {})
    assert settings.get_account("jogg").find_key() == Key(CANARY, "credentials.toml")
    assert settings.warnings == []


def test_storing_a_key_keeps_the_mode_of_an_existing_folder(configure: Callable[..., Settings], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    configure().set_key("jogg", "a-key")
    assert mode(tmp_path) == 0o755


def test_storing_a_key_makes_an_exposed_file_private(configure: Callable[..., Settings]) -> None:
    settings = configure()
    settings.credentials_path.chmod(0o666)
    settings.set_key("jogg", "a-key")
    assert mode(settings.credentials_path) == 0o600


def test_storing_a_key_keeps_the_other_keys(configure: Callable[..., Settings], tmp_path: Path) -> None:
    text = f"# mine\n[providers.eu]\n{GATEWAY}"
    settings = configure(text, '[providers.reelbot]\napi_key = "r"\n[providers.jogg]\napi_key = "old"')
    settings.set_key("eu", "e")
    settings.set_key("jogg-avatar", "new")
    assert tomllib.loads(settings.credentials_path.read_text())["providers"] == {
        "reelbot": {"api_key": "r"},
        "jogg": {"api_key": "new"},
        "eu": {"api_key": "e"},
    }
    assert settings.path.read_text() == text
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.toml", "credentials.toml"]


def test_key_can_be_stored_before_the_base_url_is_set(configure: Callable[..., Settings]) -> None:
    settings = configure()
    settings.set_key("doubao", "a-key")
    assert find_value(load(settings.path, {}), "doubao", "api_key") == ("****", "credentials.toml")


def test_key_for_an_unknown_account_is_refused_and_not_stored(
    configure: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = configure("# mine\n", '[providers.jogg]\napi_key = "old"\n')
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(ConfigError, match="unknown service or account 'jog'"):
        settings.set_key("jog", CANARY)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    "command", ["cat ~/.key", "cat /nowhere | head -1", "cat $HOME/.key", "cat /nowhere && x", "echo $JOGG_API_KEY"]
)
def test_hint_says_that_a_key_command_runs_without_a_shell(configure: Callable[..., Settings], command: str) -> None:
    account = configure(f'[providers.jogg]\napi_key_command = "{command}"').get_account("jogg")
    with pytest.raises(VideostatError) as caught:
        account.find_key()
    assert "runs without a shell" in str(caught.value.hint)


def test_key_command_may_leave_a_background_process(configure: Callable[..., Settings]) -> None:
    command = f"sh -c 'sleep 20 & echo {CANARY}'"
    account = configure(f'[providers.jogg]\napi_key_command = "{command}"').get_account("jogg")
    began = time.monotonic()
    assert account.find_key().value == CANARY
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_missing_key_error_names_an_empty_variable(configure: Callable[..., Settings], value: str) -> None:
    with pytest.raises(KeyMissing, match="no key is configured: JOGG_API_KEY is set, but empty"):
        configure(JOGG_API_KEY=value).get_account("jogg").find_key()


@pytest.mark.parametrize("name", PROVIDERS)
def test_missing_key_hint_says_where_to_get_a_key(configure: Callable[..., Settings], name: str) -> None:
    account = configure(VIDEOSTAT_DOUBAO_BASE_URL="https://x").get_account(name)
    with pytest.raises(KeyMissing) as caught:
        account.find_key()
    assert f"Get the key from {PROVIDERS[name].key_source}." in str(caught.value.hint)
    assert "JoggAI: dashboard, API" in str(caught.value.hint) or "jogg" not in name


@pytest.mark.parametrize(
    ("value", "kept"), [("0", True), ("false", True), ("No", True), ("OFF", True), ("1", False), ("yes", False)]
)
def test_no_history_variable_is_read_as_yes_or_no(configure: Callable[..., Settings], value: str, kept: bool) -> None:  # noqa: FBT001
    assert configure(VIDEOSTAT_NO_HISTORY=value).defaults.history is kept


def test_keys_stored_by_several_processes_at_once_are_all_kept(tmp_path: Path) -> None:
    code = "import sys; from videostat.config import load; load(None).set_key(sys.argv[1], 'k-' + sys.argv[1])"
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    config = "".join(f'[providers.a{n}]\ntype = "reelbot"\n' for n in range(8))
    (tmp_path / "videostat").mkdir()
    (tmp_path / "videostat" / "config.toml").write_text(config)
    running = [subprocess.Popen([sys.executable, "-c", code, f"a{n}"], env=environ) for n in range(8)]
    assert [each.wait(30) for each in running] == [0] * 8
    stored = tomllib.loads((tmp_path / "videostat" / "credentials.toml").read_text())["providers"]
    assert stored == {f"a{n}": {"api_key": f"k-a{n}"} for n in range(8)}


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to(path)])
def test_unreadable_default_file_gives_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.setattr("platformdirs.user_config_path", lambda app: tmp_path)
    for name in ("config.toml", "credentials.toml"):
        make(tmp_path / name)
    settings = load(None, {"JOGG_API_KEY": "k"})
    (warning,) = settings.warnings
    assert warning.startswith(f"cannot read {tmp_path / 'config.toml'}: ")
    assert settings.get_account("jogg").find_key().value == "k"
    with pytest.raises(ConfigError, match=r"cannot read .*credentials\.toml"):
        settings.set_key("jogg", "k")


def test_missing_home_gives_one_warning_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def unknown(app: str) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_config_path", unknown)
    settings = load(None, {"JOGG_API_KEY": "k"})
    assert settings.get_account("jogg").find_key().value == "k"
    assert settings.warnings == ["HOME is not set, so there is no configuration and no history: set HOME"]
    with pytest.raises(ConfigError, match="there is no home folder to write to"):
        settings.set_key("jogg", "k")
    with pytest.raises(ConfigError, match="there is no home folder to write to"):
        write_file(settings.path, "")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("before", [None, "", '[providers.reelbot]\napi_key = "r"'])
def test_symbolic_link_stays_and_its_target_is_written(
    configure: Callable[..., Settings], tmp_path: Path, before: str | None
) -> None:
    settings = configure()
    target = tmp_path / "elsewhere"
    if before is not None:
        target.write_text(before)
    settings.credentials_path.unlink()
    settings.credentials_path.symlink_to(target)
    settings.set_key("jogg", CANARY)
    assert settings.credentials_path.is_symlink()
    assert mode(target) == 0o600
    stored = tomllib.loads(target.read_text())["providers"]
    assert stored == tomllib.loads(before or "").get("providers", {}) | {"jogg": {"api_key": CANARY}}


def test_failed_write_keeps_the_old_file_and_leaves_no_other(
    configure: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configure(stored='[providers.jogg]\napi_key = "old"')

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"cannot write .*: No space left on device") as caught:
        settings.set_key("jogg", CANARY)
    assert CANARY not in format_error(caught.value)
    assert load(settings.path, {}).get_account("jogg").find_key().value == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.toml", "credentials.toml"]


def test_folder_that_cannot_be_created_raises_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write .*credentials\.toml: "):
        write_file(tmp_path / "file" / "videostat" / "credentials.toml", CANARY)


# --- warnings


@pytest.mark.parametrize(
    ("rights", "warnings"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o620, 1), (0o602, 1), (0o666, 1)]
)
@pytest.mark.parametrize("name", ["config.toml", "credentials.toml"])
def test_key_file_open_to_others_gives_a_warning(tmp_path: Path, name: str, rights: int, warnings: int) -> None:
    folder = tmp_path / "my configuration"
    folder.mkdir()
    (folder / "config.toml").touch(0o644)
    (folder / name).write_text(f'[providers.jogg]\napi_key = "{CANARY}"')
    (folder / name).chmod(rights)
    sentence = f"{folder / name} holds a key, and others can read or change it: chmod 600 '{folder / name}'"
    assert load(folder / "config.toml", {}).warnings == [sentence] * warnings


def test_webhook_secret_file_open_to_others_gives_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[providers.jogg]\nwebhook_secret = "{CANARY}"')
    file.chmod(0o644)
    assert load(file, {}).warnings == [f"{file} holds a key, and others can read or change it: chmod 600 {file}"]


def test_readable_file_without_a_key_gives_no_warning(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[providers.jogg]\napi_key_command = "pass show jogg"')
    (tmp_path / "config.toml").chmod(0o644)
    assert load(tmp_path / "config.toml", {}).warnings == []


@pytest.mark.parametrize("rights", [0o622, 0o660, 0o666])
@pytest.mark.parametrize(
    ("setting", "warning"),
    [
        ("api_key_command = 'pass show jogg'", ["could run commands as you"]),
        ("base_url = 'https://jogg.example'", ["could have your key sent elsewhere"]),
        ("max_requests_per_second = 5", []),
    ],
)
def test_writable_file_warning_says_what_others_could_do(
    tmp_path: Path, rights: int, setting: str, warning: list[str]
) -> None:
    (tmp_path / "config.toml").write_text(f"[providers.jogg]\n{setting}")
    (tmp_path / "config.toml").chmod(rights)
    warnings = load(tmp_path / "config.toml", {}).warnings
    assert len(warnings) == len(warning)
    assert all(part in warnings[0] and "chmod 600" in warnings[0] for part in warning)


@pytest.mark.parametrize(
    ("base_url", "is_warned"),
    [
        ("http://gateway.acme.com", True),
        ("http://8.8.8.8:3000", True),
        ("http://[2606:4700::1111]", True),
        ("https://gateway.acme.com", False),
        ("http://127.0.0.1:3000", False),
        ("http://192.168.1.5:3000", False),
        ("http://[::1]:3000", False),
        ("http://localhost:3000", False),
        ("http://new-api:3000", False),
        ("http://gateway.default.svc.cluster.local", False),
    ],
)
def test_unencrypted_public_base_url_gives_a_warning(
    configure: Callable[..., Settings],
    base_url: str,
    is_warned: bool,  # noqa: FBT001
) -> None:
    for settings in (
        configure(f'[providers.doubao]\nbase_url = "{base_url}"'),
        configure(VIDEOSTAT_DOUBAO_BASE_URL=base_url),
    ):
        sentences = [warning for warning in settings.warnings if "is not encrypted" in warning]
        assert bool(sentences) is is_warned


# --- the example


def uncomment_example() -> str:
    return re.sub(r"(?m)^#(?=[a-z\[])", "", EXAMPLE.read_text())


def test_example_config_gives_the_same_values_as_no_config(configure: Callable[..., Settings]) -> None:
    assert list(configure(EXAMPLE.read_text()).list_values()) == list(configure().list_values())


def test_example_config_loads_with_every_value_set(configure: Callable[..., Settings]) -> None:
    settings = configure(uncomment_example())
    simulated = [name for name, provider in PROVIDERS.items() if provider.key_group in DIALECTS]
    for name in (*tomllib.loads(uncomment_example())["providers"], *simulated):
        assert settings.get_account(name).base_url
    assert set(settings.list_names()) > set(PROVIDERS)
    for key in ("name", "parallel", "history"):
        assert getattr(settings.defaults, key) == getattr(Defaults(), key)


def test_example_config_explains_every_key() -> None:
    tables = tomllib.loads(uncomment_example())
    assert set(tables["defaults"]) == set(_DEFAULTS)
    assert {key for section in tables["providers"].values() for key in section} == set(_SECTION)
    assert set(tables["providers"]) > set(DIALECTS)
    for key in {**_DEFAULTS, **_SECTION}:
        assert re.search(rf"(?m)^# .+\n#{key} = ", EXAMPLE.read_text()), key


# --- start-up time


def test_loading_without_files_imports_no_heavy_module(tmp_path: Path) -> None:
    heavy = ["tomli_w", "difflib", "subprocess", "requests"]
    code = f"""
import sys, videostat.config
print(sorted({{*{heavy}, 'tomllib', 'platformdirs'}} & {{*sys.modules}}))
videostat.config.load().get_account('jogg')
print(sorted({{*{heavy}}} & {{*sys.modules}}))
"""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(EXAMPLE.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]


def test_a_refused_key_is_replaced_once_for_all_its_jobs() -> None:
    first, second = Key("one", "a file"), Key("two", "a file")
    found: list[Key] = [first, second]

    def find(_: str) -> Key:
        if not found:
            raise KeyMissing("no key")
        return found.pop(0)

    keys = Keys(find, lambda: None)
    assert keys.find("jogg") is first
    assert keys.renew("jogg", first)
    assert keys.renew("jogg", first), "another job was refused with the same key"
    keys.confirm("jogg", first)
    assert not keys.renew("jogg", second), "the second key has not worked yet"
    keys.confirm("jogg", second)
    assert not keys.renew("jogg", second), "there is no third"
    assert keys.find("jogg") is second


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write"), lock_file(tmp_path / "file" / "videostat" / "x.toml"):
        pass
