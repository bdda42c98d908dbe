"""The completion scripts: up to date, and tested in real shells."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pexpect  # type: ignore[import-untyped]
import pytest
from renew import COMPLETIONS

from videostat.completion import Command, Option, Value, bash
from videostat.history import History, locate_history
from videostat.models import JobRef
from videostat.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Videostat

# pexpect forks; a thread that another test has left running does not matter to a shell.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

every_shell = pytest.mark.parametrize("shell", COMPLETIONS)

CONFIG = """
[defaults]
[providers.jogg]
  [providers."quoted-gateway"]  # as good as bare
[providers.eu-gateway]
type = "doubao"
#[providers.xyz]
"""

# A fake videostat: it records each call at Tab, when its stdout is no terminal, and its arguments at Enter.
VIDEOSTAT = """#!/bin/sh
if [ -t 1 ]; then
    printf '%s\\n' "$@" > "$HOME/given"
    echo given
else
    echo "$*" >> "$HOME/calls"
    case $* in
        "completion ids jogg" | "completion ids eu-gateway") printf '%s\\n' zeta alpha ;;
        *) echo "videostat: something went wrong" >&2; exit 2 ;;
    esac
fi
"""

# Alt-* inserts all completions into the line.
TERMINALS = {
    "bash": (["bash", "--norc", "--noprofile"], f"set -u; source {shlex.quote(str(COMPLETIONS['bash']))}"),
    "zsh": (
        ["zsh", "-f"],
        f"""fpath=({shlex.quote(str(COMPLETIONS["zsh"].parent))} $fpath); autoload -U compinit; compinit -D -u
        bindkey -e '\\e*' complete-word; zstyle ':completion:*' completer _all_matches _complete
        zstyle ':completion:*' insert true""",
    ),
}

Offers = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def shell_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the home folder of the shells."""
    shell_home = tmp_path_factory.mktemp("desk")
    (shell_home / "my folder").mkdir()
    (shell_home / "my jobs.txt").touch()
    (shell_home / "config.toml").write_text(CONFIG)
    # One command on the PATH, and one that is called by its path.
    for folder, ids in (("bin", "zeta alpha"), ("venv", "beyond")):
        command = shell_home / folder / "videostat"
        command.parent.mkdir()
        command.write_text(VIDEOSTAT.replace("zeta alpha", ids))
        command.chmod(0o755)
    return shell_home


def environment(shell_home: Path) -> dict[str, str]:
    path = f"{shell_home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(shell_home), "LC_ALL": "C.UTF-8", "PATH": path, "PS1": "", "TERM": "dumb"}


def find_shell(shell: str) -> str:
    return shutil.which(shell) or pytest.skip(f"no {shell} here")


@pytest.fixture(scope="module", params=COMPLETIONS)
def offers(request: pytest.FixtureRequest, shell_home: Path) -> Iterator[Offers]:
    """Return a function that lists what a shell offers at the end of a line."""
    shell = request.param
    environ = environment(shell_home) | {"VIDEOSTAT_CONFIG": "config.toml"}
    if shell == "fish":
        yield lambda line: fish_offers(line, shell_home, environ)
        return
    (command, *options), setup = TERMINALS[shell]
    terminal = pexpect.spawn(find_shell(command), options, cwd=shell_home, env=environ, echo=False, timeout=5)
    terminal.delaybeforesend = None
    terminal.sendline(setup)

    def complete_line(line: str) -> list[str]:
        terminal.send(f"{line}\x1b*\n")
        terminal.expect_exact("given\r\n")
        before = shlex.split(line)[1:]
        last = before.pop() if not line.endswith(" ") else ""
        found = (shell_home / "given").read_text().splitlines()[len(before) :]
        return [] if found == [last] else found

    yield complete_line
    terminal.close(force=True)


def take_calls(shell_home: Path) -> list[str]:
    """Return the arguments of each call of videostat at Tab since the last call of this function."""
    log = shell_home / "calls"
    calls = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return calls


