"""What each command leaves unimported: start-up time is what one waits for every time."""

from __future__ import annotations

import subprocess
import sys

import pytest

# pydantic: what Typer 0.29 and later would bring. The rest: what costs most, and only some commands need.
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
