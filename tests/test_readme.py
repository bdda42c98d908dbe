"""What README and guide promise about themselves: each command is run, and the tables are the program's."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Any

import pytest
import renew
from typer.main import get_command

from videostat import errors
from videostat.clock import Clock
from videostat.commands import app
from videostat.errors import ExitCode, VideostatError
from videostat.models import FIELDS, SAVING_FIELDS, Job, JobRef
from videostat.providers import PROVIDERS
from videostat.render.answers import format_json
from videostat.sandbox.services import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from conftest import Videostat

    from videostat.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "videostat" / "guide"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
# What a person reads, by its path.
PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted(GUIDE.glob("*.md")), CONTRIBUTING, ROOT / "tests/benchmarks/README.md")
}
README = PAGES[ROOT / "README.md"]
NEW = "write it anew: python tests/renew.py"

Command = Any  # Typer's copy of click is private

# As a person types them, and as a shell of CI does.
SHELL = f'videostat() {{ {shlex.quote(sys.executable)} -m videostat "$@"; }}; set -eu -o pipefail; '

JOBS = [
    *("jogg:proj_abc123", "jogg:proj_def456", "jogg-avatar:avatar_9f2", "jogg-product:product_77"),
    *("reelbot:reel_42", "doubao:task_7"),
]


def blocks(language: str) -> list[Any]:
    """Return the blocks of all pages, each as a parameter of a test, named after its page and first command."""
    return [
        pytest.param(block, id=f"{path.stem}: {titled(block)}")
        for path, text in PAGES.items()
        for block in re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def tables(header: str, page: str = README) -> list[list[list[str]]]:
    """Return the rows below each such header, cell by cell."""
    return [
        [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in text.splitlines()[1:]]
        for text in re.findall(rf"^\| {re.escape(header)} \|\n(.*?)(?:\n\n|\n?\Z)", page, re.DOTALL | re.MULTILINE)
    ]


def titled(script: str) -> str:
    return next((line for line in script.splitlines() if "videostat" in line), script)[:50].strip()


def commands(command: Command, path: str = "videostat") -> Iterator[tuple[str, Command]]:
    """Those that do something, by what one types."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        if not child.hidden:
            yield from commands(child, f"{path} {name}")


COMMANDS = dict(commands(get_command(app)))


