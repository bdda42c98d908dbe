"""Test that commands start fast, without imports they do not need, and also where POSIX functions are missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Slow imports that only some commands need. Typer 0.29 and later would import pydantic.
HEAVY = {"pydantic", "requests", "urllib3", "rich", "sqlite3", "asyncio", "concurrent.futures", "http.server"}

SCRIPT = """
import sys
from videostat.commands import _run
sys.argv = ["videostat", *sys.argv[1:]]
_run()
print("", *sorted(sys.modules), sep="\\n", file=sys.stderr)
"""


def _loaded(*argv: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *argv], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stderr.splitlines())


@pytest.mark.parametrize(
    ("argv", "needed"),
    [
        (["--version"], set()),
        (["--help"], {"rich"}),
        (["wait", "--help"], {"rich"}),
        (["config", "path"], set()),
        (["config", "show"], set()),
        (["providers"], set()),
        (["history"], {"sqlite3"}),
        (["status", "nowhere", "1"], {"requests", "urllib3"}),
        (["status", "jogg", "proj_1"], {"requests", "urllib3", "sqlite3"}),
        (["wait", "jogg", "proj_1"], {"requests", "urllib3", "sqlite3"}),
    ],
)
def test_a_command_imports_only_what_it_needs(argv: list[str], needed: set[str]) -> None:
    assert _loaded(*argv) == needed


# Remove what Windows lacks after the libraries are imported, because they have their own code for Windows.
WITHOUT_POSIX = """
import enum, http.server, os, pkgutil, requests, rich.panel, signal, sqlite3, subprocess, sys, tempfile, typer.main
for module, names in {
    os: "O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_CLOEXEC fchmod fchown fork fstatvfs getegid geteuid getgid getpgrp getuid"
    " killpg mkfifo posix_fadvise pread setsid statvfs tcgetpgrp uname",
    signal: "SIGHUP SIGQUIT SIGKILL SIGPIPE SIGALRM SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGUSR1 SIGWINCH"
    " pthread_sigmask setitimer sigwait",
}.items():
    for name in names.split():
        delattr(module, name)
signal.Signals = enum.IntEnum("Signals", {each: value for each, value in vars(signal).items() if each[:3] == "SIG"
    and isinstance(value, signal.Signals)})
for module in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[module] = None
import videostat
for found in pkgutil.walk_packages(videostat.__path__, "videostat."):
    found.name.endswith("__main__") or __import__(found.name)
from videostat.commands import _run
for sys.argv in ["videostat", "--help"], ["videostat", "wait", "--help"]:
    assert _run() == 0
"""


def test_all_modules_import_and_help_works_without_posix() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_POSIX], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: videostat wait" in done.stdout