def fish_offers(line: str, shell_home: Path, environ: dict[str, str]) -> list[str]:
    script = f"source {shlex.quote(str(COMPLETIONS['fish']))}; complete -C {shlex.quote(line)}"
    command = [find_shell("fish"), "--no-config", "--command", script]
    done = subprocess.run(command, cwd=shell_home, env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [offer.partition("\t")[0] for offer in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("videostat wa", "wait"),
        ("videostat config ", "check init path set-key show"),
        ("videostat completion ", "bash fish zsh"),
        ("videostat --vers", "--version"),
        ("videostat wait --time", "--timeout"),
        ("videostat wait jogg a --output-", "--output-dir"),
        ("videostat wait jogg a --prog", "--progress"),
        ("videostat config show --c", "--config"),
        ("videostat list --state ", "failed queued running succeeded unknown"),
        ("videostat list --state=s", "--state=succeeded"),
        ("videostat wait ", " ".join(sorted([*PROVIDERS, "eu-gateway", "quoted-gateway"]))),
        ("videostat list e", "eu-gateway"),
        ("videostat config set-key q", "quoted-gateway"),
        ("videostat history --unf", "--unfinished"),
        ("videostat history --provider jogg --unf", "--unfinished"),
        ("videostat history fo", "forget"),
        ("videostat history forget --old", "--older-than"),
        ("videostat history forget r", "reelbot"),
        ("videostat history --provider r", "reelbot"),
        ("videostat history --provider=r", "--provider=reelbot"),
        ("videostat wait --timeout 10m --json r", "reelbot"),
        ("videostat wait jogg:zeta r", "reelbot"),
        ("videostat wait x", ""),
        ("videostat wait --timeout ", ""),
    ],
)
def test_words_other_than_ids_are_offered_without_calling_videostat(
    offers: Offers, shell_home: Path, line: str, expected: str
) -> None:
    assert (sorted(offers(line)), take_calls(shell_home)) == (expected.split(), [])


@pytest.mark.parametrize("line", ["videostat list jogg ", "videostat config check jogg ", "videostat config path "])
def test_accounts_are_not_offered_where_none_is_expected(offers: Offers, line: str) -> None:
    assert not {*PROVIDERS, "eu-gateway"} & {*offers(line)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("videostat status --from my", {"my folder", "my jobs.txt"}),
        ("videostat status --from=my", {"my folder", "my jobs.txt"}),
        ("videostat wait --config c", {"config.toml"}),
        ("videostat wait --config=c", {"config.toml"}),
        ("videostat wait --exec b", {"bin"}),
        ("videostat download jogg a -o my", {"my folder", "my jobs.txt"}),
        ("videostat download jogg a --output my", {"my folder", "my jobs.txt"}),
        ("videostat download jogg a --output-dir my", {"my folder"}),
        ("videostat download jogg a --output-dir=my", {"my folder"}),
    ],
)
def test_files_are_offered_where_a_file_is_expected(offers: Offers, line: str, expected: set[str]) -> None:
    assert {offer.rpartition("=")[2].rstrip("/") for offer in offers(line)} == expected


def test_redirection_is_completed_with_files(offers: Offers, shell_home: Path) -> None:
    offers("videostat wait jogg a 2>> conf")
    assert (take_calls(shell_home), (shell_home / "conf").exists()) == ([], False)