class Later(Clock):
    """The sandbox's; the processes live in real time."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
def desk(videostat: Videostat, sandbox: Sandbox, clock: Later, tmp_path: Path) -> Path:
    """Where jobs were begun, seen and left an hour ago."""
    clock.ahead = timedelta(hours=-1)
    assert videostat("status", *JOBS).code == 0
    clock.ahead = timedelta(0)
    (tmp_path / "jobs.txt").write_text("".join(f"{job}\n" for job in JOBS))
    (tmp_path / "key.txt").write_text(f"{sandbox.get_key('jogg')}\n")
    sandbox.requests.clear()
    return tmp_path


def run(script: str, desk: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", SHELL + script],
        cwd=desk,
        input="a-key-that-is-typed\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.mark.parametrize("script", blocks("sh"))
def test_every_command_of_the_pages_works(desk: Path, script: str) -> None:
    done = run(script, desk)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"^videostat: (?!this key is not used|skipped )", done.stderr, re.MULTILINE), done.stderr
    for branch in ("the job failed", "see the message above", "still running"):
        assert branch not in done.stdout


@pytest.mark.parametrize(
    "step", dict.fromkeys(re.findall(r"^ *- (?:run: )?(videostat .*)", "".join(PAGES.values()), re.MULTILINE))
)
def test_the_steps_for_ci_leave_the_video_where_it_is_fetched(desk: Path, step: str) -> None:
    done = run(f"PROJECT_ID=proj_abc123; {step}", desk)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (desk / "videos").iterdir()] == ["jogg-proj_abc123.mp4"]


@pytest.mark.parametrize("program", blocks("python"))
def test_every_program_of_the_pages_works(desk: Path, program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], cwd=desk, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for branch in ("later", "never", "the key:", "again"):
        assert branch not in done.stdout
    if "videostat.log" in program:
        assert "DEBUG:videostat:> GET " in (desk / "videostat.log").read_text()
    if "save(" in program:
        assert [*(desk / "videos").glob("jogg-proj_abc123.mp4")]


def test_every_example_is_of_a_language_that_is_tried() -> None:
    languages = {name: {*re.findall(r"^```(\w+)\n", text, re.MULTILINE)} for name, text in PAGES.items()}
    assert set().union(*languages.values()) == {"sh", "console", "yaml", "json", "python", "mermaid"}


def test_the_example_of_an_error_is_what_is_written(videostat: Videostat) -> None:
    (example,) = (block.values[0] for block in blocks("json"))
    got = videostat("status", "jogg", "proj_1", "--fields", "stat")
    assert got.stderr.splitlines()[-1] == example.strip()


def test_ci_installs_videostat_and_nothing_of_the_readers() -> None:
    installed = re.findall(r"^ *- (?:run: )?(?:pipx|pip|uv) .*?install (.*)$", "".join(PAGES.values()), re.MULTILINE)
    assert installed == ['"$VIDEOSTAT_PACKAGE"'] * 2


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) - len(PROVIDERS) <= 215, "a service has a row, and the rest no more than this"


def examples(command: Command) -> list[str]:
    return [line.strip() for line in command.help.splitlines() if line.startswith("  videostat ")]


def test_every_example_of_the_help_works(videostat: Videostat, desk: Path) -> None:
    for path, command in COMMANDS.items():
        # These have tests of their own: one takes its time, the others go on until they are stopped.
        has_its_own = path in {"videostat demo", "videostat sandbox", "videostat listen"}
        for example in () if has_its_own else examples(command):
            got = videostat(*shlex.split(example.partition(" > ")[0])[1:], stdin="a-key-that-is-typed\n")
            assert got.code == 0, (example, got.stderr)


@pytest.mark.parametrize("path", COMMANDS)
def test_help_says_what_for_how_and_how_it_ends(videostat: Videostat, path: str) -> None:
    shown = videostat(*path.split()[1:], "--help").stdout
    assert "\n For example:" in shown
    assert f"\n   {path}" in shown
    assert "\n Exit code: " in shown
    purpose = shown.strip().splitlines()[2].strip()
    assert re.fullmatch(r"[A-Z].*\.", purpose), purpose


def test_the_exit_codes_are_those_there_are() -> None:
    (rows,) = tables("exit code | meaning | errors")
    told = [int(code) for row in rows for code in re.findall(r"\d+", row[0])]
    assert sorted(told) == sorted(ExitCode)


def test_beside_each_exit_code_are_the_names_of_its_errors() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VideostatError)]
    for codes, _, names in tables("exit code | meaning | errors")[0]:
        its = {kind.name for kind in kinds if str(int(kind.exit_code)) in codes.split(", ")}
        # Nothing is only retryable: each such error is of a kind below it.
        assert {*re.findall(r"\w+", names)} == its - {"retryable"}, codes


def test_the_json_fields_are_those_there_are() -> None:
    listed, also = re.findall(r"`([a-z_ \n]+)`", README[README.index("The JSON fields") :])[:2]
    job = Job(ref=JobRef("jogg", "x"))
    assert listed.split() == [*json.loads(format_json(job))]
    assert [*listed.split(), *also.split()] == [*json.loads(format_json(job, saving=True))]


def test_each_json_field_is_described_as_in_the_model() -> None:
    fields, also = tables("field | meaning", PAGES[GUIDE / "ci.md"])
    assert fields == [[field.name, field.about] for field in FIELDS]
    assert also == [[field.name, field.about] for field in SAVING_FIELDS]


def test_each_message_that_is_explained_is_one_of_the_programs() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "videostat").rglob("*.py"))
    explained = tables("message | cause | what to do", PAGES[GUIDE / "troubleshooting.md"])
    messages = [row[0] for rows in explained for row in rows if not row[0].startswith(("exit code", "files"))]
    assert len(messages) > 10
    pieces = [piece.strip(" ,'") for message in messages for piece in message.split("...")]
    assert [piece for piece in pieces if piece not in source] == []


def test_the_services_and_their_numbers_are_those_of_the_registry() -> None:
    assert renew.renewed(ROOT / "README.md") == README, NEW


SIMULATED = [provider for provider in PROVIDERS.values() if provider.key_group in DIALECTS]


def test_each_simulated_service_has_an_example() -> None:
    scripts = "".join(block.values[0] for block in blocks("sh"))
    names = [provider.name for provider in SIMULATED]
    assert [name for name in names if not re.search(rf"^videostat wait {name} \S+", scripts, re.MULTILINE)] == []


def test_it_says_how_often_the_simulated_services_may_be_asked() -> None:
    floors = sorted({f"{provider.polling.floor:g}" for provider in SIMULATED}, key=int, reverse=True)
    assert f"({', '.join(floors[:-1])} and {floors[-1]} seconds)" in README


def test_every_option_it_names_exists() -> None:
    known = {"--version", "--help"}
    for command in COMMANDS.values():
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    told = "\n".join([*PAGES.values(), *(line for command in COMMANDS.values() for line in examples(command))])
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", told)) - known == {"--strict"}, "but for mypy's"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_and_heading_it_names_exists(page: Path) -> None:
    text = PAGES[page]
    assert [
        name for name in re.findall(r"`((?:tests|videostat|\.ci)/[\w./]+)`", text) if not (ROOT / name).exists()
    ] == []
    for name, anchor in re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", text):
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), name
        if anchor:
            headings = re.findall(r"^#+ (.*)$", PAGES[there], re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_of_the_guide_is_linked_from_the_readme() -> None:
    assert [path.name for path in GUIDE.iterdir() if f"](videostat/guide/{path.name}" not in README] == []


def texts(svg: str) -> list[str]:
    """What it shows: another version of rich may place it otherwise."""
    return re.findall(r"<text[^>]*>(.*?)</text>", svg)


def test_its_picture_is_what_the_program_draws() -> None:
    stored = renew.PICTURE.read_text(encoding="utf-8")
    assert texts(stored) == texts(run_path(str(renew.PICTURE.with_name("make.py")))["draw_picture"]()), NEW
    assert len(texts(stored)) > 40
    assert "http" not in re.sub(r"xmlns=\S+|<!--.*?-->", "", stored)


def test_the_picture_of_the_course_is_drawn_from_its_table() -> None:
    assert renew.renewed(CONTRIBUTING) == PAGES[CONTRIBUTING], NEW


def test_ci_runs_the_very_line_the_readme_gives() -> None:
    line = next(line.strip() for line in README.splitlines() if line.strip().endswith(".venv/bin/pytest"))
    assert line in (ROOT / ".ci" / "run").read_text().splitlines()
