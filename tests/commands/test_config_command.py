"""videostat config: write and show settings, store keys, and check whether they work."""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING

import pexpect  # type: ignore[import-untyped]
import pytest
from fakes import EPOCH, api_answer
from loopback import Server, reply

from videostat import __version__
from videostat.cli import bugreport
from videostat.config import load
from videostat.history import locate_history
from videostat.providers import PROVIDERS
from videostat.sandbox.services import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Videostat

    from videostat.sandbox import Sandbox

# pexpect forks a process with threads; it is safe, as the child executes a program at once.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

KEY = "canary-0123456789-yellow"


@pytest.fixture
def folder() -> Path:
    """Return the folder of the user's configuration."""
    return load(environ={}).path.parent


def read_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_writes_the_example_but_never_overwrites_a_file(videostat: Videostat, folder: Path) -> None:
    got = videostat("config", "init")
    assert (got.code, got.lines) == (0, [str(folder / "config.toml")])
    text = (folder / "config.toml").read_text()
    assert "[providers.jogg]" in text
    assert (read_mode(folder), read_mode(folder / "config.toml")) == (0o700, 0o600)
    (folder / "config.toml").write_text("# mine\n")
    again = videostat("config", "init")
    assert (again.code, again.stdout) == (2, "")
    assert "already exists and was not changed" in again.stderr
    assert (folder / "config.toml").read_text() == "# mine\n"


def test_init_writes_to_the_path_of_the_config_option(videostat: Videostat, tmp_path: Path) -> None:
    assert videostat("config", "init", "--config", "sub/my.toml").code == 0
    assert videostat("providers", "--config", "sub/my.toml").code == 0
    assert (tmp_path / "sub/my.toml").is_file()