@pytest.mark.parametrize(
    ("line", "account", "expected"),
    [
        ("videostat status jogg ", "jogg", ["zeta", "alpha"]),
        ("videostat wait --timeout 10m --json jogg a", "jogg", ["alpha"]),
        ("videostat wait doubao:x eu-gateway alpha z", "eu-gateway", ["zeta"]),
        ("videostat wait jogg:a", "jogg", ["jogg:alpha"]),
        ("videostat wait jogg alpha eu-gateway:z", "eu-gateway", ["eu-gateway:zeta"]),
        ("videostat history forget jogg ", "jogg", ["zeta", "alpha"]),
        ("videostat history forget jogg:a", "jogg", ["jogg:alpha"]),
        ("videostat wait reelbot ", "reelbot", []),
        ("venv/videostat status jogg ", "jogg", ["beyond"]),
        ("~/venv/videostat status jogg ", "jogg", ["beyond"]),
        ("videostat wait reelbot:", "reelbot", []),
    ],
)
def test_ids_come_from_one_call_and_errors_are_not_shown(
    offers: Offers, shell_home: Path, line: str, account: str, expected: list[str]
) -> None:
    assert (offers(line), take_calls(shell_home)) == (expected, [f"completion ids {account}"])


@every_shell
@pytest.mark.parametrize(
    ("variables", "config"),
    [
        ({}, ".config/videostat/config.toml"),
        ({"XDG_CONFIG_HOME": ""}, ".config/videostat/config.toml"),
        ({"XDG_CONFIG_HOME": "xdg folder"}, "xdg folder/videostat/config.toml"),
        ({}, "Library/Application Support/videostat/config.toml"),
        ({"VIDEOSTAT_CONFIG": "my config"}, "my config"),
        ({"VIDEOSTAT_CONFIG": ""}, ".config/videostat/config.toml"),
    ],
)
def test_scripts_read_accounts_from_the_same_config_as_videostat(
    home: Path, shell: str, variables: dict[str, str], config: str
) -> None:
    path = home / config
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFIG)
    function = "__videostat_accounts" if shell == "fish" else "_videostat_accounts"
    # Without compinit, zsh does not know the last line's compdef.
    lines = f"source {shlex.quote(str(COMPLETIONS[shell]))} 2>/dev/null; {function} 2>&1"
    environ = environment(home) | variables
    command = [find_shell(shell), "-c", lines]
    done = subprocess.run(command, cwd=home, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    assert {*done.stdout.split()} == {*PROVIDERS, "eu-gateway", "quoted-gateway"}


@every_shell
def test_scripts_equal_the_output_of_the_completion_command(videostat: Videostat, shell: str) -> None:
    printed = videostat("completion", shell)
    assert printed.code == 0
    assert COMPLETIONS[shell].read_text() == printed.stdout, "write it anew: python tests/renew.py"


@every_shell
def test_scripts_have_valid_syntax(shell: str) -> None:
    checked = subprocess.run([find_shell(shell), "-n", COMPLETIONS[shell]], capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")


def test_ids_are_the_newest_50_of_the_history(videostat: Videostat) -> None:
    history = History(locate_history(), warn=pytest.fail)
    now = datetime.now(UTC)
    for age in range(60):
        history.add([JobRef("jogg", f"job-{age}"), JobRef("reelbot", "other")], now - timedelta(seconds=age))
    history.close()
    assert videostat("completion", "ids", "jogg").lines == [f"job-{age}" for age in range(50)]


def test_missing_history_gives_no_ids_and_is_not_created(videostat: Videostat) -> None:
    assert videostat("completion", "ids", "jogg").stdout == ""
    assert not locate_history().exists()


def test_option_with_different_values_in_two_commands_is_refused() -> None:
    def command(path: str, takes: Value | None) -> Command:
        return Command(path, "", (Option(("--output",), "", takes),))

    alike = Command("", "", (), commands=(command("one", Value.FILE), command("two", Value.FILE)))
    assert "--output) expected=" in bash.write_script(alike, ())
    different = Command("", "", (), commands=(command("one", Value.FILE), command("two", None)))
    with pytest.raises(ValueError, match="--output takes different values"):
        bash.write_script(different, ())


def test_commands_do_not_import_the_completion_scripts() -> None:
    program = "import sys, videostat.commands; sys.exit('videostat.completion' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