def test_path_prints_the_path_of_the_config_file(
    videostat: Videostat, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert videostat("config", "path").lines == [str(folder / "config.toml")]
    monkeypatch.setenv("VIDEOSTAT_CONFIG", "/etc/videostat.toml")
    assert videostat("config", "path").lines == ["/etc/videostat.toml"]
    assert videostat("config", "path", "--config", "here.toml").lines == ["here.toml"]


def test_show_prints_each_value_with_its_source_and_masks_keys(
    videostat: Videostat, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[defaults]\ntimeout = "20m"\n[providers.jogg]\nmax_requests_per_second = 7\n')
    monkeypatch.delenv("VIDEOSTAT_JOGG_API_KEY")
    videostat("config", "set-key", "jogg", stdin=KEY)
    monkeypatch.setenv("DOUBAO_API_KEY", KEY)
    monkeypatch.delenv("VIDEOSTAT_DOUBAO_API_KEY")
    monkeypatch.delenv("VIDEOSTAT_REELBOT_API_KEY")
    got = videostat("config", "show")
    shown = {(account, key): (value, source) for account, key, value, source in got.rows}
    assert shown["defaults", "timeout"] == ("1200", "config.toml")
    assert shown["defaults", "parallel"] == ("3", "default")
    assert shown["jogg", "max_requests_per_second"] == ("7", "config.toml")
    assert shown["jogg", "api_key"] == ("****llow", "credentials.toml")
    assert shown["doubao", "api_key"] == ("****llow", "environment variable DOUBAO_API_KEY")
    assert shown["doubao", "base_url"][1] == "environment variable VIDEOSTAT_DOUBAO_BASE_URL"
    assert shown["reelbot", "api_key"] == ("", "not set")
    assert KEY not in got.stdout + got.stderr


def test_show_makes_control_characters_visible(videostat: Videostat, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[defaults]\noutput_dir = "a\u009b31m\u202eb"\n')
    got = videostat("config", "show", "--config", "config.toml")
    assert "a\\x9b31m\\u202eb" in got.stdout


# --- set-key


@pytest.mark.parametrize("given", [KEY, f"{KEY}\n", f"{KEY}\r\n", f"  Bearer {KEY}\n\n"])
def test_set_key_reads_stdin_and_writes_a_private_file(
    videostat: Videostat, folder: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.delenv("VIDEOSTAT_JOGG_API_KEY")
    before = os.umask(0)
    try:
        got = videostat("config", "set-key", "jogg-avatar", stdin=given)
    finally:
        os.umask(before)
    assert (got.code, got.stdout) == (0, "")
    stored = folder / "credentials.toml"
    assert tomllib.loads(stored.read_text()) == {"providers": {"jogg": {"api_key": KEY}}}
    assert (read_mode(folder), read_mode(stored)) == (0o700, 0o600)
    assert got.stderr == f"The key for jogg is in {stored}.\n"


@pytest.mark.parametrize("given", [f"{KEY}\nsecond line\n", f"A={KEY}\n", b"\xff\xfe"])
def test_set_key_refuses_malformed_stdin_without_printing_it(
    videostat: Videostat, folder: Path, given: str | bytes
) -> None:
    got = videostat("config", "set-key", "jogg", stdin=given)
    assert (got.code, got.stdout) == (2, "")
    assert "canary" not in got.stderr
    assert not (folder / "credentials.toml").exists()


def test_set_key_refuses_a_key_as_argument_without_printing_it(videostat: Videostat, folder: Path) -> None:
    got = videostat("config", "set-key", "jogg", KEY)
    assert (got.code, got.stdout) == (2, "")
    assert KEY not in got.stderr
    assert "a key cannot be an argument" in got.stderr
    assert not (folder / "credentials.toml").exists()


def test_set_key_keeps_the_keys_of_other_accounts(videostat: Videostat, folder: Path) -> None:
    for account in ("jogg", "reelbot", "jogg"):
        videostat("config", "set-key", account, stdin=f"{KEY}-{account}")
    stored = tomllib.loads((folder / "credentials.toml").read_text())["providers"]
    assert stored == {name: {"api_key": f"{KEY}-{name}"} for name in ("jogg", "reelbot")}


def test_set_key_warns_when_a_variable_takes_precedence(videostat: Videostat) -> None:
    got = videostat("config", "set-key", "jogg", stdin=KEY)
    assert got.code == 0
    assert "this key is not used: environment variable VIDEOSTAT_JOGG_API_KEY takes precedence" in got.stderr


@pytest.mark.parametrize(
    "given",
    ["two words", f'"{KEY}"', f"'{KEY}'", f"{KEY}\tx", "schlüssel-0123456789", f"X_KEY={KEY}", f"{KEY}\x1b[31m"],
)
def test_set_key_refuses_an_invalid_key_without_printing_it(videostat: Videostat, folder: Path, given: str) -> None:
    got = videostat("config", "set-key", "jogg", stdin=given)
    assert (got.code, got.stdout) == (2, "")
    assert got.stderr.startswith("videostat: the given text ")
    assert "It must be a key without spaces" in got.stderr
    assert given not in got.stderr
    assert "canary" not in got.stderr
    assert not (folder / "credentials.toml").exists()


@pytest.mark.parametrize(
    ("argv", "stdin", "sentence"),
    [
        (["nobody"], KEY, "unknown service or account 'nobody'"),
        ([], KEY, "ACCOUNT"),
        (["jogg", KEY], "", "a key cannot be an argument"),
        (["jogg"], None, "stdin is closed"),
        (["jogg"], "", "no key was given\n  Get the key from JoggAI: dashboard, API."),
        (["jogg"], " \n", "no key was given"),
    ],
)
def test_set_key_with_wrong_input_gives_a_reason_and_stores_nothing(
    videostat: Videostat, folder: Path, argv: list[str], stdin: str | None, sentence: str
) -> None:
    got = videostat("config", "set-key", *argv, stdin=stdin)
    assert got.code == 2
    assert sentence in got.stderr
    assert not folder.exists()


@pytest.fixture
def prompt(home: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> pexpect.spawn[str]:
    """Start `config set-key` on a pseudo-terminal and wait for its prompt."""
    monkeypatch.delenv("VIDEOSTAT_JOGG_API_KEY")
    child = pexpect.spawn(
        sys.executable, ["-m", "videostat", "config", "set-key", "jogg"], encoding="utf-8", timeout=20
    )
    child.expect_exact("Key for jogg (not shown): ")
    child.waitnoecho()
    return child


def test_key_typed_at_the_prompt_is_stored_and_not_shown(
    prompt: pexpect.spawn[str], folder: Path, sandbox: Sandbox
) -> None:
    prompt.sendline(KEY)
    prompt.expect(pexpect.EOF)
    prompt.close()
    assert prompt.exitstatus == 0
    assert KEY not in str(prompt.before)
    assert KEY in (folder / "credentials.toml").read_text()
    assert "the key is stored, but jogg: the key was refused" in str(prompt.before)
    assert len(sandbox.requests) == 1


def test_working_key_typed_at_the_prompt_is_confirmed(prompt: pexpect.spawn[str], sandbox: Sandbox) -> None:
    prompt.sendline(sandbox.get_key("jogg"))
    prompt.expect_exact(f"It works at {sandbox.get_base_url('jogg')}.")
    prompt.expect(pexpect.EOF)
    prompt.close()
    assert prompt.exitstatus == 0
    assert len(sandbox.requests) == 1


def test_key_from_a_pipe_is_stored_without_a_request(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_JOGG_API_KEY")
    assert videostat("config", "set-key", "jogg", stdin=KEY).code == 0
    assert not sandbox.requests


@pytest.mark.usefixtures("sandbox")
def test_set_key_stops_waiting_for_a_service_that_does_not_answer(
    videostat: Videostat, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_JOGG_API_KEY")
    monkeypatch.setattr("videostat.commands.config.KEY_SECONDS", 0.3)
    monkeypatch.setattr("getpass.getpass", lambda _: KEY)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        got = videostat("config", "set-key", "jogg", tty=["stdin"])
    assert got.code == 0
    assert "the key is stored, but jogg: no answer within 0.3 s" in got.stderr
    assert KEY in (folder / "credentials.toml").read_text()


@pytest.mark.parametrize(
    ("pressed", "ends"),
    [("\x04", (2, None)), ("\r", (2, None)), ("\x03", (None, 2))],
    ids=["Ctrl-D", "Enter", "Ctrl-C"],
)
def test_prompt_can_be_cancelled(
    prompt: pexpect.spawn[str], folder: Path, pressed: str, ends: tuple[int | None, int | None]
) -> None:
    prompt.send(pressed)
    prompt.expect(pexpect.EOF)
    prompt.close()
    assert (prompt.exitstatus, prompt.signalstatus) == ends
    assert "Traceback" not in str(prompt.before)
    assert not (folder / "credentials.toml").exists()


# --- check


def test_check_prints_the_source_of_each_working_key(videostat: Videostat, sandbox: Sandbox) -> None:
    got = videostat("config", "check")
    assert got.code == 0
    assert [line.partition(":")[0] for line in got.lines] == ["doubao", "jogg", "reelbot"]
    assert "environment variable VIDEOSTAT_DOUBAO_API_KEY works at " + sandbox.get_base_url("doubao") in got.lines[0]
    assert len(sandbox.requests) == 3


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"jogg": "wrong"}, 3),
        ({"jogg": "exhausted"}, 4),
        ({"doubao": "wrong"}, 3),
        ({"doubao": "exhausted"}, 3),
        ({"reelbot": "wrong"}, 3),
        ({"reelbot": "exhausted"}, 4),
        ({"reelbot": "exhausted", "doubao": "wrong"}, 3),
    ],
)
def test_check_reports_each_bad_key_and_exits_with_the_smallest_code(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, keys: dict[str, str], code: int
) -> None:
    for account, which in keys.items():
        key = DIALECTS[account].exhausted_key if which == "exhausted" else KEY
        monkeypatch.setenv(f"VIDEOSTAT_{account.upper()}_API_KEY", key)
    got = videostat("config", "check")
    assert got.code == code
    assert len(got.lines) == 3 - len(keys)
    for account in keys:
        source = f"environment variable VIDEOSTAT_{account.upper()}_API_KEY"
        assert f"videostat: {account}, with the key from {source}: " in got.stderr
        assert videostat("config", "check", account).code >= code
    assert KEY not in got.stdout + got.stderr


@pytest.mark.parametrize("account", ["jogg", "jogg-product", "doubao", "reelbot"])
def test_check_of_one_account_sends_one_request(videostat: Videostat, sandbox: Sandbox, account: str) -> None:
    got = videostat("config", "check", account)
    assert (got.code, len(got.lines), len(sandbox.requests)) == (0, 1, 1)


def test_check_needs_an_account_with_a_key(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    for account in ("JOGG", "DOUBAO", "REELBOT"):
        monkeypatch.delenv(f"VIDEOSTAT_{account}_API_KEY")
    got = videostat("config", "check")
    assert got.code == 3
    assert "no account has a key" in got.stderr
    got = videostat("config", "check", "reelbot")
    assert got.code == 3
    assert "VIDEOSTAT_REELBOT_API_KEY" in got.stderr
    got = videostat("config", "check", "reelbt")
    assert got.code == 2
    assert "Did you mean reelbot?" in got.stderr


def test_check_fails_at_a_server_that_is_not_the_service(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOSTAT_REELBOT_BASE_URL", sandbox.get_base_url())
    got = videostat("config", "check", "reelbot")
    assert (got.stdout, got.code != 0) == ("", True)


def test_check_warns_of_a_config_file_that_others_can_read(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[providers.jogg]\napi_key = "{sandbox.get_key("jogg")}"\n')
    config.chmod(0o644)
    got = videostat("config", "check", "--config", config)
    assert got.code == 0
    assert f"chmod 600 {config}" in got.stderr


def test_bug_report_lists_the_setup_without_keys_or_home_folder(
    videostat: Videostat, sandbox: Sandbox, home: Path, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("[defaults]\n")
    (folder / "config.toml").chmod(0o600)
    videostat("status", "jogg", "proj_stuck")
    sandbox.requests.clear()
    got = videostat("config", "check", "--verbose")
    assert got.code == 0
    assert len(sandbox.requests) == 3
    assert str(home) not in got.stdout
    for account in ("jogg", "doubao", "reelbot"):
        assert sandbox.get_key(account) not in got.stdout
        assert f"  base_url: {sandbox.get_base_url(account)}" in got.lines
    for line in (
        f"  videostat: {__version__}",
        "  jobs: 1",
        "  unfinished: 1",
        "  works: yes",
        "  stdout: no terminal",
    ):
        assert line in got.lines
    (config,) = (line for line in got.lines if line.startswith("  config: "))
    assert config == "  config: ~/.config/videostat/config.toml (-rw-------, 11 bytes)"
    assert any(line.startswith("  clock_difference: ") for line in got.lines)


def test_bug_report_in_json_is_one_object(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_API_KEY", "wrong-key-of-mine")
    monkeypatch.delenv("VIDEOSTAT_REELBOT_API_KEY")
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    got = videostat("config", "check", "-v", "--json")
    (page,) = got.objects
    assert got.code == 3
    services = dict.fromkeys(provider.key_group for provider in PROVIDERS.values())
    assert [*page] == ["versions", "files", *services, "history", "terminal"]
    assert (page["jogg"]["works"], page["doubao"]["works"]) == (False, True)
    assert "refused" in page["jogg"]["error"]
    assert page["doubao"]["certificate"] == "none: not encrypted"
    assert page["doubao"]["seconds"] < 10
    assert page["reelbot"] == {"key": None, "base_url": sandbox.get_base_url("reelbot")}
    assert page["versions"]["urllib3"]
    assert "warning" not in page["versions"]
    assert "wrong-key-of-mine" not in got.stdout


def test_bug_report_shows_a_proxy_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")
    assert bugreport._find_proxy("https://api.jogg.ai") == "http://proxy.example:3128"


def test_bug_report_warns_of_a_replaced_urllib3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bugreport, "packages_distributions", lambda: {"urllib3": ["urllib3-future", "urllib3"]})
    assert "urllib3 is provided by urllib3-future" in str(bugreport._collect_versions()["warning"])


# --- configured keys are sent


def test_key_from_the_config_file_is_sent(
    videostat: Videostat, sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for account in ("JOGG", "DOUBAO", "REELBOT"):
        for what in ("API_KEY", "BASE_URL"):
            monkeypatch.delenv(f"VIDEOSTAT_{account}_{what}")
    sections = "".join(
        f'[providers.{name}]\nbase_url = "{sandbox.get_base_url(name)}"\napi_key = "{sandbox.get_key(name)}"\n'
        for name in ("jogg", "doubao", "reelbot")
    )
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(sections)
    got = videostat("status", "jogg:proj_done", "doubao:task_done", "reelbot:reel_done")
    assert got.code == 0
    sent = {request.path.split("/")[1]: request.headers for request in sandbox.requests}
    assert sent["jogg"]["x-api-key"] == sandbox.get_key("jogg")
    assert sent["doubao"]["authorization"] == f"Bearer {sandbox.get_key('doubao')}"
    assert sent["reelbot"]["x-api-key"] == sandbox.get_key("reelbot")


def test_key_of_the_source_with_highest_precedence_is_sent(
    videostat: Videostat, sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Remove the sources one after the other: environment, key command, credentials file, config file."""

    def read_sent_key() -> str:
        sandbox.requests.clear()
        videostat("status", "--no-history", "jogg", "proj_done")
        return sandbox.requests[0].headers["x-api-key"]

    config = folder / "config.toml"
    monkeypatch.setenv("VIDEOSTAT_JOGG_API_KEY", "of-the-environment")
    folder.mkdir(parents=True)
    plain = '[providers.jogg]\napi_key = "of-the-config-file"\n'
    config.write_text(plain + 'api_key_command = "echo of-the-command"\n')
    videostat("config", "set-key", "jogg", stdin="of-the-credentials-file")
    assert read_sent_key() == "of-the-environment"
    monkeypatch.delenv("VIDEOSTAT_JOGG_API_KEY")
    assert read_sent_key() == "of-the-command"
    config.write_text(plain)
    assert read_sent_key() == "of-the-credentials-file"
    (folder / "credentials.toml").unlink()
    assert read_sent_key() == "of-the-config-file"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("timeout = ", "is not valid TOML"),
        ('[defaults]\ntimeout = "soon"', "defaults.timeout must be a duration"),
        ("[defaults]\ntimout = 5", "Did you mean timeout?"),
        ("[default]", "Did you mean defaults?"),
        ('[providers.jog]\napi_key = "x"', "Did you mean jogg?"),
        ("[providers.jogg]\napi_key = 5", "providers.jogg.api_key must be a key"),
        ('[providers.jogg-avatar]\napi_key = "x"', "[providers.jogg]"),
        ('[providers.jogg]\nbase_url = "ftp://x"', "providers.jogg.base_url must be an address"),
        ('[providers.eu]\nbase_url = "https://x"', "type"),
        ("[" * 5000, "config.toml"),
    ],
)
def test_every_command_refuses_an_invalid_config_file(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "config.toml").write_text(text)
    for command in (("status", "jogg", "x"), ("providers",), ("config", "show"), ("config", "check")):
        got = videostat(*command, "--config", "config.toml")
        assert (got.code, got.stdout) == (2, "")
        assert sentence in got.stderr
        assert "config.toml" in got.stderr
        assert len(got.stderr.splitlines()) <= 2
    assert not sandbox.requests


@pytest.mark.parametrize("path", ["nowhere.toml", "."])
def test_unreadable_config_file_is_refused(videostat: Videostat, path: str) -> None:
    got = videostat("status", "jogg", "x", "--config", path)
    assert (got.code, got.stdout) == (2, "")
    assert f"cannot read {path}: " in got.stderr


def test_config_without_a_subcommand_shows_its_help(videostat: Videostat) -> None:
    got = videostat("config")
    assert got.code == 2
    assert "set-key" in got.stdout + got.stderr


def test_init_refuses_a_file_name_that_is_too_long(videostat: Videostat, tmp_path: Path) -> None:
    got = videostat("config", "init", "--config", tmp_path / ("x" * 300))
    assert (got.code, got.stdout) == (2, "")
    assert got.stderr.startswith("videostat: ")
    assert "bug" not in got.stderr


@pytest.mark.parametrize("command", [("config", "show"), ("providers",)])
def test_headers_and_rows_are_aligned_at_80_columns(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    header, *rows = re.sub(r"\x1b\[[\d;]*m", "", videostat(*command, tty=("stdout",)).stdout).splitlines()
    assert len(header) <= 80
    starts = [match.start() for match in re.finditer(r"(?:(?<=  )|^)[A-Z]", header)]
    for row in rows:
        assert all(row[at - 2 : at] in {"  ", ""} for at in starts[1:]), row
    assert any("VIDEOSTAT_JOGG_API_KEY" in row and "environment" not in row for row in rows)


@pytest.mark.parametrize(("account", "title"), [("jogg", "JoggAI projects"), ("doubao", "Doubao-style gateways")])
def test_check_names_the_base_url_that_answers_with_a_web_page(
    videostat: Videostat, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, account: str, title: str
) -> None:
    with_page = serve(reply(b"<html>nginx</html>", 404, content_type="text/html"))
    monkeypatch.setenv(f"VIDEOSTAT_{account.upper()}_BASE_URL", with_page.url)
    got = videostat("config", "check", account)
    assert got.code == 6
    assert f"{with_page.url} may not be an API of {title}." in got.stdout + got.stderr


def test_a_bug_report_includes_what_is_missing_or_fails(
    videostat: Videostat, folder: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(bugreport, "version", lack)
    monkeypatch.delenv("VIDEOSTAT_DOUBAO_API_KEY")
    monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", f"http://127.0.0.1:{port}")
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[providers.doubao]\napi_key_command = "true"\n')
    history = locate_history()
    history.parent.mkdir(parents=True)
    history.write_bytes(b"no database" * 100)
    (page,) = videostat("config", "check", "-v", "--json").objects
    assert page["versions"]["typer"] is None
    assert "damaged" in page["history"]["error"]
    assert page["doubao"]["error"] == "the api_key_command of doubao printed nothing"
    assert "certificate" not in page["jogg"]


def test_a_bug_report_needs_neither_a_folder_nor_a_date(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert bugreport._describe_file(tmp_path / "file" / "config.toml") == "Not a directory"
    assert bugreport._compare_clocks(api_answer(200, {}, None, EPOCH)) is None
